#!/bin/bash
# A host moves to another site, where it gets another address and MAC, while it sends and receives over TCP: both connections go on.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

pool_laboratory home1 home2 office1 campus1
pool_create
pool_routers r1 r2
pool_up home1 home2 office1 campus1
eventually "the ring is whole" pool_is_whole r1 r2 home1 home2 office1 campus1
yes "home2 reaches office1" pool_ping home2 office1

# travel SITE: home2 goes there in the middle of two transfers.
travel() {
  pool_transfer home2 office1 6 20 lab_move home2 "$1"
  measured "silence after the plug was in" "$silence" 1500 5000
}

echo "--- from behind a NAT to behind a firewall"
travel campus
before=${ip[home2]}
pool_learn home2
same "the same address in the pool" "$before" "${ip[home2]}"
same "everybody reaches everybody" "" "$(pool_ping_all address home1 home2 office1 campus1)"
eventually "direct, over the LAN of the new site" grep -q "direct 203\.0\.113\." <(pool_path home2 campus1)
eventually "the ring is whole" pool_is_whole r1 r2 home1 home2 office1 campus1

echo "--- and behind another NAT"
travel office
same "everybody reaches everybody" "" "$(pool_ping_all address home1 home2 office1 campus1)"
echo "all passed"

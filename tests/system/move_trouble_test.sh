#!/bin/bash
# A host moves to another site while it sends and receives over TCP, and more happens at once: the other end moves too, a router dies,
# the new site lets out no UDP, there is no network for 30 s. The connections go on.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

pool_laboratory home1 home2 office1 campus1
lab_site walled firewall 198.51.100.24 203.0.114.0/24 '"allow_out": ["tcp"]'
pool_create
pool_routers r1 r2
pool_up home1 home2 office1 campus1
eventually "the ring is whole" pool_is_whole r1 r2 home1 home2 office1 campus1
yes "home2 reaches office1" pool_ping home2 office1

echo "--- both ends move at once"
both() {
  lab_move home2 campus &
  lab_move office1 home
  wait "$!"
}
pool_transfer home2 office1 6 20 both
measured "silence after both plugs were in" "$silence" 3000 10000

echo "--- a router dies meanwhile"
while_r2_dies() {
  pool_kill r2
  lab_move home2 office
}
pool_transfer home2 office1 6 20 while_r2_dies
measured "silence after the plug was in" "$silence" 3000 10000
pool_routers r2

echo "--- the new site lets out no UDP"
pool_transfer home2 office1 8 5 lab_move home2 walled
measured "silence after the plug was in" "$silence" 5000 15000
no "there is no direct path" pool_is_direct home2 office1

echo "--- no network for 30 s"
nowhere() {
  lab_unplug home2
  sleep 30
  lab_plug home2 campus
}
# The kernels' own patience between two tries has grown as long as the silence.
pool_transfer home2 office1 10 2 nowhere
measured "silence after the plug was in, most of it TCP's" "$silence" 30000 90000
yes "office1 reaches home2" pool_ping office1 home2
same "everybody reaches everybody" "" "$(pool_ping_all address home1 home2 office1 campus1)"
echo "all passed"

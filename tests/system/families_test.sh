#!/bin/bash
# A host with IPv6 alone, one with IPv4 alone, one with both and one whose IPv6 gets no answers, in a pool with dual-stack routers: all
# reach all; whoever shares a family that works has a direct path in it, the others meet over the routers.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

lab_new
[[ -e /proc/sys/net/ipv6 ]] || { echo 'this kernel has no IPv6'; exit 77; }
lab_public r1 198.51.100.7 '"ipv6": true'
lab_public r2 198.51.100.8 '"ipv6": true'
lab_public both1 198.51.100.31 '"ipv6": true'
lab_public four1 198.51.100.32
lab_public six1 198.51.100.33 '"ipv6": true, "ipv4": false'
lab_public half1 198.51.100.34 '"ipv6": true'
lab_exec half1 nft -f - <<'END'
table ip6 broken {
 chain input { type filter hook input priority 0
  ip6 saddr 2001:db8::/32 meta l4proto { tcp, udp } drop
 }
}
END
lab_exec r1 wow pool create lab --subnet 10.128.0.0/16 >>"$LAB_LOGS/commands.log"
(umask 077 && lab_exec r1 wow invite create lab --bootstrap 198.51.100.7:4433 --bootstrap '[2001:db8::7]:4433' \
  --bootstrap 198.51.100.8:4433 --bootstrap '[2001:db8::8]:4433' >"$LAB_DIR/lab.invite" 2>>"$LAB_LOGS/commands.log")
pool_routers r1 r2
pool_up both1 four1 six1
at=$(lab_now_ms)
pool_up half1
measured "up though IPv6 leads nowhere, after" $(($(lab_now_ms) - at)) 1500 6000
same "everybody reaches everybody" "" "$(pool_ping_all address both1 four1 six1 half1)"
path_is() { [[ $(pool_path "$1" "$2") == $3 ]]; }
eventually "both1 and six1 are direct over IPv6" path_is both1 six1 'direct \[2001:db8:*'
eventually "both1 and four1 are direct over IPv4" path_is both1 four1 'direct 198.51.100.*'
eventually "both1 and half1 are, too" path_is both1 half1 'direct 198.51.100.*'
no "four1 and six1 cannot be" pool_is_direct four1 six1
yes "and yet they meet" pool_ping six1 four1
echo "all passed"

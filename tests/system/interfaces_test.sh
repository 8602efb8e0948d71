#!/bin/bash
# The network under a host changes without its moving: another address on the same interface, the interface down and up again, a
# second one that comes and goes, and an event that changes nothing. Traffic goes on each time.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

pool_laboratory home1 office1
lab_site meadow firewall 198.51.100.24 203.0.114.0/24 '"delay_ms": 20'
pool_host meadow1
pool_create
pool_routers r1 r2
pool_up home1 office1 meadow1
eventually "the ring is whole" pool_is_whole r1 r2 home1 office1 meadow1
yes "home1 reaches meadow1" pool_ping home1 meadow1
eventually "directly" pool_is_direct home1 meadow1

# through WHAT CMD...: pings each way go on while CMD runs in home1. Says for how long they were silent, and when the first that left after
# CMD was answered, its own round trip taken off: the peer believes a new address once it has answered from there (RFC 9000, 9.3).
through() {
  local what=$1 pings=$LAB_DIR/pings done_at round_trip
  shift
  lab_exec home1 ping -n -D -i 0.01 -w 6 "${ip[meadow1]}" >"$pings" &
  local job=$!
  lab_wait 5 "the first answers" grep -q 'icmp_seq=50 ' "$pings" || fail "no pings"
  lab_exec home1 bash -c "$*"
  done_at=$EPOCHREALTIME
  wait "$job" || fail "$what: the pings ended: $(tail -n 2 "$pings")"
  round_trip=$(sed -n 's|^rtt min.* = \([0-9]*\).*|\1|p' "$pings")
  measured "$what: silence" "$(pool_longest_loss_ms "$pings" 10)" 1000 4000
  measured "$what: packets flow again after" $(($(first_answer_ms "$pings" "$done_at") - round_trip)) $((round_trip + 10)) 4000
}
# first_answer_ms PINGS SINCE: how long after SINCE the first answer came to a ping that had left after it.
first_answer_ms() {
  sed -n 's/^\[\([0-9.]*\)\].* time=\([0-9.]*\) ms$/\1 \2/p' "$1" | awk -v since="$2" '
    ($1 - since) * 1000 >= $2 { print int(($1 - since) * 1000); found = 1; exit }
    END { if (!found) print 999999 }'
}
changes() { grep -c '"\?network changed' "$LAB_DIR/hosts/home1/var/lib/wow/lab/log" || :; }

through "another address" \
  'ip addr add 192.168.1.77/24 dev eth0; ip addr del "$(ip -o -4 addr show dev eth0 | awk "NR==1{print \$4}")" dev eth0
   ip addr show dev eth0 | grep -q 192.168.1.77 || ip addr add 192.168.1.77/24 dev eth0; ip route replace default via 192.168.1.1'
eventually "direct again" pool_is_direct home1 meadow1
through "down and up again" 'ip link set eth0 down; sleep 0.1; ip link set eth0 up; ip addr replace 192.168.1.77/24 dev eth0; ip route replace default via 192.168.1.1'
eventually "direct again" pool_is_direct home1 meadow1

echo "--- what is no change"
before=$(changes)
lab_exec home1 ip link add quiet0 type veth peer name quiet1
lab_exec home1 ip link set quiet0 up
lab_exec home1 ip link del quiet0
yes "and what is one is seen" lab_exec home1 bash -c 'ip link add more0 type veth peer name more1; ip addr add 192.0.2.1/24 dev more0; ip link set more0 up'
more() { (($(changes) > before)); }
eventually "the second interface is noticed" more
same "by one change, not by the events before it" $((before + 1)) "$(changes)"
yes "traffic goes on" pool_ping home1 meadow1
lab_exec home1 ip link del more0
yes "and without it" pool_ping home1 meadow1
echo "all passed"

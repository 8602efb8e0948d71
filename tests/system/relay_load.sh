#!/bin/bash
# A relay whose line fills up is left for another. Two hosts that no check brings together, both behind random ports, are relayed by the
# nearer of two members; then somebody's download fills that one's line, and packets wait there for a tenth of a second.
#
# No test of tools/test: it loads the machine for a minute. By hand: bash tests/system/relay_load.sh
#
#   r1 (2 ms, 20 Mbit/s)    r2 (10 ms)    source: sends to r1
#     |                       |
#   left (random ports): left1          right (random ports): right1
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

lab_new
lab_public r1 198.51.100.7 '"delay_ms": 2, "rate_mbit": 20'
lab_public r2 198.51.100.8 '"delay_ms": 10'
lab_public source 198.51.100.9
lab_site left apdm-apdf 198.51.100.21 192.168.1.0/24 '"delay_ms": 5'
lab_site right apdm-apdf 198.51.100.22 10.20.0.0/24 '"delay_ms": 5'
pool_host left1 right1
pool_create
pool_routers r1 r2
pool_up left1 right1

lab_spawn left1 "$LAB_DIR/pings" ping -n -i 0.05 "${ip[right1]}" >"$LAB_DIR/ping.pid"
# newest FIELD: of the answers to these pings: icmp_seq, time.
newest() { sed -n "s/.* $1=\\([0-9]*\\).*/\\1/p" "$LAB_DIR/pings" | tail -n 1; }
slower_than() { (($(newest time) > $1)); }
quicker_than() { (($(newest time) < $1)); }
eventually "the nearer one relays" pool_is_relayed left1 right1 r1
quick() { quicker_than 90; }
eventually "quickly" quick

echo "--- its line fills up"
lab_spawn r1 "$LAB_LOGS/iperf3-server" iperf3 -s -1 >/dev/null
listens() { lab_exec r1 ss -ltn | grep -q :5201; }
lab_wait 5 "iperf3" listens
lab_spawn source "$LAB_LOGS/iperf3" iperf3 -c 198.51.100.7 -C cubic -t 300 >"$LAB_DIR/iperf3.pid"
loaded=$(lab_now_ms) first=$(newest icmp_seq)
slow() { slower_than 100; }
eventually "its queue is felt" slow
# Ways are compared 20 s after a relay was taken, then 40 s after that; looked at each 10 s.
WAIT_S=200 eventually "the other one relays" pool_is_relayed left1 right1 r2
measured "after" $(($(lab_now_ms) - loaded)) 30000 200000
eventually "quickly" quick
moved=$(newest icmp_seq)
two_seconds() { (($(newest icmp_seq) >= moved + 40)); }
eventually "two seconds more" two_seconds
kill "$(<"$LAB_DIR/iperf3.pid")"
yes "it stays there" pool_is_relayed left1 right1 r2

# lost FROM TO: how many of these pings had no answer.
lost() { sed -n 's/.*icmp_seq=\([0-9]*\) .* time=.*/\1/p' "$LAB_DIR/pings" | sort -nu | awk -v from="$1" -v to="$2" '$1 > from && $1 <= to { n++ } END { print to - from - n }'; }
same "lost of the 40 pings by the other one" 0 "$(lost "$moved" $((moved + 40)))"
# A full queue drops the one or other packet of everybody: that is the line, not the relay.
during=$(lost "$first" "$moved")
((during * 20 <= moved - first)) || fail "$during of $((moved - first)) pings were lost meanwhile"
ok "meanwhile $during of $((moved - first))"
echo "all passed"

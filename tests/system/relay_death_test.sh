#!/bin/bash
# A relay dies by kill -9 in the middle of traffic, and no packet is lost: what it took with it goes once more by the next way. Two hosts
# that no check brings together, both behind random ports, and two members that can relay.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

lab_new
lab_public r1 198.51.100.7 '"delay_ms": 2'
lab_public r2 198.51.100.8 '"delay_ms": 10'
lab_site left apdm-apdf 198.51.100.21 192.168.1.0/24 '"delay_ms": 5'
lab_site right apdm-apdf 198.51.100.22 10.20.0.0/24 '"delay_ms": 5'
pool_host left1 right1
pool_create
pool_routers r1 r2
pool_up left1 right1

counter() { pool_json "$1" status | jq -er ".counters.$2"; }
at_most_one_lost() { (($1 - $(sed -n 's/.* \([0-9]*\) received.*/\1/p' "$LAB_DIR/pings") <= 1)); }
answered() { grep -q "icmp_seq=$1 " "$LAB_DIR/pings"; }

# death ROUTER OTHER INTERVAL: pings, one each so many seconds, some of them under way when the relay dies.
death() {
  local pings count
  count=$(jq -n "8 / $3 | round")
  lab_exec left1 ping -n -i "$3" -c "$count" -W 5 "${ip[right1]}" >"$LAB_DIR/pings" </dev/null &
  pings=$!
  lab_wait 10 "pings" answered $((count / 4)) || fail "the pings do not begin"
  yes "$1 relays" pool_is_relayed left1 right1 "$1"
  pool_kill "$1"
  wait "$pings" || :
  tail -n 2 "$LAB_DIR/pings"
  # None in most runs. One may go astray twice: sent again by a way whose first hop dies, too, for all it knows.
  yes "all of $count pings but one at most were answered" at_most_one_lost "$count"
  yes "and none twice" bash -c "! grep -q DUP '$LAB_DIR/pings'"
  eventually "$2 relays" pool_is_relayed left1 right1 "$2"
}

lab_exec left1 ping -n -i 0.2 -c 300 "${ip[right1]}" >/dev/null </dev/null &
keeps=$!
eventually "the nearer one relays" pool_is_relayed left1 right1 r1
death r1 r2 0.02
yes "what it took with it was sent again" jq -en "$(counter left1 sent_again) > 0"
pool_routers r1
WAIT_S=200 eventually "back, it is found to be the nearer one" pool_is_relayed left1 right1 r1
death r1 r2 0.008
kill "$keeps" 2>/dev/null || :
echo "all passed"

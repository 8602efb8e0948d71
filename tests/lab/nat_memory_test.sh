#!/bin/bash
# NATs that forget: all at once, as a router that restarts does, and silent flows after 20 seconds.
#
#   r1..r6 (routers), peer: on the internet
#      |
#   home (NAT; random ports, forgets after 20 s): host       office (NAT): desk
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
source "$here/../../tools/lab/lab.sh"
source "$here/checks.sh"
lab_reexec "$@"
lab_new

line='"delay_ms": 10'
nat=eim:random-apdf
for i in 1 2 3 4 5 6; do lab_public "r$i" "198.51.100.10$i" "$line"; done
lab_public peer 198.51.100.9 "$line"
lab_site home "" 198.51.100.21 192.168.1.0/24 "\"nat\": {\"kind\": \"$nat\", \"timeout_s\": 20}, $line"
lab_host host home
lab_site office nat 198.51.100.22 192.168.2.0/24 "$line"
lab_host desk office

pool_of 6
for name in peer desk host; do pool_joins "$name" up --name "$name"; done
address_of() { lab_exec "$1" wow status lab --json | jq -r .lease.ip; }

# is_direct NAME: the host reaches it so.
is_direct() { lab_exec host wow peers lab --json | jq -e --arg name "$1" 'any(.peers[]; .name == $name and (.path | test("^[0-9]")))' >/dev/null; }

# forgotten NAME: traffic with it goes on after the router has lost every mapping.
forgotten() {
  local name=$1 log=$LAB_LOGS/ping-$1 begun gap
  lab_spawn host "$log" ping -D -O -i 0.05 "$(address_of "$name")" >"$LAB_DIR/ping.pid"
  lab_wait 10 "a direct path to $name" is_direct "$name" || fail "no direct path to $name"
  begun=$(lab_now_ms)
  lab__wow reset home
  heard_since() { awk -F'[][]' -v from="$((begun + 3000))" '/64 bytes/ && $2 * 1000 > from { found = 1 } END { exit !found }' "$log"; }
  lab_wait 20 "answers of $name" heard_since || fail "$name answers no more"
  kill "$(cat "$LAB_DIR/ping.pid")"
  gap=$(awk -F'[][]' -v from="$((begun - 1000))" '/64 bytes/ { if (last && $2 * 1000 > from && $2 - last > most) most = $2 - last; last = $2 }
    END { printf "%d", most * 1000 }' "$log")
  echo "after the router lost its mappings nothing came from $name for $gap ms"
  ((gap < 2000)) || fail "$name: nothing came for $gap ms"
}

echo "--- a router restarts"
forgotten peer
forgotten desk

echo "--- a minute without traffic"
# Nothing to wait for but time: three times as long as the router remembers.
sleep 60
seen_from() { lab_exec "$1" wow peers lab --json | jq -r --arg host "$host" '.peers[] | select(.address == $host) | .path'; }
host=$(lab_exec host wow status lab --json | jq -r .address)
host_ip=$(address_of host)
for name in peer desk; do
  yes "one packet from $name gets in" lab_exec "$name" ping -c 1 -W 1 "$host_ip"
  yes "on the path that was there: $(seen_from "$name")" grep -q '^198.51.100.21' <<<"$(seen_from "$name")"
done
checks_end
echo "all passed"

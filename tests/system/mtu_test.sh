#!/bin/bash
# Paths that carry less than they seem to: larger packets vanish in silence, from the start or from some moment on. TCP goes on.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

pool_laboratory home1
lab_site narrow nat 198.51.100.24 10.30.0.0/24 '"delay_ms": 5, "mtu": 1280'
lab_site wide nat 198.51.100.25 10.31.0.0/24 '"delay_ms": 5'
pool_host narrow1 wide1
pool_create
pool_routers r1 r2
pool_up home1 narrow1 wide1
for to in narrow1 wide1; do
  yes "home1 reaches $to" pool_ping home1 "$to"
  eventually "directly" pool_is_direct home1 "$to"
done

# mtu FROM TO: what FROM's `wow peers` says that packets to TO may have.
mtu() { pool_json "$1" peers | jq -er --arg node "${node[$2]}" '.peers[] | select(.address == $node) | .mtu'; }
mtu_is() { [[ $(mtu "$1" "$2") == "$3" ]]; }

# transfer FROM TO SECONDS MBIT [SITE MTU]: after two seconds SITE's line carries no more than that. Prints the comparison.
transfer() {
  local sender
  lab_spawn "$2" "$LAB_DIR/received" stream.py receive 7000 >/dev/null
  lab_wait 5 "the receiver" grep -q ready "$LAB_DIR/received" || fail "no receiver"
  lab_exec "$1" stream.py send "${ip[$2]}" 7000 "$3" "$4" >"$LAB_DIR/sent" 2>"$LAB_LOGS/send.log" </dev/null &
  sender=$!
  if [[ ${5:-} ]]; then
    sleep 2 # of traffic
    lab_set "$5" mtu="$6"
  fi
  wait "$sender" || fail "the connection broke: $(tail -n 1 "$LAB_LOGS/send.log")"
  lab_wait 10 "the last bytes" grep -q sha256 "$LAB_DIR/received" || fail "the transfer did not end"
  python3 "$pool_folder/../../tools/lab/stream.py" compare "$LAB_DIR"/{sent,received}
  rm "$LAB_DIR"/{sent,received}
}

# went WHAT RESULT BYTES
went() {
  yes "$1: every byte came" jq -e --argjson least "$3" '.ok and .bytes > $least' <<<"$2"
  measured "$1: longest silence" "$(jq '.longest_gap_s * 1000 | round' <<<"$2")" 2500 6000
}

echo "--- a path of 1280 bytes"
went "100 MB into it" "$(transfer home1 narrow1 10 90)" 100000000
# 1280 less 20 of IP, 8 of UDP, 33 of ours, 14 of Ethernet.
eventually "home1 knows what fits" mtu_is home1 narrow1 1205
went "and out of it" "$(transfer narrow1 home1 3 50)" 10000000
eventually "narrow1 knows, too" mtu_is narrow1 home1 1205

echo "--- what may be cut, or must be carried (IPv6, 1280 bytes): in pieces"
six=$(pool_json narrow1 status | jq -er .lease.ip6)
may_be_cut() { pool_ping "$1" "$2" -M "dont" -s 1300 -c 20 -i 0.05; }
must_be_carried() { lab_exec "$1" ping -n -6 -M "do" -s 1232 -c 20 -i 0.05 -W 5 "$2"; }
yes "IPv4 packets of 1328 bytes, there and back: none lost" grep -q " 0% packet loss" <(may_be_cut home1 narrow1)
yes "IPv6 packets of 1280 bytes: none lost" grep -q " 0% packet loss" <(must_be_carried home1 "$six")

echo "--- a path that carried all, and then does not"
went "1400 bytes of one that carried 1500" "$(transfer home1 wide1 6 20 wide 1400)" 10000000
eventually "home1 knows what fits" mtu_is home1 wide1 1325
went "and then 1280" "$(transfer home1 wide1 6 20 wide 1280)" 10000000
eventually "home1 knows what fits" mtu_is home1 wide1 1205
echo "all passed"

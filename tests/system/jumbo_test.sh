#!/bin/bash
# A pool with an MTU of 8,900 bytes, and a path that carries 9,000: it is found and used. Beside it one that carries 1,500, and then the
# wide one falls to that: TCP goes on each time, and what may not be cut is answered with what fits.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

pool_laboratory home1
lab_site ample nat 198.51.100.24 10.30.0.0/24 '"delay_ms": 5, "mtu": 9000'
lab_site broad nat 198.51.100.25 10.31.0.0/24 '"delay_ms": 5, "mtu": 9000'
pool_host ample1 broad1
pool_create --mtu 8900
pool_routers r1 r2
pool_up home1 ample1 broad1
for to in broad1 home1; do
  yes "ample1 reaches $to" pool_ping ample1 "$to"
  eventually "directly" pool_is_direct ample1 "$to"
done

mtu() { pool_json "$1" peers | jq -er --arg node "${node[$2]}" '.peers[] | select(.address == $node) | .mtu'; }
mtu_is() { [[ $(mtu "$1" "$2") == "$3" ]]; }
# whole FROM TO BYTES: a ping of so many bytes, which nobody may cut on the virtual network, comes back.
whole() { pool_ping "$1" "$2" -M "do" -s "$3" "${@:4}"; }
# datagrams FROM TO COUNT BYTES: how many leave FROM's network card while it sends so many such pings, keepalives among them.
datagrams() {
  local before
  before=$(tx_packets "$1")
  whole "$1" "$2" "$4" -c "$3" -i 0.02 >/dev/null || fail "pings of $4 bytes from $1 to $2 are lost"
  echo $(($(tx_packets "$1") - before))
}
tx_packets() { lab_exec "$1" cat /sys/class/net/eth0/statistics/tx_packets; }
# refused_with FROM TO BYTES MTU: such a ping is answered at its own end with what fits.
refused_with() {
  local said
  ! said=$(whole "$1" "$2" "$3" 2>&1) && [[ $said =~ mtu\ ?=\ ?$4 ]]
}
went() { # WHAT
  yes "$1: every byte came" jq -e '.ok and .bytes > 10000000' "$LAB_DIR/compared"
  measured "$1: longest silence" "$(jq '.longest_gap_s * 1000 | round' "$LAB_DIR/compared")" 2500 6000
}
# transfer FROM TO SECONDS MBIT [CMD...]: CMD is run when half has come.
transfer() {
  local sender
  lab_spawn "$2" "$LAB_DIR/received" stream.py receive 7000 >/dev/null
  lab_wait 5 "the receiver" grep -q ready "$LAB_DIR/received" || fail "no receiver"
  before=$(received "$2")
  lab_exec "$1" stream.py send "${ip[$2]}" 7000 "$3" "$4" >"$LAB_DIR/sent" 2>"$LAB_LOGS/send.log" </dev/null &
  sender=$!
  if (($# > 4)); then
    lab_wait 10 "half of it" has_half "$2" "$before" "$3" "$4" || fail "nothing comes"
    "${@:5}"
  fi
  wait "$sender" || fail "the connection broke: $(tail -n 1 "$LAB_LOGS/send.log")"
  lab_wait 10 "the last bytes" grep -q sha256 "$LAB_DIR/received" || fail "the transfer did not end"
  python3 "$pool_folder/../../tools/lab/stream.py" compare "$LAB_DIR"/{sent,received} >"$LAB_DIR/compared"
  rm "$LAB_DIR"/{sent,received}
}
received() { lab_exec "$1" cat /sys/class/net/wow-lab/statistics/rx_bytes; }
has_half() { (($(received "$1") - $2 > $3 * $4 * 1000000 / 16)); }

echo "--- 9,000 bytes"
transfer ample1 broad1 5 100
went "60 MB"
# All that the pool's MTU needs: 8900 and 75 of IP, UDP, ours and Ethernet are less than 9000.
eventually "ample1 knows what fits" mtu_is ample1 broad1 8900
yes "8,000 bytes pass" whole ample1 broad1 8000
# Cut into pieces of 1,500 bytes they would be 300.
pieces=$(datagrams ample1 broad1 50 8000)
((pieces >= 50 && pieces < 150)) || fail "50 pings of 8,000 bytes were $pieces datagrams"
ok "in one datagram each: $pieces for 50"

echo "--- 1,500 bytes beside it"
transfer ample1 home1 3 50
went "20 MB"
# 1500 less 20 of IP, 8 of UDP, 33 of ours, 14 of Ethernet.
eventually "ample1 knows what fits" mtu_is ample1 home1 1425
eventually "8,000 uncut bytes are answered with that" refused_with ample1 home1 8000 1425
yes "in pieces they pass" pool_ping ample1 home1 -M dont -s 8000

echo "--- the wide path falls to 1,500"
transfer ample1 broad1 8 50 lab_set broad mtu=1500
went "50 MB"
eventually "ample1 knows what fits" mtu_is ample1 broad1 1425
eventually "8,000 uncut bytes are answered with that" refused_with ample1 broad1 8000 1425
transfer broad1 ample1 3 50
went "20 MB the other way"
eventually "broad1 knows, too" mtu_is broad1 ample1 1425
yes "the path is direct" pool_is_direct ample1 broad1
echo "all passed"

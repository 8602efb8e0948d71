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

# Bytes in and out of home2's virtual interface; whether they have reached $1 and $2.
counts() { lab_exec home2 bash -c 'cd /sys/class/net/wow-lab/statistics && echo $(<rx_bytes) $(<tx_bytes)'; }
flowed() {
  local rx tx
  read -r rx tx < <(counts)
  ((rx > $1 && tx > $2))
}

# travel SITE: home2 goes there in the middle of two transfers; says how long each was silent.
travel() {
  local direction moment result rx tx
  local -A from=([up]=home2 [down]=office1) to=([up]=office1 [down]=home2)
  local -a jobs=()
  read -r rx tx < <(counts)
  for direction in up down; do
    lab_spawn "${to[$direction]}" "$LAB_DIR/received.$direction" stream.py receive 7000 >/dev/null
    lab_wait 5 "the receiver" grep -q ready "$LAB_DIR/received.$direction" || fail "no receiver"
    lab_exec "${from[$direction]}" stream.py send "${ip[${to[$direction]}]}" 7000 6 20 >"$LAB_DIR/sent.$direction" \
      2>"$LAB_LOGS/send.$direction.log" </dev/null &
    jobs+=($!)
  done
  lab_wait 5 "a megabyte each way" flowed $((rx + 1000000)) $((tx + 1000000)) || fail "nothing flows"
  lab_move home2 "$1"
  moment=$(lab_now_ms)
  for direction in "${jobs[@]}"; do wait "$direction" || fail "a connection broke: $(tail -n 1 "$LAB_LOGS"/send.*.log)"; done
  for direction in up down; do
    lab_wait 10 "the last bytes" grep -q sha256 "$LAB_DIR/received.$direction" || fail "the transfer $direction did not end"
    result=$(python3 "$pool_folder/../../tools/lab/stream.py" compare "$LAB_DIR"/{sent,received}."$direction" "${moment%???}.${moment: -3}")
    yes "$direction: every byte came" jq -e '.ok and .bytes > 1000000' <<<"$result"
    measured "$direction: silence after the plug was in" "$(jq '.after_s * 1000 | round' <<<"$result")" 1500 5000
    rm "$LAB_DIR"/{sent,received}."$direction"
  done
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

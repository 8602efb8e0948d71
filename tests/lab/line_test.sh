#!/bin/bash
# A line delays, loses, mixes and slows down as it is told. With `--figures` it prints how exactly, for docs/lab.md; otherwise the
# limits are wide, for machines that do other things, too.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
source "$here/../../tools/lab/lab.sh"
lab_reexec "$@"

failures=0
# within WHAT VALUE LOW HIGH
within() {
  if (($2 >= $3 && $2 <= $4)); then echo "ok: $1: $2"; else echo "FAIL: $1: $2 is not from $3 to $4" && failures=$((failures + 1)); fi
}

lab_new
lab_install "$here/one_way.py"
lab_add <<<'{"hosts": {"a": {"ip": "198.51.100.7", "delay_ms": 0}, "b": {"ip": "198.51.100.8"}}}'
lab_exec a ping -c 1 -W 2 198.51.100.8 >/dev/null # neighbours know each other

# measure COUNT INTERVAL_US: fills p50 p99 min max lost disorder.
measure() {
  rm -f "$LAB_DIR/received"
  lab_spawn b "$LAB_DIR/received" one_way.py receive 198.51.100.8:5000 "$1" >/dev/null
  lab_wait 5 "the receiver" grep -q ready "$LAB_DIR/received"
  lab_exec a one_way.py send 198.51.100.8:5000 "$1" "$2"
  lab_wait 10 "the last packet" grep -q '[0-9]' "$LAB_DIR/received"
  read -r p50 p99 min max lost disorder < <(tail -n 1 "$LAB_DIR/received")
}
# rate: Mbit/s of one TCP connection.
rate() {
  lab_spawn b "$LAB_LOGS/iperf3" iperf3 -s -1 >/dev/null
  lab_wait 5 'iperf3' lab_exec b bash -c 'ss -ltn | grep -q :5201'
  lab_exec a iperf3 -c 198.51.100.8 -t "$1" -C cubic -J | jq '.end.sum_received.bits_per_second / 1e6 | round'
}

if [[ ${1:-} == --figures ]]; then
  for settings in "0 1000" "20 1000" "20 200" "20 100"; do
    read -r delay interval <<<"$settings"
    lab_set a "delay_ms=$delay"
    measure 5000 "$interval"
    echo "delay_ms $delay, $((1000000 / interval)) packets a second: p50 $p50 us, p99 $p99 us, min $min, max $max"
  done
  lab_set a delay_ms=0
  echo "one TCP connection, delay_ms 0: $(rate 3) Mbit/s"
  for mbit in 10 100; do
    lab_set a "rate_mbit=$mbit"
    echo "one TCP connection, rate_mbit $mbit: $(rate 3) Mbit/s"
  done
  exit
fi

lab_set a delay_ms=20
measure 500 1000
# When the machine has no core free, all but the luckiest are late.
within "20 ms, the luckiest in microseconds" "$min" 20000 22000
within "the median" "$p50" 20000 40000
within "none lost" "$lost" 0 0
lab_set a delay_ms=10 jitter_ms=5
measure 500 1000
within "jitter keeps the order" "$disorder" 0 0
within "and goes both ways: at least" "$min" 5000 10000
within "the median, which keeping the order makes later" "$p50" 10000 30000
lab_set a reorder=true
measure 500 1000
within "unless it may not" "$disorder" 50 450
lab_set a jitter_ms=0 loss_percent=10
measure 1000 500
within "lost of 1000 at 10 %" "$lost" 50 150
lab_set a loss_percent=0 rate_mbit=20 delay_ms=1
within "Mbit/s at 20" "$(rate 1)" 15 20
((failures == 0)) || { echo "$failures failed" && exit 1; }
echo "all passed"

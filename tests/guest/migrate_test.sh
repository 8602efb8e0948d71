#!/bin/bash
# A virtual machine with wow inside joins at boot by an invite from its firmware, and is live-migrated from a host behind a NAT to
# a host behind a firewall, and back, while a TCP connection carries data both ways: it goes on, every byte right.
#
#   [home]        [office]      [campus]
#    home1         office1       campus1      home1 and campus1 run QEMU only: a bridge, a TAP, and DHCP for the guest
#    (guest) ------------------> (guest)      office1 is in the pool, and talks to the guest
#
#   migrate_test.sh [N [FILE]]      there and back N times, 1 by default; one more connection lasts from beginning to end; figures go to
#                                   FILE, a line of JSON each: silence is that between the new underlay address and the next bytes
set -euo pipefail
# shellcheck source=tests/guest/guest.sh
source "$(dirname "${BASH_SOURCE[0]}")/guest.sh"
guest_tools=$pool_folder/../../tools/guest
guest_reexec qemu-system-x86_64 busybox cpio -- "$@"

results=${2:-}
pool_laboratory home1 office1 campus1
lab_install "$guest_tools/qmp" "$(dirname "${BASH_SOURCE[0]}")/echo.py"
"$LAB_DIR/bin/wow" image guest -o "$LAB_DIR" >"$LAB_LOGS/image.log"
pool_create
pool_routers r1 r2
pool_up office1

# vm_start HOST [OPTION...]: the guest's QEMU there.
vm_start() {
  guest_start "$1" -fw_cfg name=opt/wow/invite,file="$LAB_DIR/lab.invite" -fw_cfg name=opt/wow/name,string=guest "${@:2}"
}

guest_site home1
guest_site campus1
at=$(lab_now_ms)
vm_start home1
guest_ip() { lab_exec office1 getent ahostsv4 guest; }
WAIT_S=60 eventually "the guest has joined" guest_ip
ip[guest]=$(guest_ip | awk 'NR == 1 { print $1 }')
booted_ms=$(($(lab_now_ms) - at)) # how slow this machine makes its guests
ok "from power on to its name known at another site: $booted_ms ms"
WAIT_S=20 eventually "and answers" pool_ping office1 guest
same "its underlay address is of the home" 192.168.1 "$(grep -ao 'guest: address [0-9.]*' "$LAB_LOGS/home1.console.log" | tail -1 | cut -d' ' -f3 | cut -d. -f1-3)"

# travel FROM TO: in the middle of a transfer; says downtime and the longest silence.
travel() {
  local job said moved before after replugged_ms asked_ms pulled_ms
  before=$(guest_ip)
  vm_start "$2" -incoming "unix:$LAB_DIR/migrate"
  lab_exec office1 echo.py "${ip[guest]}" 7000 10 400 >"$LAB_DIR/echo" 2>"$LAB_LOGS/echo.log" </dev/null &
  job=$!
  lab_wait 20 "the connection" grep -q connected "$LAB_DIR/echo" || fail "no connection to the guest: $(<"$LAB_LOGS/echo.log")"
  sleep 2
  moved=$(guest_qmp "$1" migrate "unix:$LAB_DIR/migrate") || fail "the migration failed"
  same "the guest is at $2" completed "$(jq -r .status <<<"$moved")"
  guest_replug "$2"
  guest_qmp "$1" quit >/dev/null || :
  wait "$job" || fail "the connection broke: $(<"$LAB_LOGS/echo.log")"
  said=$(tail -n 1 "$LAB_DIR/echo")
  yes "every byte came back ($(jq .bytes <<<"$said"))" jq -e .ok <<<"$said"
  # The silence ends so long after the address is there; the look at the console is 50 ms late.
  after=$(jq --argjson at "$replugged_ms" '[.gaps[][1] * 1000 - $at] | max // 0 | floor' <<<"$said")
  ok "QEMU's downtime $(jq .downtime_s <<<"$moved") s; longest silence $(jq .longest_gap_s <<<"$said") s, mostly DHCP's"
  measured "from the new underlay address to the next bytes" "$after" 1000 $((5000 + booted_ms / 2))
  guest_note "$results" "wow inside" "$(jq .downtime_s <<<"$moved")" "$(jq -n "$after / 1000")" "$(jq .longest_gap_s <<<"$said")"
  same "it kept its virtual address" "$before" "$(guest_ip)"
}
lab_exec office1 echo.py "${ip[guest]}" 7000 "$LAB_DIR/enough" 20 >"$LAB_DIR/all" 2>"$LAB_LOGS/all.log" </dev/null &
whole=$!
for ((i = 0; i < ${1:-1}; ++i)); do
  travel home1 campus1
  yes "its underlay address is of the campus" grep -qa 'guest: address 203\.0\.113\.' "$LAB_LOGS/campus1.console.log"
  travel campus1 home1
done
touch "$LAB_DIR/enough"
wait "$whole" || fail "the long connection broke: $(<"$LAB_LOGS/all.log")"
yes "one connection lasted through all of it, $(tail -n 1 "$LAB_DIR/all" | jq .bytes) bytes right" jq -e .ok <<<"$(tail -n 1 "$LAB_DIR/all")"
echo "all passed"

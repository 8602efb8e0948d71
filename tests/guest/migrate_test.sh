#!/bin/bash
# A virtual machine with wow inside joins at boot by an invite from its firmware, and is live-migrated from a host behind a NAT to
# a host behind a firewall, and back, while a TCP connection carries data both ways: it goes on, every byte right.
#
#   [home]        [office]      [campus]
#    home1         office1       campus1      home1 and campus1 run QEMU only: a bridge, a TAP, and DHCP for the guest
#    (guest) ------------------> (guest)      office1 is in the pool, and talks to the guest
#
#   migrate_test.sh [N]      there and back N times, 1 by default; one more connection lasts from beginning to end
set -euo pipefail
# shellcheck source=tests/guest/guest.sh
source "$(dirname "${BASH_SOURCE[0]}")/guest.sh"
guest_tools=$pool_folder/../../tools/guest
guest_reexec qemu-system-x86_64 busybox cpio -- "$@"

pool_laboratory home1 office1 campus1
lab_install "$guest_tools/qmp" "$(dirname "${BASH_SOURCE[0]}")/echo.py"
"$LAB_DIR/bin/wow" image guest -o "$LAB_DIR" >"$LAB_LOGS/image.log"
pool_create
pool_routers r1 r2
pool_up office1

# vm_host HOST: its network card and a TAP on one bridge; DHCP for guests of the site.
vm_host() {
  local address
  address=$(lab_address "$1")
  lab_exec "$1" bash -c "
    set -e
    gateway=\$(ip -o route show default | awk '{ print \$3 }')
    ip link add br0 type bridge && ip link set br0 up
    sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || :
    ip addr flush dev eth0 && ip link set eth0 master br0 && ip addr add $address/24 dev br0 && ip route add default via \$gateway
    ip tuntap add tap0 mode tap && ip link set tap0 master br0 up
    printf '%s\n' 'start ${address%.*}.100' 'end ${address%.*}.120' 'interface br0' \"option router \$gateway\" 'option subnet 255.255.255.0' \
      'lease_file /run/leases' 'pidfile /run/udhcpd.pid' 'max_leases 20' >/run/udhcpd.conf
    touch /run/leases" </dev/null
  lab_spawn "$1" "$LAB_LOGS/$1.dhcp.log" busybox udhcpd -f /run/udhcpd.conf >/dev/null
}

# vm_start HOST [OPTION...]: the guest's QEMU there.
vm_start() {
  guest_start "$1" -fw_cfg name=opt/wow/invite,file="$LAB_DIR/lab.invite" -fw_cfg name=opt/wow/name,string=guest "${@:2}"
}

vm_host home1
vm_host campus1
at=$(lab_now_ms)
vm_start home1
guest_ip() { lab_exec office1 getent ahostsv4 guest; }
WAIT_S=60 eventually "the guest has joined" guest_ip
ip[guest]=$(guest_ip | awk 'NR == 1 { print $1 }')
booted_ms=$(($(lab_now_ms) - at)) # how slow this machine makes its guests
ok "from power on to its name known at another site: $booted_ms ms"
WAIT_S=20 eventually "and answers" pool_ping office1 guest
same "its underlay address is of the home" 192.168.1 "$(grep -ao 'guest: address [0-9.]*' "$LAB_LOGS/home1.console.log" | tail -1 | cut -d' ' -f3 | cut -d. -f1-3)"

has_new_address() { (($(grep -ac 'guest: address' "$LAB_LOGS/$1.console.log") > $2)); }

# travel FROM TO: in the middle of a transfer; says downtime and the longest silence.
travel() {
  local job said moved before known pulled_s at after
  before=$(guest_ip)
  vm_start "$2" -incoming "unix:$LAB_DIR/migrate"
  lab_exec office1 echo.py "${ip[guest]}" 7000 10 400 >"$LAB_DIR/echo" 2>"$LAB_LOGS/echo.log" </dev/null &
  job=$!
  lab_wait 20 "the connection" grep -q connected "$LAB_DIR/echo" || fail "no connection to the guest: $(<"$LAB_LOGS/echo.log")"
  sleep 2
  moved=$(guest_qmp "$1" migrate "unix:$LAB_DIR/migrate") || fail "the migration failed"
  same "the guest is at $2" completed "$(jq -r .status <<<"$moved")"
  # Another switch: the guest sees its cable go and come. A slow guest on a busy machine does not see it gone for less.
  known=$(grep -ac 'guest: address' "$LAB_LOGS/$2.console.log") || :
  for pulled_s in 0.3 1 3; do
    guest_qmp "$2" set_link '{"name": "nic", "up": false}' >/dev/null
    sleep "$pulled_s"
    guest_qmp "$2" set_link '{"name": "nic", "up": true}' >/dev/null
    ! lab_wait 8 "an address for the guest" has_new_address "$2" "$known" || break
  done
  has_new_address "$2" "$known" || fail "the guest got no address at $2"
  at=$(lab_now_ms)
  guest_qmp "$1" quit >/dev/null || :
  wait "$job" || fail "the connection broke: $(<"$LAB_LOGS/echo.log")"
  said=$(tail -n 1 "$LAB_DIR/echo")
  yes "every byte came back ($(jq .bytes <<<"$said"))" jq -e .ok <<<"$said"
  # The silence ends so long after the address is there; the look at the console is 50 ms late.
  after=$(jq --argjson at "$at" '[.gaps[][1] * 1000 - $at] | max // 0 | floor' <<<"$said")
  ok "QEMU's downtime $(jq .downtime_s <<<"$moved") s; longest silence $(jq .longest_gap_s <<<"$said") s, mostly DHCP's"
  measured "from the new underlay address to the next bytes" "$after" 1000 $((5000 + booted_ms / 2))
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

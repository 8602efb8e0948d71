#!/bin/bash
# A virtual machine with nothing inside, on the bridge of a host (`wow up --bridge br0`), gets its address by DHCP out of the pool's
# leases and is live-migrated by QEMU to a host behind another NAT, and back, while a TCP connection carries data both ways: what QEMU
# announces moves MAC and address. The memory of the machine goes over the pool, too: the two hosts have no other way to each other.
#
#   [home]        [office]       [campus]
#    home1          office1       campus1      home1 and office1 run QEMU on bridges; campus1 talks to the guest all the time,
#    home2                                     home2 before and after: it must be told where the guest went
#    (guest) <----> (guest)
#
#   bridged_test.sh [N [FILE]]      there and back N times, 1 by default, and there while a router dies; one connection lasts from
#                                   beginning to end; figures go to FILE, a line of JSON each
set -euo pipefail
# shellcheck source=tests/guest/guest.sh
source "$(dirname "${BASH_SOURCE[0]}")/guest.sh"
guest_tools=$pool_folder/../../tools/guest
guest_reexec qemu-system-x86_64 busybox cpio -- "$@"

results=${2:-}
pool_laboratory home1 home2 office1 campus1
lab_install "$guest_tools/qmp" "$(dirname "${BASH_SOURCE[0]}")/echo.py"

# The small guest without wow: it asks DHCP once, and echoes.
"$LAB_DIR/bin/wow" image guest -o "$LAB_DIR" >"$LAB_LOGS/image.log"
mkdir "$LAB_DIR/root"
cat >"$LAB_DIR/guest-init" <<'INIT'
#!/bin/busybox sh
if [ "$interface" ]; then # udhcpc has found out something
  [ "$1" = bound ] || exit 0
  ip link set eth0 mtu "$mtu"
  ip addr add "$ip/$mask" dev eth0
  echo "guest: address $ip mtu $mtu"
  exit
fi
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for module in /modules/*.ko; do insmod "$module"; done
ip link set lo up
ip link set eth0 up
udhcpc -i eth0 -s /init -O mtu -q -t 20 -T 1 -A 1
nc -ll -p 7000 -e cat
INIT
(cd "$LAB_DIR/root" && gzip -dc ../initrd | cpio -idm --quiet && rm bin/wow init && install ../guest-init init &&
  find . | cpio -o -H newc -R 0:0 --quiet | gzip -1 >../initrd)

pool_create
pool_invite bridges --bridge
for host in home1 office1; do
  install -m 600 "$LAB_DIR/bridges.invite" "$LAB_DIR/hosts/$host/root/lab.invite"
  lab_exec "$host" bash -c 'set -e
    wow join lab.invite && mkdir -p /etc/wow && echo "bridge = \"br0\"" >>/etc/wow/lab.conf
    ip link add br0 type bridge && ip link set br0 up
    sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || :
    ip tuntap add tap0 mode tap && ip link set tap0 master br0 up' >>"$LAB_LOGS/commands.log" 2>&1 </dev/null
done
pool_routers r1 r2
pool_up home1 home2 office1 campus1
know_each_other() { pool_json home1 status | jq -e '.bridge.others == 1' && pool_json office1 status | jq -e '.bridge.others == 1'; }
eventually "the bridges know each other" know_each_other

guest_start home1
has_address() { grep -aq 'guest: address' "$LAB_LOGS/home1.console.log"; }
WAIT_S=60 eventually "the guest has an address by DHCP" has_address
read -r "ip[guest]" mtu < <(sed -n 's/.*guest: address \([0-9.]*\) mtu \([0-9]*\).*/\1 \2/p' "$LAB_LOGS/home1.console.log")
same "with the pool's MTU" "$(lab_exec campus1 cat /sys/class/net/wow-lab/mtu)" "$mtu"
# holds HOST: whether the store says that the guest is there.
holds() { pool_json r1 leases | jq -e --arg ip "${ip[guest]}" --arg node "${node[$1]}" '.leases[] | select(.ip == $ip and .node == $node)'; }
yes "the store has ${ip[guest]} as home1's" holds home1
for host in home1 home2 office1 campus1; do yes "$host reaches it" pool_ping "$host" guest; done

lab_exec campus1 echo.py "${ip[guest]}" 7000 "$LAB_DIR/enough" 20 >"$LAB_DIR/all" 2>"$LAB_LOGS/all.log" </dev/null &
whole=$!

# travel FROM TO [CMD...]: in the middle of transfers, just after CMD. QEMU announces the guest when it goes on.
travel() {
  local jobs=() said moved downtime silent refused
  guest_start "$2" -incoming defer
  guest_qmp "$2" migrate-incoming '{"uri": "tcp:0:4444"}' >/dev/null || fail "QEMU in $2 does not listen"
  lab_exec campus1 echo.py "${ip[guest]}" 7000 "$LAB_DIR/arrived" 400 >"$LAB_DIR/echo" 2>"$LAB_LOGS/echo.log" </dev/null &
  jobs+=($!)
  lab_exec campus1 ping -n -i 0.01 "${ip[guest]}" >"$LAB_DIR/pings" 2>/dev/null </dev/null &
  jobs+=($!)
  lab_wait 20 "the connection" grep -q connected "$LAB_DIR/echo" || fail "no connection to the guest: $(<"$LAB_LOGS/echo.log")"
  "${@:3}"
  moved=$(guest_qmp "$1" migrate "tcp:${ip[$2]}:4444") || fail "the migration failed"
  same "the guest is at $2" completed "$(jq -r .status <<<"$moved")"
  eventually "the store says so" holds "$2"
  sleep 1 # of traffic
  touch "$LAB_DIR/arrived"
  lab_exec campus1 pkill -INT -x ping
  wait "${jobs[0]}" || fail "the connection broke: $(tail -n 1 "$LAB_LOGS/echo.log")"
  rm "$LAB_DIR/arrived"
  said=$(tail -n 1 "$LAB_DIR/echo")
  yes "every byte came back ($(jq .bytes <<<"$said"))" jq -e .ok <<<"$said"
  refused=$(pool_counter "$1" drop_not_mine)
  for host in home2 "$1" "$2"; do yes "$host reaches it" pool_ping "$host" guest; done
  same "none of them by way of $1" "$refused" "$(pool_counter "$1" drop_not_mine)"
  guest_qmp "$1" quit >/dev/null || :
  downtime=$(jq '.downtime_s * 1000 | round' <<<"$moved")
  silent=$(pool_longest_loss_ms "$LAB_DIR/pings" 10)
  ok "downtime $downtime ms of $(jq '.total_s * 1000 | round' <<<"$moved"); longest silence on the connection $(jq '.longest_gap_s * 1000 | round' <<<"$said") ms"
  guest_note "$results" "nothing inside" "$(jq -n "$downtime / 1000")" "$(jq -n "$silent / 1000")" "$(jq .longest_gap_s <<<"$said")"
  measured "longest silence of packets" "$silent" $((downtime + 200)) $((downtime + 2000))
}
for ((i = 0; i < ${1:-1}; ++i)); do
  travel home1 office1
  travel office1 home1
done
echo "--- while a router dies"
travel home1 office1 pool_kill r2
touch "$LAB_DIR/enough"
wait "$whole" || fail "the long connection broke: $(<"$LAB_LOGS/all.log")"
yes "one connection lasted through all of it, $(tail -n 1 "$LAB_DIR/all" | jq .bytes) bytes right" jq -e .ok <<<"$(tail -n 1 "$LAB_DIR/all")"
same "nobody has another address for it" 1 "$(pool_json r1 leases | jq --arg ip "${ip[guest]}" '[.leases[] | select(.ip == $ip)] | length')"
echo "all passed"

#!/bin/bash
# Guests without anything inside: namespaces on bridges of two hosts (`wow up --bridge br0`). They get addresses by DHCP from a real
# client, reach hosts and each other, and move from one host's bridge to the other's with a connection open. Foreign addresses,
# starvation and two guests with one MAC do no harm.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"
# shellcheck source=tests/system/guests.sh
source "$(dirname "${BASH_SOURCE[0]}")/guests.sh"

command -v busybox >/dev/null && busybox udhcpc --help >/dev/null 2>&1 || { echo 'busybox with udhcpc is missing'; exit 77; }
pool_laboratory home1 office1 campus1
pool_create
guests_invite='--route 192.168.88.0/24' guests_hosts home1 office1
pool_routers r1 r2
pool_up home1 office1 campus1
lab_exec campus1 wow down lab >/dev/null
refused "who may not bridge" 'invite create --bridge' campus1 up lab --bridge br0
pool_up campus1
know_each_other() { pool_json home1 status | jq -e '.bridge.others == 1' && pool_json office1 status | jq -e '.bridge.others == 1'; }
eventually "the bridges know each other" know_each_other
yes "wow status tells of the bridge" grep -q '^bridge .*br0' <<<"$(lab_exec home1 wow status)"

cat >"$LAB_DIR/leased" <<'END'
#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip addr flush dev "$interface"
ip addr add "$ip/$mask" dev "$interface"
ip link set "$interface" mtu "${mtu:-1500}"
echo "$dns $domain $lease" >"$LEASE_FILE"
END
chmod 755 "$LAB_DIR/leased"
# by_dhcp NAME: its address.
by_dhcp() {
  LEASE_FILE="$LAB_DIR/$1.lease" in_net "$1" busybox udhcpc -i eth0 -n -q -t 10 -T 1 -O mtu -s "$LAB_DIR/leased" >>"$LAB_LOGS/$1.udhcpc.log" 2>&1 ||
    fail "$1 got no address: $(<"$LAB_LOGS/$1.udhcpc.log")"
  ip[$1]=$(in_net "$1" ip -4 -o addr show dev eth0 | awk '{ sub("/.*", "", $4); print $4 }')
}
g_ping() { in_net "$1" ping -n -c 1 -W 5 "${@:3}" "${ip[$2]:-$2}"; }

echo "--- addresses"
guest one 52:54:00:00:00:01 home1
guest two 52:54:00:00:00:02 office1
by_dhcp one
ok "a guest has ${ip[one]} by DHCP: $(<"$LAB_DIR/one.lease")"
mtu_of() { sed 's/.* mtu \([0-9]*\) .*/\1/'; }
same "with the pool's MTU" "$(lab_exec campus1 ip -o link show wow-lab | mtu_of)" "$(in_net one ip -o link show eth0 | mtu_of)"
ip[two]=10.128.9.9
in_net two ip addr add "${ip[two]}/16" dev eth0
in_net two ip link set eth0 mtu "$(in_net one ip -o link show eth0 | mtu_of)"
# holds HOST ADDRESS: whether the store says so.
holds() { pool_json r1 leases | jq -e --arg ip "$2" --arg node "${node[$1]}" '.leases[] | select(.ip == $ip and .node == $node)'; }
yes "the store has it as home1's" holds home1 "${ip[one]}"
for to in campus1 home1 office1; do
  yes "the guest reaches $to" g_ping one "$to"
  yes "and $to the guest" lab_exec "$to" ping -n -c 1 -W 5 "${ip[one]}"
done
yes "a guest with an address of its own reaches the other" g_ping two one
yes "large packets pass in pieces" g_ping one two -s 3000
yes "and the service" g_ping one 10.128.255.254

echo "--- foreign addresses"
before=$(pool_counter home1 drop_source_check)
in_net one ip addr add 10.128.200.1/32 dev lo
lab_exec campus1 tcpdump -lni wow-lab host "${ip[campus1]}" and udp port 9 >"$LAB_DIR/heard" 2>/dev/null &
watch=$!
for source in "${ip[office1]}" 192.168.77.1; do
  in_net one ip addr add "$source/32" dev lo
  in_net one python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], 0))
for i in range(20): s.sendto(b"forged", (sys.argv[2], 9))' "$source" "${ip[campus1]}"
  in_net one ip addr del "$source/32" dev lo
done
dropped() { (($(pool_counter home1 drop_source_check) >= before + 40)); }
eventually "forged packets are dropped and counted" dropped
kill "$watch"
same "none has left" "" "$(cat "$LAB_DIR/heard")"
yes "office1 keeps its address" pool_ping campus1 office1
refused_before=$(pool_counter home1 drop_source_check)
lab_exec campus1 ip route add 192.168.88.0/24 dev wow-lab
in_net one ip addr add 192.168.88.1/24 dev eth0
in_net two ip addr add 192.168.88.2/24 dev eth0
yes "of a prefix that the invite allows a guest has an address" g_ping one campus1 -I 192.168.88.1
yes "which the store has, too" holds home1 192.168.88.1
yes "so has another" g_ping two campus1 -I 192.168.88.2
yes "guests reach each other by them" g_ping one 192.168.88.2
yes "and hosts that have a route" lab_exec campus1 ping -n -c 1 -W 5 192.168.88.1
same "none of it was dropped" "$refused_before" "$(pool_counter home1 drop_source_check)"

echo "--- moving with a connection open"
for way in "home1 office1" "office1 home1"; do
  # shellcheck disable=SC2086
  move_connected one "${ip[one]}" $way
  eventually "the store says so" holds "${way#* }" "${ip[one]}"
done
same "no daemon was told wrong" 0 "$(lab_exec campus1 ip neigh show dev wow-lab | grep -c FAILED || :)"

echo "--- two guests with one MAC"
guest twin 52:54:00:00:00:01 office1
in_net twin ip addr add "${ip[one]}/16" dev eth0
in_net twin ping -n -c 3 -i 0.2 -W 1 "${ip[campus1]}" >/dev/null 2>&1 || :
yes "the first keeps its address" g_ping one campus1
no "and the second has none" g_ping twin campus1 -W 1
in_net office1 ip link del ptwin

echo "--- a bridge loop made by hand"
blocked() { [[ $(for host in home1 office1; do pool_json $host status | jq .bridge.blocked; done | sort | paste -sd' ') == "$1" ]]; }
yes "neither bridge is blocked" blocked "false false"
ip link add cable0 netns "${net[home1]}" type veth peer name cable1 netns "${net[office1]}"
in_net home1 ip link set cable0 master br0 up
in_net office1 ip link set cable1 master br0 up
pings=()
for name in one two; do
  nsenter -t "${net[$name]}" -n ping -n -i 0.1 "${ip[campus1]}" >"$LAB_DIR/$name.pings" 2>/dev/null &
  pings+=($!)
done
eventually "one of the two blocks itself" blocked "false true"
# Which of them is chance: its guest goes on by the other.
cut=one from=home1 by=office1
pool_json home1 status | jq -e .bridge.blocked >/dev/null || cut=two from=office1 by=home1
eventually "$from's guest is $by's" holds "$by" "${ip[$cut]}"
for pair in "one campus1" "two campus1" "one two" "two one" "$cut $from" "$cut $by"; do
  # shellcheck disable=SC2086
  yes "with the loop there, guest ${pair/ / reaches }" g_ping $pair
done
yes "and $from its guest" lab_exec "$from" ping -n -c 1 -W 5 "${ip[$cut]}"
in_net one ping -n -c 5 -i 0.2 -b 10.128.255.255 >/dev/null 2>&1 || :
before=$(pool_counter home1 frames_out)
sleep 1 # in which a storm would be thousands
((($(pool_counter home1 frames_out) - before) < 500)) || fail "broadcasts go around"
ok "and broadcasts do not go around"
in_net home1 ip link del cable0
eventually "and passes frames again without the cable" blocked "false false"
eventually "the guest is $from's again" holds "$from" "${ip[$cut]}"
yes "and talks on" g_ping "$cut" campus1
kill -INT "${pings[@]}"
wait "${pings[@]}" || :
# A beacon comes every 2 s; the block ends 7 s after the last.
measured "longest silence of $by's own guest" "$(pool_longest_loss_ms "$LAB_DIR/$([[ $cut == one ]] && echo two || echo one).pings" 100)" 1000 4000
measured "of the other, when the cable was pulled" "$(pool_longest_loss_ms "$LAB_DIR/$cut.pings" 100)" 9000 14000

echo "--- DHCP starvation"
guests=$(pool_json home1 status | jq .bridge.guests)
in_net one python3 -c 'import os, socket, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0))
def sum16(b): 
    n = sum(int.from_bytes(b[i:i+2], "big") for i in range(0, len(b), 2)); n = (n & 65535) + (n >> 16); return ~(n + (n >> 16)) & 65535
end = time.time() + 3; i = 0
while time.time() < end:
    i += 1; mac = b"\x52\x55" + os.urandom(4)
    dhcp = bytes([1,1,6,0]) + os.urandom(4) + bytes(20) + mac + bytes(202) + bytes.fromhex("63825363") + bytes([53,1,3,50,4,10,128,i >> 8 & 255,i & 255,255])
    udp = bytes([0,68,0,67]) + (8 + len(dhcp)).to_bytes(2, "big") + bytes(2) + dhcp
    ip = bytes([69,0]) + (20 + len(udp)).to_bytes(2, "big") + bytes(4) + bytes([64,17,0,0]) + bytes(4) + b"\xff" * 4
    ip = ip[:10] + sum16(ip).to_bytes(2, "big") + ip[12:]
    s.send(b"\xff" * 6 + mac + b"\x08\x00" + ip + udp); time.sleep(0.0005)
print(i, "requests")'
taken=$(($(pool_json home1 status | jq .bridge.guests) - guests))
((taken <= 100)) || fail "a guest took $taken addresses in 3 s"
ok "it took $taken addresses, which end in a minute"
guest three 52:54:00:00:00:03 office1
by_dhcp three
yes "another host's guest gets one (${ip[three]})" g_ping three campus1
echo "all passed"

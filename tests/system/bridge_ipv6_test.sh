#!/bin/bash
# IPv6 of guests without anything inside: namespaces on bridges of two hosts (`wow up --bridge br0`) make themselves addresses of the
# prefix that they are told, reach hosts and each other, and move from one host's bridge to the other's with a connection open. An
# address that another has is refused, foreign ones are dropped, and no guest is a router of the pool.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"
# shellcheck source=tests/system/guests.sh
source "$(dirname "${BASH_SOURCE[0]}")/guests.sh"

[[ -e /proc/sys/net/ipv6 ]] || { echo 'this kernel has no IPv6'; exit 77; }
pool_laboratory home1 office1 campus1
pool_create
guests_hosts home1 office1
pool_routers r1 r2
pool_up home1 office1 campus1
know_each_other() { pool_json home1 status | jq -e '.bridge.others == 1' && pool_json office1 status | jq -e '.bridge.others == 1'; }
eventually "the bridges know each other" know_each_other

declare -A six=()
for host in home1 office1 campus1; do six[$host]=$(pool_json "$host" status | jq -er .lease.ip6); done
# in_guests N: the address with this number in the prefix of guests; `in_guests ADDRESS`: whether it is in it.
in_guests() {
  python3 -c 'import ipaddress, sys
pool = ipaddress.ip_network(sys.argv[1] + "/48", strict=False)
guests = ipaddress.ip_network((int(pool.network_address), 64))
sys.exit(ipaddress.ip_address(sys.argv[2]) not in guests) if ":" in sys.argv[2] else print(guests[int(sys.argv[2], 16)])' "${six[campus1]}" "$1"
}
# addresses GUEST [WHICH...]: those of the pool, as `ip` knows them.
addresses() { in_net "$1" ip -6 -o addr show dev eth0 scope global "${@:2}" | awk '{ sub("/.*", "", $4); print $4 }'; }
has_address() { [[ $(addresses "$1" -tentative) ]]; }
# holds HOST ADDRESS: whether the store says so.
holds() { pool_json r1 leases | jq -e --arg ip "$2" --arg node "${node[$1]}" '.leases[] | select(.ip == $ip and .node == $node)'; }
g_ping() { in_net "$1" ping -n -6 -c 1 -W 5 "${@:3}" "${six[$2]:-$2}"; }

echo "--- addresses"
lab_exec home1 sysctl -qw net.ipv6.conf.br0.accept_ra=1 # as kernels have it
guest one 52:54:00:00:00:01 home1
eventually "a guest makes itself an address" has_address one
six[one]=$(addresses one)
yes "${six[one]} is one for guests" in_guests "${six[one]}"
same "with the pool's MTU" "$(lab_exec campus1 cat /sys/class/net/wow-lab/mtu)" "$(in_net one cat /proc/sys/net/ipv6/conf/eth0/mtu)"
same "and no router" "" "$(in_net one ip -6 route show default)"
same "the host's bridge has none" "" "$(lab_exec home1 ip -6 -o addr show dev br0 scope global)"
eventually "the store has it as home1's" holds home1 "${six[one]}"
guest two 52:54:00:00:00:02 office1
six[two]=$(in_guests 22)
eventually "another makes one, too" has_address two
in_net two ip addr add "${six[two]}/64" dev eth0 # and takes a fixed one
eventually "a fixed one is claimed before it is used" holds office1 "${six[two]}"
settled() { addresses "$1" -tentative | grep -qx "${six[$1]}"; }
eventually "and then it is" settled two
for to in campus1 home1 office1; do
  yes "the guest reaches $to" g_ping one "$to"
  yes "and $to the guest" lab_exec "$to" ping -n -6 -c 1 -W 5 "${six[one]}"
  yes "and the other guest" lab_exec "$to" ping -n -6 -c 1 -W 5 "${six[two]}"
done
yes "guests reach each other" g_ping one two
yes "both ways" g_ping two one
yes "large packets pass in pieces" g_ping one two -s 3000
in_net two bash -c 'echo 1500 >/proc/sys/net/ipv6/conf/eth0/mtu'
g_ping two one -s 1400 -M 'do' >"$LAB_DIR/large" 2>&1 || :
yes "what is too large is answered" grep -qi 'too big: mtu=1380' "$LAB_DIR/large"
no "nobody answers for who is not there" g_ping one "$(in_guests 77)" -W 1

echo "--- another's address"
guest three 52:54:00:00:00:03 office1
eventually "a third guest has an address" has_address three
refused_in() { [[ $(in_net "$1" ip -6 -o addr show dev eth0 dadfailed to "$2") ]]; }
in_net three ip addr add "${six[one]}/64" dev eth0
eventually "a guest's of another site is a duplicate" refused_in three "${six[one]}"
in_net three ip addr add "${six[campus1]}/64" dev eth0
eventually "and so is a host's" refused_in three "${six[campus1]}"
yes "the first keeps it" lab_exec campus1 ping -n -6 -c 1 -W 5 "${six[one]}"
yes "in the store, too" holds home1 "${six[one]}"
before=$(pool_counter home1 drop_source_check)
lab_exec campus1 tcpdump -lni wow-lab ip6 and udp port 9 >"$LAB_DIR/heard" 2>/dev/null &
watch=$!
for source in "${six[two]}" "${six[office1]}" 2001:db8::1; do
  in_net one ip addr add "$source/128" dev lo
  in_net one python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind((sys.argv[1], 0))
for i in range(20): s.sendto(b"forged", (sys.argv[2], 9))' "$source" "${six[campus1]}"
  in_net one ip addr del "$source/128" dev lo
done
dropped() { (($(pool_counter home1 drop_source_check) >= before + 60)); }
eventually "forged packets are dropped and counted" dropped
yes "others keep theirs" lab_exec campus1 ping -n -6 -c 1 -W 5 "${six[two]}"
kill "$watch"
same "none has left" "" "$(cat "$LAB_DIR/heard")"

echo "--- a guest that wants to be a router, and one that talks nonsense"
lab_exec home1 sysctl -qw net.ipv6.conf.br0.accept_ra=0 # as docs/guests.md says
in_net one python3 -c 'import os, random, socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0)); mac = s.getsockname()[4]
def icmp(source, to, message):
    pseudo = source + to + len(message).to_bytes(4, "big") + bytes([0, 0, 0, 58]) + message
    n = sum(int.from_bytes(pseudo[i:i+2].ljust(2, b"\0"), "big") for i in range(0, len(pseudo), 2))
    while n >> 16: n = (n & 65535) + (n >> 16)
    return bytes([0x60, 0, 0, 0]) + len(message).to_bytes(2, "big") + bytes([58, 255]) + source + to + message[:2] + (~n & 65535).to_bytes(2, "big") + message[4:]
link, all_nodes = socket.inet_pton(socket.AF_INET6, "fe80::1"), socket.inet_pton(socket.AF_INET6, "ff02::1")
evil = socket.inet_pton(socket.AF_INET6, "2001:db8:bad::")
s.send(b"\x33\x33\0\0\0\1" + mac + b"\x86\xdd" + icmp(link, all_nodes, bytes([134, 0, 0, 0, 64, 0, 255, 255]) + bytes(8) + bytes([3, 4, 64, 0xc0]) + b"\xff" * 8 + bytes(4) + evil))
random.seed(1)
for i in range(3000):
    message = bytes([random.choice([128, 133, 134, 135, 136, 137, 143]), 0, 0, 0]) + os.urandom(random.randrange(60))
    frame = b"\x33\x33" + os.urandom(4) + mac + b"\x86\xdd" + icmp(random.choice([link, bytes(16), os.urandom(16)]), all_nodes, message)
    s.send(frame[:random.randrange(54, len(frame) + 1)] if i % 3 == 0 else frame)'
eventually "the guest goes on" g_ping one two -W 1
for name in two three; do
  same "and $name has no address of its making" "" "$(addresses $name | grep 2001:db8:bad || :)"
done

echo "--- moving with a connection open"
for way in "home1 office1" "office1 home1"; do
  # shellcheck disable=SC2086
  move_connected one "${six[one]}" $way
  eventually "the store says so" holds "${way#* }" "${six[one]}"
  same "with its address" "${six[one]}" "$(addresses one)"
  for from in campus1 home1 office1; do yes "$from reaches it" lab_exec "$from" ping -n -6 -c 1 -W 5 "${six[one]}"; done
  yes "and so does the other guest" g_ping two one
done
echo "all passed"

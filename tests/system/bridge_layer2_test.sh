#!/bin/bash
# One Ethernet across sites, for what is no unicast IP: guests (namespaces) on the bridges of three hosts speak inside VLAN tags, by other protocols and to
# groups. Each bridge gets a frame once, what is known goes to one bridge only, and nobody floods the others.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"
# shellcheck source=tests/system/guests.sh
source "$(dirname "${BASH_SOURCE[0]}")/guests.sh"

pool_laboratory home1 office1 campus1
pool_create
guests_hosts home1 office1 campus1
pool_routers r1 r2
pool_up home1 office1 campus1
all_know() { for host in home1 office1 campus1; do pool_json "$host" status | jq -e '.bridge.others == 2' || return; done; }
eventually "the three bridges know each other" all_know
guest one 52:54:00:00:00:01 home1
guest two 52:54:00:00:00:02 office1
guest three 52:54:00:00:00:03 campus1

# hears NAME ETHERTYPE FILE: counts frames of that type at a guest, of whatever destination, until it is told to stop.
hears() {
  in_net "$1" python3 -c 'import socket, struct, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(int(sys.argv[1], 16))); s.bind(("eth0", int(sys.argv[1], 16)))
s.setsockopt(263, 1, struct.pack("iHH8s", socket.if_nametoindex("eth0"), 1, 0, b"")) # SOL_PACKET, PACKET_ADD_MEMBERSHIP: PACKET_MR_PROMISC
print("ready", flush=True)
while True:
    frame, address = s.recvfrom(2000)
    if address[2] != 4: print(frame[14:].rstrip(b"\0").decode(errors="replace"), flush=True)' "$2" >"$LAB_DIR/heard.$1" &
  listeners+=($!)
  lab_wait 5 "the listener" grep -q ready "$LAB_DIR/heard.$1" || fail "$1 does not listen"
}
# says NAME TO TEXT [COUNT [TAG [BYTES]]]: frames of a protocol that nobody knows.
says() {
  in_net "$1" python3 -c 'import socket, sys
to, text, count, tag, size = sys.argv[1:]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0)); mac = s.getsockname()[4]
for i in range(int(count)): s.send(bytes.fromhex(to.replace(":", "") + mac.hex() + tag) + b"\x88\xb6" + text.encode().ljust(int(size), b"\0"))' "$2" "$3" "${4:-1}" "${5:-}" "${6:-46}"
}
heard() { grep -cx "$2" "$LAB_DIR/heard.$1" || :; }
heard_times() { (($(heard "$1" "$2") == $3)); }

echo "--- protocols that are no IP"
listeners=()
for name in one two three; do hears $name 88b6; done
says one ff:ff:ff:ff:ff:ff everybody
for name in two three; do eventually "a broadcast reaches $name" heard_times $name everybody 1; done
says one 52:54:00:00:00:02 unknown
for name in two three; do eventually "what nobody knows the place of is sent to all: $name's bridge" heard_times $name unknown 1; done
says two 52:54:00:00:00:01 answer
eventually "an answer reaches the one" heard_times one answer 1
says one 52:54:00:00:00:02 known
says one ff:ff:ff:ff:ff:ff later
eventually "then its place is known" heard_times two known 1
eventually "(and what was sent after it has come)" heard_times three later 1
same "and the third bridge has nothing of it" "0 0" "$(heard three answer) $(heard three known)"
same "nothing came twice, or back" "1 1 0" "$(heard two everybody) $(heard three everybody) $(heard one everybody)"
says one 01:80:c2:00:00:00 spanning-tree
says one ff:ff:ff:ff:ff:ff after
eventually "(what was sent after it has come)" heard_times three after 1
same "what is for the next bridge alone stays" "0 0" "$(heard two spanning-tree) $(heard three spanning-tree)"

echo "--- VLAN tags (by hand, for not every kernel has them)"
for name in two three; do
  in_net $name tcpdump -eln -i eth0 vlan >"$LAB_DIR/tagged.$name" 2>"$LAB_LOGS/tcpdump.$name.log" &
  listeners+=($!)
  lab_wait 5 "tcpdump" grep -q listening "$LAB_LOGS/tcpdump.$name.log" || fail "$name does not listen"
done
tagged_times() { (($(grep -c "vlan $2," "$LAB_DIR/tagged.$1" || :) == $3)); }
says one 52:54:00:00:00:02 tagged 1 81000007
eventually "the tag of VLAN 7 is there" tagged_times two 7 1
says one 52:54:00:00:00:02 tagged 1 81000008 1450
eventually "and that of VLAN 8, of a full frame, which crosses in pieces" tagged_times two 8 1
says one ff:ff:ff:ff:ff:ff tagged 1 81000009
for name in two three; do eventually "a broadcast in VLAN 9 reaches $name" tagged_times $name 9 1; done
yes "the others went to where that MAC is known to be" tagged_times three 7 0

echo "--- multicast"
for at in "one 1" "two 2" "three 3"; do
  read -r name number <<<"$at"
  ip[$name]=10.128.9.$number
  in_net "$name" ip addr add "${ip[$name]}/16" dev eth0
  in_net "$name" ip route add 239.0.0.0/8 dev eth0
  # Half a second: campus1 asks for three's address while that is being claimed, and would ask again after a second only.
  yes "$name reaches campus1 at once" in_net "$name" ping -n -c 1 -W 0.5 "${ip[campus1]}"
done
for name in two three; do
  in_net $name python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("239.9.9.9", 9999))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.9.9.9") + socket.inet_aton("0.0.0.0"))
print("ready", flush=True)
while True: print(s.recvfrom(2000)[0].decode(), flush=True)' >"$LAB_DIR/heard.$name" &
  listeners+=($!)
  lab_wait 5 "the member of the group" grep -q ready "$LAB_DIR/heard.$name" || fail "$name does not listen"
done
# to_group NAME TEXT [SOURCE]
to_group() {
  in_net "$1" python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[2], 0)); s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 4)
s.sendto(sys.argv[1].encode(), ("239.9.9.9", 9999))' "$2" "${3:-${ip[$1]}}"
}
# The first may find its source unknown to a bridge, which then asks the store.
reaches() { to_group one group && (($(heard two group) > 0 && $(heard three group) > 0)); }
eventually "UDP to a group reaches its members" reaches
to_group one once
for name in two three; do eventually "$name has it once" heard_times $name once 1; done
before=$(pool_counter home1 drop_source_check)
in_net one ip addr add 192.168.77.1/32 dev eth0
to_group one foreign 192.168.77.1
to_group one own
eventually "what was sent before it has come" heard_times three own 1
same "from a foreign address it does not pass" "0 0" "$(heard two foreign) $(heard three foreign)"
yes "and is counted" test "$(pool_counter home1 drop_source_check)" -gt "$before"

echo "--- a flood"
hears two 88b6
before=$(pool_counter home1 drop_rate_limited) at=$(lab_now_ms)
says one ff:ff:ff:ff:ff:ff flood 20000
limited() { (($(pool_counter home1 drop_rate_limited) > before + 500)); }
eventually "is cut off at its own host, and counted" limited
took=$(($(lab_now_ms) - at))
# 200 a second, and as many saved up.
(($(heard two flood) <= 400 + took / 4)) || fail "$(heard two flood) of 20000 came through in $took ms"
ok "$(heard two flood) of 20000 came through in $took ms"
yes "the guests talk on" in_net two ping -n -c 1 -W 5 "${ip[one]}"
kill "${listeners[@]}" 2>/dev/null || :
echo "all passed"

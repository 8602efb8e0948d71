#!/bin/bash
# IPv6 inside the pool: every host has an address that follows from its node, pings and carries TCP as IPv4 does, is found by
# name; a packet too large for the path is answered; nobody can send from another's address or configure a host.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

[[ -e /proc/sys/net/ipv6 ]] || { echo 'this kernel has no IPv6'; exit 77; }
pool_laboratory home1 office1
lab_site narrow nat 198.51.100.24 10.30.0.0/24 '"delay_ms": 5, "mtu": 1400'
pool_host narrow1
pool_create
pool_routers r1
pool_up home1 office1 narrow1

declare -A six=()
for host in home1 office1 narrow1; do
  six[$host]=$(pool_json "$host" status | jq -er .lease.ip6)
  digits=$(python3 -c 'import ipaddress, sys; print(ipaddress.ip_address(sys.argv[1]).packed.hex())' "${six[$host]}")
  [[ ${digits:0:2} == fd && ${digits:12} == "${node[$host]:0:20}" ]] || fail "${six[$host]} does not follow from ${node[$host]}"
  yes "$host has ${six[$host]}" lab_exec "$host" bash -c "ip -6 -o addr show dev wow-lab | grep -qi '${six[$host]}/48'"
  for what in accept_ra accept_redirects; do
    same "$what is off" 0 "$(lab_exec "$host" cat "/proc/sys/net/ipv6/conf/wow-lab/$what")"
  done
done
same "wow hosts tells them" "$(printf '%s\n' "${six[@]}" | sort)" "$(lab_exec home1 wow hosts | awk '/^fd/ { print $1 }' | sort)"

echo "--- ping and TCP"
yes "home1 pings office1" lab_exec home1 ping -n -6 -c 3 -i 0.2 -W 5 "${six[office1]}"
no "nobody answers for who is not there" lab_exec home1 ping -n -6 -c 1 -W 2 "${six[office1]%:*}:1"
lab_wait 10 "a direct path" pool_is_direct home1 office1 || fail "no direct path"
# transfer TO SECONDS MBIT: prints the comparison.
transfer() {
  rm -f "$LAB_DIR"/{sent,received}
  lab_spawn "$1" "$LAB_DIR/received" stream.py receive 7000 >/dev/null
  lab_wait 5 "the receiver" grep -q ready "$LAB_DIR/received" || fail "no receiver"
  lab_exec home1 stream.py send "${six[$1]}" 7000 "$2" "$3" >"$LAB_DIR/sent" </dev/null
  lab_wait 10 "the last bytes" grep -q sha256 "$LAB_DIR/received" || fail "the transfer did not end"
  python3 "$pool_folder/../../tools/lab/stream.py" compare "$LAB_DIR"/{sent,received}
}
before=$(pool_counter office1 datagrams_in)
frames=$(pool_counter office1 frames_in)
yes "a transfer, byte-exact" jq -e '.ok and .bytes > 50000000' <<<"$(transfer office1 4 400)"
ok "frames_in rose by $(($(pool_counter office1 frames_in) - frames)), datagrams_in by $(($(pool_counter office1 datagrams_in) - before))"

if command -v iperf3 >/dev/null; then
  lab_spawn office1 "$LAB_LOGS/iperf3.log" iperf3 -s -p 7001 --forceflush >/dev/null
  lab_wait 5 "iperf3" grep -q listening "$LAB_LOGS/iperf3.log"
  rate() { lab_exec home1 iperf3 -J -C cubic -p 7001 -t 3 -c "$1" | jq '.end.sum_received.bits_per_second / 1e6 | round'; }
  four=$(rate "${ip[office1]}") six_rate=$(rate "${six[office1]}")
  pool_is_sanitized || ((six_rate * 2 >= four)) || fail "TCP: IPv6 $six_rate Mbit/s against $four by IPv4"
  ok "TCP with offloads: IPv6 $six_rate Mbit/s, IPv4 $four Mbit/s"
fi

echo "--- a path that carries less"
yes "home1 reaches narrow1" lab_exec home1 ping -n -6 -c 2 -i 0.2 -W 5 "${six[narrow1]}"
lab_wait 10 "a direct path" pool_is_direct home1 narrow1 || fail "no direct path"
yes "TCP goes on" jq -e '.ok and .bytes > 5000000' <<<"$(transfer narrow1 4 20)"
yes "large pings pass in pieces" lab_exec home1 ping -n -6 -c 2 -i 0.2 -W 5 -s 3000 "${six[narrow1]}"

echo "--- names"
service=$(python3 -c 'import ipaddress; print(ipaddress.ip_network("10.128.0.0/16")[-2])')
# ask NAME TYPE: the answer's data in hexadecimal, by a query of one question.
ask() {
  lab_exec home1 python3 -c 'import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
name = b"".join(bytes([len(l)]) + l.encode() for l in sys.argv[2].split(".")) + b"\0"
s.sendto(struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + name + struct.pack(">2H", int(sys.argv[3]), 1), (sys.argv[1], 53))
print(s.recv(512)[12 + len(name) + 4 + 12:].hex())' "$service" "$1" "$2"
}
digits=$(python3 -c 'import ipaddress, sys; print(ipaddress.ip_address(sys.argv[1]).packed.hex())' "${six[office1]}")
same "AAAA" "$digits" "$(ask office1.lab.internal 28)"
same "and back" "$(printf office1 | xxd -p)" "$(ask "$(rev <<<"$digits" | sed 's/./&./g')ip6.arpa" 12 | cut -c3-16)"
yes "wow ping takes it" lab_exec home1 wow ping -c 1 "${six[office1]}"
echo "all passed"

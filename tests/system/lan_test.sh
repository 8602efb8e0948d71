#!/bin/bash
# Three hosts on one LAN, with no bootstrap and no Internet: they find each other by multicast. A fourth that comes later joins
# them, one that is told not to look stays alone, and strangers on the LAN hear nothing they could read.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

lab_new
lab_site home nat 198.51.100.21 192.168.1.0/24
pool_host home1 home2 home3 home4 home5
lab_cut home
lab_exec home1 wow pool create lab --subnet 10.128.0.0/16 >>"$LAB_LOGS/commands.log"
lab_exec home1 wow invite create lab >"$LAB_DIR/lab.invite" 2>>"$LAB_LOGS/commands.log"
chmod 600 "$LAB_DIR/lab.invite"

echo "--- all at once"
pool_up home1 home2 home3
eventually "three hosts are one ring" pool_is_whole home1 home2 home3
same "everybody reaches everybody" "" "$(pool_ping_all address home1 home2 home3)"
for host in home1 home2 home3; do echo "    $host was up after $(<"$LAB_DIR/up/$host") ms"; done

echo "--- one that comes later"
pool_up home4
eventually "four hosts are one ring" pool_is_whole home1 home2 home3 home4
yes "it has joined by the LAN alone" pool_ping home4 home1

echo "--- one that does not look"
pool_join home5
pool_start home5 --no-lan >>"$LAB_LOGS/commands.log"
pool_learn home5
same "--no-lan: it is alone" true "$(pool_json home5 status | jq .alone)"

echo "--- a LAN with IPv6 alone"
if [[ -e /proc/sys/net/ipv6 ]]; then
  lab_site six firewall 198.51.100.23 203.0.113.0/24 '"ipv6": "2001:db8:1::/64", "ipv4": false'
  pool_host six1 six2
  lab_cut six
  pool_up six1 six2
  eventually "two hosts are one ring" pool_is_whole six1 six2
  yes "they reach each other" pool_ping six1 six2
fi

echo "--- what a stranger hears"
cat >"$LAB_DIR/bin/listen.py" <<'END'
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("239.255.87.79", 4743))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.255.87.79") + socket.inet_aton(sys.argv[1]))
print("ready", flush=True)
s.settimeout(20)
packet, source = s.recvfrom(2048)
print(packet.hex(), len(packet), flush=True)
END
chmod a+rx "$LAB_DIR/bin/listen.py"
lab_spawn home5 "$LAB_DIR/stranger" python3 "$LAB_DIR/bin/listen.py" "$(lab_address home5)" >/dev/null
lab_wait 5 "the stranger" grep -q ready "$LAB_DIR/stranger"
lab_exec home4 wow down lab >>"$LAB_LOGS/commands.log"
pool_start home4 >>"$LAB_LOGS/commands.log"
eventually "it hears a beacon" test "$(wc -l <"$LAB_DIR/stranger")" -ge 1
no "with no address in it to be read" grep -q "$(pool_json home4 status | jq -r .address)" "$LAB_DIR/stranger"
echo "all passed"

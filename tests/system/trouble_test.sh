#!/bin/bash
# What can be wrong with a machine or its wishes is said in one sentence with the way out, and the pool goes on.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

pool_laboratory home1 home2 office1
pool_create
pool_routers r1
pool_up home1

echo "--- what is not there"
refused "a pool that was never joined" "wow join" office1 up nowhere
no "nothing is left behind" lab_exec office1 test -e /run/wow

echo "--- what is taken"
refused "a second daemon for a pool" "wow down lab" home1 up
refused "the same as a router" "wow down lab" home1 router
lab_exec home1 mv /run/wow/lab.sock /run/wow/hidden.sock
refused "even if its socket is gone" "another daemon.*lab" home1 router
lab_exec home1 mv /run/wow/hidden.sock /run/wow/lab.sock
pool_join home2
refused "a name" "home1.*--name" home2 up --name home1
refused "an address" "${ip[home1]}.*choose another" home2 up --ip "${ip[home1]}"
refused "an address outside" "10\.128\.0\.0/16" home2 up --ip 10.129.0.1
refused "the service address" "10.128.255.254" home2 up --ip 10.128.255.254
lab_spawn home2 "$LAB_LOGS/port.log" python3 -c 'import socket, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(("::", 4555)); print("bound", flush=True); time.sleep(100)' >/dev/null
lab_wait 5 "the port" grep -q bound "$LAB_LOGS/port.log"
refused "a port" "4555" home2 up --listen 4555
lab_exec home2 hostname home1
pool_up home2
yes "a host name that is taken gets two numbers more" jq -e --arg ip "${ip[home2]}" '.lease.name == "home1-" + ($ip | split(".")[2:4] | join("-"))' \
  <<<"$(pool_json home2 status)"
lab_exec home2 wow down >/dev/null
lab_exec home2 hostname home2
wanted=10.128.77.77
lab_exec home2 wow up --ip $wanted --name chosen >/dev/null </dev/null
pool_learn home2
same "a wanted address and name" "$wanted chosen" "$(pool_json home2 status | jq -r '"\(.lease.ip) \(.lease.name)"')"
eventually "under which it is reached" pool_ping home1 chosen.lab.internal
lab_exec home2 wow down >/dev/null
lab_exec home2 wow up >/dev/null </dev/null
pool_learn home2
same "which it keeps" "$wanted chosen" "$(pool_json home2 status | jq -r '"\(.lease.ip) \(.lease.name)"')"
lab_exec home2 wow down >/dev/null

echo "--- what the machine lacks"
lab_exec home2 ip route add 10.128.44.0/24 via 192.168.1.1
refused "a route that collides" '10\.128\.44\.0/24 on eth0.*--ignore-routes' home2 up
yes "unless it is to be ignored" lab_exec home2 wow up --ignore-routes
lab_exec home2 wow down >/dev/null
lab_exec home2 ip route del 10.128.44.0/24
lab_exec home2 ip addr add 10.128.0.0/12 dev eth0
refused "a network of the host that holds the subnet" '10\.128\.0\.0/12 on eth0' home2 up
lab_exec home2 ip addr del 10.128.0.0/12 dev eth0
# without WHAT PATTERN CMD...: `wow up` under a command that takes something away is refused.
without() {
  local said
  ! said=$(lab_exec home2 timeout "$WAIT_S" "${@:3}" wow up 2>&1 </dev/null) || fail "$1: \`wow up\` was not refused: $said"
  grep -qE "$2" <<<"$said" || fail "$1: it should say something like '$2', not: $said"
  ok "$1: $said"
}
without "no CAP_NET_ADMIN" 'not permitted.*root' setpriv --bounding-set=-net_admin --inh-caps=-net_admin
without "no /dev/net/tun" 'modprobe tun' unshare --mount bash -c 'mount -t tmpfs none /dev/net && exec "$@"' hidden
lab_exec home2 ip tuntap add wow-lab mode tap
refused "an interface of that name" "wow-lab.*exists" home2 up
lab_exec home2 ip link del wow-lab
no "none of this left an interface" lab_exec home2 ip link show wow-lab
yes "and at last it comes up" pool_start home2
yes "and is reached" pool_ping home1 home2

echo "--- a subnet that is full: five addresses, one of them for the service"
(umask 077 && lab_exec r1 wow pool create tiny --subnet 10.99.0.0/29 >/dev/null &&
  lab_exec r1 wow invite create tiny --bootstrap 198.51.100.7:4444 >"$LAB_DIR/tiny.invite" 2>/dev/null)
tiny_join() { install -m 600 "$LAB_DIR/tiny.invite" "$LAB_DIR/hosts/$1/root/" && lab_exec "$1" "${@:2}" wow join tiny.invite 2>/dev/null; }
tiny_join r1
lab_exec r1 wow router tiny --listen 4444 >/dev/null </dev/null
echo "--- and two pools on one host: home1 is in lab and in tiny"
tiny_join home1
yes "up in the second" lab_exec home1 wow up tiny
refused "which one is meant must be said" "lab, tiny.*-p" home1 status
same "-p says it" "lab tiny" "$(lab_exec home1 wow -p lab status --json | jq -r .pool) $(lab_exec home1 wow status -p tiny --json | jq -r .pool)"
same "two interfaces" "wow-lab wow-tiny" "$(lab_exec home1 bash -c 'cd /sys/class/net && echo wow-*')"
eventually "names of both" lab_exec home1 getent ahostsv4 home1.lab.internal home1.tiny.internal
tiny_join office1
yes "office1 comes up in tiny" lab_exec office1 wow up tiny
tiny_ip=$(lab_exec office1 wow status tiny --json | jq -r .lease.ip)
yes "home1 reaches it" pool_ping home1 "$tiny_ip"
yes "and home2 in lab" pool_ping home1 home2
# Three addresses are left: members of the same machine, each in its own folders and network.
for i in 1 2 3 4; do
  lab_site "site$i" open "198.51.100.3$i" "203.0.11$((3 + i)).0/24" && lab_host "site$i-1" "site$i"
  tiny_join "site$i-1"
  ((i < 4)) || break
  yes "member $((i + 2)) of five" lab_exec "site$i-1" timeout 30 wow up tiny
done
refused "a sixth" 'subnet 10\.99\.0\.0/29 is exhausted \(5 of 5' site4-1 up tiny
yes "when one leaves" lab_exec office1 wow leave tiny
yes "there is room" lab_exec site4-1 timeout 30 wow up tiny
lab_exec home1 wow down tiny >/dev/null
yes "lab does not notice the end of tiny" pool_ping home1 home2
yes "its names are still there" lab_exec home1 getent ahostsv4 chosen.lab.internal
no "tiny's are not" lab_exec home1 grep -q tiny /etc/hosts
echo "all passed"

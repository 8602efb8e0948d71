#!/bin/bash
# The laboratory is what it says: each kind of site maps and filters as named, hosts are hosts, and nothing stays behind.
#
#   r1 .7   r2 .8   r3 .9                                internet 198.51.100.0/24
#      [home]     [hotel]     [campus]   [lawn]
#       nat       symmetric   firewall    open
#   home1 home2    hotel1      campus1    lawn1
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
source "$here/../../tools/lab/lab.sh"
source "$here/checks.sh"
lab_reexec "$@"

if [[ ${1:-} == live-for-ever ]]; then # the victim of the last test
  lab_new
  lab_public r1 198.51.100.7
  lab_spawn r1 /dev/null sleep 987654
  sleep infinity
fi

# hold HOST PORT: a socket there that has asked r1 and r2; `seen HOST 1|2` is where they saw it, `heard HOST` what came since.
hold() {
  lab_spawn "$1" "$LAB_LOGS/$1" udp_probe.py hold "$2" 198.51.100.7:3478 198.51.100.8:3478 >/dev/null
  lab_wait 5 "$1's probe" grep -q holding "$LAB_LOGS/$1"
}
seen() {
  sed -n "s/^mapped \([^ ]*\) as seen by 198.51.100.$((6 + $2)):3478$/\1/p" "$LAB_LOGS/$1"
}
heard() {
  sed -n 's/^heard \([^ ]*\) from.*/\1/p' "$LAB_LOGS/$1" | tr '\n' ' '
}

# knock HOST: strangers, then friends knock at the endpoint that r1 saw; when the friends' last word is in, all is in.
knock() {
  local endpoint
  endpoint=$(seen "$1" 1)
  lab_exec r3 udp_probe.py send "$endpoint" stranger
  lab_exec r1 udp_probe.py send "$endpoint" other-port
  lab_exec r1 udp_probe.py send 198.51.100.7:3478 "say $endpoint friend"
  lab_wait 5 "the friend's word at $1" grep -q 'heard friend' "$LAB_LOGS/$1"
}

start=$(lab_now_ms)
lab_new
lab_public r1 198.51.100.7
lab_public r2 198.51.100.8
lab_site home nat 198.51.100.21 192.168.1.0/24
lab_site hotel symmetric 198.51.100.22 10.20.0.0/24
lab_site campus firewall 198.51.100.23 203.0.113.0/24
lab_host home1 home
lab_host home2 home
lab_host hotel1 hotel
lab_host hotel2 hotel
lab_host campus1 campus
lab_host campus2 campus
echo "three sites, two public and six other hosts in $(($(lab_now_ms) - start)) ms"
lab_public r3 198.51.100.9
lab_site lawn open 198.51.100.24 203.0.114.0/24
lab_host lawn1 lawn
lab_install "$here/udp_probe.py"
for router in r1:7 r2:8; do
  lab_spawn "${router%:*}" "$LAB_LOGS/${router%:*}" udp_probe.py serve "198.51.100.${router#*:}:3478" >/dev/null
  lab_wait 5 "the probe's server" grep -q ready "$LAB_LOGS/${router%:*}"
done

echo "--- nat: one mapping for all, the port kept; only those who were asked come in"
hold home1 5000
same "first mapping keeps the port" 198.51.100.21:5000 "$(seen home1 1)"
same "second mapping is the same" 198.51.100.21:5000 "$(seen home1 2)"
knock home1
same "only the friend came in" "friend " "$(heard home1)"
hold home2 5000
same "a neighbour with the same port has one mapping, too" "$(seen home2 1)" "$(seen home2 2)"
no "and it is another" test "$(seen home2 1)" = 198.51.100.21:5000
knock home2
same "which filters the same" "friend " "$(heard home2)"
same "and the first one heard nothing of it" "friend " "$(heard home1)"
lab_exec home2 udp_probe.py send 198.51.100.21:5000 hairpin
lab_exec r1 udp_probe.py send 198.51.100.7:3478 "say 198.51.100.21:5000 again"
lab_wait 5 "the friend's next word" grep -q 'heard again' "$LAB_LOGS/home1"
same "no hairpin" "friend again " "$(heard home1)"
yes "neighbours reach each other on the LAN" lab_exec home2 ping -c 1 -W 2 "$(lab_address home1)"
no "nobody reaches a private address from outside" lab_exec r1 ping -c 1 -W 0.3 192.168.1.10

echo "--- nat: an unsolicited packet does not disturb the mapping that comes later"
lab_exec r1 udp_probe.py send 198.51.100.21:5001 early
lab_spawn home1 "$LAB_LOGS/later" udp_probe.py hold 5001 198.51.100.7:3478 >/dev/null
lab_wait 5 "the later probe" grep -q holding "$LAB_LOGS/later"
yes "the port is kept" grep -q 'mapped 198.51.100.21:5001 ' "$LAB_LOGS/later"

echo "--- symmetric: a mapping for each destination"
hold hotel1 5000
no "two destinations see two ports" test "$(seen hotel1 1)" = "$(seen hotel1 2)"
no "not the port inside" test "$(seen hotel1 1)" = 198.51.100.22:5000
knock hotel1
same "only the friend came in" "friend " "$(heard hotel1)"

echo "--- firewall: true addresses, only answers come in"
hold campus1 5000
same "true address" 203.0.113.10:5000 "$(seen campus1 1)"
knock campus1
same "only the friend came in" "friend " "$(heard campus1)"
no "no TCP from outside" lab_exec r1 timeout 0.3 bash -c 'exec 3<>/dev/tcp/203.0.113.10/22'

echo "--- open: all comes in"
hold lawn1 5000
knock lawn1
same "strangers, too" "stranger other-port friend " "$(heard lawn1)"

echo "--- a host is a host"
same "its name" home1 "$(lab_exec home1 hostname)"
same "its address" 192.168.1.10 "$(lab_address home1)"
same "its processes only" 1 "$(lab_exec home1 pgrep -c -f '^wow-lab host')"
lab_exec home1 bash -c 'echo 10.0.0.1 x.test >>/etc/hosts.new && mv /etc/hosts.new /etc/hosts; mkdir -p /var/lib/wow; touch /etc/wow/k /var/lib/wow/k /root/k /tmp/k /run/k /dev/shm/k'
yes "its own hosts file, which can be replaced" lab_exec home1 getent hosts x.test
no "not its neighbour's" lab_exec home2 getent hosts x.test
no "nor the machine's" grep -q x.test /etc/hosts
same "its own folders" "" "$(lab_exec home2 bash -c 'find /etc/wow/k /var/lib/wow/k /root/k /tmp/k /run/k /dev/shm/k 2>/dev/null')"
no "the machine's stay clean" find /etc/wow/k /var/lib/wow/k /root/k /tmp/k
no "its own machine id" cmp "$LAB_DIR"/hosts/home{1,2}/etc/machine-id
# shellcheck disable=SC2016
same "stdin, arguments and status pass" "a b|c 3" "$(echo c | lab_exec home1 bash -c 'echo "$1|$(cat) $#"' x 'a b' '' '' && :)"
status=0
lab_exec home1 bash -c 'exit 5' || status=$?
same "exit status" 5 "$status"
yes "TAP devices" lab_exec home1 bash -c 'ip tuntap add wow-lab mode tap && ip link set wow-lab mtu 1380 up && ls /sys/class/net/wow-lab'
no "seen by itself only" lab_exec home2 ip link show wow-lab

echo "--- processes end by their number"
pid=$(lab_spawn home1 "$LAB_LOGS/sleep" sleep 1000)
# For a moment after its exec, a process has no command line.
yes "the number is the command's" lab_wait 2 "sleep to run" grep -qzx sleep "/proc/$pid/cmdline"
kill -9 "$pid"
yes "killed" lab_wait 2 "sleep to end" lab_dead "$pid"
lab_exec home1 bash -c 'sleep 0.01 & disown'
yes "an orphan is reaped" lab_wait 2 "the orphan" lab_exec home1 bash -c '! pgrep -x sleep'

echo "--- a moved host keeps its name and files, and gets a new address and MAC"
mac=$(lab_exec home1 cat /sys/class/net/eth0/address)
lab_move home1 campus
same "address" 203.0.113.12 "$(lab_address home1)"
same "name" home1 "$(lab_exec home1 hostname)"
no "MAC" test "$mac" = "$(lab_exec home1 cat /sys/class/net/eth0/address)"
yes "files" lab_exec home1 test -e /root/k
yes "it reaches the internet" lab_exec home1 ping -c 1 -W 2 198.51.100.7
yes "and its new neighbour" lab_exec home1 ping -c 1 -W 2 203.0.113.10
lab_move home1 internet 198.51.100.30
yes "moved onto the internet" lab_exec r1 ping -c 1 -W 2 198.51.100.30
# The far end of the cable is up first: else the kernel drops what the host sends until it tells of the carrier, and asks for the router
# again a second later. A host that sends all the time shows it.
lab_exec home1 ping -n -D -i 0.002 198.51.100.7 >"$LAB_DIR/pings" 2>/dev/null </dev/null &
pings=$!
lab_wait 5 "the first ping" test -s "$LAB_DIR/pings"
for site in lawn hotel; do # each once: a router keeps what it knows of an address for a second (arp locktime)
  lab_move home1 $site
  at=$(lab_now_ms)
  lines=$(wc -l <"$LAB_DIR/pings")
  answered() { (($(wc -l <"$LAB_DIR/pings") > lines + 5)); }
  lab_wait 5 "an answer" answered
  echo "in $site the first answers after $(($(lab_now_ms) - at)) ms"
  yes "so its first packet arrived" test $(($(lab_now_ms) - at)) -lt 700
done
lab_exec home1 pkill -INT -x ping
wait $pings || :
lab_move home1 home
same "back home, where its old address was free" 192.168.1.10 "$(lab_address home1)"

echo "--- cable cut and healed, power failed"
lab_cut home2
no "cut" lab_exec home2 ping -c 1 -W 0.3 198.51.100.7
same "in silence" up "$(lab_exec home2 cat /sys/class/net/eth0/operstate)"
lab_heal home2
yes "healed" lab_exec home2 ping -c 1 -W 2 198.51.100.7
pid=$(lab_spawn home2 "$LAB_LOGS/sleep" sleep 1000)
lab_down home2
yes "its processes are gone" lab_dead "$pid"
no "so is it" lab_exec home1 ping -c 1 -W 0.3 192.168.1.11
lab_host home2 home
yes "and may come again" lab_exec home2 ping -c 1 -W 2 198.51.100.7

echo "--- nothing stays behind, even after kill -9"
setsid bash "${BASH_SOURCE[0]}" live-for-ever >/dev/null 2>&1 &
victim=$!
yes "a laboratory inside this one" lab_wait 10 "it" pgrep -f '^sleep 987654'
kill -9 "$victim"
wait "$victim" 2>/dev/null || :
yes "is gone with its script" lab_wait 2 "its end" bash -c '! pgrep -f "^sleep 987654"'
setsid bash "${BASH_SOURCE[0]}" live-for-ever >/dev/null 2>&1 &
victim=$!
yes "another one" lab_wait 10 "it" pgrep -f '^sleep 987654'
kill -TERM "$victim"
yes "ends when it is told to" lab_wait 4 "its end" bash -c '! pgrep -f "^sleep 987654"'

checks_end
echo "all passed"

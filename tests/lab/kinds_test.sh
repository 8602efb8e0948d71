#!/bin/bash
# Every kind of NAT maps and filters as it is called, seen from inside with real sockets, as RFC 5780 (4.3, 4.4) asks; and walls
# that are no NAT let through what they should. The sites are those of tools/lab/examples/every-nat.json.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
source "$here/../../tools/lab/lab.sh"
source "$here/checks.sh"
lab_reexec "$@"

lab_new
lab_install "$here/udp_probe.py"
start=$(lab_now_ms)
lab_add <"$here/../../tools/lab/examples/every-nat.json"
echo "28 sites and 32 hosts in $(($(lab_now_ms) - start)) ms"
for router in 7:8 8:7; do
  ip=198.51.100.${router%:*} name=r$((${router%:*} - 6))
  lab_spawn "$name" "$LAB_LOGS/$name" udp_probe.py serve "$ip:3478" "$ip:3479" --partner "198.51.100.${router#*:}:3479" >/dev/null
  lab_wait 5 "the probe's server" grep -q ready "$LAB_LOGS/$name"
done
servers=(198.51.100.7:3478 198.51.100.8:3478 198.51.100.8:3479)

# kind HOST: what it finds.
kind() { lab_exec "$1" udp_probe.py classify "${servers[@]}"; }

# host, what it must find. `linux` keeps a port as long as nobody else wants it.
expected=(
  "a1 eim keep eif no-hairpin" "a2 eim keep adf no-hairpin" "a3 eim keep apdf no-hairpin"
  "b1 eim keep eif no-hairpin" "b2 eim keep adf no-hairpin" "b3 eim keep apdf no-hairpin"
  "c1 eim random eif no-hairpin" "c2 eim random adf no-hairpin" "c3 eim random apdf no-hairpin"
  "d1 adm random eif no-hairpin" "d2 adm random adf no-hairpin" "d3 adm random apdf no-hairpin"
  "e1 apdm random eif no-hairpin" "e2 apdm random adf no-hairpin" "e3 apdm random apdf no-hairpin"
  "s1 adm sequential apdf no-hairpin" "s2 apdm sequential apdf no-hairpin" "s3 eim sequential adf no-hairpin"
  "t1 eim keep apdf hairpin" "t2 apdm random adf hairpin"
  "v1 adm random adf no-hairpin" "v2 adm random apdf no-hairpin"
  "w1 eim keep apdf hairpin" "w2 eim keep eif hairpin" "w3 no-udp" "w4 no-udp" "w5 eim keep apdf hairpin"
)
jobs=()
for line in "${expected[@]}"; do
  kind "${line%% *}" >"$LAB_DIR/kind.${line%% *}" &
  jobs+=($!)
done
wait "${jobs[@]}"
for line in "${expected[@]}"; do same "${line%% *}" "${line#* }" "$(<"$LAB_DIR/kind.${line%% *}")"; done

# ports HOST: in how many places r2 and r1 see its port 5000.
ports() {
  lab_spawn "$1" "$LAB_LOGS/$1" udp_probe.py hold 5000 "${servers[1]}" "${servers[0]}" >/dev/null
  lab_wait 5 "$1's probe" grep -q holding "$LAB_LOGS/$1"
  sed -n 's/^mapped .*:\([0-9]*\) as.*/\1/p' "$LAB_LOGS/$1" | uniq | wc -l
}
echo "--- two hosts with one port"
same "eim: the first has one outside port" 1 "$(ports b3)"
same "eim: so has the second" 1 "$(ports b3b)"
lab_spawn a3 "$LAB_LOGS/a3" udp_probe.py hold 5000 "${servers[0]}" >/dev/null
lab_wait 5 "a3's probe" grep -q holding "$LAB_LOGS/a3"
same "linux: the second's port depends on whom it asks" 2 "$(ports a3b)"

echo "--- what a NAT forgets"
# asked: where port 6000 of u1 is seen now.
asked() { lab_exec u1 python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 6000)); s.settimeout(3)
s.sendto(b"who", ("198.51.100.7", 3478)); print(s.recv(999).decode().split()[1])'; }
first=$(asked)
same "asked again at once, the mapping is the same" "$first" "$(asked)"
sleep 2.2 # that a second of silence passes is the thing tested
second=$(asked)
same "after its second of silence it is another" different "$([[ $first == "$second" ]] && echo "$first" || echo different)"
lab__wow reset forgetful
same "and after a restart" different "$([[ $second == "$(asked)" ]] && echo "$second" || echo different)"

echo "--- walls"
cat >"$LAB_DIR/accept.py" <<'END'
import signal, socket
listeners = [socket.create_server(("198.51.100.7", port)) for port in (80, 443)]
print("ready", flush=True)
signal.pause()
END
lab_spawn r1 "$LAB_LOGS/tcp" python3 "$LAB_DIR/accept.py" >/dev/null
lab_wait 5 "the listeners" grep -q ready "$LAB_LOGS/tcp"
# tcp HOST PORT
tcp() { lab_exec "$1" timeout 0.5 bash -c "exec 3<>/dev/tcp/198.51.100.7/$2" 2>/dev/null && echo opens || echo closed; }
same "TCP passes where UDP does not" opens "$(tcp w3 80)"
same "and ping" opens "$(lab_exec w3 ping -c 1 -W 1 198.51.100.7 >/dev/null && echo opens)"
same "443 passes where nothing else does" opens "$(tcp w4 443)"
same "80 does not there" closed "$(tcp w4 80)"
lab_set no-udp allow_out=
same "UDP comes back" "eim keep apdf no-hairpin" "$(kind w3)"
lab_set no-udp 'allow_out=["tcp"]'
same "and goes" no-udp "$(kind w3)"
gate=$(lab_address w5)
lab_spawn w5 "$LAB_LOGS/gate" udp_probe.py serve "$gate:4433" "$gate:4434" >/dev/null
lab_wait 5 "the gate's server" grep -q ready "$LAB_LOGS/gate"
# comes_in PORT: whether r1 is answered there.
comes_in() { lab_exec r1 timeout 0.5 udp_probe.py hold 7000 "$gate:$1" | grep -q mapped && echo answered || echo silence; }
same "a port is open that was asked for" answered "$(comes_in 4433)"
same "the next is not" silence "$(comes_in 4434)"
lab_set eim-eif nat=apdm-apdf
same "a router may become another" "apdm random apdf no-hairpin" "$(kind b1)"
checks_end
echo "all passed"

# shellcheck shell=bash
# Hosts with bridges, and guests on them that have nothing inside: namespaces. For test scripts; source it after pool.sh.
#
#   guests_hosts home1 office1       members that may bridge, not up yet; `net` has a process in each one's network
#   guest one MAC home1              a guest that home1's bridge has a port for; in_net one CMD... runs there
#   move one home1 office1           and announced, as hypervisors do
#   move_connected one ADDRESS home1 office1   while campus1 sends to it

declare -A net=() # a process in each host's, or guest's, network

# guests_hosts HOST...: with a bridge br0 each. Their invite has the OPTIONS of the variable guests_invite.
guests_hosts() {
  local host
  # shellcheck disable=SC2086
  pool_invite bridges --bridge ${guests_invite:-}
  for host; do
    install -m 600 "$LAB_DIR/bridges.invite" "$LAB_DIR/hosts/$host/root/lab.invite"
    lab_exec "$host" wow join lab.invite >>"$LAB_LOGS/commands.log" 2>&1 </dev/null
    lab_exec "$host" bash -c 'ip link add br0 type bridge && ip link set br0 up
      [[ ! -e /proc/sys/net/ipv6 ]] || sysctl -qw net.ipv6.conf.br0.accept_ra=0
      sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || :
      mkdir -p /etc/wow && echo "bridge = \"br0\"" >>/etc/wow/lab.conf'
    net[$host]=$(lab_spawn "$host" /dev/null sleep infinity)
  done
}

in_net() { nsenter -t "${net[$1]}" -n "${@:2}"; }
# guest NAME MAC HOST: a guest that HOST's bridge has a port for.
guest() {
  net[$1]=$(lab_spawn "$3" /dev/null unshare -n sleep infinity)
  lab_wait 5 "its network" bash -c "[[ \$(readlink /proc/${net[$1]}/ns/net) != \"\$(readlink /proc/${net[$3]}/ns/net)\" ]]"
  ip link add "p$1" address "06:00:00:00:00:${2##*:}" type veth peer name eth0 address "$2" netns "${net[$1]}"
  ip link set "p$1" netns "${net[$3]}"
  in_net "$1" ip link set lo up
  in_net "$1" ip link set eth0 up
  in_net "$3" ip link set "p$1" master br0 up
}
# move NAME FROM TO: the cable is pulled there and put in here; then the hypervisor announces the guest by RARP, five times as QEMU
# does, for the new port may not yet pass on the first.
move() {
  [[ -p $LAB_DIR/go ]] || mkfifo "$LAB_DIR/go"
  in_net "$1" python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0)); mac = s.getsockname()[4]
print("ready", flush=True); open(sys.argv[1]).read()
for pause in (0.05, 0.15, 0.25, 0.35, 0):
    s.send(b"\xff" * 6 + mac + bytes.fromhex("80350001080006040003") + mac + bytes(4) + mac + bytes(4) + bytes(18))
    time.sleep(pause)' "$LAB_DIR/go" >"$LAB_DIR/announcer" &
  local announcer=$!
  lab_wait 10 "the hypervisor" grep -q ready "$LAB_DIR/announcer" || fail "no announcer"
  in_net "$2" ip link set "p$1" nomaster
  in_net "$2" ip link set "p$1" netns "${net[$3]}"
  in_net "$3" ip link set "p$1" master br0 up
  echo go >"$LAB_DIR/go"
  wait "$announcer"
}

received() { in_net "$1" ip -s -j link show dev eth0 | jq '.[0].stats64.rx.bytes'; }
# move_connected NAME ADDRESS FROM TO: with a connection from campus1 open, of which nothing may be lost.
move_connected() {
  local stream="$pool_folder/../../tools/lab/stream.py" sender at before result
  rm -f "$LAB_DIR"/{sent,received}
  in_net "$1" python3 "$stream" receive 7000 >"$LAB_DIR/received" &
  lab_wait 5 "the receiver" grep -q ready "$LAB_DIR/received" || fail "no receiver"
  before=$(received "$1")
  lab_exec campus1 timeout 40 stream.py send "$2" 7000 5 40 >"$LAB_DIR/sent" 2>"$LAB_LOGS/send.log" </dev/null &
  sender=$!
  # shellcheck disable=SC2317
  flows() { (($(received "$1") > before + 2000000)); }
  lab_wait 10 "traffic" flows "$1" || fail "nothing flows"
  at=$(date +%s.%N)
  move "$1" "$3" "$4"
  wait "$sender" || fail "the connection broke ($?): $(tail -n 1 "$LAB_LOGS/send.log")"
  lab_wait 20 "the last bytes" grep -q sha256 "$LAB_DIR/received" || fail "the transfer did not end"
  result=$(python3 "$stream" compare "$LAB_DIR"/{sent,received} "$at") || fail "$result"
  yes "moved from $3 to $4, byte-exact: $result" jq -e '.ok and .bytes > 5000000' <<<"$result"
  measured "longest silence" "$(jq '.longest_gap_s * 1000 | round' <<<"$result")" 500 3000
}

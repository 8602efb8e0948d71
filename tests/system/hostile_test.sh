#!/bin/bash
# Strangers, floods and a lying member: what is not honest is dropped and counted, and honest traffic goes on.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

pool_laboratory home1 home2 office1 campus1 campus2
lab_install "$pool_folder/flood.py" "$(pool__program tests/system/forger)"
pool_create
pool_routers r1
pool_up home1 home2 office1
same "everybody reaches everybody" "" "$(pool_ping_all address home1 home2 office1)"
eventually "a direct path" pool_is_direct office1 home1

echo "--- a flood at home1 while it sends and receives"
resident() { lab_exec home1 awk '/^VmRSS/ { print $2 }' "/proc/$(pool_pid home1)/status"; }
before=$(pool_json home1 status)
pid=$(pool_pid home1)
declare -A from=([up]=home1 [down]=office1) to=([up]=office1 [down]=home1)
jobs=()
for direction in up down; do
  lab_spawn "${to[$direction]}" "$LAB_DIR/received.$direction" stream.py receive 7000 >/dev/null
  lab_wait 5 "the receiver" grep -q ready "$LAB_DIR/received.$direction" || fail "no receiver"
  lab_exec "${from[$direction]}" stream.py send "${ip[${to[$direction]}]}" 7000 8 10 >"$LAB_DIR/sent.$direction" \
    2>"$LAB_LOGS/send.$direction.log" </dev/null &
  jobs+=($!)
done
# Two thirds warm caches up; memory is compared over the last third.
victim=$(pool_path office1 home1)
victim=${victim##* }
flood() { # COUNT
  lab_exec office1 timeout 20 flood.py "$(pool_json office1 status | jq .port)" "${victim%:*}" "${victim##*:}" "$1" 5000
}
sent=$(flood 16000) || fail "the flood did not work"
warm=$(resident)
flood 8000 >/dev/null
grown=$(($(resident) - warm))
for job in "${jobs[@]}"; do wait "$job" || fail "a connection broke: $(tail -n 1 "$LAB_LOGS"/send.*.log)"; done
for direction in up down; do
  lab_wait 10 "the last bytes" grep -q sha256 "$LAB_DIR/received.$direction" || fail "the transfer $direction did not end"
  result=$(python3 "$pool_folder/../../tools/lab/stream.py" compare "$LAB_DIR"/{sent,received}."$direction")
  yes "$direction: every byte came" jq -e '.ok and .bytes > 5000000' <<<"$result"
done
same "the same daemon" "$pid" "$(pool_pid home1)"
pool_is_sanitized || ((grown <= 2048)) || fail "24,000 datagrams made the daemon grow from $warm KiB by $grown KiB"
ok "it did not grow: $warm KiB, and $grown more after another 8,000 datagrams"
after=$(pool_json home1 status)
risen() { jq -n --argjson a "$before" --argjson b "$after" "\$b.counters.$1 - \$a.counters.$1"; }
for counter in drop_garbage drop_stranger drop_unknown_index drop_forged drop_replayed; do
  (($(risen $counter) > 100)) || fail "the flood ($sent) is not counted as $counter: $(risen $counter)"
  ok "$counter: $(risen $counter)"
done
yes "wow status tells it" grep -q '^dropped .*replayed' <<<"$(lab_exec home1 wow status)"
yes "the session is the same" jq -e --arg node "${node[office1]}" '.peers[] | select(.address == $node) | .open_for > 5' <<<"$(pool_json home1 peers)"

echo "--- a member lies about who sent its frames"
install -m 600 "$LAB_DIR/lab.invite" "$LAB_DIR/hosts/campus1/root/lab.invite"
lab_exec campus1 wow join lab.invite --directory /root/forger 2>/dev/null
lab_spawn home1 "$LAB_DIR/heard" python3 -uc 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 9999)); print("listening")
while True: print(s.recvfrom(2000)[0].decode())' >/dev/null
lab_wait 5 "a listener" grep -q listening "$LAB_DIR/heard"
before=$(pool_json home1 status)
said=$(lab_exec campus1 timeout 20 forger /root/forger "${node[home1]}" "${ip[home1]}" "${node[home2]}" "${ip[home2]}" 2>"$LAB_LOGS/forger.log") ||
  fail "the forger did not work: $said"
yes "$said" grep -q 'sent 40' <<<"$said"
counted() {
  after=$(pool_json home1 status)
  # Whom an address belongs to is asked ten times a second for one peer; frames beyond that go unasked.
  local forged=$(($(risen drop_source_check) + $(risen drop_rate_limited)))
  (($(risen drop_source_check) > 0 && forged >= 80 && $(risen drop_frame_kind) == 80))
}
eventually "all of it is dropped: another's address 80 times, ARP and DHCP 80 times" counted
lab_exec home2 bash -c "echo -n honest >/dev/udp/${ip[home1]}/9999"
eventually "an honest datagram comes" grep -q honest "$LAB_DIR/heard"
same "and nothing else came" "listening honest" "$(xargs <"$LAB_DIR/heard")"
same "home1 holds nobody's address for the liar's" "02:${node[home2]:0:2}:${node[home2]:2:2}:${node[home2]:4:2}:${node[home2]:6:2}:${node[home2]:8:2}" \
  "$(lab_exec home1 ip -j neigh show "${ip[home2]}" | jq -r '.[0].lladdr')"

echo "--- a host of another pool knocks at the router"
lab_exec campus2 wow pool create foreign --subnet 10.55.0.0/16 >/dev/null
lab_exec campus2 bash -c 'umask 077; wow invite create foreign --bootstrap 198.51.100.7:4433 >i 2>/dev/null; wow join i 2>/dev/null'
lab_exec r1 nft -f - <<END
table ip watch {
 chain out {
  type filter hook output priority 0
  ip daddr $(lab_address campus2) ip protocol != tcp counter
  # The kernel takes connections; of TCP, only payload is an answer.
  ip daddr $(lab_address campus2) ip protocol tcp ip length > 60 counter
 }
}
END
before=$(pool_json r1 status)
peers=$(pool_json r1 peers | jq -c '[.peers[].address]')
lab_exec campus2 timeout 20 wow router foreign >/dev/null 2>&1 </dev/null || fail "a router that is alone did not come up"
after=$(pool_json r1 status)
(($(risen drop_stranger) >= 2)) || fail "strangers are not counted: $(risen drop_stranger)"
ok "counted: $(risen drop_stranger)"
same "silence" 0 "$(lab_exec r1 nft -j list chain ip watch out | jq '[.. | .counter? | objects | .packets] | add')"
same "one line in the log" 1 "$(grep -c 'stranger' "$LAB_DIR/hosts/r1/var/lib/wow/lab/log")"
same "no state: no new peer" "[]" "$(pool_json r1 peers | jq -c --argjson peers "$peers" '[.peers[].address] - $peers')"
same "no handshake begun" 0 "$(risen handshakes_answered)"
echo "all passed"

#!/bin/bash
# Two machines with one key. A disk that was copied to another machine becomes a node of its own by an invite, and the original's
# traffic misses nothing; the same machine with other marks stays what it was; where nothing tells the two apart, the second
# finds out by the pool, stops, and says so.
#
#   office1: the original     home1: the copy     campus1 talks to the original all the time
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

pool_laboratory home1 office1 campus1
pool_create
pool_routers r1 r2
pool_up office1 campus1
install -m 600 "$LAB_DIR/lab.invite" "$LAB_DIR/hosts/home1/root/lab.invite"
kept() { pool_is_kept r1; }
eventually "the store is kept" kept

# What an image of office1's disk has.
copy_disk() {
  lab_exec office1 tar -C /var/lib/wow -c lab | lab_exec home1 bash -c 'mkdir -p /var/lib/wow && cd /var/lib/wow && rm -rf lab && tar -x'
}
machine_id() { lab_exec home1 bash -c 'cat >/etc/machine-id'; }
watch_original() {
  # shellcheck disable=SC2016
  lab_exec campus1 bash -c 'echo $$ >/tmp/watch.pid; exec ping -n -i 0.1 "$1"' watch "${ip[office1]}" >"$LAB_DIR/pings" </dev/null 2>&1 &
  pings=$!
}
end_watch() {
  # shellcheck disable=SC2016
  lab_exec campus1 bash -c 'kill -INT "$(</tmp/watch.pid)"'
  wait "$pings" || :
}
original_is() { [[ $(pool_json office1 status | jq -r '.address + " " + .lease.ip') == "${node[office1]} ${ip[office1]}" ]]; }

echo "--- a copied disk in another machine"
copy_disk
watch_original
refused "without an invite" 'copied from another machine' home1 up lab
refused "nor has it a daemon" 'is a copy of another' home1 status lab
said=$(lab_exec home1 timeout 60 wow up lab --invite lab.invite 2>&1 </dev/null) || fail "the copy does not come up: $said"
yes "it asks the pool" grep -q 'keeps its key: this machine joins anew' <<<"$said"
pool_learn home1
no "it is another node" test "${node[home1]}" = "${node[office1]}"
no "with another address" test "${ip[home1]}" = "${ip[office1]}"
yes "and is there" pool_ping campus1 home1
yes "the original is what it was" original_is
end_watch
yes "and missed nothing" grep -qE '[1-9][0-9]* packets transmitted, .* 0(\.0+)?% packet loss' "$LAB_DIR/pings"

echo "--- the same machine with other marks"
before="${node[home1]} ${ip[home1]}"
lab_exec home1 wow down lab >/dev/null
od -An -N16 -tx1 /dev/urandom | tr -d ' \n' | machine_id
refused "without an invite it cannot ask" 'copied from another machine' home1 up lab
said=$(lab_exec home1 timeout 60 wow up lab --invite lab.invite 2>&1 </dev/null) || fail "it does not come up: $said"
yes "nobody else has its key" grep -q 'it stays node' <<<"$said"
pool_learn home1
same "so it stays node and address" "$before" "${node[home1]} ${ip[home1]}"

echo "--- a copy that nothing tells apart"
lab_exec home1 wow down lab >/dev/null
copy_disk
lab_exec office1 cat /etc/machine-id | machine_id
watch_original
at=$(lab_now_ms)
# Two that use one key disturb each other: the copy may not get as far as to be up.
pool_start home1 >"$LAB_LOGS/home1.start.log" 2>&1 || yes "the copy goes on trying" grep -q 'goes on trying' "$LAB_LOGS/home1.start.log"
gone() { ! lab_exec home1 pgrep -x wow; }
# By turns: who was heard last by the peers is answered, the other is not, and makes its sessions anew.
WAIT_S=200 eventually "the copy has found out and stopped" gone
measured "from its start" $(($(lab_now_ms) - at)) 30000 230000
yes "it says so in its log" grep -q 'is a copy of another' "$LAB_DIR/hosts/home1/var/lib/wow/lab/log"
refused "and to who asks" 'is a copy of another' home1 status lab
refused "and is not started again" 'copied from another machine' home1 up lab
yes "the original tells of it" grep -q 'another machine began to use this node' <<<"$(lab_exec office1 wow status)"
lab_exec home1 timeout 60 wow up lab --invite lab.invite >>"$LAB_LOGS/commands.log" 2>&1 </dev/null || fail "the copy does not join anew"
pool_learn home1
no "by the invite it is another node" test "${node[home1]}" = "${node[office1]}"
no "with another address" test "${ip[home1]}" = "${ip[office1]}"
yes "the original is what it was" original_is
eventually "and answers" pool_ping campus1 office1
eventually "as does the other" pool_ping campus1 home1
end_watch
ok "longest silence at its address, where either answered for a while: $(pool_longest_loss_ms "$LAB_DIR/pings" 100) ms"
echo "all passed"

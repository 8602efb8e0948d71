#!/bin/bash
# A revoked member is out at once, everywhere; a closed invite lets nobody in any more, and nobody out.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

pool_laboratory home1 home2 office1 office2 campus1
pool_create
pool_routers r1 r2
pool_up home1 home2 office1
eventually "the store has replicas" pool_is_kept r1
eventually "the ring is whole" pool_is_whole r1 r2 home1 home2 office1
same "everybody reaches everybody" "" "$(pool_ping_all address home1 home2 office1)"
yes "home2 stores a value" lab_exec home2 wow dht put souvenir from-home2

# settings_at NUMBER HOST...: all of them have the settings of this number.
settings_at() {
  local host number=$1
  shift
  for host; do [[ $(pool_json "$host" status | jq .settings) == "$number" ]] || return 1; done
}

echo "--- home2 is revoked, by name, where the root key is"
refused "nobody can be revoked without the root key" "where the pool was made" home1 revoke home2
refused "nor who is not there" "nobody" r1 revoke nobody
yes "wow revoke" lab_exec r1 wow revoke home2
eventually "the settings spread" settings_at 2 r1 r2 home1 office1
knows_home2() { pool_json "$1" peers | jq -e --arg node "${node[home2]}" 'any(.peers[]; .address == $node)'; }
nobody_knows_home2() { for host in r1 r2 home1 office1; do ! knows_home2 "$host" || return 1; done; }
eventually "nobody has a session with it" nobody_knows_home2
is_down() { ! pool_pid "$1"; }
eventually "its daemon ended" is_down home2
yes "and said why" grep -q 'expelled' "$LAB_DIR/hosts/home2/var/lib/wow/lab/log"
eventually "its names are gone from its hosts file" lab_exec home2 bash -c '! grep -q wow /etc/hosts'
no "its address does not answer" lab_exec home1 ping -c 1 -W 1 "${ip[home2]}"
refused "it cannot come again" "expelled" home2 up
lease_is_gone() { ! pool_json "$1" leases | jq -e --arg node "${node[home2]}" 'any(.leases[]; .node == $node)'; }
eventually "its lease is gone" lease_is_gone office1
eventually "the ring is whole without it" pool_is_whole r1 r2 home1 office1
same "the others reach each other" "" "$(pool_ping_all address home1 office1)"

echo "--- the invite is closed"
install -m 600 "$LAB_DIR/lab.invite" "$LAB_DIR/old.invite"
pool_join campus1 # it has joined, but nobody in the pool has seen it yet
refused "closing what is not there" "wow pool show" r1 -p lab invite close none
said=$(lab_exec r1 wow invite close lab 2>&1) || fail "wow invite close said: $said"
ok "wow invite close: ${said%%$'\n'*}"
eventually "the settings spread" settings_at 3 r1 r2 home1 office1
yes "wow pool show says so" grep -q 'lab .*closed' <<<"$(lab_exec r1 wow pool show lab)"
same "who was there stays" "" "$(pool_ping_all address home1 office1)"
lab_exec home1 wow down >/dev/null
pool_up home1
yes "and may come again" pool_ping office1 home1
said=$(lab_exec campus1 timeout 13 wow up lab 2>&1 </dev/null) && fail "a newcomer by a closed invite is up: $said"
yes "a newcomer with the old invite waits, and is told what for" grep -q 'was its invite closed' <<<"$said"
yes "it has no lease" jq -e '.lease == null' <<<"$(pool_json campus1 status)"
newcomer=$(pool_json campus1 status | jq -r .address)
for host in r1 r2 home1 office1; do
  yes "$host keeps no session with it" jq -e --arg node "$newcomer" 'all(.peers[]; .address != $node)' <<<"$(pool_json "$host" peers)"
done
yes "it was refused, and counted" test "$(($(pool_counter r1 handshakes_failed) + $(pool_counter r2 handshakes_failed)))" -gt 0
lab_exec campus1 wow down >/dev/null
pool_invite second
install -m 600 "$LAB_DIR/second.invite" "$LAB_DIR/lab.invite"
pool_join office2
pool_up office2
yes "a new invite admits office2" pool_ping office2 home1
install -m 600 "$LAB_DIR/old.invite" "$LAB_DIR/hosts/office2/root/old.invite"
refused "which knows by now that the old one is closed" "closed" office2 join old.invite
echo "all passed"

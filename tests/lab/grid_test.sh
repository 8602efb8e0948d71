#!/bin/bash
# A reduced grid with real daemons: what theory says must open does so, what cannot is still reached, and nothing stays behind.
# `wow lab grid` tries all pairs.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
source "$here/../../tools/lab/lab.sh"
lab_reexec "$@"
unset WOW_LAB

failures=0
# holds DESCRIPTION FILTER: jq's FILTER is true of the answer.
holds() {
  if jq -e "$2" <"$LAB_DIR/answer" >/dev/null; then echo "ok: $1"; else echo "FAIL: $1" && failures=$((failures + 1)); fi
}
grid() { "$LAB_DIR/bin/wow" lab grid --json "$@" >"$LAB_DIR/answer"; }

told() {
  jq -r '.pairs[] | "\(.from) -> \(.to): \(.path), ring \(.ring_round_trip_ms), first \(.first_packet_ms), relayed \(.relayed_ms), direct \(.direct_ms), lost \(.lost) of \(.sent), \(.note)"' "$LAB_DIR/answer"
}

before=$(pgrep -c -f '^wow-lab ')
grid --kinds apdm-apdf,firewall --svg "$LAB_DIR/map.svg" --cells 2
told
holds "all pairs are there" '.pairs | length == 4'
holds "everybody reaches everybody" 'all(.pairs[]; .first_packet_ms != null)'
holds "and nothing is lost" 'all(.pairs[]; .lost == 0 and .sent > 10)'
holds "between firewalls it is direct" 'all(.pairs[] | select([.from, .to] == ["firewall", "firewall"]); .path == "direct" and .direct_ms < 4000)'
holds "where both NATs choose ports at random, a third passes packets on" '
  all(.pairs[] | select([.from, .to] == ["apdm-apdf", "apdm-apdf"]); .path == "relayed")'
holds "and it is told after what time" '
  all(.pairs[] | select(.path == "relayed"); .relayed_ms >= 20 and .relayed_ms < 4000)'
holds "never sooner than light" 'all(.pairs[]; .first_packet_ms >= 20)'
# 3 is wanted; a busy machine adds to it.
holds "within five round trips of the ring" 'all(.pairs[] | select(.ring_round_trip_ms > 60); .first_packet_ms < 5 * .ring_round_trip_ms)'
# Every kind has its turn, against one that lets in nobody whom it has not sent to.
grid --against eim-apdf --cells 3
told
holds "all kinds are there" '.pairs | length == 27'
holds "everybody gets through" 'all(.pairs[]; .first_packet_ms != null)'
holds "and nothing is lost" 'all(.pairs[]; .lost == 0)'
holds "with one port for all at both ends, or a NAT that lets in everybody, it is direct" '
  all(.pairs[] | select(.from | test("^(linux|eim|same|double|firewall|open)|-eif$")); .path == "direct" and .direct_ms < 4000)'
holds "without UDP by a stream" 'all(.pairs[] | select(.from == "no-udp"); .path == "stream" and .direct_ms < 4000)'
holds "where only 443, only a proxy or only IPv6 is, a third passes packets on" '
  all(.pairs[] | select(.from | test("^(tcp-443|proxy|ipv6)")); .path == "relayed")'
# A NAT with another port for each peer, against one that lets in known addresses from any port.
grid --kinds adm-adf,apdm-adf,apdm-apdf --against eim-adf --cells 3
told
holds "another port for each peer is no matter where addresses are filtered, not ports" 'all(.pairs[]; .path == "direct" and .direct_ms < 4000 and .lost == 0)'
grep -q '</svg>' "$LAB_DIR/map.svg" || { echo "FAIL: no map" && failures=$((failures + 1)); }
[[ $(pgrep -c -f '^wow-lab ') == "$before" ]] || { echo "FAIL: something stays behind" && failures=$((failures + 1)); }

# Killed in the middle it takes all with it.
"$LAB_DIR/bin/wow" lab grid --kinds eim-eif,eim-adf >/dev/null 2>&1 &
victim=$!
begun() { (($(pgrep -c -f '^wow-lab ') > before)); }
gone() { [[ $(pgrep -c -f '^wow-lab ') == "$before" ]]; }
lab_wait 10 "its beginning" begun
kill -9 "$victim"
lab_wait 10 "the end of all" gone || failures=$((failures + 1))
((failures == 0)) || { echo "$failures failed" && exit 1; }
echo "all passed"

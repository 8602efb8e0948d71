#!/bin/bash
# NATs with another port for each destination, by real nftables and real daemons: where they count, the next port is predicted;
# where one side's are random and the other has one port, they meet by chance; where both are random, nobody probes.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
source "$here/../../tools/lab/lab.sh"
lab_reexec "$@"
# shellcheck source-path=SCRIPTDIR
source "$here/checks.sh"
unset WOW_LAB

# holds DESCRIPTION FILTER: jq's FILTER is true of the answer.
holds() {
  if jq -e "$2" <"$LAB_DIR/answer" >/dev/null; then echo "ok: $1"; else fail "$1"; fi
}
grid() {
  "$LAB_DIR/bin/wow" lab grid --json "$@" >"$LAB_DIR/answer"
  jq -r '.pairs[] | "\(.from) -> \(.to): \(.path), first \(.first_packet_ms), direct \(.direct_ms), lost \(.lost) of \(.sent), checks \(.checks), \(.note)"' "$LAB_DIR/answer"
}

grid --kinds adm:sequential-apdf,apdm:sequential-apdf,eim-apdf --cells 2
holds "all pairs are there" '.pairs | length == 9'
holds "everybody reaches everybody" 'all(.pairs[]; .first_packet_ms != null)'
# One of nine may be late: the machine has other work, and the windows are narrow.
holds "where ports are predictable the path is direct" '[.pairs[] | select(.path == "direct" and .direct_ms < 4000)] | length >= 8'

grid --kinds apdm-apdf,eim-apdf --cells 2 --watch 8
holds "random ports on one side: met by chance, in one of two pairs at least" '
  any(.pairs[] | select([.from, .to] | sort == ["apdm-apdf", "eim-apdf"]); .path == "direct")'
holds "random ports on both sides: not direct, and hardly a check" '
  all(.pairs[] | select(.from == "apdm-apdf" and .to == "apdm-apdf"); .path != "direct" and .checks < 400)'
holds "and nobody was unreachable meanwhile" 'all(.pairs[]; .first_packet_ms != null)'
checks_end

#!/bin/bash
# PVM over three firewalled sites: a master and workers search for a tree, and find what one machine finds alone.
set -euo pipefail
# shellcheck source=tests/jobs/jobs.sh
source "$(dirname "${BASH_SOURCE[0]}")/jobs.sh"
jobs_need ssh pvmd pvm /usr/include/pvm3.h
lab_reexec "$@"

hosts=(home1 home2 office1 campus1)
pool_laboratory "${hosts[@]}"
gcc -O2 -o "$LAB_DIR/bin/treesearch" "$examples/pvm/treesearch.c" -lpvm3 -lm
"$examples/pvm/evolve" 14 200 1 >"$LAB_DIR/alignment"
pool_create
pool_routers r1
pool_up "${hosts[@]}"
for host in "${hosts[@]}"; do
  lab_sshd "$host"
  # In the laboratory everybody is root.
  lab_exec "$host" bash -c 'echo "export PVM_ROOT=/usr/lib/pvm3 PVM_RSH=/usr/bin/ssh PVM_ARCH=LINUX64 PVM_ALLOW_ROOT=1" >.bashrc'
  eventually "$host knows all names" lab_exec "$host" getent ahostsv4 "${hosts[@]}"
done

# On home1, with PVM's settings.
pvm_exec() { lab_exec home1 bash -c ". /root/.bashrc; $*" </dev/null; }
pvm_exec "wow hosts --format pvm | sed 's,\$, ep=$LAB_DIR/bin,' >machines"
lab_spawn home1 "$LAB_LOGS/pvmd.log" bash -c '. /root/.bashrc; exec pvmd machines -nhome1' >/dev/null
# It says where it listens. A console that came before would start another one, which knows no machines.
eventually "its first daemon listens" test -s "$LAB_LOGS/pvmd.log"
has_all() { [[ $(pvm_exec 'echo conf | timeout 20 pvm') == *$'\n4 hosts'* ]]; }
eventually "four hosts at three sites are one virtual machine" has_all

# An evaluation lasts 40 ms at least, of which the machine itself computes less: four hosts then fit on its cores.
search() { pvm_exec "timeout 100 treesearch $LAB_DIR/alignment $1 0.04" 2>>"$LAB_LOGS/jobs.log"; }
seconds() { grep -o 'in [0-9.]* s' <<<"$1" | tr -dc 0-9.; }
alone=$(search 0) || fail "no tree is found alone"
pool=$(search 4) || fail "no tree is found together"
same "the tree of four workers is that of one" "$(head -1 <<<"$alone")" "$(head -1 <<<"$pool")"
ok "alone $(seconds "$alone") s, by four workers $(seconds "$pool") s"
yes "they are faster" awk "BEGIN { exit !($(seconds "$alone") / $(seconds "$pool") > 1.8) }"
pvm_exec 'echo halt | timeout 10 pvm' >>"$LAB_LOGS/jobs.log" 2>&1 || :
no "and end when told to" lab_exec home1 pgrep -x pvmd
echo "all passed"

#!/bin/bash
# Bootstraps that are names: one with two addresses of which one is dead, one that does not resolve (said in the log; the others
# do), and one whose address changes while nobody can be reached by the old one.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

pool_laboratory home1 office1
lab_exec r1 wow pool create lab --subnet 10.128.0.0/16 >>"$LAB_LOGS/commands.log"
(umask 077 && lab_exec r1 wow invite create lab --bootstrap pool.example:4433 --bootstrap gone.example:4433 \
  >"$LAB_DIR/lab.invite" 2>>"$LAB_LOGS/commands.log")
no "what is no name is refused" lab_exec r1 wow invite create lab --bootstrap 'pool example:4433'

# name HOST ADDRESS...: what pool.example stands for there. (Name servers of a test's own are in tests/base/asio.)
name() {
  local host=$1 address
  shift
  lab_exec "$host" sed -i '/pool\.example/d' /etc/hosts
  for address; do lab_exec "$host" bash -c "echo '$address pool.example' >>/etc/hosts"; done
}
name r1
name r2 198.51.100.7
name home1 198.51.100.99 198.51.100.7
name office1 198.51.100.99
pool_routers r1 r2
pool_up home1
eventually "by a name with two addresses, one of them dead" pool_is_whole r1 r2 home1
yes "the one that does not resolve is counted" jq -en "$(pool_json home1 status | jq .counters.names_failed) > 0"
yes "the one that does not resolve is in the log" grep -q 'bootstrap does not resolve.*gone\.example' "$LAB_DIR/hosts/home1/var/lib/wow/lab/log"

echo "--- a name that stands for something else later"
pool_join office1
lab_exec office1 wow up lab >>"$LAB_LOGS/commands.log" 2>&1 || :
same "with the old address it is alone" true "$(pool_json office1 status | jq .alone)"
name office1 198.51.100.7
WAIT_S=60
joined() { pool_json office1 status | jq -e '.alone == false'; }
eventually "asked again, the new one is found" joined
echo "all passed"

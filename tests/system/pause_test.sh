#!/bin/bash
# A machine is suspended for longer than its lease of a minute, and another takes the address meanwhile: when it goes on it says so,
# leases another, comes up under its name again, and its program for changes is told. One that nobody has taken is had again.
#
# The daemon is stopped by a signal: its clocks run on, as those of a laptop that sleeps.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

pool_laboratory r3 home1 home2 office1
pool_create --lease-seconds 60
pool_routers r1 r2 r3
for host in home1 home2; do
  # shellcheck disable=SC2016
  printf '%s\n' '#!/bin/sh' 'cd /root && wow hosts "$1" >names.new && mv names.new names' >"$LAB_DIR/hosts/$host/root/on-change"
  chmod 755 "$LAB_DIR/hosts/$host/root/on-change"
  pool_join "$host"
  lab_exec "$host" bash -c 'echo "on-change = \"/root/on-change\"" >>/etc/wow/lab.conf'
done
pool_up home1 home2
told() { grep -q "^$2[[:space:]].*$1" "$LAB_DIR/hosts/$1/root/names" 2>/dev/null; }
for host in home1 home2; do eventually "$host's program was told" told "$host" "${ip[$host]}"; done
before=${ip[home1]} before2=${ip[home2]}
# The two that will sleep must not be a majority of those who have the store, nor the founder all of it.
all_have_it() { pool_json r1 status | jq -e '.dht.members | length == 5' >/dev/null; }
eventually "all five have the store" all_have_it
signal() {
  local pid
  pid=$(pool_pid "$2")
  lab_exec "$2" kill "-$1" "$pid"
}

signal STOP home1
signal STOP home2
at=$(lab_now_ms)
# By each router: a lease ends everywhere by the clock of who keeps it, and those that copied it last let it end last.
is_free() {
  local router
  for router in r1 r2 r3; do pool_json "$router" leases | jq -e --arg ip "$1" 'all(.leases[]; .ip != $ip)' >/dev/null || return 1; done
}
for ip in "$before" "$before2"; do WAIT_S=120 eventually "the lease of $ip has ended" is_free "$ip"; done
ok "$((($(lab_now_ms) - at) / 1000)) s after they were stopped"
pool_join office1 --ip "$before"
pool_up office1
same "another has it" "$before" "${ip[office1]}"

signal CONT home1
signal CONT home2
has_another() {
  pool_json home1 status | jq -e --arg ip "$before" '.lease.ip != $ip and .lease.name == "home1"' >/dev/null
}
WAIT_S=40 eventually "home1 has another" has_another
pool_learn home1
yes "and says so" grep -qE "lease lost ip=$before why=" "$LAB_DIR/hosts/home1/var/lib/wow/lab/log"
WAIT_S=40 eventually "its program was told" told home1 "${ip[home1]}"
has_its_own() { [[ $(pool_json home2 status | jq -r .lease.ip) == "$before2" ]] && ! is_free "$before2"; }
WAIT_S=40 eventually "home2 has its own again" has_its_own
reach() { [[ ! $(pool_ping_all address home1 home2 office1) ]]; }
WAIT_S=40 eventually "everybody reaches everybody" reach
echo "all passed"

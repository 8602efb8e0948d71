#!/bin/bash
# The Debian package on machines of its own, each a Debian that systemd has booted in a container: units start and stop the daemons,
# keep them alive, and let them write what they have to and nothing else.
#
#   r1 .7  r2 .8   routers; r1 is the laboratory's, r2 a machine with wow-router@lab
#   [home]  home1    [office]  office1      machines with wow@lab; office1 has no /etc/hosts before, as some small images
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../system/pool.sh"
tree=/var/cache/wow-guest/debian.tar
[[ -s $tree ]] && command -v systemd-nspawn >/dev/null || { echo "There is no Debian for machines: run tools/setup --guests." && exit 77; }
lab_reexec "$@"

pool_laboratory home1 office1
pool_create
pool_routers r1
for package in "${WOW_BIN:-$pool_folder/../..}" "$pool_folder/../../bazel-bin"; do
  package+=/tools/packaging/wow_0.1.0_amd64.deb
  [[ ! -s $package ]] || break
done
[[ -s $package ]] || fail "there is no package: bazel build //tools/packaging:deb"
mkdir "$LAB_DIR/debian"
tar -xf "$tree" -C "$LAB_DIR/debian"

declare -A leader=()
# inside MACHINE CMD...: a command in a machine's container, with its own systemd, files and processes.
inside() {
  nsenter -t "${leader[$1]}" -m -u -i -n -p env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "${@:2}" </dev/null
}
# Degraded: a unit of Debian's has failed.
machine_runs() { [[ $(inside "$1" systemctl is-system-running) =~ ^(running|degraded)$ ]]; }
machine() {
  local folder=$LAB_DIR/machines/$1 init
  mkdir -p "$folder"/{upper/etc,upper/root,work,root}
  : >"$folder/upper/etc/machine-id"
  echo "$1" >"$folder/upper/etc/hostname"
  cp "$package" "$folder/upper/root/wow.deb"
  install -m 600 "$LAB_DIR/lab.invite" "$folder/upper/root/lab.invite"
  lab_exec "$1" mount -t overlay overlay -o "lowerdir=$LAB_DIR/debian,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
  # A laboratory's hosts see no control groups; systemd needs some.
  lab_exec "$1" mount -t cgroup2 cgroup2 /sys/fs/cgroup
  init=$(lab_spawn "$1" "$LAB_LOGS/$1.console.log" systemd-nspawn -q -D "$folder/root" --boot --register=no --keep-unit --network-namespace-path=/proc/self/ns/net \
    --machine="$1" --capability=CAP_NET_ADMIN --bind=/dev/net/tun --console=pipe --resolv-conf=off)
  has_leader() { leader[$1]=$(pgrep -P "$init" -x systemd) && [[ ${leader[$1]} ]]; }
  eventually "$1 has a first process" has_leader "$1"
  WAIT_S=60 eventually "$1 has booted" machine_runs "$1"
}
is_active() { [[ $(inside "$1" systemctl is-active "$2") == active ]]; }

for host in r2 home1 office1; do machine "$host"; done
inside home1 sh -c 'printf "127.0.0.1\tlocalhost\n" >/etc/hosts'
for host in r2 home1 office1; do yes "the package is installed in $host" inside "$host" dpkg -i /root/wow.deb; done

echo "--- by the units alone"
yes "r2 joins" inside r2 wow join /root/lab.invite
inside r2 sh -c 'echo "listen = 4433" >/etc/wow/lab.conf'
yes "its router is up" inside r2 systemctl enable --now wow-router@lab
yes "home1 joins" inside home1 wow join /root/lab.invite
yes "home1 is up" inside home1 systemctl enable --now wow@lab
inside office1 sh -c 'install -m 600 /root/lab.invite /run/lab.invite && echo "invite = \"/run/lab.invite\"" >/etc/wow/lab.conf'
yes "office1 joins and is up" inside office1 systemctl enable --now wow@lab
by_name() { inside home1 ping -c 1 -W 2 office1.lab.internal && inside office1 ping -c 1 -W 2 home1; }
eventually "by their names they reach each other" by_name
same "the daemon is nobody else's" "wow wow" "$(inside home1 ps -o user=,group= -C wow | sort -u | tr -s ' ')"
yes "systemd says what it is" grep -q "home1.lab.internal is up at 10.128." <<<"$(inside home1 systemctl status wow@lab)"
no "a file of the machine's is out of its reach" inside home1 nsenter -t "$(inside home1 pgrep -o -x wow)" -m touch /etc/wow/other

echo "--- ends, and what outlives them"
lease() { inside home1 wow status lab --json | jq -er .lease.ip; }
before=$(lease)
inside home1 pkill -KILL -o -x wow
again() { is_active home1 wow@lab && [[ $(lease) == "$before" ]]; }
WAIT_S=30 eventually "killed, it comes back with its address" again
yes "an upgrade" inside home1 dpkg -i /root/wow.deb
yes "cuts nobody off" is_active home1 wow@lab
yes "restarted" inside home1 systemctl restart wow@lab
same "it has its address" "$before" "$(lease)"
yes "stopped" inside home1 systemctl stop wow@lab
no "it leaves no interface" inside home1 ip link show wow-lab
no "and no names" inside home1 grep -q internal /etc/hosts
yes "and starts" inside home1 systemctl start wow@lab

yes "office1 is revoked" lab_exec r1 wow revoke office1
is_expelled() { [[ $(inside office1 systemctl show -p ExecMainStatus --value wow@lab) == 3 && $(inside office1 systemctl is-active wow@lab) == failed ]]; }
eventually "expelled, it ends for good" is_expelled
yes "the package is removed" inside home1 dpkg -r wow
no "and its daemon with it" inside home1 pgrep -x wow
same "no unit failed but that one" "wow@lab.service" "$(for host in r2 home1 office1; do inside "$host" systemctl list-units 'wow*' --failed --plain --no-legend | awk '{ print $1 }'; done)"
echo "all passed"

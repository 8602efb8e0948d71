#!/bin/bash
# What programs on the pool are told: lists of hosts in each format, the settings of MPI, and a program that runs on changes.
set -euo pipefail
# shellcheck source=tests/system/pool.sh
source "$(dirname "${BASH_SOURCE[0]}")/../system/pool.sh"
lab_reexec "$@"

pool_laboratory home1 office1 campus1
pool_create
pool_routers r1
pool_up home1 office1

echo "--- lists"
list() { lab_exec home1 wow hosts "$@" </dev/null; }
same "hosts" "${ip[home1]}"$'\t'"home1.lab.internal home1"$'\n'"${ip[office1]}"$'\t'"office1.lab.internal office1" "$(list | grep -v ^fd)"
same "and their IPv6 addresses" "home1 office1" "$(list | grep ^fd | cut -d' ' -f2 | paste -sd' ')"
same "slurm" "NodeName=office1 NodeAddr=${ip[office1]} CPUs=4 State=UNKNOWN"$'\n'"PartitionName=lab Nodes=office1 Default=YES MaxTime=INFINITE State=UP" \
  "$(list lab --format slurm --match 'off*' --cpus 4)"
same "mpi" "home1 slots=2,office1 slots=2" "$(list --format mpi --cpus 2 | paste -sd,)"
same "json" "lab home1 ${ip[home1]} 1" "$(pool_json office1 hosts | jq -r '"\(.pool) \(.hosts[0] | "\(.name) \(.ip) \(.cpus)")"')"
same "a router lists, too" "home1 office1" "$(lab_exec r1 wow hosts --format pvm | paste -sd' ')"
refused "a format that is none" 'hosts,pbs,slurm' home1 hosts --format ganglia
refused "a pattern that nobody matches" 'no host called "x\*"' home1 hosts --match 'x*'

echo "--- MPI's settings"
# shellcheck disable=SC2016
same "for a shell" wow-lab "$(lab_exec home1 bash -c 'eval "$(wow env)" && echo $OMPI_MCA_btl_tcp_if_include')"
same "in JSON" wow-lab "$(pool_json home1 env | jq -r .HYDRA_IFACE)"
refused "a router has no interface" 'use a host' r1 env

echo "--- a program that runs on changes"
hook=$LAB_DIR/hosts/campus1/root/on-change
# shellcheck disable=SC2016
printf '%s\n' '#!/bin/sh' 'cd /root' 'wow hosts "$1" --format pvm >names.new && mv names.new names' 'id -u >as' >"$hook"
chmod 777 "$hook"
pool_join campus1
refused "not one that others can change" 'chmod go-w' campus1 up --on-change /root/on-change
chmod 755 "$hook"
refused "not half a path" 'whole path' campus1 up --on-change on-change
same "no interface is left" "" "$(lab_exec campus1 ip -o link show type tun)"
lab_exec campus1 bash -c 'echo "on-change = \"/root/on-change\"" >>/etc/wow/lab.conf'
pool_up campus1
knows() { [[ $(paste -sd' ' "$LAB_DIR/hosts/campus1/root/names") == "$1" ]]; }
eventually "it ran at the start" knows "campus1 home1 office1"
same "as root" 0 "$(<"$LAB_DIR/hosts/campus1/root/as")"
pool_host home2
pool_up home2
eventually "it ran when somebody came" knows "campus1 home1 home2 office1"
yes "wow leave" lab_exec office1 wow leave lab
eventually "and when somebody left" knows "campus1 home1 home2"
yes "wow down" lab_exec campus1 wow down lab
eventually "its helper ends with the daemon" lab_exec campus1 bash -c '! pgrep -x wow-hook'
echo "all passed"

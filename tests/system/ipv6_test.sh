#!/bin/bash
# The same over an IPv6 underlay: public nodes that know each other only by IPv6 addresses link, lease and ping.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

lab_new
[[ -e /proc/sys/net/ipv6 ]] || { echo 'this kernel has no IPv6'; exit 77; }
six='"ipv6": true, "ipv4": false'
lab_public r1 198.51.100.7 "$six" # 2001:db8::7
lab_public r2 198.51.100.8 "$six"
lab_public v1 198.51.100.31 "$six" # 2001:db8::31
lab_public v2 198.51.100.32 "$six"
lab_exec r1 wow pool create lab --subnet 10.128.0.0/16 >>"$LAB_LOGS/commands.log"
lab_exec r1 wow invite create lab --bootstrap '[2001:db8::7]:4433' --bootstrap '[2001:db8::8]:4433' >"$LAB_DIR/six.invite" 2>>"$LAB_LOGS/commands.log"
chmod 600 "$LAB_DIR/six.invite"
for host in r1 r2 v1 v2; do lab_exec "$host" wow join "$LAB_DIR/six.invite" 2>>"$LAB_LOGS/commands.log"; done
for host in r1 r2; do
  lab_spawn "$host" "$LAB_LOGS/$host.log" wow router lab --listen 4433 --foreground >/dev/null
done
yes "v1 comes up over IPv6" pool_start v1
yes "v2 comes up over IPv6" pool_start v2
address=$(lab_exec v2 wow status lab --json | jq -er .lease.ip)
yes "v1 pings v2 by its virtual address" lab_exec v1 ping -c 1 -W 5 "$address"
direct_over_six() {
  lab_exec v1 wow peers lab --json | jq -e --arg ip "$address" '.peers[] | select(.ip == $ip) | .direct and (.path | startswith("[2001:db8:"))'
}
eventually "their path is direct, over IPv6" direct_over_six

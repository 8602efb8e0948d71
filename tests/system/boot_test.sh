#!/bin/bash
# Machines from one image, with one host name and one invite, boot at the same moment: each gets a key, an address and a name of its
# own, and reaches the others.
#
#   boot_test.sh [N]         that many at each of three sites, 1 to 12; 5 by default, which fits beside other work
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

count=${1:-5}
hosts=()
marks=123456789abc # a host is its site and one of these
for site in home office campus; do
  for ((i = 0; i < count; ++i)); do hosts+=("$site${marks:i:1}"); done
done
pool_laboratory "${hosts[@]}"
pool_create
pool_routers r1 r2
for host in "${hosts[@]}"; do
  lab_exec "$host" hostname image
  install -m 600 "$LAB_DIR/lab.invite" "$LAB_DIR/hosts/$host/root/lab.invite"
done

at=$(lab_now_ms)
declare -A job=()
for host in "${hosts[@]}"; do
  lab_exec "$host" timeout 60 wow up --invite lab.invite >"$LAB_LOGS/$host.start.log" 2>&1 </dev/null &
  job[$host]=$!
done
for host in "${hosts[@]}"; do
  wait "${job[$host]}" || fail "$host did not come up: $(<"$LAB_LOGS/$host.start.log")"
done
ok "$((3 * count)) machines are up after $(($(lab_now_ms) - at)) ms"
for host in "${hosts[@]}"; do pool_learn "$host"; done
# distinct WHAT VALUE...: none is there twice.
distinct() { same "$1" $(($# - 1)) "$(printf '%s\n' "${@:2}" | sort -u | wc -l)"; }
same "each has an address" $((3 * count)) ${#ip[@]}
distinct "different addresses" "${ip[@]}"
distinct "different keys, the routers' too" "${node[@]}"
names=()
for host in "${hosts[@]}"; do names+=("$(pool_json "$host" status | jq -r .lease.name)"); done
distinct "different names" "${names[@]}"
listed() { (($(pool_json "$1" leases | jq '.leases | length') == 3 * count)); }
for host in r1 home1 campus1; do eventually "$host knows them all" listed "$host"; done
same "the first of each site reach each other" "" "$(pool_ping_all address home1 office1 campus1)"
echo "all passed"

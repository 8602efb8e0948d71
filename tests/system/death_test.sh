#!/bin/bash
# Routers and hosts die by kill -9, come again, and the whole pool stops and starts: the others go on, and addresses stay.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

hosts=(home1 home2 office1 office2 campus1)
pool_laboratory "${hosts[@]}"
pool_create
pool_routers r1 r2
pool_up "${hosts[@]}"
eventually "the store has replicas" pool_is_kept r1
eventually "the ring is whole" pool_is_whole r1 r2 "${hosts[@]}"
same "everybody reaches everybody" "" "$(pool_ping_all address "${hosts[@]}")"

# death WHO SURVIVOR...: kill -9 while the hosts among the survivors ping each other; the loss, and when the ring is whole again.
death() {
  local who=$1 from to file at worst=0 n
  local -a jobs=() among=()
  shift
  rm -rf "$LAB_DIR/pings" && mkdir "$LAB_DIR/pings"
  for from; do [[ $from == r? ]] || among+=("$from"); done
  for from in "${among[@]}"; do
    for to in "${among[@]}"; do
      [[ $from > $to || $from == "$to" ]] && continue
      lab_exec "$from" ping -n -i 0.1 -c 60 -W 1 "${ip[$to]}" >"$LAB_DIR/pings/$from-$to" </dev/null 2>&1 &
      jobs+=($!)
    done
  done
  lab_wait 5 "pings" bash -c "! grep -L 'icmp_seq=3 ' '$LAB_DIR'/pings/* | grep -q ." || fail "the pings do not begin"
  pool_kill "$who"
  at=$(lab_now_ms)
  lab_wait "$WAIT_S" "the ring" pool_is_whole "$@" || fail "the ring is not whole $WAIT_S s after $who died"
  measured "$who died: the ring is whole again" $(($(lab_now_ms) - at)) 8000 15000
  for n in "${jobs[@]}"; do wait "$n" || :; done
  for file in "$LAB_DIR"/pings/*; do
    n=$(pool_longest_loss_ms "$file" 100)
    ((n <= worst)) || worst=$n
  done
  measured "$who died: the longest loss between two others" "$worst" 1500 5000
}

echo "--- a router dies"
death r1 r2 "${hosts[@]}"
same "everybody reaches everybody" "" "$(pool_ping_all address "${hosts[@]}")"
yes "the store works" lab_exec home2 wow dht put after-r1 died
at=$(lab_now_ms)
pool_routers r1
measured "it is back" $(($(lab_now_ms) - at)) 2000 8000
eventually "the ring is whole" pool_is_whole r1 r2 "${hosts[@]}"

echo "--- a host dies"
before=${ip[office2]}
death office2 r1 r2 home1 home2 office1 campus1
same "the store remembers" died "$(lab_exec campus1 wow dht get after-r1 2>/dev/null)"
at=$(lab_now_ms)
pool_up office2
yes "it is back and reached" pool_ping home1 office2
measured "killed, started and reached again" $(($(lab_now_ms) - at)) 2000 8000
same "with the same address" "$before" "${ip[office2]}"
eventually "the ring is whole" pool_is_whole r1 r2 "${hosts[@]}"

echo "--- killed and started at once: its peers take it for the dead one at first"
pool_kill home1
before=${ip[home1]}
at=$(lab_now_ms)
pool_up home1
# What campus1 sends under the keys of home1's last life is lost: so more than one ping.
eventually "reached" pool_ping campus1 home1 -W 0.2
measured "killed, started and reached again" $(($(lab_now_ms) - at)) 2000 8000
same "with the same address" "$before" "${ip[home1]}"

echo "--- the whole pool stops and starts"
before=$(for host in "${hosts[@]}"; do echo "$host ${ip[$host]}"; done)
jobs=()
for host in r1 r2 "${hosts[@]}"; do
  lab_exec "$host" wow down lab >/dev/null </dev/null &
  jobs+=($!)
done
for job in "${jobs[@]}"; do wait "$job" || fail "wow down failed"; done
ok "all are down"
pool_routers r1 r2 "${hosts[@]}"
same "all have the addresses that they had" "$before" "$(for host in "${hosts[@]}"; do echo "$host ${ip[$host]}"; done)"
same "everybody reaches everybody" "" "$(pool_ping_all address "${hosts[@]}")"
same "the store remembers" died "$(lab_exec campus1 wow dht get after-r1 2>/dev/null)"
for host in "${hosts[@]}"; do
  measured "$host from \`wow up\` to its lease" "$(<"$LAB_DIR/up/$host")" 3000 15000
done

echo "--- the whole pool loses power, and the hosts come first"
for host in r1 r2 "${hosts[@]}"; do pool_kill "$host"; done
pool_routers "${hosts[@]}" & # they wait for each other
started=$!
pool_routers r1 r2
wait "$started" || fail "the hosts did not come up"
for host in "${hosts[@]}"; do pool_learn "$host"; done
same "all have the addresses that they had" "$before" "$(for host in "${hosts[@]}"; do echo "$host ${ip[$host]}"; done)"
same "everybody reaches everybody" "" "$(pool_ping_all address "${hosts[@]}")"
echo "all passed"

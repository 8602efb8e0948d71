#!/bin/bash
# A pool of two routers and six hosts at three firewalled sites: everybody has an address and a name, reaches everybody at once,
# and every command answers.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

hosts=(home1 home2 office1 office2 campus1 campus2)
pool_laboratory "${hosts[@]}"
lab_install "$(pool__program tools/examples/hello_node)"
pool_create
pool_routers r1 r2
pool_up home1
pool_up "${hosts[@]:1}"
for host in "${hosts[@]}"; do
  measured "$host from \`wow up\` to its lease" "$(<"$LAB_DIR/up/$host")" 1000 8000
done

echo "--- the first packets"
at=$(lab_now_ms)
same "no first ping by address is lost, all 30 pairs" "" "$(pool_ping_all address "${hosts[@]}")"
# Both NATs, NAT and firewall, and two hosts behind one NAT that does not hairpin.
for pair in home1:office1 office1:campus1 campus1:home1 home1:home2; do
  eventually "a direct path ${pair%:*} to ${pair#*:}" pool_is_direct "${pair%:*}" "${pair#*:}"
done
measured "all of that from the first packet" $(($(lab_now_ms) - at)) 1500 8000
yes "two hosts behind one NAT use the LAN" grep -q 'direct.*192\.168\.1\.' <<<"$(pool_path home1 home2)"
same "no loss on direct paths either" "" "$(pool_ping_all address "${hosts[@]}")"
yes "a frame as large as the MTU passes" pool_ping home1 campus1 -s 1352 -M do
eventually "the ring is whole" pool_is_whole r1 r2 "${hosts[@]}"

echo "--- addresses and names"
same "six different leases" "$(printf '%s\n' "${ip[@]}" | sort)" "$(pool_json office2 leases | jq -r '.leases[].ip' | sort -u)"
for host in "${hosts[@]}"; do
  eventually "$host knows all names" lab_exec "$host" bash -c 'for name; do getent ahostsv4 "$name.lab.internal" || exit 1; done' names "${hosts[@]}"
done
same "all ping by name" "" "$(pool_ping_all name "${hosts[@]}")"
yes "by the whole name, too" pool_ping campus2 home1.lab.internal
same "a name is its host's" "${ip[office1]}" "$(lab_exec home1 getent ahostsv4 office1 | awk 'NR == 1 { print $1 }')"
dns() { lab_exec home1 dig +short +time=2 +tries=2 @10.128.255.254 "$@"; }
same "DNS answers for a name" "${ip[campus1]}" "$(dns campus1.lab.internal A)"
same "and for an address" campus1.lab.internal. "$(dns -x "${ip[campus1]}")"
yes "nobody's name does not exist" grep -q NXDOMAIN <<<"$(lab_exec home1 dig +time=2 +tries=2 @10.128.255.254 nobody.lab.internal)"
yes "other names are refused" grep -q REFUSED <<<"$(lab_exec home1 dig +time=2 +tries=2 @10.128.255.254 example.org)"

echo "--- the interface and the daemon's rights"
link=$(lab_exec home1 ip -j -d addr show wow-lab | jq -c '.[0]')
same "name, MTU" "wow-lab 1380" "$(jq -r '"\(.ifname) \(.mtu)"' <<<"$link")"
yes "MAC" grep -q '^02:' <<<"$(jq -r .address <<<"$link")"
same "the lease is its only IPv4 address" "${ip[home1]}/16" "$(jq -r '[.addr_info[] | select(.family == "inet") | "\(.local)/\(.prefixlen)"] | join(" ")' <<<"$link")"
rights=$(lab_exec home1 cat "/proc/$(pool_pid home1)/status")
same "no new privileges, seccomp" "1 2" "$(awk '/^NoNewPrivs/ { a = $2 } /^Seccomp:/ { b = $2 } END { print a, b }' <<<"$rights")"
if lab_exec home1 getent passwd wow >/dev/null; then
  same "user" "$(lab_exec home1 id -u wow)" "$(awk '/^Uid/ { print $2 }' <<<"$rights")"
  same "capabilities: network administration only" 0000000000001000 "$(awk '/^CapEff/ { print $2 }' <<<"$rights")"
fi
same "the control socket" 660 "$(lab_exec home1 stat -c %a /run/wow/lab.sock)"

echo "--- commands"
for words in status peers leases "ping -c 1 office1"; do
  # shellcheck disable=SC2086
  yes "wow $words" lab_exec home1 wow $words
  # shellcheck disable=SC2086
  yes "wow $words --json" jq -e 'type == "object"' <<<"$(pool_json home1 $words)"
done
yes "status names address and pool" grep -q "${ip[home1]}" <<<"$(lab_exec home1 wow status lab)"
yes "peers shows names" grep -q home2 <<<"$(lab_exec home1 wow peers)"
yes "a router answers, too" grep -q router <<<"$(lab_exec r1 wow status)"
yes "and lists the leases" grep -q office2 <<<"$(lab_exec r1 wow leases)"
refused "ping to nobody" 'nobody.*wow leases' home1 ping nobody
same "put" '"blue" text' "$(pool_json home1 dht put color blue | jq -r '"\(.value | tojson) \(.encoding)"')"
yes "trace arrives, and says of each hop why" jq -e '.arrived and (.hops[-1].name == "office1") and all(.hops[]; .why != null)' \
  <<<"$(pool_json home1 trace office1)"
yes "trace for people, from a router" grep -qE "^ *1 .*(direct|edge|knows|quickest|relay)" <<<"$(lab_exec r1 wow trace office1)"
refused "trace to nobody" "nobody in the pool is called" home1 trace nobody
same "get elsewhere" blue "$(lab_exec campus1 wow dht get color 2>/dev/null)"
refused "create of what is there" "taken|held|exists|another" office1 dht create color red
refused "somebody else's cannot be removed" "." office1 dht rm color
lab_exec campus2 wow dht watch color --interval 0.2 --json >"$LAB_DIR/watch" 2>&1 &
watcher=$!
events() { jq -r '"\(.event) \(.value)"' "$LAB_DIR/watch" | paste -sd, ; }
saw() { [[ $(events) == "$1" ]]; }
eventually "watch shows what is there" saw 'stored blue'
same "stat: who holds it, and who keeps it" "${node[home1]} true true home1" \
  "$(pool_json office1 dht stat color | jq -r '"\(.holder.owner) \(.available) \(.coordinator as $c | .members | index($c) != null) \(.names[.holder.owner])"')"
same "stat: a key that nobody holds" "null true" "$(pool_json office1 dht stat nobodys | jq -r '"\(.holder) \(.available)"')"
yes "stat for people" grep -q "held by.*(home1), version" <<<"$(lab_exec office2 wow dht stat color)"
# The group grows from one to five members about now.
stat_agrees() { [[ $(pool_json r1 status | jq .dht.epoch) == "$(pool_json r1 dht stat | jq .epoch)" ]]; }
eventually "stat of the store agrees with the status" stat_agrees
yes "create" lab_exec office1 wow dht create shape round --ttl 60
yes "renew" jq -e '.ttl == 120' <<<"$(pool_json office1 dht renew shape --ttl 120)"
yes "remove" lab_exec home1 wow dht rm color
refused "get of what is gone" "color" campus1 dht get color
eventually "watch shows that it is gone" saw 'stored blue,free null'
yes "put again" lab_exec office1 wow dht put color red
eventually "watch shows the new one" saw 'stored blue,free null,stored red'
yes "renew" lab_exec office1 wow dht renew color
eventually "and that it was renewed" saw 'stored blue,free null,stored red,renewed red'
kill "$watcher"
no "watch ends when it is told to" wait "$watcher"
refused "no key" "a key has 1 to 255 bytes" home1 dht get ""
refused "a key too long" "a key has 1 to 255 bytes" home1 dht stat "$(printf '%0256d' 0)"
refused "a value too large" "1 ?KiB|1024|large|long" home1 dht put big "$(printf '%1025s' x)"

echo "--- the library"
install -m 600 "$LAB_DIR/lab.invite" "$LAB_DIR/hosts/campus2/root/lab.invite"
yes "wow join --directory" lab_exec campus2 wow join lab.invite --directory /root/hello
# A message to a host's node finds no such service there, so it greets itself.
said=$(lab_exec campus2 timeout 20 hello_node /root/hello 2>&1) || fail "hello_node said: $said"
for line in 'joined as' '= hello, ring' 'says: good morning'; do
  yes "hello_node: $line" grep -q -- "$line" <<<"$said"
done

echo "--- an idle daemon"
cpu_ticks() { lab_exec home2 awk '{ print $14 + $15 }' "/proc/$1/stat"; }
pid=$(pool_pid home2)
before=$(cpu_ticks "$pid")
sleep 5
cpu=$((($(cpu_ticks "$pid") - before) * 1000 / 5 / $(getconf CLK_TCK)))
rss=$(lab_exec home2 awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")
pool_is_sanitized || ((cpu <= 50)) || fail "an idle daemon uses $cpu per mille of a core"
pool_is_sanitized || ((rss <= 32 * 1024)) || fail "an idle daemon holds $rss KiB"
ok "it uses $cpu per mille of a core (goal 10) and $rss KiB (goal 16384)"

echo "--- the end leaves nothing behind"
yes "names are there" lab_exec home1 grep -q 'wow lab begin' /etc/hosts
yes "wow down" lab_exec home1 wow down lab
eventually "names are gone" lab_exec home1 bash -c '! grep -q wow /etc/hosts'
no "so is the interface" lab_exec home1 ip link show wow-lab
no "and the socket" lab_exec home1 test -e /run/wow/lab.sock
pool_kill office2
eventually "after kill -9, too: names" lab_exec office2 bash -c '! grep -q wow /etc/hosts'
eventually "interface" lab_exec office2 bash -c '! ip link show wow-lab'
yes "wow leave" lab_exec home2 wow leave lab
is_free() { ! pool_json campus1 leases | grep -q "\"$1\""; }
eventually "its address is free" is_free "${ip[home2]}"
refused "it is in no pool any more" "wow join" home2 up
echo "all passed"

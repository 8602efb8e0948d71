#!/bin/bash
# A router that maps ports: Debian's miniupnpd on the router of a site. By PCP, by NAT-PMP and by UPnP in turn a mapping is made,
# shown, used by a peer behind a symmetric NAT, and removed at the end, kill -9 included. Meanwhile a router that grants half a minute is
# asked again in time, and one that restarts and forgets, too. By UPnP, where we choose the time, it is an hour, and half of one until
# we ask again: `bash tests/system/mapping_test.sh renewal` waits for that alone.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

daemon=$(command -v miniupnpd || echo /usr/sbin/miniupnpd)
[[ -x $daemon ]] || { echo 'there is no miniupnpd here: tools/setup installs it' && exit 77; }
lab_new
pool_host r1 r2
lab_site home eim-apdf 198.51.100.21 192.168.1.0/24
lab_site far apdm-apdf 198.51.100.22 10.20.0.0/24
lab_site brief eim-apdf 198.51.100.23 192.168.3.0/24
lab_site forgets eim-apdf 198.51.100.24 192.168.4.0/24
lab_site elder eim-apdf 198.51.100.25 192.168.5.0/24
pool_host home1 far1 brief1 brief2 forgets1 elder1

# miniupnpd refuses documentation's addresses, of which the laboratory is made: each router that has one gets another address.
declare -A outside=([home]=192.88.98.21 [brief]=192.88.98.23 [forgets]=192.88.98.24 [elder]=192.88.98.25)
declare -A wan=([home]=198.51.100.21 [brief]=198.51.100.23 [forgets]=198.51.100.24 [elder]=198.51.100.25)
for site in "${!outside[@]}"; do
  lab_exec "$site" ip addr add "${outside[$site]}/32" dev wan
  for node in r1 r2 far "${!outside[@]}"; do
    [[ $node == "$site" ]] || lab_exec "$node" ip route add "${outside[$site]}/32" via "${wan[$site]}"
  done
  lab_exec "$site" nft -f - <<'END'
table inet miniupnpd {
 chain forward { type filter hook forward priority -1
  jump miniupnpd
 }
 chain miniupnpd { }
 chain prerouting { type nat hook prerouting priority -101
  jump prerouting_miniupnpd
 }
 chain postrouting { type nat hook postrouting priority 99
  jump postrouting_miniupnpd
 }
 chain prerouting_miniupnpd { }
 chain postrouting_miniupnpd { }
}
END
done

# serve SITE PCP_AND_NATPMP UPNP [LIFETIME]: yes or no; the site's daemon, anew. It grants so many seconds at most.
declare -A serving=()
serve() {
  local site=$1
  end_serving "$site"
  cat >"$LAB_DIR/$site.conf" <<END
ext_ifname=wan
ext_ip=${outside[$site]}
listening_ip=lan
enable_natpmp=$2
enable_upnp=$3
min_lifetime=30
max_lifetime=${4:-86400}
secure_mode=yes
system_uptime=yes
uuid=78a39f6c-1d9c-4f0c-9a3f-2a3a0a3f0a3f
upnp_table_name=miniupnpd
upnp_nat_table_name=miniupnpd
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
allow 1024-65535 0.0.0.0/0 1024-65535
END
  : >"$LAB_LOGS/miniupnpd.log"
  rm -f "$LAB_DIR/$site.pid"
  lab_exec "$site" "$daemon" -f "$LAB_DIR/$site.conf" -P "$LAB_DIR/$site.pid" >>"$LAB_LOGS/miniupnpd.log" 2>&1 </dev/null || :
  lab_wait 5 "miniupnpd" test -s "$LAB_DIR/$site.pid" || { cat "$LAB_LOGS/miniupnpd.log"; echo 'miniupnpd does not run here'; exit 77; }
  serving[$site]=$(<"$LAB_DIR/$site.pid")
}
end_serving() { # SITE [SIGNAL]
  [[ ${serving[$1]:-} ]] || return 0
  lab_exec "$1" kill "${2:--TERM}" "${serving[$1]}"
  lab_wait 5 "the end of miniupnpd" lab_dead_in "$1" "${serving[$1]}"
  serving[$1]=
}
lab_dead_in() { ! lab_exec "$1" kill -0 "$2"; }
# A router from before PCP drops what has another version.
becomes_old() {
  lab_exec "$1" nft -f - <<'END'
table inet old {
 chain input { type filter hook input priority 0
  udp dport 5351 @th,64,8 2 drop
 }
}
END
}
# Of home1, if no other host is named.
mapping() { pool_json "${1:-home1}" status | jq -er .port_mapping; }
is_mapped() { [[ $(mapping "${2:-}") == "$1: ${outside[$(site_of "${2:-home1}")]}:"* ]]; }
site_of() { echo "${1%?}"; }
rules() { lab_exec "$1" nft list chain inet miniupnpd prerouting_miniupnpd; }
has_rule() { [[ $(rules "$(site_of "${1:-home1}")") == *dnat*"$(lab_address "${1:-home1}"):"* ]]; }
has_no_rule() { ! has_rule "$@"; }

serve home yes yes
pool_create
pool_routers r1 r2

if [[ ${1:-} == renewal ]]; then
  echo "--- UPnP alone: the router restarts and forgets; after half an hour it is asked again"
  serve home no yes
  pool_up home1
  eventually "by UPnP" is_mapped UPnP
  granted=$(lab_now_ms)
  yes "the router has the rule" has_rule
  end_serving home -KILL
  for chain in miniupnpd {prerouting,postrouting}_miniupnpd; do lab_exec home nft flush chain inet miniupnpd $chain; done
  serve home no yes
  yes "the router that restarted has forgotten" has_no_rule
  WAIT_S=2400
  eventually "it is told anew" has_rule
  measured "that was after" $(($(lab_now_ms) - granted)) 1800000 2200000
  exit
fi

echo "--- routers that grant half a minute: asked again after 30 s, while all of the rest is tested"
serve brief yes no 34
serve forgets yes no 34
serve elder yes no 34
becomes_old elder
pool_up brief1 forgets1 elder1
eventually "brief1 has a port" is_mapped PCP brief1
eventually "forgets1" is_mapped PCP forgets1
eventually "elder1, of another kind" is_mapped NAT-PMP elder1
granted=$(lab_now_ms)
yes "brief1 is in the rules" has_rule brief1
# RFC 6887, 7.1 and 11.1: MAP, an hour; its own address, a nonce, UDP, its port 5000, any outside one. It never asks again.
lab_exec brief2 python3 -c 'import socket, sys
own = bytes(10) + b"\xff\xff" + socket.inet_aton(sys.argv[1])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
s.sendto(bytes.fromhex("02010000 00000e10") + own + b"nonce, twelv" + bytes.fromhex("11000000 1388 0000") + bytes(10) + b"\xff\xff" + bytes(4), ("192.168.3.1", 5351))
print("granted", int.from_bytes(s.recv(1100)[4:8], "big"))' "$(lab_address brief2)" >"$LAB_DIR/brief2"
same "a host that will not ask again is granted" "granted 34" "$(<"$LAB_DIR/brief2")"
yes "and is in the rules" has_rule brief2
end_serving forgets -KILL
for chain in miniupnpd {prerouting,postrouting}_miniupnpd; do lab_exec forgets nft flush chain inet miniupnpd $chain; done
yes "the router that restarts has forgotten" has_no_rule forgets1
restarted=$(lab_now_ms)
serve forgets yes no 34
eventually "it says so, and is told anew" has_rule forgets1
measured "that was after" $(($(lab_now_ms) - restarted)) 5000 15000

echo "--- PCP"
pool_up home1 far1
eventually "PCP is taken first" is_mapped PCP
yes "the router has the rule" has_rule
yes "home1 reaches far1" pool_ping home1 far1
eventually "and far1, behind a symmetric NAT, is direct by the mapping" pool_is_direct far1 home1
yes "wow status shows it" grep -q "${outside[home]}" <(lab_exec home1 wow status lab </dev/null)

echo "--- the end"
lab_exec home1 wow down lab >>"$LAB_LOGS/commands.log"
eventually "wow down removes it" has_no_rule
pool_start home1 >>"$LAB_LOGS/commands.log"
eventually "mapped again" is_mapped PCP
pool_kill home1
eventually "kill -9 removes it, too" has_no_rule

echo "--- NAT-PMP"
becomes_old home
pool_start home1 >>"$LAB_LOGS/commands.log"
eventually "by NAT-PMP" is_mapped NAT-PMP
yes "the router has the rule" has_rule
lab_exec home1 wow down lab >>"$LAB_LOGS/commands.log"
eventually "wow down removes it" has_no_rule
lab_exec home nft delete table inet old

echo "--- UPnP alone"
serve home no yes
pool_start home1 >>"$LAB_LOGS/commands.log"
eventually "by UPnP" is_mapped UPnP
yes "the router has the rule" has_rule
lab_exec home1 wow down lab >>"$LAB_LOGS/commands.log"
eventually "wow down removes it" has_no_rule

echo "--- the doctor"
yes "says so" grep -q 'by UPnP' <(lab_exec home1 wow doctor lab --json </dev/null)
eventually "and leaves nothing" has_no_rule
pool_start home1 --no-port-map >>"$LAB_LOGS/commands.log"
same "--no-port-map asks nobody" off "$(mapping)"

echo "--- a device whose answer never ends"
lab_exec home1 wow down lab >>"$LAB_LOGS/commands.log"
end_serving home
lab_install "$pool_folder/hostile_igd.py"
lab_exec home hostile_igd.py 192.168.1.1 >"$LAB_DIR/hostile" 2>&1 </dev/null &
lab_wait 5 "the device" grep -q ready "$LAB_DIR/hostile"
pool_start home1 >>"$LAB_LOGS/commands.log"
WAIT_S=40
is_none() { [[ $(mapping) == none* ]]; }
eventually "it counts as none" is_none
yes "though it was asked" grep -q asked "$LAB_DIR/hostile"
yes "and home1 is well" pool_ping home1 far1

echo "--- half a minute later"
eventually "who did not ask again has lost its port" has_no_rule brief2
measured "that was after" $(($(lab_now_ms) - granted)) 35000 60000
yes "brief1, whose port was granted before, has it still" has_rule brief1
yes "elder1, too" has_rule elder1
yes "as brief1's daemon knows" is_mapped PCP brief1
echo "all passed"

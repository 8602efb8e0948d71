#!/bin/bash
# A router that maps ports: Debian's miniupnpd on the router of a site. By PCP, by NAT-PMP and by UPnP in turn a mapping is made,
# shown, used by a peer behind a symmetric NAT, and removed at the end, kill -9 included.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

daemon=$(command -v miniupnpd || echo /usr/sbin/miniupnpd)
[[ -x $daemon ]] || { echo 'there is no miniupnpd here: tools/setup installs it' && exit 77; }
lab_new
pool_host r1 r2
lab_site home eim-apdf 198.51.100.21 192.168.1.0/24
lab_site far apdm-apdf 198.51.100.22 10.20.0.0/24
pool_host home1 far1
# miniupnpd refuses documentation's addresses, of which the laboratory is made: the router has one more.
outside=192.88.98.21
lab_exec home ip addr add $outside/32 dev wan
for node in r1 r2 far; do lab_exec "$node" ip route add $outside/32 via 198.51.100.21; done
lab_exec home nft -f - <<'END'
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

# serve PCP_AND_NATPMP UPNP: yes or no; the router's daemon, anew.
serving=
serve() {
  if [[ $serving ]]; then
    lab_exec home kill -TERM "$serving"
    lab_wait 5 "the end of miniupnpd" lab_dead_in home "$serving"
  fi
  cat >"$LAB_DIR/miniupnpd.conf" <<END
ext_ifname=wan
ext_ip=$outside
listening_ip=lan
enable_natpmp=$1
enable_upnp=$2
min_lifetime=60
max_lifetime=86400
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
  rm -f "$LAB_DIR/miniupnpd.pid"
  lab_exec home "$daemon" -f "$LAB_DIR/miniupnpd.conf" -P "$LAB_DIR/miniupnpd.pid" >>"$LAB_LOGS/miniupnpd.log" 2>&1 </dev/null || :
  lab_wait 5 "miniupnpd" test -s "$LAB_DIR/miniupnpd.pid" || { cat "$LAB_LOGS/miniupnpd.log"; echo 'miniupnpd does not run here'; exit 77; }
  serving=$(<"$LAB_DIR/miniupnpd.pid")
}
lab_dead_in() { ! lab_exec "$1" kill -0 "$2"; }
mapping() { pool_json home1 status | jq -er .port_mapping; }
is_mapped() { [[ $(mapping) == "$1: $outside:"* ]]; }
rules() { lab_exec home nft list chain inet miniupnpd prerouting_miniupnpd; }
has_rule() { [[ $(rules) == *dnat*"$(lab_address home1)"* ]]; }
has_no_rule() { ! has_rule; }

serve yes yes
pool_create
pool_routers r1 r2
pool_up home1 far1
eventually "PCP is taken first" is_mapped PCP
yes "the router has the rule" has_rule
yes "home1 reaches far1" pool_ping home1 far1
eventually "and far1, behind a symmetric NAT, is direct by the mapping" pool_is_direct far1 home1
yes "wow status shows it" grep -q "$outside" <(lab_exec home1 wow status lab </dev/null)

echo "--- the end"
lab_exec home1 wow down lab >>"$LAB_LOGS/commands.log"
eventually "wow down removes it" has_no_rule
pool_start home1 >>"$LAB_LOGS/commands.log"
eventually "mapped again" is_mapped PCP
pool_kill home1
eventually "kill -9 removes it, too" has_no_rule

echo "--- NAT-PMP: a router from before PCP drops what has another version"
lab_exec home nft -f - <<'END'
table inet old {
 chain input { type filter hook input priority 0
  udp dport 5351 @th,64,8 2 drop
 }
}
END
pool_start home1 >>"$LAB_LOGS/commands.log"
eventually "by NAT-PMP" is_mapped NAT-PMP
yes "the router has the rule" has_rule
lab_exec home1 wow down lab >>"$LAB_LOGS/commands.log"
eventually "wow down removes it" has_no_rule
lab_exec home nft delete table inet old

echo "--- UPnP alone"
serve no yes
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
lab_exec home kill -TERM "$serving"
lab_wait 5 "the end of miniupnpd" lab_dead_in home "$serving"
lab_install "$pool_folder/hostile_igd.py"
lab_exec home hostile_igd.py 192.168.1.1 >"$LAB_DIR/hostile" 2>&1 </dev/null &
lab_wait 5 "the device" grep -q ready "$LAB_DIR/hostile"
pool_start home1 >>"$LAB_LOGS/commands.log"
WAIT_S=40
is_none() { [[ $(mapping) == none* ]]; }
eventually "it counts as none" is_none
yes "though it was asked" grep -q asked "$LAB_DIR/hostile"
yes "and home1 is well" pool_ping home1 far1
echo "all passed"

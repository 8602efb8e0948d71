#!/bin/bash
# Walls that let no UDP through: a host joins by streams, over plain TCP, over what looks like HTTPS, and through proxies; when
# UDP ends traffic goes on within three seconds, and when it comes back it is used again. Two hosts behind walls and NATs meet in
# a stream that both open.
#
#   r1..r4 (routers; TCP 4433, TLS 443), p (HTTP proxies, and one of SOCKS 5), peer: on the internet
#      |
#   home (NAT): host; the wall around it changes      flat, cell (NATs): a host each
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
source "$here/../../tools/lab/lab.sh"
source "$here/checks.sh"
# shellcheck source-path=SCRIPTDIR
source "$here/walls.sh"
lab_reexec "$@"
lab_new

line='"delay_ms": 10'
for i in 1 2 3 4; do lab_public "r$i" "198.51.100.10$i" "$line"; done
lab_public p 198.51.100.8 "$line"
lab_public peer 198.51.100.9 "$line"
lab_site home nat 198.51.100.21 192.168.1.0/24 "$line"
lab_host host home
lab_host nameless home
lab_site flat nat 198.51.100.22 192.168.2.0/24 "$line"
lab_host flat1 flat
lab_site cell nat 198.51.100.23 192.168.3.0/24 "$line"
lab_host cell1 cell

pool_of 4 --listen-tls 443
pool_joins peer up --name peer --listen 4433 --listen-tls 443
lab_exec host wow join "$LAB_DIR/lab.invite" >/dev/null 2>&1
lab_spawn p "$LAB_LOGS/proxy" wow lab proxy --port 3128 >/dev/null
lab_spawn p "$LAB_LOGS/proxy-password" wow lab proxy --port 3129 --login lab:secret >/dev/null
lab_spawn p "$LAB_LOGS/proxy-socks" microsocks -p 1080 -u lab -P secret >/dev/null

# path_to_peer: how the host reaches the peer. Not asked by name: names are in the store, and may take a while.
path_to_peer() { lab_exec host wow peers lab --json | jq -r --arg peer "$peer" '.peers[] | select(.address == $peer) | .path'; }
is_stream() { [[ $(path_to_peer) == "stream (TCP"* ]]; }
is_udp() { [[ $(path_to_peer) =~ ^[0-9] ]]; }

wall() { wall_of home "$@"; }

peer=$(lab_exec peer wow status lab --json | jq -r .address)
peer_ip=$(lab_exec peer wow status lab --json | jq -r .lease.ip)

echo "--- walls"
wall 'iifname lan meta l4proto udp drop'
joins_by host "UDP blocked" '^stream (TCP 198'
wall 'iifname lan tcp dport != 443 drop' 'iifname lan meta l4proto != tcp drop'
joins_by host "443 only" '^stream (TLS 198[0-9.]*:443)'
wall 'iifname lan tcp dport != 3128 drop' 'iifname lan meta l4proto != tcp drop'
joins_by host "through a proxy" '^stream (TLS 198[0-9.]*:443 through proxy http://198.51.100.8:3128)' --proxy http://198.51.100.8:3128
wall 'iifname lan tcp dport != 3129 drop' 'iifname lan meta l4proto != tcp drop'
joins_by host "through a proxy with a password" 'through proxy http://198.51.100.8:3129)' \
  --proxy http://lab:secret@198.51.100.8:3129
wall 'iifname lan tcp dport != 1080 drop' 'iifname lan meta l4proto != tcp drop'
joins_by host "through SOCKS 5 with a password" '^stream (TCP 198[0-9.]*:4433 through proxy socks5://198.51.100.8:1080)' \
  --proxy socks5://lab:secret@198.51.100.8:1080

echo "--- a bootstrap's name that the proxy alone can resolve"
lab_exec p bash -c 'echo "198.51.100.101 pool.example" >>/etc/hosts'
(umask 077 && lab_exec r1 wow invite create lab --bootstrap pool.example:4433 >"$LAB_DIR/hosts/nameless/root/lab.invite" 2>/dev/null)
lab_exec nameless wow join lab.invite >/dev/null 2>&1
wall 'iifname lan tcp dport != 3128 drop' 'iifname lan meta l4proto != tcp drop'
joins_by nameless "by a name" '^stream (TLS 240.0.0.1:443 as pool.example through proxy http://198.51.100.8:3128)' \
  --proxy http://198.51.100.8:3128
lab_exec nameless wow leave lab >/dev/null 2>&1 || :

echo "--- proxies that the daemon's environment names"
# Both proxies can be reached: which one is taken tells whose word counts. Nobody listens on port 9.
wall 'iifname lan tcp dport != { 1080, 3129 } drop' 'iifname lan meta l4proto != tcp drop'
http=http://lab:secret@198.51.100.8:3129 socks=socks5://lab:secret@198.51.100.8:1080 nobody=http://198.51.100.8:9
by_http='^stream (TLS 198[0-9.]*:443 through proxy http://198.51.100.8:3129)$'
by_socks='^stream (TCP 198[0-9.]*:4433 through proxy socks5://198.51.100.8:1080)$'
environment=(https_proxy="$http" HTTPS_PROXY="$nobody" all_proxy="$socks" ALL_PROXY="$nobody" http_proxy="$nobody")
joins_by host "https_proxy before all others, with a password" "$by_http"
environment=(http_proxy="$nobody" https_proxy= all_proxy="$socks" ALL_PROXY="$nobody")
joins_by host "all_proxy, SOCKS 5 with a password" "$by_socks"
environment=(https_proxy="$nobody" all_proxy="$nobody")
joins_by host "but what the command says counts more" "$by_socks" --proxy $socks
wall 'iifname lan tcp dport != 443 drop' 'iifname lan meta l4proto != tcp drop'
joins_by host "and it may say that there is none" '^stream (TLS 198[0-9.]*:443)$' --proxy off
environment=()

echo "--- UDP goes and comes back"
wall
lab_exec host wow up lab >/dev/null 2>&1 || fail "up without a wall"
lab_wait 10 "a direct path" bash -c 'true'
lab_spawn host "$LAB_LOGS/ping" ping -D -O -i 0.05 "$peer_ip" >"$LAB_DIR/ping.pid"
lab_wait 10 "a path by UDP" is_udp || fail "no path by UDP: $(path_to_peer)"
gone=$(lab_now_ms)
wall 'meta l4proto udp drop'
lab_wait 10 "a stream" is_stream || fail "no stream: $(path_to_peer)"
echo "a stream after $(($(lab_now_ms) - gone)) ms"
why() { lab_exec host wow peers lab --json | jq -r --arg peer "$peer" '.peers[] | select(.address == $peer) | .why_not_better'; }
says_why() { [[ $(why) == "UDP is blocked here: TCP stream" ]]; }
lab_wait 5 "the reason" says_why || fail "why not better: $(why)"
back=$(lab_now_ms)
wall
lab_wait 20 "UDP again" is_udp || fail "UDP is not used again: $(path_to_peer)"
echo "UDP again after $(($(lab_now_ms) - back)) ms"
kill "$(cat "$LAB_DIR/ping.pid")"
# The longest time without an answer while UDP was gone.
gap=$(sed -n 's/^\[\([0-9.]*\)\] 64 bytes.*/\1/p' "$LAB_LOGS/ping" | awk -v from="$gone" '
  { if (last && $1 * 1000 >= from && $1 - last > most) most = $1 - last; last = $1 } END { printf "%d", most * 1000 }')
echo "traffic stood still for $gap ms"
((gap > 0 && gap < 3000)) || fail "traffic stood still for $gap ms"

echo "--- both open it"
# meet HOST WHAT: `host`, whose UDP is blocked, and HOST are linked by a stream from NAT to NAT.
meet() {
  local other other_ip
  pool_joins "$1" up
  other=$(lab_exec "$1" wow status lab --json | jq -r .address)
  other_ip=$(lab_exec "$1" wow status lab --json | jq -r .lease.ip)
  lab_wait 10 "an answer of $1" lab_exec host ping -c 1 -W 1 "$other_ip" || fail "$1 does not answer"
  path_to() { lab_exec host wow peers lab --json | jq -r --arg peer "$other" '.peers[] | select(.address == $peer) | .path'; }
  met() { [[ $(path_to) == "stream (TCP 198.51.100.2"* ]]; }
  lab_spawn host "$LAB_LOGS/ping-$1" ping -i 0.2 "$other_ip" >"$LAB_DIR/ping.pid"
  lab_wait 15 "a stream to $1" met || fail "$2: $(path_to)"
  kill "$(cat "$LAB_DIR/ping.pid")"
  echo "ok: $2: $(path_to)"
}
wall 'meta l4proto udp drop'
wall_of flat 'meta l4proto udp drop'
meet flat1 "UDP blocked at both"
meet cell1 "UDP blocked at one, the other behind a NAT"

echo "--- a stranger"
said=$(lab_exec p curl -ks --max-time 5 -o /dev/null -w '%{http_code}' https://198.51.100.101/ 2>/dev/null || :)
[[ ! $said || $said == 404 ]] || fail "a stranger gets $said"

checks_end
echo "all passed"

#!/bin/bash
# Streams where one family does not work: a host with IPv6 alone, one whose IPv4 and one whose IPv6 gets no answers join from behind
# walls without UDP, and talk over the family that is left. What leads nowhere costs no wait: all ways are tried at once.
#
#   r1, r2 (routers; TCP 4433, TLS 443), peer: on the internet, both families
#     |
#   six (firewall, IPv6 alone): six1        half (NAT for IPv4, firewall for IPv6): half1
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
source "$here/../../tools/lab/lab.sh"
source "$here/checks.sh"
# shellcheck source-path=SCRIPTDIR
source "$here/walls.sh"
lab_reexec "$@"
lab_new
[[ -e /proc/sys/net/ipv6 ]] || { echo 'this kernel has no IPv6' && exit 77; }

lab_public r1 198.51.100.7 '"ipv6": true, "delay_ms": 10'
lab_public r2 198.51.100.8 '"ipv6": true, "delay_ms": 10'
lab_public peer 198.51.100.9 '"ipv6": true, "delay_ms": 10'
lab_add <<<'{"sites": {"six": {"firewall": true, "ipv6": "2001:db8:6::/64", "ipv4": false, "delay_ms": 10}}, "hosts": {"six1": {"site": "six"}}}'
lab_site half nat 198.51.100.22 192.168.2.0/24 '"ipv6": "2001:db8:7::/64", "delay_ms": 10'
lab_host half1 half

# Those of IPv6 come first: whoever took them one after another would wait.
umask 077
lab_exec r1 wow pool create lab --subnet 10.128.0.0/16 >/dev/null
lab_exec r1 wow invite create lab --bootstrap '[2001:db8::7]:4433' --bootstrap '[2001:db8::8]:4433' \
  --bootstrap 198.51.100.7:4433 --bootstrap 198.51.100.8:4433 >"$LAB_DIR/lab.invite"
for router in r1 r2; do pool_joins $router router --listen 4433 --listen-tls 443; done
pool_joins peer up --name peer --listen 4433 --listen-tls 443
peer_ip=$(lab_exec peer wow status lab --json | jq -r .lease.ip)
for host in six1 half1; do lab_exec $host wow join "$LAB_DIR/lab.invite" >/dev/null 2>&1 || fail "$host cannot join"; done

no_udp='iifname lan meta l4proto udp drop'
only_443=('iifname lan tcp dport != 443 drop' "$no_udp")
# What goes out over this family is never answered: neither refused nor unreachable, which would be noticed at once.
silent() { echo "iifname wan meta nfproto $1 meta l4proto { tcp, udp } drop"; }
# soon WHAT: the last `joins_by` was quick. Idle machines take 1 to 2 s; a dead address waited for would be a SYN's 3 s or the dial's 10 s more.
soon() { ((up_ms < 6000)) || fail "$1 took $up_ms ms, and 6000 are allowed"; }

echo "--- IPv6 alone"
wall_of six "$no_udp"
joins_by six1 "UDP blocked" '^stream (TCP \[2001:db8::[789]\]:4433)$'
wall_of six "${only_443[@]}"
joins_by six1 "443 only" '^stream (TLS \[2001:db8::[789]\]:443)$'

echo "--- IPv6 beside an IPv4 that gets no answers"
wall_of half "$no_udp" "$(silent ipv4)"
joins_by half1 "UDP blocked" '^stream (TCP \[2001:db8::[789]\]:4433)$'
soon "UDP blocked"
wall_of half "${only_443[@]}" "$(silent ipv4)"
joins_by half1 "443 only" '^stream (TLS \[2001:db8::[789]\]:443)$'
soon "443 only"

echo "--- IPv4 beside an IPv6 that gets no answers"
wall_of half "$no_udp" "$(silent ipv6)"
joins_by half1 "UDP blocked" '^stream (TCP 198[0-9.]*:4433)$'
soon "UDP blocked"
wall_of half "${only_443[@]}" "$(silent ipv6)"
joins_by half1 "443 only" '^stream (TLS 198[0-9.]*:443)$'
soon "443 only"

checks_end
echo "all passed"

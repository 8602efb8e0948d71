#!/bin/bash
# `wow doctor` tells every kind of NAT by asking members of its pool, as RFC 5780 does, before joining: with an invite alone.
# The sites are those of tools/lab/examples/every-nat.json; the same truth as in kinds_test.sh. And machines without UDP, without a
# pool, with a wrong name, with a small MTU, without port 443, with IPv6 and without, and behind proxies of all sorts. (A router that
# maps ports: tests/system/mapping_test.sh. A clock that is wrong: tests/tools/doctor, for hosts of one machine have one clock.)
#
#   r1 (UDP and TCP 4433, TLS 443), r2 (4433), p (4433, IPv6 too; proxies): on the internet
#     |
#   thin: a small MTU   no443   six: IPv6   lost6: IPv6 that goes nowhere   desk: only proxies lead out
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
source "$here/../../tools/lab/lab.sh"
source "$here/checks.sh"
lab_reexec "$@"

lab_new
lab_add <"$here/../../tools/lab/examples/every-nat.json"
lab_add <<'END'
{
  "sites": {
    "thin": {"nat": "eim-apdf", "mtu": 1350},
    "no443": {"nat": "eim-apdf", "allow_out": ["udp", "tcp 4433"]},
    "six": {"nat": "eim-apdf", "ipv6": "2001:db8:1::/64"},
    "lost6": {"nat": "eim-apdf", "ipv6": "2001:db8:2::/64"},
    "desk": {"nat": "eim-apdf", "allow_out": ["tcp 3128", "tcp 3129", "tcp 3130", "tcp 3131", "tcp 3132", "tcp 3133", "tcp 1080"]},
  },
  "hosts": {
    "p": {"ip": "198.51.100.9", "ipv6": true},
    "thin1": {"site": "thin"}, "no443a": {"site": "no443"}, "six1": {"site": "six"}, "lost6a": {"site": "lost6"}, "desk1": {"site": "desk"},
  },
}
END
lab_exec lost6 nft 'table inet nowhere { chain out { type filter hook forward priority -10
    meta nfproto ipv6 drop
  }
}'
lab_exec r1 wow pool create lab --subnet 10.128.0.0/16 >>"$LAB_LOGS/commands.log"
(umask 077 && lab_exec r1 wow invite create lab --bootstrap 198.51.100.7:4433 >"$LAB_DIR/lab.invite" 2>>"$LAB_LOGS/commands.log")
for router in r1 r2 p; do
  tls=()
  [[ $router != r1 ]] || tls=(--listen-tls 443)
  install -m 600 "$LAB_DIR/lab.invite" "$LAB_DIR/hosts/$router/root/lab.invite"
  lab_exec "$router" wow join lab.invite >>"$LAB_LOGS/commands.log" 2>&1
  lab_spawn "$router" "$LAB_LOGS/$router.log" wow router lab --listen 4433 "${tls[@]}" --foreground --no-port-map >/dev/null
done
met() { lab_exec r1 wow peers lab --json | jq -e '[.peers[] | select(.direct)] | length >= 2'; }
lab_wait 20 "three routers that know each other" met

# doctor LABEL HOST [VARIABLE=VALUE...] [OPTION...]: what it says there; for says() and told().
doctor() {
  local variables=()
  while [[ ${3:-} == [a-z]*=* ]]; do variables+=("$3") && set -- "$1" "$2" "${@:4}"; done
  lab_exec "$2" env "${variables[@]}" timeout 40 wow doctor --json "${@:3}" >"$LAB_DIR/doctor.$1" 2>>"$LAB_LOGS/doctor.log" </dev/null || :
}

# examine HOST: what the doctor says there, in kinds_test's words.
examine() {
  install -m 600 "$LAB_DIR/lab.invite" "$LAB_DIR/hosts/$1/root/lab.invite"
  doctor "$1" "$1" --invite lab.invite
  jq -r '.ipv4 | if .udp then
      {"none": "none", "endpoint-independent": "eim", "address-dependent": "adm", "address-and-port-dependent": "apdm"}[.mapping] + " " +
      {"kept": "keep", "the next one": "sequential", "random": "random", "unknown": "-"}[.ports] + " " +
      {"endpoint-independent": "eif", "address-dependent": "adf", "address-and-port-dependent": "apdf"}[.filtering] + " " +
      (if .hairpin then "hairpin" else "no-hairpin" end)
    else "no-udp" end' "$LAB_DIR/doctor.$1"
}

expected=(
  "a1 eim keep eif no-hairpin" "a2 eim keep adf no-hairpin" "a3 eim keep apdf no-hairpin"
  "b1 eim keep eif no-hairpin" "b2 eim keep adf no-hairpin" "b3 eim keep apdf no-hairpin"
  "c1 eim random eif no-hairpin" "c2 eim random adf no-hairpin" "c3 eim random apdf no-hairpin"
  "d1 adm random eif no-hairpin" "d2 adm random adf no-hairpin" "d3 adm random apdf no-hairpin"
  "e1 apdm random eif no-hairpin" "e2 apdm random adf no-hairpin" "e3 apdm random apdf no-hairpin"
  "s1 adm sequential apdf no-hairpin" "s2 apdm sequential apdf no-hairpin" "s3 eim sequential adf no-hairpin"
  "t1 eim keep apdf hairpin" "t2 apdm random adf hairpin"
  "v1 adm random adf no-hairpin" "v2 adm random apdf no-hairpin"
  "w1 none - apdf no-hairpin" "w2 none - eif no-hairpin" "w3 no-udp" "w4 no-udp" "w5 none - apdf no-hairpin"
)
# A few at a time: members answer so many questions a second.
for ((i = 0; i < ${#expected[@]}; i += 4)); do
  jobs=()
  for line in "${expected[@]:i:4}"; do
    examine "${line%% *}" >"$LAB_DIR/kind.${line%% *}" &
    jobs+=($!)
  done
  wait "${jobs[@]}"
done
for line in "${expected[@]}"; do same "${line%% *}" "${line#* }" "$(<"$LAB_DIR/kind.${line%% *}")"; done

echo "--- in words"
lab_exec a1 wow doctor --invite lab.invite </dev/null | sed 's/^/    /'
says() { # LABEL PATTERN
  jq -r '.verdict, (.findings[] | .subject + ": " + .finding + " -> " + .advice)' "$LAB_DIR/doctor.$1" >"$LAB_DIR/words"
  grep -q "$2" "$LAB_DIR/words" && echo said || cat "$LAB_DIR/words"
}
same "a cone: direct to nearly all" said "$(says a3 'direct to all peers but')"
same "a symmetric one: through a third" said "$(says e3 'through a third')"
same "no UDP: what to do" said "$(says w3 'let UDP out')"

same "whole packets come through" said "$(says a3 'MTU: packets of 1500 bytes come through whole ->')"
same "TCP passes where UDP does not" said "$(says w3 'TCP: goes out, to port 443 too: .*:4433 open; .*:443 open')"
same "only 443 passes" said "$(says w4 'TCP: goes out, to port 443 too: .*:4433 no answer; .*:443 open')"
same "no IPv6 here" said "$(says a3 'IPv6: this machine has no global address')"
same "nobody maps ports" said "$(says a3 'port mapping: the router maps no ports (.*) -> switch on PCP')"
same "the clock is right" said "$(says a3 'clock: agrees with the pool.s to [01] s')"
same "no proxy is named" said "$(says a3 'proxy: none is named here')"

echo "--- other machines"
for host in thin1 no443a six1 lost6a; do
  install -m 600 "$LAB_DIR/lab.invite" "$LAB_DIR/hosts/$host/root/lab.invite"
done
jobs=()
for host in thin1 no443a; do doctor "$host" "$host" --invite lab.invite & jobs+=($!); done
for host in six1 lost6a; do doctor "$host" "$host" --invite lab.invite --bootstrap '[2001:db8::9]:4433' & jobs+=($!); done
doctor stranger a2 & jobs+=($!)
doctor nameless a2 --invite lab.invite --bootstrap nobody.example:4433 & jobs+=($!)
wait "${jobs[@]}"
same "a small MTU is found" 1280 "$(jq .ipv4.mtu "$LAB_DIR/doctor.thin1")"
same "and what follows" said "$(says thin1 'MTU: packets of 1280 bytes come through whole, of 1455 .*fragmented')"
same "443 is closed" said "$(says no443a 'TCP: goes out, but not to port 443: .*:4433 open; .*:443 no answer')"
same "IPv6 works" said "$(says six1 'IPv6: works: \[2001:db8::9\]:4433 answered')"
same "IPv6 goes nowhere" said "$(says lost6a 'IPv6: 2001:db8:2:.*, but no bootstrap answers over IPv6')"
same "which does not matter to IPv4" true "$(jq .ipv4.udp "$LAB_DIR/doctor.lost6a")"
same "a machine that is in no pool says so" said "$(says stranger 'no membership to ask with')"
same "it says whether it may make interfaces" said "$(says stranger 'TUN: ')"
same "a name that does not resolve is told" said "$(says nameless 'name: nobody.example')"
same "and the others are asked" true "$(jq .ipv4.udp "$LAB_DIR/doctor.nameless")"

echo "--- proxies"
# odd PORT ANSWER: one that answers every request so, or nothing.
odd() {
  lab_spawn p "$LAB_LOGS/proxy-odd" python3 -c '
import socketserver, sys
class Odd(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(8192)
        self.request.sendall(sys.argv[2].encode())
        while self.request.recv(8192): pass # until the other end hangs up
socketserver.ThreadingTCPServer(("", int(sys.argv[1])), Odd).serve_forever()' "$1" "$2" >/dev/null
}
lab_spawn p "$LAB_LOGS/proxy" wow lab proxy --port 3128 >/dev/null
lab_spawn p "$LAB_LOGS/proxy-password" wow lab proxy --port 3129 --login lab:secret >/dev/null
lab_spawn p "$LAB_LOGS/proxy-socks" microsocks -p 1080 -u lab -P secret >/dev/null
odd 3130 $'HTTP/1.1 403 Forbidden\r\n\r\n'
odd 3131 $'SSH-2.0-OpenSSH_9.2\r\n'
odd 3132 ''
# Each: its label, the proxy at p, the member asked for, what the doctor answers, and its words.
proxies=(
  "good|http://P:3128|7|passes|leads to 198.51.100.7:443 ->"
  "password|http://lab:secret@P:3129|7|passes|leads to 198.51.100.7:443 ->"
  "no-password|http://P:3129|7|wants a password|(status 407) -> name them"
  "wrong-password|http://lab:secret2@P:3129|7|wants a password|(status 407) -> .*correct them"
  "refusing|http://P:3130|7|refuses|it refuses CONNECT (status 403) -> ask whoever runs it"
  "nonsense|http://P:3131|7|nonsense|its answer is not HTTP -> is it another kind"
  "silent|http://P:3132|7|silent|it does not answer -> it takes connections and says nothing"
  "nobody|http://P:3133|7|silent|nobody listens there -> is it up"
  "no-listener|http://P:3128|8|not reached|it does not get there itself (status 502) -> .*--listen-tls"
  "socks|socks5://lab:secret@P:1080|7|passes|leads to 198.51.100.7:4433 ->"
  "socks-wrong|socks5://lab:secret2@P:1080|7|wants a password|another user or password -> .*correct them"
  "other-kind|socks5://P:3130|7|nonsense|not SOCKS 5 -> is it another kind"
)
for ((i = 0; i < ${#proxies[@]}; i += 6)); do
  jobs=()
  for line in "${proxies[@]:i:6}"; do
    IFS='|' read -r label url member _ <<<"$line"
    doctor "$label" desk1 "https_proxy=${url/P:/198.51.100.9:}" --bootstrap "198.51.100.$member:4433" & jobs+=($!)
  done
  wait "${jobs[@]}"
done
for line in "${proxies[@]}"; do
  IFS='|' read -r label _ _ answer words <<<"$line"
  same "proxy, $label" "$answer" "$(jq -r .proxy.answer "$LAB_DIR/doctor.$label")"
  same "proxy, $label, in words" said "$(says "$label" "^proxy: .*198.51.100.9:.*$words")"
done
same "TCP is blocked without it" said "$(says good 'TCP: does not go out: .*no answer -> only a proxy may lead out of here')"
# The pool's file is looked into before the environment; a flag wins over both.
lab_exec r2 bash -c 'echo "proxy = \"http://lab:secret@198.51.100.9:3129\"" >/etc/wow/lab.conf'
doctor file r2 https_proxy=http://198.51.100.9:3130 lab & jobs=($!)
doctor off r2 lab --proxy off & jobs+=($!)
doctor useless a2 http_proxy=http://me:secret@198.51.100.9:3128 & jobs+=($!)
wait "${jobs[@]}"
same "the pool's file names it" '"http://198.51.100.9:3129" "passes"' "$(jq -r '.proxy | "\"\(.proxy)\" \"\(.answer)\""' "$LAB_DIR/doctor.file")"
same "off" said "$(says off 'proxy: off')"
same "http_proxy is for others" said "$(says useless 'proxy: the environment names http_proxy=http://...@198.51.100.9:3128, which streams cannot use')"
same "nobody's password is shown" none "$(grep -l secret "$LAB_DIR"/doctor.* || echo none)"

checks_end
echo "all passed"

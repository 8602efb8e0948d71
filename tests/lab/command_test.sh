#!/bin/bash
# `wow lab` as it is typed: up, status, exec, changes, down; mistakes are refused in a sentence, and nothing stays behind.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
source "$here/../../tools/lab/lab.sh"
source "$here/checks.sh"
lab_reexec "$@" # laboratories inside a laboratory: they end with it, whatever happens here
unset WOW_LAB   # from here on as if there were none around
wow=$LAB_DIR/bin/wow
cd "$(mktemp -d "$LAB_DIR/work.XXXX")"

# refused DESCRIPTION PATTERN WORDS...: fails, and says what matches in one line.
refused() {
  local what=$1 pattern=$2 said status=0
  shift 2
  said=$("$wow" lab "$@" 2>&1) || status=$?
  if ((status == 0)) || [[ ! $said =~ $pattern || $said == *$'\n'* ]]; then fail "$what: status $status, '$said'"; else echo "ok: $what: $said"; fi
}
processes() { pgrep -c -f '^wow-lab (host|router|line) ' || :; }
before=$(processes) # of the laboratory around us
gone() { [[ $(processes) == "$before" ]]; }

cat >small.json <<'END'
{
  "sites": {"home": {"nat": "eim-apdf", "delay_ms": 5}, "office": {"nat": "apdm-apdf"}},
  "hosts": {"r1": {"ip": "198.51.100.7"}, "home1": {"site": "home"}, "home2": {"site": "home"}, "office1": {"site": "office"}}
}
END

echo "--- mistakes"
refused "nothing is up" "no laboratory is up.*wow lab up" status
refused "no file" "nothing.json" up nothing.json
echo '{"sites": {"home": {"nat": "cone"}}}' >wrong.json
refused "a wrong file" "wrong.json, line 1: sites.home.nat must be" up wrong.json
echo '{"hosts": {"a": {"site": "b"}}}' >wrong.json
refused "a file that does not fit together" "there is no site \"b\"" up wrong.json
same "none of them left anything" "$before" "$(processes)"
status=0
said=$(setpriv --reuid 65534 --clear-groups "$wow" lab up small.json 2>&1) || status=$?
[[ $status == 77 && $said == *"needs root"* ]] && echo "ok: without root: $said" || [[ $said == *setpriv* ]] || fail "without root: $status $said"

echo "--- up, and what is there"
"$wow" lab up small.json >said || fail "up"
same "it says what it made" "Up: 2 sites, 4 hosts." "$(grep -o '^Up: [^.]*\.' said)"
refused "it is up already" "is up already.*wow lab down" up small.json
same "status in JSON" "eim-apdf 5 home" "$("$wow" lab status --json | jq -r '"\(.sites.home.nat.kind) \(.sites.home.delay_ms) \(.hosts.home1.site)"')"
"$wow" lab status | grep -q 'home .*NAT eim-apdf .*5 ms' || fail "the table of sites"
same "a command's output" home1 "$("$wow" lab exec home1 hostname)"
status=0
"$wow" lab exec home1 bash -c 'exit 5' || status=$?
same "and status" 5 "$status"
same "its options are its own" "-n --json" "$("$wow" lab exec home1 echo -e '-n --json')"
same "this program is there" "$("$wow" --version)" "$("$wow" lab exec home1 wow --version)"
refused "no such host" "there is no host or site \"nobody\"" exec nobody true
"$wow" lab exec home1 ping -c 1 -W 2 198.51.100.7 >ping || fail "home1 does not reach r1"
rtt=$(sed -n 's/.*time=\([0-9]*\).*/\1/p' ping)
((rtt >= 10)) || fail "5 ms each way took $rtt ms in all"

echo "--- a killed command leaves nothing"
"$wow" lab exec home1 sleep 4321 &
victim=$!
lab_wait 5 "sleep" pgrep -f '^sleep 4321'
kill -9 "$victim"
lab_wait 5 "its end" bash -c '! pgrep -f "^sleep 4321"' || fail "sleep outlives it"
"$wow" lab exec home1 bash -c 'trap "echo told; exit 0" TERM; echo ready; while :; do sleep 0.01; done' >term &
victim=$!
lab_wait 5 "it" grep -q ready term
kill -TERM "$victim"
wait "$victim" || fail "status after SIGTERM"
same "SIGTERM is passed on" told "$(tail -n 1 term)"

echo "--- changes"
"$wow" lab set home delay_ms=25 nat=adm-adf || fail "set"
rtt=$("$wow" lab exec home1 ping -c 1 -W 2 198.51.100.7 | sed -n 's/.*time=\([0-9]*\).*/\1/p')
((rtt >= 50)) || fail "25 ms each way took $rtt ms in all"
same "the kind" adm-adf "$("$wow" lab status --json | jq -r .sites.home.nat.kind)"
"$wow" lab set home loss_percent=100
! "$wow" lab exec home1 ping -c 1 -W 0.3 198.51.100.7 >/dev/null || fail "all is lost, but a ping came"
"$wow" lab status --json | jq -e '.lines.home.lost > 0' >/dev/null || fail "losses are not counted"
"$wow" lab set home loss_percent=0 mtu=1000
! "$wow" lab exec home1 ping -c 1 -W 0.3 -s 1000 198.51.100.7 >/dev/null || fail "too large, but a ping came"
"$wow" lab exec home1 ping -c 1 -W 2 -s 900 198.51.100.7 >/dev/null || fail "small enough, but no ping came"
refused "a wrong value" "nat must be MAPPING" set home nat=cone
refused "a wrong key" "did you mean \"delay_ms\"" set home delay_m=3
refused "an address" "cannot be changed while it runs" set home wan=198.51.100.99
refused "no value" "KEY=VALUE" set home delay_ms
refused "more than its interfaces take" "take less than that" set home mtu=9000
refused "a plain cable" "plain cable.*delay_ms" set office delay_ms=5
"$wow" lab cut office
! "$wow" lab exec office1 ping -c 1 -W 0.3 198.51.100.7 >/dev/null || fail "cut, but a ping came"
"$wow" lab heal office
"$wow" lab exec office1 ping -c 1 -W 2 198.51.100.7 >/dev/null || fail "healed, but no ping came"
"$wow" lab unplug home2
refused "plugged out" "is not plugged in" cut home2
"$wow" lab plug home2 internet 198.51.100.50
"$wow" lab exec r1 ping -c 1 -W 2 198.51.100.50 >/dev/null || fail "plugged in, but no ping came"
refused "an address that is taken" "198.51.100.50 is taken" move home1 internet 198.51.100.50
echo '{"hosts": {"home3": {"site": "home", "delay_ms": 1}}}' | "$wow" lab add - || fail "add"
"$wow" lab exec home3 ping -c 1 -W 2 198.51.100.7 >/dev/null || fail "added, but no ping came"
refused "twice" "there is a host home3 already" add <(echo '{"hosts": {"home3": {}}}')
"$wow" lab move home3 office
same "a host with a line moves" office "$("$wow" lab status --json | jq -r .hosts.home3.site)"
"$wow" lab exec home3 ping -c 1 -W 2 198.51.100.7 >/dev/null || fail "moved, but no ping came"
"$wow" lab kill home3
refused "no more" "there is no host or site" exec home3 true

echo "--- several, and the end"
"$wow" lab up --lab other small.json >/dev/null || fail "a second one"
refused "which" "several laboratories are up.*--lab" status
same "the named one" other "$("$wow" lab status --lab other --json | jq -r .lab)"
"$wow" lab down --lab other
"$wow" lab down || fail "down"
same "nothing is left" "$before" "$(processes)"
same "not even a file" "" "$(ls /run/wow-lab)"
"$wow" lab up small.json >/dev/null
kill -9 "$(cut -d' ' -f1 /run/wow-lab/lab)"
lab_wait 5 "the end of all" gone || fail "processes outlive kill -9"
refused "after kill -9 none is up" "no laboratory is up" status
"$wow" lab up small.json >/dev/null || fail "up after kill -9"
"$wow" lab down
# `up` itself is killed while it builds.
"$wow" lab up "$here/../../tools/lab/examples/every-nat.json" >/dev/null 2>&1 &
victim=$!
begun() { (($(processes) > before)); }
lab_wait 5 "its beginning" begun
kill -9 "$victim"
wait "$victim" 2>/dev/null || :
lab_wait 5 "its end" gone || fail "a laboratory outlives its builder"
status=0
"$wow" lab run --topology small.json bash -c 'exit 6' || status=$?
same "run passes a status on" 6 "$status"
same "run sees its laboratory" office1 "$("$wow" lab run --topology small.json "$wow" lab exec office1 hostname)"
same "and leaves nothing" "$before" "$(processes)"
echo "--- many hosts"
"$wow" lab up "$here/../../tools/lab/examples/pool-of-151.json" >said || fail "151 hosts"
same "as many as WOW's" "Up: 6 sites, 151 hosts." "$(grep -o '^Up: [^.]*\.' said)"
"$wow" lab exec east1 ping -c 1 -W 2 "$("$wow" lab exec r118 hostname -I | awk '{ print $1 }')" >ping || fail "they do not reach each other"
"$wow" lab down >/dev/null || fail "down"
same "and leave nothing" "$before" "$(processes)"
same "kinds" 15 "$("$wow" lab kinds | wc -l)"
"$wow" lab check || fail "check"

checks_end
echo "all passed"

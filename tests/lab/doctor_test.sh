#!/bin/bash
# `wow doctor` tells every kind of NAT by asking members of its pool, as RFC 5780 does, before joining: with an invite alone.
# The sites are those of tools/lab/examples/every-nat.json; the same truth as in kinds_test.sh. And machines without UDP, without a
# pool, with a wrong name, with a small MTU.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
source "$here/../../tools/lab/lab.sh"
source "$here/checks.sh"
lab_reexec "$@"

lab_new
lab_add <"$here/../../tools/lab/examples/every-nat.json"
lab_exec r1 wow pool create lab --subnet 10.128.0.0/16 >>"$LAB_LOGS/commands.log"
(umask 077 && lab_exec r1 wow invite create lab --bootstrap 198.51.100.7:4433 >"$LAB_DIR/lab.invite" 2>>"$LAB_LOGS/commands.log")
for router in r1 r2; do
  install -m 600 "$LAB_DIR/lab.invite" "$LAB_DIR/hosts/$router/root/lab.invite"
  lab_exec "$router" wow join lab.invite >>"$LAB_LOGS/commands.log" 2>&1
  lab_spawn "$router" "$LAB_LOGS/$router.log" wow router lab --listen 4433 --foreground --no-port-map >/dev/null
done
met() { lab_exec r1 wow peers lab --json | jq -e '[.peers[] | select(.direct)] | length >= 1'; }
lab_wait 20 "two routers that know each other" met

# examine HOST: what the doctor says there, in kinds_test's words.
examine() {
  install -m 600 "$LAB_DIR/lab.invite" "$LAB_DIR/hosts/$1/root/lab.invite"
  lab_exec "$1" timeout 40 wow doctor --invite lab.invite --json >"$LAB_DIR/doctor.$1" 2>>"$LAB_LOGS/doctor.log" </dev/null || :
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
says() { # HOST PATTERN
  jq -r '.verdict, (.findings[] | .subject + ": " + .finding + " -> " + .advice)' "$LAB_DIR/doctor.$1" >"$LAB_DIR/words"
  grep -q "$2" "$LAB_DIR/words" && echo said || cat "$LAB_DIR/words"
}
same "a cone: direct to nearly all" said "$(says a3 'direct to all peers but')"
same "a symmetric one: through a third" said "$(says e3 'through a third')"
same "no UDP: what to do" said "$(says w3 'let UDP out')"

echo "--- a machine that is in no pool"
lab_exec a2 wow doctor --json >"$LAB_DIR/doctor.a2" </dev/null
same "it says so" said "$(says a2 'no membership to ask with')"
same "it says whether it may make interfaces" said "$(says a2 'TUN: ')"

echo "--- a name that does not resolve"
lab_exec a2 wow doctor --invite lab.invite --bootstrap nobody.example:4433 --json >"$LAB_DIR/doctor.a2" </dev/null
same "it says which" said "$(says a2 'name: nobody.example')"
same "and asks the others" true "$(jq .ipv4.udp "$LAB_DIR/doctor.a2")"

checks_end
echo "all passed"

# shellcheck shell=bash
# Sourced by the laboratory's tests: what they check, in a line each; `checks_end` tells how it ended.

failures=0
fail() {
  echo "FAIL: $*"
  failures=$((failures + 1))
}

# same DESCRIPTION EXPECTED ACTUAL
same() {
  if [[ $2 == "$3" ]]; then echo "ok: $1: $3"; else fail "$1: expected '$2', not '$3'"; fi
}

# yes DESCRIPTION CMD..., no DESCRIPTION CMD...
yes() {
  local what=$1
  shift
  if "$@" >/dev/null 2>&1; then echo "ok: $what"; else fail "$what ($*)"; fi
}
no() {
  local what=$1
  shift
  if ! "$@" >/dev/null 2>&1; then echo "ok: $what"; else fail "$what ($*)"; fi
}

# pool_of COUNT [OPTION...]: a pool lab of the public hosts r1, r2 ..., which are routers with these options; invited by $LAB_DIR/lab.invite.
pool_of() {
  umask 077
  lab_exec r1 wow pool create lab --subnet 10.128.0.0/16 >/dev/null
  lab_exec r1 wow invite create lab --bootstrap "$(lab_address r1):4433" --bootstrap "$(lab_address r2):4433" >"$LAB_DIR/lab.invite"
  local i
  for ((i = 1; i <= $1; i++)); do pool_joins "r$i" router --listen 4433 "${@:2}"; done
}
# pool_joins HOST up|router [OPTION...]
pool_joins() {
  lab_exec "$1" bash -c "wow join $LAB_DIR/lab.invite && wow $2 lab ${*:3}" >/dev/null 2>&1 || fail "$1 does not come up"
}

checks_end() {
  ((failures == 0)) || { echo "$failures failed" && exit 1; }
}

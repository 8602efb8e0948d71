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

checks_end() {
  ((failures == 0)) || { echo "$failures failed" && exit 1; }
}

# shellcheck shell=bash
# Sourced by tests of streams, after checks.sh: walls that change while a laboratory runs, and hosts that join from behind them.

# wall_of SITE RULE...: what the site's router lets out now; flows that are open do not outlive it.
wall_of() {
  local site=$1
  shift
  lab_exec "$site" nft delete table inet wall 2>/dev/null || :
  [[ $# == 0 ]] || lab_exec "$site" nft "table inet wall { chain out { type filter hook forward priority -10
    $(printf '%s\n' "$@")
  }
}"
}

# paths HOST: how its peers are reached.
paths() { lab_exec "$1" wow peers lab --json | jq -r '.peers[].path'; }

# joins_by HOST DESCRIPTION PATTERN [OPTION...]: it comes up behind the wall as it is, by streams like PATTERN, and reaches $peer_ip.
# Leaves in `up_ms` how long that took. What `environment` holds, as NAME=VALUE, the daemon finds in its own.
environment=()
joins_by() {
  local host=$1 what=$2 pattern=$3 begun
  shift 3
  begun=$(lab_now_ms)
  timeout 20 "$LAB_DIR/bin/wow" lab exec "$host" env "${environment[@]}" wow up lab "$@" >"$LAB_DIR/said" 2>&1 ||
    fail "$what: $(cat "$LAB_DIR/said")"
  up_ms=$(($(lab_now_ms) - begun))
  lab_wait 10 "the peer's answer" lab_exec "$host" ping -c 1 -W 1 "$peer_ip" || fail "$what: the peer does not answer"
  if paths "$host" | grep -q "$pattern" && ! paths "$host" | grep -q '^[0-9[]'; then
    echo "ok: $what: up after $up_ms ms"
  else
    fail "$what: $(paths "$host")"
  fi
  lab_exec "$host" wow down lab >/dev/null
}

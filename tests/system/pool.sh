# shellcheck shell=bash
# Whole pools of real daemons in the laboratory (tools/lab/lab.sh), for test scripts: source it.
#
#      r1 .7        r2 .8             internet 198.51.100.0/24: two routers of the pool
#   [home]       [office]     [campus]
#   nat .21      nat .22      firewall .23
#   192.168.1/24 10.20.0/24   203.0.113/24
#
# A script begins so:
#   source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
#   lab_reexec "$@"
#   pool_laboratory home1 office1    # the above, with these hosts; HOST is its site and a digit
#   pool_create
#   pool_routers r1 r2
#   pool_up home1 office1
# Nothing sleeps for luck: all waiting is for an event, with a limit. The first failure ends the script, with the ends of all logs.

pool_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[[ ! ${WOW_BIN:-} ]] || export WOW=$WOW_BIN/tools/wow
# shellcheck source=tools/lab/lab.sh
source "$pool_folder/../../tools/lab/lab.sh"

declare -A ip=()   # of hosts that are up, in the pool
declare -A node=() # addresses on the ring, of routers and hosts that are up
WAIT_S=20          # limit of what should take a second or two: machines that test are busy

# ---------------------------------------------------------------- saying what holds

ok() { echo "ok - $*"; }

fail() {
  local log
  for log in "$LAB_LOGS"/*.log "$LAB_DIR"/hosts/*/var/lib/wow/*/log; do
    [[ -s $log ]] || continue
    echo "--- the end of ${log#"$LAB_DIR"/}:"
    tail -n 12 "$log" | sed 's/^/    /'
  done
  echo "FAILED: $*"
  exit 1
}

# yes WHAT CMD...; no WHAT CMD...; same WHAT EXPECTED ACTUAL
yes() {
  local what=$1 said
  shift
  said=$("$@" 2>&1) || fail "$what"$'\n'"  $* said: $said"
  ok "$what"
}
no() {
  local what=$1 said
  shift
  ! said=$("$@" 2>&1) || fail "not: $what"$'\n'"  $* said: $said"
  ok "$what"
}
same() {
  [[ $2 == "$3" ]] || fail "$1: expected '$2', not '$3'"
  ok "$1"
}

# eventually WHAT CMD...: it holds within WAIT_S.
eventually() {
  local what=$1 from
  shift
  from=$(lab_now_ms)
  lab_wait "$WAIT_S" "$what" "$@" || fail "not within $WAIT_S s: $what"
  ok "$what (after $(($(lab_now_ms) - from)) ms)"
}

# refused WHAT PATTERN HOST WORDS...: `wow WORDS` there fails, and says in one line what matches PATTERN.
refused() {
  local what=$1 pattern=$2 host=$3 said
  shift 3
  ! said=$(lab_exec "$host" timeout "$WAIT_S" wow "$@" 2>&1 </dev/null) || fail "$what: \`wow $*\` was not refused, but said: $said"
  [[ $said =~ $pattern ]] || fail "$what: \`wow $*\` should say something like '$pattern', not: $said"
  ok "$what: ${said##*$'\n'}"
}

# measured WHAT VALUE GOAL LIMIT: in milliseconds; the goal is for an idle machine, the limit for any.
measured() {
  (($2 <= $4)) || fail "$1 took $2 ms; the goal is $3 ms, and $4 ms are allowed here"
  ok "$1: $2 ms (goal $3)"
}

pool__on_error() {
  echo "FAILED: line $1 of ${0##*/}: $2"
}
trap 'pool__on_error "$LINENO" "$BASH_COMMAND"' ERR

# ---------------------------------------------------------------- making a pool

# The first that exists: beside the test in Bazel's tree, or built before.
pool__program() {
  local candidate
  for candidate in "${WOW_BIN:-$pool_folder/../..}/$1" "$pool_folder/../../bazel-bin/$1"; do
    [[ ! -f $candidate || ! -x $candidate ]] || { echo "$candidate" && return; }
  done
  lab__die "build it first: bazel build //${1%/*}:${1##*/}"
}

pool_laboratory() {
  local host
  lab_new
  lab_install "$pool_folder/../../tools/lab/stream.py"
  pool_host r1 r2
  lab_site home nat 198.51.100.21 192.168.1.0/24
  lab_site office nat 198.51.100.22 10.20.0.0/24
  lab_site campus firewall 198.51.100.23 203.0.113.0/24
  pool_host "$@"
}

pool_host() {
  local host
  for host; do
    case $host in
      r?) lab_public "$host" "198.51.100.$((6 + ${host#r}))" ;;
      *) lab_host "$host" "${host%?}" ;;
    esac
    # In a sandbox where root is the only user, nobody can become user wow; the daemon then stays root, as it says.
    [[ $(awk '{ n += $3 } END { print n }' /proc/self/uid_map) != 1 ]] || lab_exec "$host" sed -i /^wow:/d /etc/passwd /etc/group
  done
}

# pool_create [OPTION...]: pool "lab" with its root key in r1, and an invite in $LAB_DIR/lab.invite.
pool_create() {
  lab_exec r1 wow pool create lab --subnet 10.128.0.0/16 "$@" >>"$LAB_LOGS/commands.log"
  pool_invite lab
}

# pool_invite NAME [OPTION...]: an invite to pool "lab" in $LAB_DIR/NAME.invite.
pool_invite() {
  (umask 077 && lab_exec r1 wow invite create lab --label "$1" --bootstrap 198.51.100.7:4433 --bootstrap 198.51.100.8:4433 "${@:2}" \
    >"$LAB_DIR/$1.invite" 2>>"$LAB_LOGS/commands.log")
}

# pool_join HOST [OPTION...]
pool_join() {
  install -m 600 "$LAB_DIR/lab.invite" "$LAB_DIR/hosts/$1/root/lab.invite"
  lab_exec "$1" wow join lab.invite "${@:2}" >>"$LAB_LOGS/commands.log" 2>&1 </dev/null
}

# pool_routers ROUTER...: joins and starts them, all at once.
pool_routers() {
  local host
  for host; do
    lab_exec "$host" test -e /var/lib/wow/lab/member || pool_join "$host" || fail "$host could not join"
  done
  pool__start_all "$@"
}

# pool_up HOST...: the same for hosts; fills `ip`, and $LAB_DIR/up/HOST with the milliseconds that it took.
pool_up() { pool_routers "$@"; }

# pool_start HOST [OPTION...]: the command that brings up a host, or router, that has joined.
pool_start() {
  if [[ $1 == r? ]]; then
    lab_exec "$1" timeout 30 wow router lab --listen 4433 "${@:2}"
  else
    lab_exec "$1" timeout 30 wow up lab "${@:2}"
  fi </dev/null
}

pool__start_all() {
  local host at
  local -A job=()
  mkdir -p "$LAB_DIR/up"
  for host; do
    (
      at=$(lab_now_ms)
      pool_start "$host" >"$LAB_LOGS/$host.start.log" 2>&1 && echo $(($(lab_now_ms) - at)) >"$LAB_DIR/up/$host"
    ) &
    job[$host]=$!
  done
  for host; do
    wait "${job[$host]}" || fail "$host did not come up: $(<"$LAB_LOGS/$host.start.log")"
    pool_learn "$host"
  done
}

# pool_learn HOST: fills `node`, and `ip`.
pool_learn() {
  local status
  status=$(pool_json "$1" status) || fail "$1 does not say its status"
  node[$1]=$(jq -r .address <<<"$status")
  [[ $1 == r? ]] || ip[$1]=$(jq -er .lease.ip <<<"$status") || fail "$1 is up without a lease: $status"
}

# ---------------------------------------------------------------- asking it

# pool_json HOST WORDS...: the JSON that `wow WORDS` there answers.
pool_json() {
  lab_exec "$1" wow "${@:2}" --json </dev/null
}

# pool_counter HOST NAME
pool_counter() {
  pool_json "$1" status | jq -er ".counters.$2"
}

# pool_pid HOST: its daemon (not the helper that keeps the names), by the host's own number.
pool_pid() {
  lab_exec "$1" pgrep -o -x wow
}

# pool_kill HOST: kill -9 of its daemon, and of nothing else; returns when it has ended, which takes the kernel a moment.
pool_kill() {
  local pid
  pid=$(pool_pid "$1") || fail "there is no daemon in $1 to be killed"
  lab_exec "$1" kill -KILL "$pid"
  lab_wait 5 "the end of $1's daemon" pool__ended "$1" "$pid" || fail "$1's daemon outlives kill -9"
}

pool__ended() {
  ! lab_exec "$1" test -e "/proc/$2"
}

# Whether the programs carry a sanitizer: their memory and pace say nothing then.
pool_is_sanitized() {
  grep -qaE '__(asan|tsan)_init' "$LAB_DIR/bin/wow"
}

# pool_ping FROM TO [OPTION...]: TO is a host or what ping takes.
pool_ping() {
  lab_exec "$1" ping -n -c 1 -W 5 "${@:3}" "${ip[$2]:-$2}"
}

# pool_ping_all address|name HOST...: every one of them pings every other once, all at the same time; prints who had no answer.
pool_ping_all() {
  local by=$1 from to targets
  local -a jobs=()
  shift
  for from; do
    targets=()
    for to; do
      [[ $to == "$from" ]] || targets+=("$to=$([[ $by == name ]] && echo "$to" || echo "${ip[$to]}")")
    done
    # shellcheck disable=SC2016
    lab_exec "$from" bash -c 'for target; do ping -n -c 1 -W 5 "${target#*=}" >/dev/null 2>&1 || echo "'"$from"'->${target%=*}"; done' \
      ping "${targets[@]}" </dev/null &
    jobs+=($!)
  done
  wait "${jobs[@]}"
}

# pool_path FROM TO: the path that FROM has to TO: "direct" or "not-direct", and which.
pool_path() {
  pool_json "$1" peers | jq -er --arg node "${node[$2]}" '.peers[] | select(.address == $node) | (if .direct then "direct " else "not-direct " end) + .path'
}

pool_is_direct() {
  [[ $(pool_path "$1" "$2") == direct* ]]
}

# pool_is_relayed A B ROUTER: by it, both ends' packets.
pool_is_relayed() {
  local via="not-direct relayed via ${node[$3]:0:8}"
  [[ $(pool_path "$1" "$2") == "$via" && $(pool_path "$2" "$1") == "$via" ]]
}

# pool_transfer A B SECONDS MBIT CMD...: TCP both ways between two hosts, of which every byte must come; CMD is run in the middle.
# Leaves in `silence` how many milliseconds the longer silence after CMD was.
pool_transfer() {
  local a=$1 b=$2 seconds=$3 mbit=$4 moment from to job result rx tx
  local -A peer=([$1]=$2 [$2]=$1)
  local -a jobs=()
  shift 4
  read -r rx tx < <(pool__bytes "$a")
  for from in "$a" "$b"; do
    to=${peer[$from]}
    lab_spawn "$to" "$LAB_DIR/received.$from" stream.py receive 7000 >/dev/null
    lab_wait 5 "the receiver" grep -q ready "$LAB_DIR/received.$from" || fail "no receiver"
    lab_exec "$from" stream.py send "${ip[$to]}" 7000 "$seconds" "$mbit" >"$LAB_DIR/sent.$from" 2>"$LAB_LOGS/send.$from.log" </dev/null &
    jobs+=($!)
  done
  lab_wait 10 "bytes both ways" pool__flowed "$a" $((rx + mbit * 50000)) $((tx + mbit * 50000)) || fail "nothing flows"
  "$@"
  moment=$(lab_now_ms)
  for job in "${jobs[@]}"; do wait "$job" || fail "a connection broke: $(tail -n 1 "$LAB_LOGS"/send.*.log)"; done
  silence=0
  for from in "$a" "$b"; do
    lab_wait 10 "the last bytes" grep -q sha256 "$LAB_DIR/received.$from" || fail "the transfer from $from did not end"
    result=$(python3 "$pool_folder/../../tools/lab/stream.py" compare "$LAB_DIR"/{sent,received}."$from" "${moment%???}.${moment: -3}")
    yes "every byte from $from came" jq -e --argjson least $((mbit * 50000)) '.ok and .bytes > $least' <<<"$result"
    silence=$(jq --argjson before "$silence" '[.after_s * 1000, $before] | max | round' <<<"$result")
    rm "$LAB_DIR"/{sent,received}."$from"
  done
}

# Bytes in and out of a host's virtual interface.
# shellcheck disable=SC2016
pool__bytes() { lab_exec "$1" bash -c 'cd /sys/class/net/wow-lab/statistics && echo $(<rx_bytes) $(<tx_bytes)'; }
pool__flowed() {
  local rx tx
  read -r rx tx < <(pool__bytes "$1")
  ((rx > $2 && tx > $3))
}

# pool_is_whole HOST...: each of them has near edges to its two true neighbours among them, and no edge to anybody else.
pool_is_whole() {
  local host
  for host; do
    pool_json "$host" peers | jq --arg self "${node[$host]}" '{self: $self, peers: [.peers[] | select(.roles != [])]}' || return 1
  done | jq -es '
    sort_by(.self) as $nodes | [$nodes[].self] as $all | ($all | length) as $n |
    all(range($n); . as $i | $nodes[$i] |
      [.peers[] | select(any(.roles[]; . == "near")) | .address] as $near |
      ($near | index($all[($i + 1) % $n])) != null and ($near | index($all[($i + $n - 1) % $n])) != null and
      ([.peers[].address] - $all == []))' >/dev/null
}

# pool_is_kept HOST: its store has replicas enough for the death of any one.
pool_is_kept() {
  pool_json "$1" status | jq -e '.dht.members | length >= 3'
}

# Loss in a file of `ping -i SECONDS`: milliseconds between the answers around the longest gap, less one interval.
pool_longest_loss_ms() { # FILE INTERVAL_MS
  awk -v interval="$2" '
    match($0, /icmp_seq=[0-9]+/) && / time=/ {
      n = substr($0, RSTART + 9, RLENGTH - 9) + 0
      if (n - last - 1 > worst) worst = n - last - 1
      if (n > last) last = n
    }
    / packets transmitted/ { if ($1 - last > worst) worst = $1 - last; found = 1 }
    END { print found ? worst * interval : 999999 }' "$1"
}

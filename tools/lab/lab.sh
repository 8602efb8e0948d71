# shellcheck shell=bash
# The laboratory for test scripts and the demo: `wow lab` (docs/lab.md) in words that suit a script. Source it.
# It must never leave anything behind, nor touch the machine's network or files.
#
#   r1 .7     r2 .8        lab_public: hosts directly on the internet
#     |         |
#   ==+====+====+====+========== 198.51.100.0/24
#          |         |
#         wan       wan
#        [home]   [campus]     lab_site: a router per site; a kind of NAT, `firewall` or `open`
#         lan       lan        the router is .1, hosts get .10, .11, ...
#        /   \       |
#    home1  home2  campus1     lab_host: own name, network, processes, /etc, /var, /run, /tmp, /root
#     eth0   eth0   eth0
#
# A script that uses it begins so:
#   set -eu
#   source tools/lab/lab.sh
#   lab_reexec "$@"        # the rest runs in namespaces of its own, which end with it, even by kill -9
#   lab_new
#   lab_public r1 198.51.100.7
#   lab_site home nat 198.51.100.21 192.168.1.0/24
#   lab_host home1 home
#   lab_exec home1 ping -c 1 198.51.100.7
# Hosts see the machine's programs, but not its /root and /tmp: whatever they shall read goes into $LAB_DIR, programs by
# lab_install; `wow` is there already. Messages go to stderr.

LAB_DIR=/run/lab # on a tmpfs that only the laboratory sees; the same path in every host
LAB_LOGS=$LAB_DIR/logs

lab__die() {
  echo "lab: $*" >&2
  exit 1
}

# The program: $WOW, else beside a test in Bazel's tree, else as it was built last.
lab__program() {
  local candidate here
  here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  for candidate in "${WOW:-}" "$here/../wow" "$here/../../bazel-bin/tools/wow"; do
    [[ ! -f $candidate || ! -x $candidate ]] || { realpath "$candidate" && return; }
  done
  lab__die "build it first: bazel build //tools:wow"
}

# Says in one sentence why there can be no laboratory here, and returns 77; or returns 0.
lab_require() {
  local program
  program=$(lab__program) && "$program" lab check
}

# Runs the calling script again inside a laboratory that ends with it; exits with its status.
lab_reexec() {
  if [[ ${LAB_INSIDE:-} ]]; then
    unset LAB_INSIDE
    return
  fi
  lab_require || exit
  LAB_INSIDE=1 exec "$(lab__program)" lab run bash "$0" "$@"
}

lab__wow() { "$LAB_DIR/bin/wow" lab "$@"; }

# Prepares the laboratory. Its logs survive in $LAB_SAVE_LOGS (or Bazel's undeclared outputs) if that is set.
lab_new() {
  [[ ${WOW_LAB:-} && -d $LAB_DIR/nodes ]] || lab__die 'call lab_reexec "$@" before lab_new'
  ssh-keygen -q -t ed25519 -N '' -C lab -f "$LAB_DIR/ssh/id_ed25519"
  cp "$LAB_DIR/ssh/id_ed25519.pub" "$LAB_DIR/ssh/authorized_keys"
  printf '%s\n' 'StrictHostKeyChecking no' 'UserKnownHostsFile /dev/null' 'LogLevel ERROR' 'BatchMode yes' >"$LAB_DIR/ssh/config"
  cat >"$LAB_DIR/ssh/sshd_config" <<END
HostKey $LAB_DIR/ssh/id_ed25519
PidFile /run/sshd.pid
PermitRootLogin yes
StrictModes no
UsePAM no
UseDNS no
PrintMotd no
SetEnv PATH=$LAB_DIR/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
Subsystem sftp internal-sftp
END
  trap lab__save_logs EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

lab__save_logs() {
  local to=${LAB_SAVE_LOGS:-${TEST_UNDECLARED_OUTPUTS_DIR:-}}
  [[ ! $to ]] || { mkdir -p "$to" && cp -r "$LAB_LOGS/." "$to"; } || :
}

# lab_install FILE...: copies programs to where every host finds them by name.
lab_install() {
  cp -L "$@" "$LAB_DIR/bin/"
  chmod a+rx "$LAB_DIR"/bin/*
}

# lab_add <TOPOLOGY: adds what a topology file describes.
lab_add() { lab__wow add -; }

# lab_public NAME IP [FIELDS]: a host directly on the internet; FIELDS in JSON, such as '"ipv6": true'.
lab_public() { lab_add <<<"{\"hosts\": {\"$1\": {\"ip\": \"$2\"${3:+, $3}}}}"; }

# lab_site NAME KIND WANIP LAN [FIELDS]: a site's router. KIND: one of `wow lab kinds`, or
#   nat        eim-apdf: port-restricted cone, which keeps the port if free
#   symmetric  apdm-apdf: random ports
#   firewall   no NAT, the internet routes LAN here; only answers come in
#   open       no NAT, everything comes in
lab_site() {
  local kind
  case $2 in
    nat) kind='"nat": "eim-apdf"' ;;
    symmetric) kind='"nat": "apdm-apdf"' ;;
    firewall) kind='"firewall": true' ;;
    open) kind='"firewall": false' ;;
    *) kind="\"nat\": \"$2\"" ;;
  esac
  lab_add <<<"{\"sites\": {\"$1\": {$kind, \"wan\": \"$3\", \"lan\": \"$4\"${5:+, $5}}}}"
}

# lab_host NAME SITE: a host in a site, on its LAN by DHCP's habit: next free address, default route, no DNS.
lab_host() { lab_add <<<"{\"hosts\": {\"$1\": {\"site\": \"$2\"}}}"; }

# lab_address HOST: its address on the network below (not in a pool).
lab_address() { cat "$LAB_DIR/hosts/$1/address"; }

# lab_exec NODE CMD...: runs a command in a host or router, with this stdin and stdout, home folder and a clean environment.
lab_exec() { lab__wow exec "$@"; }

# lab_spawn NODE LOGFILE CMD...: runs a command there in the background; prints its own process number, to be killed by.
lab_spawn() {
  local pid
  # shellcheck disable=SC2016
  read -r pid < <(lab_exec "$1" bash -c 'read -r pid _ <"$0/proc/self/stat"; echo "$pid" >&3; exec 3>&-; exec "$@"' \
    "$LAB_DIR" "${@:3}" 3>&1 >>"$2" 2>&1 </dev/null) || :
  [[ $pid ]] || lab__die "nothing was started in $1"
  echo "$pid"
}

# lab_move HOST SITE [IP]: unplugs the host where it is, and plugs it in elsewhere with a new MAC.
lab_move() { lab__wow move "$@"; }

# lab_unplug HOST; lab_plug HOST SITE: it has no network card; a new one there.
lab_unplug() { lab__wow unplug "$1"; }
lab_plug() { lab__wow plug "$@"; }

# lab_cut NODE: nothing passes the cable of a host or site any more, in silence: it still sees a carrier. lab_heal undoes it.
lab_cut() { lab__wow cut "$1"; }
lab_heal() { lab__wow heal "$1"; }

# lab_set NODE KEY=VALUE...: another NAT, firewall or line.
lab_set() { lab__wow set "$@"; }

# lab_down HOST: its power fails: it says no farewell, all its processes are killed, and it is no more.
lab_down() { lab__wow kill "$1"; }

# lab_dead PID: whether no such process runs (any more).
lab_dead() {
  ! kill -0 "$1" 2>/dev/null
}

# lab_sshd HOST: a real sshd on all its addresses; root of every host may log in. Not in Bazel's sandbox (tag no-sandbox).
lab_sshd() {
  [[ $(</proc/self/setgroups) == allow ]] || lab__die "sshd cannot start where root may not call setgroups, as in Bazel's sandbox"
  lab_exec "$1" /usr/sbin/sshd -f "$LAB_DIR/ssh/sshd_config" -E "$LAB_LOGS/$1.sshd.log"
  lab_wait 5 "sshd in $1" lab_exec "$1" test -s /run/sshd.pid
}

# lab_wait SECONDS DESCRIPTION CMD...: repeats CMD until it succeeds; says so and returns 1 if it did not in time.
lab_wait() {
  local seconds=$1 description=$2 end
  shift 2
  end=$(($(lab_now_ms) + seconds * 1000))
  until "$@" >/dev/null 2>&1; do
    if (($(lab_now_ms) > end)); then
      echo "lab: waited $seconds s in vain for $description" >&2
      return 1
    fi
    sleep 0.05
  done
}

# The wall clock in milliseconds, the same in all hosts.
lab_now_ms() {
  local now=${EPOCHREALTIME/[^0-9]/}
  echo "${now%???}"
}

# shellcheck shell=bash
# The laboratory: an internet, sites behind NATs and firewalls, and hosts in them, made of Linux namespaces on one machine.
# For tests and the demo: source it. It must never leave anything behind, nor touch the machine's network or files.
#
#   r1 .7     r2 .8        lab_public: hosts directly on the internet
#     |         |
#   ==+====+====+====+========== bridge "internet" 198.51.100.0/24 in the node "net", which is everybody's default route (.1)
#          |         |
#         wan       wan
#        [home]   [campus]     lab_site: a router per site; `nat`, `symmetric`, `firewall` or `open`
#         lan       lan        bridge; the router is .1, hosts get .10, .11, ...
#        /   \       |
#    home1  home2  campus1     lab_host: own name, network, processes, /etc, /var, /run, /tmp, /root
#     eth0   eth0   eth0
#
# A script that uses it begins so:
#   set -eu
#   source tools/lab/lab.sh
#   lab_reexec "$@"        # the rest runs as process 1 of namespaces of its own, which end with it, even by kill -9
#   lab_new
#   lab_internet
#   lab_public r1 198.51.100.7
#   lab_site home nat 198.51.100.21 192.168.1.0/24
#   lab_host home1 home
#   lab_exec home1 ping -c 1 198.51.100.7
# Hosts see the machine's programs, but not its /root and /tmp: whatever they shall read goes into $LAB_DIR, programs by
# lab_install. Messages go to stderr.

LAB_DIR=/run/lab # on a tmpfs that only the laboratory sees; the same path in every host
LAB_LOGS=$LAB_DIR/logs
LAB_SKIP=77 # exit status of a script that cannot run here

lab__die() {
  echo "lab: $*" >&2
  exit 1
}

# Says in one sentence why there can be no laboratory here, and returns 77; or returns 0.
lab_require() {
  local program missing=
  if ((EUID != 0)); then
    echo "This needs root, because it makes network namespaces and TAP devices: run it with sudo." >&2
    return "$LAB_SKIP"
  fi
  for program in unshare nsenter setpriv mount ip bridge nft ssh-keygen; do
    command -v "$program" >/dev/null || missing+=" $program"
  done
  if [[ $missing ]]; then
    echo "Programs are missing ($missing ): run tools/setup." >&2
    return "$LAB_SKIP"
  fi
  if ! { : <>/dev/net/tun; } 2>/dev/null; then
    echo "There is no usable /dev/net/tun: load the kernel module (modprobe tun), or give it to this container (--device /dev/net/tun)." >&2
    return "$LAB_SKIP"
  fi
  # shellcheck disable=SC2016
  if ! unshare --mount --net --pid --ipc --uts --fork --mount-proc --kill-child sh -c '
      mount -t tmpfs lab /run && cd /run && mkdir up work &&
      mount -t overlay -o lowerdir=/etc,upperdir=up,workdir=work lab /etc && ip link add lab type bridge' 2>/dev/null; then
    echo "This kernel or container does not allow new namespaces with tmpfs, overlay and bridge: run it on the machine itself, or in a container with --privileged." >&2
    return "$LAB_SKIP"
  fi
}

# Runs the calling script again inside private mount, network, process and IPC namespaces, with an empty /run; exits with its status.
lab_reexec() {
  local lab status
  if [[ $$ == 1 && ${LAB_INSIDE:-} ]]; then
    unset LAB_INSIDE
    mount -t tmpfs -o mode=755 lab /run
    ip link set lo up
    return
  fi
  lab_require || exit
  # The kernel ends the laboratory when this shell ends, however that comes. env: a shell's background job ignores
  # Ctrl-C, and what was ignored on entry cannot be trapped.
  LAB_INSIDE=1 setpriv --pdeathsig KILL unshare --mount --net --pid --ipc --fork --mount-proc --kill-child \
    env --default-signal=INT,QUIT bash "$0" "$@" <&0 &
  lab=$!
  trap : INT QUIT # a terminal sends these inside, too
  trap 'lab__stop "$lab"; exit 143' TERM HUP
  { while kill -0 "$lab"; do wait "$lab" || :; done; } 2>/dev/null # bash would report a killed job
  status=0
  wait "$lab" || status=$?
  exit "$status"
}

# Asks the laboratory below `unshare` process $1 to end, and makes it end after 2 s.
lab__stop() {
  local child
  while IFS=/ read -r _ _ child _; do
    kill -TERM "$child" || :
  done < <(grep -lx "PPid:[[:space:]]*$1" /proc/[0-9]*/status 2>/dev/null)
  lab_wait 2 "the laboratory to end" lab_dead "$1" 2>/dev/null || kill -KILL "$1" || :
}

# Starts an empty laboratory. Its logs survive in $LAB_SAVE_LOGS (or Bazel's undeclared outputs) if that is set.
lab_new() {
  [[ $$ == 1 && $(stat -f -c %T /run) == tmpfs ]] || lab__die 'call lab_reexec "$@" before lab_new'
  mkdir -p "$LAB_DIR"/{bin,hosts,logs,nodes,sites,ssh,proc}
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
SetEnv PATH=$(lab__path)
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

lab__path() {
  echo "$LAB_DIR/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

# lab_install FILE...: copies programs to where every host finds them by name.
lab_install() {
  cp -L "$@" "$LAB_DIR/bin/"
  chmod a+rx "$LAB_DIR"/bin/*
}

# lab_internet: the bridge that public hosts and site routers stand on; it forwards, and knows only public addresses.
lab_internet() {
  lab__router net
  lab__in net bash -eu <<END
echo 1 >/proc/sys/net/ipv4/ip_forward
# Routers' next hops are on the bridge that a packet came from; nobody shall learn shortcuts.
for f in /proc/sys/net/ipv4/conf/{all,default}/send_redirects; do echo 0 >"\$f"; done
ip -batch - <<BATCH
link set lo up
link add internet address $(lab__mac 198.51.100.1) type bridge stp_state 0 mcast_snooping 0
link set internet up
addr add 198.51.100.1/24 dev internet
route add blackhole default
BATCH
# Else the bridge's frames go through conntrack.
[ ! -e /proc/sys/net/bridge ] || echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables
END
  echo "net internet 198.51.100" >"$LAB_DIR/sites/internet"
}

# A MAC for the bridge of router $1: without one of its own it takes its ports', another one whenever they come and go.
lab__mac() {
  # shellcheck disable=SC2086
  printf '02:00:%02x:%02x:%02x:%02x' ${1//./ }
}

# lab_public NAME IP: a host directly on the internet.
lab_public() {
  lab__boot "$1"
  lab_plug "$1" internet "$2"
}

# lab_site NAME KIND WANIP LANPREFIX/24: a site's router. KIND (RFC 4787's words):
#   nat        port-restricted cone: endpoint-independent mapping that keeps the port if free, address-and-port-dependent filter
#   symmetric  address-and-port-dependent mapping to random ports, and such a filter
#   firewall   no NAT, the internet routes LANPREFIX here; only answers come in
#   open       no NAT, everything comes in
# No kind answers inside for its outside address (no hairpin).
lab_site() {
  local name=$1 kind=$2 wan_ip=$3 prefix=$4
  [[ $prefix == *.0/24 ]] || lab__die "lab_site $name: LANPREFIX must be like 192.168.1.0/24, not $prefix"
  case $kind in nat | symmetric | firewall | open) ;; *) lab__die "lab_site $name: no kind '$kind'" ;; esac
  prefix=${prefix%.0/24}
  lab__router "$name"
  ip link add wan netns "$(lab_pid "$name")" type veth peer name "$name" netns "$(lab_pid net)"
  lab__in net ip link set "$name" master internet up
  if [[ $kind == firewall || $kind == open ]]; then
    lab__in net ip route add "$prefix.0/24" via "$wan_ip"
  fi
  lab__in "$name" bash -eu <<END
echo 1 >/proc/sys/net/ipv4/ip_forward
for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >"\$f"; done
ip -batch - <<BATCH
link set lo up
link add lan address $(lab__mac "$wan_ip") type bridge stp_state 0 mcast_snooping 0
link set lan up
link set wan up
addr add $wan_ip/24 dev wan
addr add $prefix.1/24 dev lan
route add default via 198.51.100.1
BATCH
[ ! -e /proc/sys/net/bridge ] || echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables
nft -f - <<NFT
$("lab__rules_$kind" "$wan_ip")
NFT
END
  mkdir "$LAB_DIR/sites/$name.taken"
  echo "$name lan $prefix" >"$LAB_DIR/sites/$name"
}

lab__rules_open() { :; }

# What comes in is an answer, or is dropped in silence.
lab__rules_firewall() {
  cat <<END
table ip site {
 chain forward { type filter hook forward priority filter
  iifname wan ct state != { established, related } drop
 }
 chain in { type filter hook input priority filter
  # Not only a policy: a packet that gets through to the router makes a conntrack entry, which would remap the next
  # outgoing packet of a host that it resembles.
  iifname wan meta l4proto { udp, tcp } ct state new drop
  iifname lan ip daddr $1 meta l4proto { udp, tcp } drop
 }
}
END
}

lab__rules_symmetric() {
  lab__rules_firewall "$1"
  cat <<END
table ip nat {
 chain out { type nat hook postrouting priority srcnat
  oifname wan masquerade random,fully-random
 }
}
END
}

# Linux alone would map one inside endpoint to two outside ports when two hosts use the same port: so remember.
lab__rules_nat() {
  lab__rules_firewall "$1"
  cat <<END
table ip nat {
 map port_of { type ipv4_addr . inet_service : inet_service
  flags dynamic,timeout
  timeout 300s
 }
 set taken { type inet_service
  flags dynamic,timeout
  timeout 300s
 }
 chain out { type nat hook postrouting priority srcnat
  oifname wan meta l4proto udp snat ip to $1 : ip saddr . udp sport map @port_of
  oifname wan udp sport @taken masquerade random,fully-random
  oifname wan masquerade
 }
 chain learn { type filter hook postrouting priority 200
  oifname wan ct direction original meta l4proto udp update @port_of { ct original ip saddr . ct original proto-src : ct reply proto-dst }
  oifname wan ct direction original meta l4proto udp update @taken { ct reply proto-dst }
 }
}
END
}

# lab_host NAME SITE: a host in a site, on its LAN by DHCP's habit: next free address, default route, no DNS.
lab_host() {
  lab__boot "$1"
  lab_plug "$1" "$2"
}

# lab_pid NODE: process 1 of a host, or the process that holds a router's namespace, as the laboratory counts processes.
lab_pid() {
  local pid
  read -r pid 2>/dev/null <"$LAB_DIR/nodes/$1" || lab__die "there is no host or router '$1'"
  echo "$pid"
}

# lab_address HOST: its address on the network below (not in a pool).
lab_address() {
  cat "$LAB_DIR/hosts/$1/address"
}

# lab__in NODE CMD...: runs a program of the laboratory in a node's network.
lab__in() {
  local node=$1
  shift
  nsenter -t "$(lab_pid "$node")" -n -- "$@"
}

# Checks that a node may be called $1: it names an interface, too.
lab__check_name() {
  [[ $1 =~ ^[a-z][a-z0-9-]{0,14}$ && ! $1 =~ ^(lo|lan|wan|internet)$ ]] || lab__die "a node cannot be called '$1'"
  [[ ! -e $LAB_DIR/nodes/$1 ]] || lab__die "there are two nodes called '$1'"
}

# A network namespace with a name, and nothing in it.
lab__router() {
  local pid
  lab__check_name "$1"
  # shellcheck disable=SC2016
  read -r pid < <(exec unshare --net --uts bash -c 'echo "$0" >/proc/sys/kernel/hostname
    echo $$
    exec -a "wow-lab router $0" sleep infinity >/dev/null' "$1" </dev/null) || :
  [[ $pid ]] || lab__die "router $1 did not start"
  echo "$pid" >"$LAB_DIR/nodes/$1"
}

# Process 1 of host $1: makes what the host sees, prints its own number in the laboratory, and reaps orphans for ever.
lab__host_init() {
  local dir=$LAB_DIR/hosts/$1 pid tree
  read -r pid _ </proc/self/stat
  echo "$1" >/proc/sys/kernel/hostname
  # Overlays, not bind-mounted files: a program may replace /etc/hosts by renaming another file over it.
  for tree in etc var; do
    mount -t overlay -o "lowerdir=/$tree,upperdir=$dir/$tree,workdir=$dir/.work/$tree" lab "/$tree"
  done
  mount --bind "$dir/root" /root
  mount --bind "$dir/tmp" /tmp
  mount -t tmpfs -o mode=1777 lab /dev/shm
  mount -t tmpfs -o mode=755 lab "$dir/run"
  mkdir -p "$dir"/run/{lab,lock,sshd}
  mount --bind "$LAB_DIR" "$dir/run/lab"
  mount --bind /proc "$dir/run/lab/proc" # lab_spawn asks it for the laboratory's process numbers
  mount --rbind "$dir/run" /run
  mount -t proc lab /proc
  mount -t sysfs -o ro lab /sys
  ip link set lo up
  echo "$pid"
  exec >/dev/null 3<> <(:) # a pipe that never ends: while bash reads, it reaps
  read -r -u 3
}

# Starts host $1 with no network but lo.
lab__boot() {
  local name=$1 dir=$LAB_DIR/hosts/$1 pid
  lab__check_name "$name"
  mkdir -p "$dir"/{etc/wow,var,root/.ssh,run,tmp,.work/etc,.work/var}
  chmod 1777 "$dir/tmp"
  chmod 700 "$dir/root/.ssh"
  cp "$LAB_DIR/ssh/id_ed25519" "$LAB_DIR/ssh/authorized_keys" "$LAB_DIR/ssh/config" "$dir/root/.ssh/"
  printf '127.0.0.1 localhost\n::1 localhost\n' >"$dir/etc/hosts"
  echo "$name" >"$dir/etc/hostname"
  : >"$dir/etc/resolv.conf"
  tr -d - </proc/sys/kernel/random/uuid >"$dir/etc/machine-id"
  # shellcheck disable=SC2016
  read -r pid < <(
    export LAB_DIR
    export -f lab__host_init
    exec unshare --mount --uts --ipc --net --pid --fork --kill-child bash -c \
      'exec -a "wow-lab host $0" bash -euc "lab__host_init $0"' "$name" </dev/null
  ) || :
  [[ $pid ]] || lab__die "host $name did not start"
  echo "$pid" >"$LAB_DIR/nodes/$name"
}

# lab_exec NODE CMD...: runs a command in a host or router, with this stdin and stdout, home folder and a clean environment.
lab_exec() {
  lab__enter "$1" "${@:2}"
}

# lab_spawn NODE LOGFILE CMD...: runs a command there in the background; prints its own process number, to be killed by.
lab_spawn() {
  local pid
  # shellcheck disable=SC2016
  read -r pid < <(lab__enter "$1" bash -c 'read -r pid _ <"$0/proc/self/stat"; echo "$pid" >&3; exec 3>&-; exec "$@"' \
    "$LAB_DIR" "${@:3}" 3>&1 >>"$2" 2>&1 </dev/null) || :
  [[ $pid ]] || lab__die "nothing was started in $1"
  echo "$pid"
}

lab__enter() {
  local node=$1 home=/ pid name environment
  shift
  pid=$(lab_pid "$node") || return
  [[ ! -d $LAB_DIR/hosts/$node ]] || home=/root
  environment=("HOME=/root" "USER=root" "LOGNAME=root" "SHELL=/bin/bash" "LANG=C.UTF-8" "TERM=${TERM:-dumb}" "PATH=$(lab__path)")
  for name in ASAN_OPTIONS LSAN_OPTIONS TSAN_OPTIONS UBSAN_OPTIONS; do
    [[ ! ${!name:-} ]] || environment+=("$name=${!name}")
  done
  nsenter -t "$pid" -m -u -i -n -p -- env -i -C "$home" "${environment[@]}" "$@"
}

# lab_plug HOST SITE [IP]: a new eth0 with a new MAC in a site, or at IP on the internet (SITE `internet`); the host has none.
lab_plug() {
  local host=$1 site=$2 ip=${3:-} node bridge prefix n
  read -r node bridge prefix 2>/dev/null <"$LAB_DIR/sites/$site" || lab__die "there is no site '$site'"
  if [[ ! $ip ]]; then
    [[ $site != internet ]] || lab__die "$host needs an address on the internet"
    for ((n = 10; n < 255; n++)); do
      ! mkdir "$LAB_DIR/sites/$site.taken/$n" 2>/dev/null || break
    done
    ip=$prefix.$n
  fi
  ip link add eth0 netns "$(lab_pid "$host")" type veth peer name "$host" netns "$(lab_pid "$node")"
  lab__in "$node" ip link set "$host" master "$bridge" up
  lab__in "$host" ip -batch - <<END
link set eth0 up
addr add $ip/24 dev eth0
route add default via $prefix.1
END
  echo "$site" >"$LAB_DIR/hosts/$host/site"
  echo "$ip" >"$LAB_DIR/hosts/$host/address"
}

# lab_unplug HOST: its eth0 goes down and away.
lab_unplug() {
  lab__in "$1" ip link set eth0 down
  lab__in "$1" ip link del eth0
}

# lab_move HOST SITE [IP]: unplugs the host where it is, and plugs it in elsewhere.
lab_move() {
  lab_unplug "$1"
  lab_plug "$@"
}

# lab_cut HOST: nothing passes its cable any more, in silence: the host still sees a carrier.
lab_cut() {
  lab__port "$1" 0
}

# lab_heal HOST: undoes lab_cut.
lab_heal() {
  lab__port "$1" 3
}

# Sets the state of the bridge port of host $1 (0 disabled, 3 forwarding).
lab__port() {
  lab__in "$(lab__router_of "$1")" bridge link set dev "$1" state "$2"
}

# The router that host $1 is plugged into.
lab__router_of() {
  local site node
  read -r site <"$LAB_DIR/hosts/$1/site"
  read -r node _ <"$LAB_DIR/sites/$site"
  echo "$node"
}

# lab_down HOST: its power fails: it says no farewell, all its processes are killed, and it is no more.
lab_down() {
  local pid parent router
  pid=$(lab_pid "$1") || exit
  router=$(lab__router_of "$1")
  lab__in "$router" ip link del "$1" 2>/dev/null || : # it may be unplugged
  read -r _ _ _ parent _ < <(sed 's/(.*)/-/' "/proc/$pid/stat") # unshare, which would complain
  kill -KILL "$parent" "$pid"
  lab_wait 5 "$1 to end" lab_dead "$pid"
  rm -rf "${LAB_DIR:?}/hosts/$1" "$LAB_DIR/nodes/$1"
}

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

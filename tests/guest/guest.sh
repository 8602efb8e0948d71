# shellcheck shell=bash
# What tests with virtual machines begin with: the pool's laboratory, and what QEMU needs. To be sourced.
# shellcheck source=tests/system/pool.sh
source "$(dirname "${BASH_SOURCE[0]}")/../system/pool.sh"

# guest_note FILE WHAT DOWNTIME_S SILENT_S TCP_S: figures of a migration, a line of JSON, if there is a FILE; from seconds, the load beside.
guest_note() {
  [[ ! $1 ]] || jq -nc --arg what "$2" --argjson s "[$3, $4, $5]" --arg load "$(cut -d' ' -f1 /proc/loadavg)" '
    {what: $what, downtime_s: $s[0], silent_s: $s[1], connection_s: $s[2], load: ($load | tonumber)}' >>"$1"
}

# guest_reexec PROGRAM... -- ARGUMENT...: in the laboratory, once the programs are there; else the test is skipped, and says why.
guest_reexec() {
  local program
  while [[ $1 != -- ]]; do
    program=$1
    shift
    [[ ${LAB_INSIDE:-} ]] || command -v "$program" >/dev/null || { echo "The program $program is missing: run tools/setup --guests." && exit 77; }
  done
  [[ ${LAB_INSIDE:-} ]] || compgen -G '/var/cache/wow-guest/linux-image-*.deb' >/dev/null ||
    { echo "There is no kernel for guests: run tools/setup --guests." && exit 77; }
  lab_reexec "${@:2}"
}

# guest_start HOST [OPTION...]: QEMU there, its network card on tap0, kernel and initrd from $LAB_DIR, console in
# $LAB_LOGS/HOST.console.log; guest_qmp HOST COMMAND [ARGUMENTS] speaks with its monitor. guest_qemu: the same without a network card.
# It has `guest_mb` of memory, and 8 kB more: where memory is a multiple of 256 kB, QEMU before 9.0 without KVM clears the marks of written pages in strides
# that its address caches do not hear of, and one migration in a hundred loses a page; guests panic.
guest_mb=192
guest_start() {
  guest_qemu "$1" -netdev tap,id=net,ifname=tap0,script=no,downscript=no -device virtio-net-pci,netdev=net,id=nic,mac=52:54:00:12:34:56 "${@:2}"
}
guest_qemu() {
  rm -f "$LAB_DIR/$1.qmp"
  lab_spawn "$1" "$LAB_LOGS/$1.console.log" qemu-system-x86_64 -accel tcg,thread=single -M q35 -cpu max -m $((guest_mb * 1024 + 8))K -nodefaults -no-user-config \
    -display none -serial stdio -kernel "$LAB_DIR/kernel" -initrd "$LAB_DIR/initrd" -append "console=ttyS0 quiet panic=-1" \
    -qmp "unix:$LAB_DIR/$1.qmp,server=on,wait=off" "${@:2}" >"$LAB_DIR/$1.vm"
  lab_wait 10 "QEMU in $1" test -S "$LAB_DIR/$1.qmp" || fail "QEMU did not start in $1"
}
guest_qmp() { lab_exec "$1" qmp "$LAB_DIR/$1.qmp" "${@:2}" </dev/null; }

# guest_site HOST: where guests can be that get their address by the site's DHCP: the host's network card and a TAP for
# guest_start on one bridge, and a DHCP server.
guest_site() {
  local address
  address=$(lab_address "$1")
  lab_exec "$1" bash -c "
    set -e
    gateway=\$(ip -o route show default | awk '{ print \$3 }')
    ip link add br0 type bridge && ip link set br0 up
    sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || :
    ip addr flush dev eth0 && ip link set eth0 master br0 && ip addr add $address/24 dev br0 && ip route add default via \$gateway
    ip tuntap add tap0 mode tap && ip link set tap0 master br0 up
    printf '%s\n' 'start ${address%.*}.100' 'end ${address%.*}.120' 'interface br0' \"option router \$gateway\" 'option subnet 255.255.255.0' \
      'lease_file /run/leases' 'pidfile /run/udhcpd.pid' 'max_leases 20' >/run/udhcpd.conf
    touch /run/leases" </dev/null
  lab_spawn "$1" "$LAB_LOGS/$1.dhcp.log" busybox udhcpd -f -a 100 /run/udhcpd.conf >/dev/null
}

# guest_replug HOST: the guest there is at another switch, where it asks DHCP: its cable goes and comes. A slow guest on a busy machine
# does not see it gone for a moment. Leaves in `pulled_ms` for how long it was gone, in `asked_ms` how long DHCP took then (50 ms late at
# most), and in `replugged_ms` when the guest had an address.
guest_replug() {
  local known at
  known=$(guest__addresses "$1")
  for pulled_ms in 300 1000 3000; do
    guest_qmp "$1" set_link '{"name": "nic", "up": false}' >/dev/null
    sleep "$((pulled_ms / 1000)).$((pulled_ms % 1000 / 100))"
    guest_qmp "$1" set_link '{"name": "nic", "up": true}' >/dev/null
    at=$(lab_now_ms)
    ! lab_wait 8 "an address for the guest" guest__has_more_than "$1" "$known" || break
  done
  guest__has_more_than "$1" "$known" || fail "the guest got no address at $1"
  replugged_ms=$(lab_now_ms) asked_ms=$((replugged_ms - at))
}
guest__addresses() { grep -ac 'guest: address' "$LAB_LOGS/$1.console.log" || :; }
guest__has_more_than() { (($(guest__addresses "$1") > $2)); }

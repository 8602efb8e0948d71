# shellcheck shell=bash
# What tests with virtual machines begin with: the pool's laboratory, and what QEMU needs. To be sourced.
# shellcheck source=tests/system/pool.sh
source "$(dirname "${BASH_SOURCE[0]}")/../system/pool.sh"

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
# $LAB_LOGS/HOST.console.log; guest_qmp HOST COMMAND [ARGUMENTS] speaks with its monitor.
# 8 kB more than 192 MB: where memory is a multiple of 256 kB, QEMU before 9.0 without KVM clears the marks of written pages in strides
# that its address caches do not hear of, and one migration in a hundred loses a page; guests panic.
guest_start() {
  rm -f "$LAB_DIR/$1.qmp"
  lab_spawn "$1" "$LAB_LOGS/$1.console.log" qemu-system-x86_64 -accel tcg,thread=single -M q35 -cpu max -m 196616K -nodefaults -no-user-config \
    -display none -serial stdio -kernel "$LAB_DIR/kernel" -initrd "$LAB_DIR/initrd" -append "console=ttyS0 quiet panic=-1" \
    -netdev tap,id=net,ifname=tap0,script=no,downscript=no -device virtio-net-pci,netdev=net,id=nic,mac=52:54:00:12:34:56 \
    -qmp "unix:$LAB_DIR/$1.qmp,server=on,wait=off" "${@:2}" >"$LAB_DIR/$1.vm"
  lab_wait 10 "QEMU in $1" test -S "$LAB_DIR/$1.qmp" || fail "QEMU did not start in $1"
}
guest_qmp() { lab_exec "$1" qmp "$LAB_DIR/$1.qmp" "${@:2}" </dev/null; }

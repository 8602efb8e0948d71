#!/bin/bash
# Virtual machines that get their invite from a config drive, or from QEMU's firmware, join at boot by `wow up --invite auto`;
# nobody but root can read it there. `wow image` makes the drive and the guest.
#
#   home1 runs QEMU, whose guest is behind a NAT of QEMU's own, behind home's; office1 is in the pool and sees the guest join
set -euo pipefail
# shellcheck source=tests/guest/guest.sh
source "$(dirname "${BASH_SOURCE[0]}")/guest.sh"
guest_reexec qemu-system-x86_64 busybox cpio xorrisofs -- "$@"

pool_laboratory home1 office1
pool_create
pool_routers r1 r2
pool_up office1

wow=$LAB_DIR/bin/wow
"$wow" image guest -o "$LAB_DIR/guest" >>"$LAB_LOGS/commands.log"
before=$(stat -c %Y.%i "$LAB_DIR/guest/kernel")
no "a guest is not replaced unasked" "$wow" image guest -o "$LAB_DIR/guest"
same "nor touched" "$before" "$(stat -c %Y.%i "$LAB_DIR/guest/kernel")"
(umask 022 && "$wow" image config "$LAB_DIR/lab.invite" -o "$LAB_DIR/lab.iso" >>"$LAB_LOGS/commands.log")
same "the drive is its maker's alone" 600 "$(stat -c %a "$LAB_DIR/lab.iso")"
said=$("$wow" image guest -o "$LAB_DIR/other" --kernel "$LAB_DIR/lab.iso" 2>&1) && fail "a drive was taken for a kernel"
same "what is no package has no kernel" "wow: $LAB_DIR/lab.iso is no package of Debian's" "$said"
no "and nothing is made" test -e "$LAB_DIR/other"

# Laid over the guest's file system: once the guest is up it says who can read what carried the invite.
mkdir -p "$LAB_DIR/over"
cat >"$LAB_DIR/over/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox sh -c '
  export PATH=/bin
  until [ -e /sys/class/net/wow-lab ]; do /bin/busybox usleep 100000; done
  for file in /dev/vda /sys/firmware/qemu_fw_cfg/by_name/opt/wow/invite/raw; do
    [ -e $file ] || continue
    for user in root wow; do
      if su -s /bin/sh $user -c "head -c 1 $file >/dev/null 2>&1"; then echo "check: $user reads $file"; else echo "check: $user does not read $file"; fi
    done
  done
  echo "check: $(grep -c iso9660 /proc/mounts) drives are mounted"
' &
exec /bin/init
INIT
chmod 755 "$LAB_DIR/over/init"
(cat "$LAB_DIR/guest/initrd" && cd "$LAB_DIR/over" && echo init | cpio -o -H newc -R 0:0 --quiet | gzip -1) >"$LAB_DIR/initrd"

# boot NAME OPTION...: its console is in $LAB_LOGS/NAME.console.log.
boot() {
  lab_spawn home1 "$LAB_LOGS/$1.console.log" qemu-system-x86_64 -accel tcg,thread=single -M q35 -cpu max -m 192 -nodefaults -no-user-config \
    -display none -serial stdio -kernel "$LAB_DIR/guest/kernel" -initrd "$LAB_DIR/initrd" -append "console=ttyS0 quiet panic=-1" \
    -nic user,model=virtio-net-pci -fw_cfg name=opt/wow/name,string="$1" "${@:2}" >"$LAB_DIR/$1.vm"
}
is_known() { lab_exec office1 getent ahostsv4 "$1"; }
says() { grep -qa "$2" "$LAB_LOGS/$1.console.log"; }
joins() {
  WAIT_S=60 eventually "$1 has joined" is_known "$1"
  ip[$1]=$(is_known "$1" | awk 'NR == 1 { print $1 }')
  WAIT_S=20 eventually "and answers" pool_ping office1 "$1"
  WAIT_S=20 eventually "it has looked around" says "$1" 'check: .* mounted'
}

echo "--- by a drive"
boot drive -drive "if=virtio,format=raw,readonly=on,file=$LAB_DIR/lab.iso"
joins drive
yes "it says where the invite is from" says drive 'The invite is from the drive /dev/vda'
yes "root reads the drive" says drive 'check: root reads /dev/vda'
yes "nobody else does" says drive 'check: wow does not read /dev/vda'
yes "it is not left mounted" says drive 'check: 0 drives are mounted'
kill "$(<"$LAB_DIR/drive.vm")"

echo "--- by the firmware, which comes first"
boot firm -fw_cfg "name=opt/wow/invite,file=$LAB_DIR/lab.invite" -drive "if=virtio,format=raw,readonly=on,file=$LAB_DIR/lab.iso"
joins firm
yes "it says where the invite is from" says firm "The invite is from QEMU's firmware"
yes "nobody else reads it" says firm 'check: wow does not read /sys/firmware/'
no "each guest has an address of its own" test "${ip[drive]}" = "${ip[firm]}"

echo "--- by nothing"
boot bare
WAIT_S=60 eventually "it says what is missing" says bare 'wow: no invite was handed to this machine'
echo "all passed"

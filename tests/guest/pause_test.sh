#!/bin/bash
# A virtual machine is stopped for longer than its lease of a minute, and another host takes its address meanwhile. Its own clocks
# stood still, so it does not know: when it goes on it finds out by the store, leases another address, and is reached by its name.
#
#   home1 runs QEMU, whose guest is behind a NAT of QEMU's own, behind home's; office1 talks to the guest; campus1 takes its address
set -euo pipefail
# shellcheck source=tests/guest/guest.sh
source "$(dirname "${BASH_SOURCE[0]}")/guest.sh"
guest_reexec qemu-system-x86_64 busybox cpio -- "$@"

pool_laboratory home1 office1 campus1
lab_install "$pool_folder/../../tools/guest/qmp"
"$LAB_DIR/bin/wow" image guest -o "$LAB_DIR/guest" >"$LAB_LOGS/image.log"
pool_create --lease-seconds 60
pool_routers r1 r2
pool_up office1
qmp() { lab_exec home1 qmp "$LAB_DIR/qmp" "$@" </dev/null; }
lab_spawn home1 "$LAB_LOGS/console.log" qemu-system-x86_64 -accel tcg,thread=single -M q35 -cpu max -m 192 -nodefaults -no-user-config \
  -display none -serial stdio -kernel "$LAB_DIR/guest/kernel" -initrd "$LAB_DIR/guest/initrd" -append "console=ttyS0 quiet panic=-1" \
  -nic user,model=virtio-net-pci -fw_cfg "name=opt/wow/invite,file=$LAB_DIR/lab.invite" -fw_cfg name=opt/wow/name,string=guest \
  -qmp "unix:$LAB_DIR/qmp,server=on,wait=off" >"$LAB_DIR/vm"
address_of() { pool_json r1 leases | jq -er --arg name "$1" '.leases[] | select(.name == $name) | .ip'; }
WAIT_S=60 eventually "the guest has joined" address_of guest
before=$(address_of guest)
WAIT_S=20 eventually "and answers" pool_ping office1 "$before"

qmp stop >/dev/null
is_free() { pool_json r1 leases | jq -e --arg ip "$before" 'all(.leases[]; .ip != $ip)' >/dev/null; }
WAIT_S=120 eventually "its lease has ended" is_free
pool_join campus1 --ip "$before"
pool_up campus1
same "another has its address" "$before" "${ip[campus1]}"

qmp cont >/dev/null
has_another() {
  local now
  now=$(address_of guest) && [[ $now != "$before" ]]
}
WAIT_S=60 eventually "the guest has another" has_another
yes "and says so" grep -qa "lease lost.*ip=$before" "$LAB_LOGS/console.log"
answers() { pool_ping office1 "$(address_of guest)"; }
WAIT_S=20 eventually "by which it answers" answers
WAIT_S=90 eventually "campus1 has what it took" pool_ping office1 campus1
same "and keeps it" "$before" "$(pool_json campus1 status | jq -r .lease.ip)"
echo "all passed"

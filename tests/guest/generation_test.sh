#!/bin/bash
# Virtual machines with a generation ID that are set back to a snapshot, and cloned as they run. wow inside notices by QEMU's firmware, with
# the kernel as it is: a clone becomes a node of its own while the original goes on; who was set back, and finds nobody else, stays what it was.
# Restored under the same ID, as after a migration, it notices nothing.
#
#   home1 and office1 run QEMU, whose guests are behind a NAT of QEMU's own, behind their sites'; campus1 talks to them
set -euo pipefail
# shellcheck source=tests/guest/guest.sh
source "$(dirname "${BASH_SOURCE[0]}")/guest.sh"
guest_reexec qemu-system-x86_64 busybox cpio -- "$@"

pool_laboratory r3 r4 r5 home1 office1 campus1
lab_install "$pool_folder/../../tools/guest/qmp"
"$LAB_DIR/bin/wow" image guest -o "$LAB_DIR" >"$LAB_LOGS/image.log"
pool_create
# Enough for a store without the guest.
pool_routers r1 r2 r3 r4 r5
pool_up campus1

# start HOST GENERATION [OPTION...]
start() {
  guest_qemu "$1" -nic user,model=virtio-net-pci -device "vmgenid,guid=$2$2$2$2$2$2$2$2-0000-4000-8000-000000000000" \
    -fw_cfg "name=opt/wow/invite,file=$LAB_DIR/lab.invite" -fw_cfg name=opt/wow/name,string=guest "${@:3}"
}
# noticed HOST N: so often the guest there has noticed another generation.
noticed() { (($(grep -ac 'this virtual machine was cloned, or set back' "$LAB_LOGS/$1.console.log") == $2)); }
# holders: address, node and name of each guest, a line each.
holders() { pool_json r1 leases | jq -er '.leases[] | select(.name | startswith("guest")) | .ip + " " + .node + " " + .name'; }
is_what_it_was() { grep -qx "$before" <<<"$(holders)"; }
start home1 1
WAIT_S=90 eventually "the guest has joined" holders
before=$(holders)
ip[guest]=${before%% *}
WAIT_S=20 eventually "and answers" pool_ping campus1 guest
yes "a snapshot of it" guest_qmp home1 migrate "exec:cat >$LAB_DIR/state"
guest_qmp home1 quit >/dev/null

echo "--- restored in place"
start home1 1 -incoming "exec:cat $LAB_DIR/state"
WAIT_S=30 eventually "it answers" pool_ping campus1 guest

echo "--- a clone of it, while it runs"
start office1 2 -incoming "exec:cat $LAB_DIR/state"
WAIT_S=30 eventually "the clone notices" noticed office1 1
two() { (($(holders | wc -l) == 2)); }
WAIT_S=200 eventually "it joins anew" two
yes "it had found out itself" grep -qa 'is a copy of another' "$LAB_LOGS/office1.console.log"
ip[clone]=$(holders | grep -v "^${ip[guest]} " | cut -d' ' -f1)
WAIT_S=60 eventually "it answers by an address of its own" pool_ping campus1 clone
WAIT_S=60 eventually "the original answers by its own" pool_ping campus1 guest
yes "and is what it was" is_what_it_was
yes "it noticed nothing, for its ID is what it was" noticed home1 0
guest_qmp home1 quit >/dev/null

echo "--- set back to the snapshot, with another generation ID"
start home1 3 -incoming "exec:cat $LAB_DIR/state"
WAIT_S=30 eventually "it notices" noticed home1 1
WAIT_S=60 eventually "it answers" pool_ping campus1 guest
yes "it is what it was" is_what_it_was
echo "all passed"

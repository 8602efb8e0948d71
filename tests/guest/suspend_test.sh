#!/bin/bash
# A virtual machine is suspended to a file on one host, and goes on at another site after a while: same node, same lease, reached again
# within two seconds. It knows nothing of the time in between: its clocks stood still and its address is what it was. That it is elsewhere
# its network card tells it.
#
#   home1 and office1 run QEMU, whose guest is behind a NAT of QEMU's own, behind their sites'; campus1 talks to it
#
#   suspend_test.sh [SECONDS]     how long it is suspended, 30 by default: longer than peers keep a session that is silent
set -euo pipefail
# shellcheck source=tests/guest/guest.sh
source "$(dirname "${BASH_SOURCE[0]}")/guest.sh"
guest_reexec qemu-system-x86_64 busybox cpio -- "$@"

pool_laboratory home1 office1 campus1
lab_install "$pool_folder/../../tools/guest/qmp"
"$LAB_DIR/bin/wow" image guest -o "$LAB_DIR" >"$LAB_LOGS/image.log"
pool_create
pool_routers r1 r2
pool_up campus1

start() {
  guest_qemu "$1" -nic user,model=virtio-net-pci -fw_cfg "name=opt/wow/invite,file=$LAB_DIR/lab.invite" -fw_cfg name=opt/wow/name,string=guest "${@:2}"
}
# holder: address and node of the guest.
holder() { pool_json r1 leases | jq -er '.leases[] | select(.name == "guest") | .ip + " " + .node'; }
start home1
WAIT_S=90 eventually "the guest has joined" holder
before=$(holder)
ip[guest]=${before%% *}
WAIT_S=20 eventually "and answers" pool_ping campus1 guest
yes "it is suspended" guest_qmp home1 migrate "exec:cat >$LAB_DIR/state"
guest_qmp home1 quit >/dev/null
sleep "${1:-30}" # time is what this is about

start office1 -incoming "exec:cat $LAB_DIR/state"
runs() { [[ $(guest_qmp office1 query-status | jq -r .status) == running ]]; }
WAIT_S=60 eventually "it goes on at another site" runs
at=$(lab_now_ms)
lab_exec campus1 ping -n -i 0.05 -c 600 -W 1 "${ip[guest]}" >"$LAB_DIR/pings" </dev/null &
pings=$!
answers() { grep -q 'bytes from' "$LAB_DIR/pings"; }
WAIT_S=30 eventually "it answers" answers
measured "from there until it answers" $(($(lab_now_ms) - at)) 2000 6000
kill "$pings"
same "it is the node that it was, with its lease" "$before" "$(holder)"
yes "which knows why" grep -qa 'moved to another host' "$LAB_LOGS/office1.console.log"
echo "all passed"

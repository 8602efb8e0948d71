#!/bin/bash
# A virtual machine sleeps (ACPI S3: its kernel and its clocks do, which no namespace can have), and meanwhile its NAT forgets it and its
# peers give it up. When it wakes up its daemon knows at once that it slept, from the kernel, and is reached under its address.
#
#   home1 runs QEMU, whose guest is behind a NAT of QEMU's own, behind home's; office1 talks to the guest
set -euo pipefail
# shellcheck source=tests/guest/guest.sh
source "$(dirname "${BASH_SOURCE[0]}")/guest.sh"
guest_reexec qemu-system-x86_64 busybox cpio -- "$@"

pool_laboratory home1 office1
lab_install "$pool_folder/../../tools/guest/qmp"
# Who connects to port 5 sets its calendar, which wakes the daemon's watch up as well, and then sends it to sleep. By far: a calendar that
# differs by less than 2 s from the machine's clock the kernel takes for that clock's whole seconds, and the sleep for so much shorter.
cat >"$LAB_DIR/start" <<'END'
nc -l -p 5 </dev/null >/dev/null
date -s "@$(($(date +%s) + 10))" >/dev/null
echo "guest: has another calendar"
nc -l -p 5 </dev/null >/dev/null
echo mem >/sys/power/state
END
WOW=$LAB_DIR/bin/wow START=$LAB_DIR/start "$pool_folder/../../tools/guest/make-image" "$LAB_DIR" >"$LAB_LOGS/image.log"
pool_create
pool_routers r1 r2
pool_up office1
guest_qemu home1 -nic user,model=virtio-net-pci -fw_cfg "name=opt/wow/invite,file=$LAB_DIR/lab.invite" -fw_cfg name=opt/wow/name,string=guest
console=$LAB_LOGS/home1.console.log
address_of() { pool_json r1 leases | jq -er --arg name "$1" '.leases[] | select(.name == $name) | .ip'; }
WAIT_S=60 eventually "the guest has joined" address_of guest
guest=$(address_of guest)
eventually "and answers" pool_ping office1 "$guest"
knock() { lab_exec office1 bash -c "echo >/dev/tcp/$guest/5"; }
eventually "its calendar can be set" knock
has_another_calendar() { grep -qa 'another calendar' "$console"; }
eventually "and is" has_another_calendar
yes "it answers" pool_ping office1 "$guest"

node_of_guest=$(pool_json office1 peers | jq -er --arg r1 "${node[r1]}" --arg r2 "${node[r2]}" '.peers[].address | select(. != $r1 and . != $r2)')
knows() { pool_json "$1" peers | jq -e --arg node "$node_of_guest" 'any(.peers[]; .address == $node)'; }
is_asleep() { [[ $(guest_qmp home1 query-status | jq -r .status) == suspended ]]; }
gave_it_up() { ! knows office1 && ! knows r1 && ! knows r2; }
eventually "it can be sent to sleep" knock
eventually "and sleeps" is_asleep
from=$(lab_now_ms)
WAIT_S=60 eventually "its peers give it up" gave_it_up
lab__wow reset home
no "it does not answer" pool_ping office1 "$guest" -W 1
asleep_s=$((($(lab_now_ms) - from) / 1000))

guest_qmp home1 system_wakeup >/dev/null
from=$(lab_now_ms)
answers() { pool_ping office1 "$guest" -W 1; }
eventually "it wakes up, and answers" answers
measured "after waking up" $(($(lab_now_ms) - from)) 2000 10000
slept() { grep -a 'resumed from sleep' "$console" | sed -n 's/.*slept_s="\?\([0-9]*\).*/\1/p'; }
has_noticed() { [[ $(slept) ]]; }
eventually "its daemon has noticed" has_noticed
same "once, and not when the calendar was set" 1 "$(slept | wc -l)"
# Its clock for that counts whole seconds.
((asleep_s - 2 <= $(slept) && $(slept) <= asleep_s + 3)) || fail "it says that it slept $(slept) s, and it was $asleep_s s"
ok "for how long it slept: $(slept) s of $asleep_s"
same "it has the address that it had" "$guest" "$(address_of guest)"
echo "all passed"

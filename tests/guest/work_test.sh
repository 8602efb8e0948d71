#!/bin/bash
# What people do with a machine goes on while QEMU migrates it live from a host behind a NAT to a host behind another, and back: an SCP
# into it, an SCP out of it, a file that its kernel reads by NFS from a third site, and a job whose output streams by SSH; in the long
# form also a file that its kernel writes by NFS, and an SCP that it asks for itself. Nothing is started again, no byte is wrong.
#
#   [home]        [office]      [meadow]
#    home1         office1       meadow1      home1 and office1 run QEMU only; meadow1 is in the pool: SSH's client, NFS's server
#    (guest) <---> (guest)                    campus1 is, too, and pings the guest each 20 ms
#
#   work_test.sh [N [MEGABYTES [FILE [MBIT]]]]     each N times (1), with so much data (6) over a line of so many Mbit/s (8); the long
#                                                  form: figures go to FILE, a line of JSON each
set -euo pipefail
# shellcheck source=tests/guest/guest.sh
source "$(dirname "${BASH_SOURCE[0]}")/guest.sh"
guest_tools=$pool_folder/../../tools/guest
guest_reexec qemu-system-x86_64 busybox cpio sshd -- "$@"
rounds=${1:-1} megabytes=${2:-6} results=${3:-}
mbit=${4:-8} # of meadow's line: each takes longer than a migration, which does not go over it
# What is copied into the guest lies in its memory, half of which may be files.
((megabytes <= 20)) || guest_mb=$((guest_mb + 4 * megabytes))

pool_laboratory home1 office1 campus1
lab_site meadow firewall 198.51.100.24 203.0.114.0/24 "\"delay_ms\": 10, \"rate_mbit\": $mbit"
pool_host meadow1
lab_install "$guest_tools/qmp" "$pool_folder/../../tools/lab/received.py" "$pool_folder/../../tools/examples/nfs/export-folder"
cat >"$LAB_DIR/start" <<START
mkdir -p /run/sshd /root/.ssh /mnt
echo sshd:x:101:101::/run/sshd:/bin/false >>/etc/passwd
echo '$(<"$LAB_DIR/ssh/authorized_keys")' >/root/.ssh/authorized_keys
echo '$(<"$LAB_DIR/ssh/id_ed25519")' >/root/key
chmod 600 /root/key
exec /bin/sshd -D -f /dev/null -h /root/key -o StrictModes=no -o UseDNS=no -o SetEnv=PATH=/bin -o 'Subsystem=sftp internal-sftp'
START
PROGRAMS='sshd ssh scp' MODULES='nfsv3 nfsv4' START=$LAB_DIR/start "$LAB_DIR/bin/wow" image guest -o "$LAB_DIR" >"$LAB_LOGS/image.log"
pool_create
pool_routers r1 r2
pool_up meadow1 campus1
[[ ! $results ]] || lab_sshd meadow1
guest_site home1
guest_site office1

start_at() { guest_start "$1" -fw_cfg name=opt/wow/invite,file="$LAB_DIR/lab.invite" -fw_cfg name=opt/wow/name,string=guest "${@:2}"; }
at=$(lab_now_ms)
start_at home1
guest_ip() { lab_exec meadow1 getent ahostsv4 guest; }
WAIT_S=90 eventually "the guest has joined" guest_ip
booted_ms=$(($(lab_now_ms) - at)) # how slow this machine makes its guests
ip[guest]=$(guest_ip | awk 'NR == 1 { print $1 }')
in_guest() { lab_exec meadow1 ssh "${ip[guest]}" "$@" </dev/null; }
WAIT_S=60 eventually "root logs in" in_guest true

# What is copied; a job that computes, each step from the one before; and what shall come of it.
lab_exec meadow1 bash -c "mkdir /tmp/home && head -c ${megabytes}000000 /dev/urandom >/tmp/home/large"
large=$LAB_DIR/hosts/meadow1/tmp/home/large
sum=$(sha256sum <"$large")
# A guest with much memory takes longer to migrate.
job="steps=$((100 + megabytes))"
# shellcheck disable=SC2016
job+='; line=wow; for i in $(seq $steps); do line=$(echo "$line" | sha256sum); echo "$line"; usleep 30000; done'
(usleep() { :; } && eval "$job") >"$LAB_DIR/job.wanted"
nfs=
if command -v ganesha.nfsd >/dev/null; then
  nfs=1
  lab_exec meadow1 export-folder /tmp/home >"$LAB_LOGS/nfs.log" 2>&1
  mount_home() { in_guest "mount -i -t nfs4 -o vers=4.1,proto=tcp,addr=${ip[meadow1]},clientaddr=${ip[guest]} ${ip[meadow1]}:/tmp/home /mnt"; }
  WAIT_S=30 eventually "the guest's kernel mounts the NFS home of meadow1" mount_home
else
  echo "skipped: NFS, since the program ganesha.nfsd is missing: run tools/setup --jobs"
fi

scp_in() { lab_exec meadow1 scp -q /tmp/home/large "${ip[guest]}:large"; }
scp_in_right() { [[ $(in_guest 'sha256sum <large') == "$sum" ]]; }
scp_out() { lab_exec meadow1 scp -q "${ip[guest]}:large" large; }
scp_out_right() { cmp "$large" "$LAB_DIR/hosts/meadow1/root/large"; }
nfs_read() { in_guest 'sha256sum </mnt/large' >"$LAB_DIR/nfs.sum"; }
nfs_write() { in_guest 'cat large >/mnt/written && sync'; }
nfs_write_right() { cmp "$large" "$LAB_DIR/hosts/meadow1/tmp/home/written"; }
scp_by_itself() { in_guest "scp -q -S /bin/ssh -i key -o StrictHostKeyChecking=no ${ip[meadow1]}:/tmp/home/large got"; }
scp_by_itself_right() { [[ $(in_guest 'sha256sum <got; rm got') == "$sum" ]]; }
nfs_read_right() { [[ $(<"$LAB_DIR/nfs.sum") == "$sum" ]]; }
job_streams() { in_guest "$job" >"$LAB_DIR/job.said"; }
job_streams_right() { cmp "$LAB_DIR/job.wanted" "$LAB_DIR/job.said"; }

# during WHAT DOES: the guest travels in the middle of DOES, whose result is DOES_right.
here=home1 there=office1
during() {
  local what=$1 does=$2 from=$here to=$there work watch pings moved replugged_ms asked_ms pulled_ms at downtime nothing lost ends
  rm -f "$LAB_DIR"/{stop,mark,mark.end}
  start_at "$to" -incoming "unix:$LAB_DIR/migrate"
  lab_exec meadow1 received.py wow-lab "$LAB_DIR/stop" "$LAB_DIR/mark" >"$LAB_DIR/received" </dev/null &
  watch=$!
  lab_exec campus1 ping -n -i 0.02 "${ip[guest]}" >"$LAB_DIR/pings" 2>/dev/null </dev/null &
  pings=$!
  at=$(lab_now_ms)
  { "$does" && lab_now_ms >"$LAB_DIR/ended"; } >"$LAB_LOGS/$does.log" 2>&1 </dev/null &
  work=$!
  sleep 2.5 # It has begun, and TCP has found its pace.
  touch "$LAB_DIR/mark"
  moved=$(guest_qmp "$from" migrate "unix:$LAB_DIR/migrate") || fail "the migration failed"
  same "the guest is at $to" completed "$(jq -r .status <<<"$moved")"
  here=$to there=$from
  guest_replug "$to"
  guest_qmp "$from" quit >/dev/null || :
  # What comes to a halt long after the move did not do so for it.
  { sleep 15 && touch "$LAB_DIR/mark.end"; } &
  ends=$!
  wait "$work" || fail "$what failed: $(<"$LAB_LOGS/$does.log")"
  touch "$LAB_DIR/stop"
  wait "$watch" || fail "the watch failed"
  kill "$ends" 2>/dev/null || :
  wait "$ends" || :
  lab_exec campus1 pkill -INT -x ping
  wait "$pings" || :
  yes "$what: every byte is right" "${does}_right"
  yes "it was on its way before and after" test "$(<"$LAB_DIR/ended")" -gt "$replugged_ms"
  downtime=$(jq '.downtime_s * 1000 | round' <<<"$moved")
  nothing=$(jq '.nothing_s * 1000 | round' "$LAB_DIR/received")
  lost=$(pool_longest_loss_ms "$LAB_DIR/pings" 20)
  ok "QEMU's downtime $downtime ms; its cable was pulled for $pulled_ms ms, DHCP took $asked_ms ms"
  # The work may wait for longer than the packets: until TCP tries again, each time after twice the time.
  measured "longest silence of packets, beyond the downtime" $((lost - downtime)) 1500 $((8000 + booted_ms / 2))
  measured "longest silence of the work, beyond the downtime" $((nothing - downtime)) 1500 $((12000 + booted_ms / 2))
  [[ ! $results ]] || jq -nc --arg what "$what" --argjson ms "[$(($(<"$LAB_DIR/ended") - at)), $downtime, $pulled_ms, $asked_ms, $lost, $nothing]" --arg load "$(cut -d' ' -f1 /proc/loadavg)" \
    '($ms | map(. / 1000)) as [$seconds, $downtime_s, $pulled_s, $asked_s, $packets_s, $nothing_s] | {what: $what, seconds: $seconds, downtime_s: $downtime_s, pulled_s: $pulled_s, asked_s: $asked_s,
    packets_s: $packets_s, nothing_s: $nothing_s, load: ($load | tonumber)}' >>"$results"
}
for ((i = 0; i < rounds; ++i)); do
  during 'SCP into it' scp_in
  during 'SCP out of it' scp_out
  if [[ $nfs ]]; then
    during 'NFS, read by its kernel' nfs_read
    yes "what was read is forgotten" in_guest 'umount /mnt'
    yes "and read again" mount_home
    [[ ! $results ]] || during 'NFS, written by its kernel' nfs_write
  fi
  [[ ! $results ]] || during 'SCP that it asks for' scp_by_itself
  during 'job that streams by SSH' job_streams
done
same "it kept its virtual address" "${ip[guest]}" "$(guest_ip | awk 'NR == 1 { print $1 }')"
echo "all passed"

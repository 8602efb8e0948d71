#!/bin/bash
# A machine with Debian's cloud-init, which has what is on the drive of `wow image config`: nothing need be typed in it. It joins at its first boot,
# and is the same node at later ones. (Not every kernel can mount such drives, so the files lie where NoCloud finds them without; tests/guest/drive_test
# has a drive.)
#
#   home1 is the machine: root has an overlay over this one's files, in which cloud-init is unpacked; office1 sees it join
set -euo pipefail
# shellcheck source=tests/guest/guest.sh
source "$(dirname "${BASH_SOURCE[0]}")/guest.sh"
compgen -G '/var/cache/wow-guest/cloud-init_*.deb' >/dev/null || { echo "There is no cloud-init: run tools/setup --guests." && exit 77; }
guest_reexec xorrisofs -- "$@"

pool_laboratory home1 office1
pool_create
pool_routers r1 r2
pool_up office1
"$LAB_DIR/bin/wow" image config "$LAB_DIR/lab.invite" -o "$LAB_DIR/lab.iso" >>"$LAB_LOGS/commands.log"

# Its disk: what is written is in memory, and gone with the namespace. Of cloud-init's modules those that the drive asks for: the others would look for
# disks to grow, and networks to set up.
cat >"$LAB_DIR/disk" <<'DISK'
set -e
lab=$1 root=$1/machine
mkdir -p "$root" && mount -t tmpfs disk "$root" && mkdir "$root"/{written,work,files,package}
mount -t overlay files -o "lowerdir=/,upperdir=$root/written,workdir=$root/work" "$root/files"
dpkg -x /var/cache/wow-guest/cloud-init_*.deb "$root/package"
cp -a "$root"/package/{etc,usr} "$root/files/"
install "$lab/bin/wow" "$root/files/usr/bin/wow"
cd "$root/files"
rm -rf etc/wow var/lib/wow var/lib/cloud && mkdir -p etc/wow var/lib/wow var/lib/cloud/seed
xorriso -osirrox on -indev "$lab/lab.iso" -extract / var/lib/cloud/seed/nocloud
for folder in proc sys dev; do mount --rbind "/$folder" "$folder"; done
cat >etc/cloud/cloud.cfg <<'CONFIG'
datasource_list: [NoCloud]
network: {config: disabled}
cloud_init_modules: [write-files]
cloud_config_modules: []
cloud_final_modules: [scripts-per-boot]
system_info: {distro: debian}
CONFIG
touch ready
exec sleep infinity
DISK
machine=$(lab_spawn home1 "$LAB_LOGS/machine.log" unshare -m bash "$LAB_DIR/disk" "$LAB_DIR")
in_machine() { nsenter -t "$machine" -a chroot "$LAB_DIR/machine/files" "$@"; }
has_disk() { in_machine test -e /ready; }
WAIT_S=20 eventually "the machine has its disk" has_disk

# What systemd's units of cloud-init run, one after the other.
boot() {
  in_machine mount -t tmpfs run /run
  local stage
  for stage in "init --local" init "modules --mode=config" "modules --mode=final"; do
    # shellcheck disable=SC2086
    in_machine timeout 120 cloud-init $stage >>"$LAB_LOGS/cloud-init.log" 2>&1 </dev/null || fail "cloud-init $stage: $(tail -n 3 "$LAB_LOGS/cloud-init.log")"
  done
}
status() { in_machine wow status lab --json; }

echo "--- its first boot"
boot
yes "cloud-init has taken what was on the drive" grep -q 'DataSourceNoCloud' <<<"$(in_machine cloud-init status --long)"
yes "and is done" grep -q 'status: done' <<<"$(in_machine cloud-init status)"
same "the invite is root's alone" "600 root" "$(in_machine stat -c '%a %U' /etc/wow/lab.invite)"
first=$(status | jq -r '.address + " " + .lease.ip')
ip[machine]=${first#* }
WAIT_S=20 eventually "it is in the pool" pool_ping office1 machine

echo "--- another boot"
in_machine wow down lab >/dev/null
no "it is gone" pool_ping office1 machine
boot
same "it is the node that it was" "$first" "$(status | jq -r '.address + " " + .lease.ip')"
WAIT_S=20 eventually "and answers" pool_ping office1 machine
in_machine wow down lab >/dev/null
kill "$machine"
echo "all passed"

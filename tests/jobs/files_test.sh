#!/bin/bash
# Files between firewalled sites, by programs that know nothing of it: ssh, scp, rsync, HTTP, NFS.
set -euo pipefail
# shellcheck source=tests/jobs/jobs.sh
source "$(dirname "${BASH_SOURCE[0]}")/jobs.sh"
jobs_need ssh rsync curl ganesha.nfsd rpcbind nfs-cp nfs-ls nfs-cat
lab_reexec "$@"

hosts=(home1 office1 campus1)
pool_laboratory "${hosts[@]}"
lab_install "$examples/nfs/export-folder"
pool_create
pool_routers r1
pool_up "${hosts[@]}"
for host in "${hosts[@]}"; do lab_sshd "$host"; done
for host in "${hosts[@]}"; do
  eventually "$host knows all names" lab_exec "$host" getent ahostsv4 "${hosts[@]}"
done
lab_exec home1 bash -c 'mkdir tree && head -c 20000000 /dev/urandom >tree/large && for i in {1..200}; do echo "file $i" >tree/$i; done'
sum() { lab_exec "$1" bash -c "cd $2 && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"; }
wanted=$(sum home1 tree)

echo "--- ssh, scp, rsync"
# shellcheck disable=SC2016
same "ssh from behind a NAT into the campus" "campus1 ${ip[home1]}" "$(lab_exec home1 ssh campus1 'echo $(hostname) ${SSH_CLIENT%% *}')"
yes "scp there" lab_exec home1 scp -q tree/large campus1:large
yes "and on, into the office" lab_exec campus1 scp -q large office1:large
yes "and back" lab_exec home1 scp -q office1:large large.back
yes "is what was sent" lab_exec home1 cmp tree/large large.back
yes "rsync of a tree" lab_exec home1 rsync -a tree/ office1:tree
same "is what was sent" "$wanted" "$(sum office1 tree)"
lab_exec home1 bash -c 'echo changed >tree/7 && rm tree/8'
same "again, only what changed" "7" "$(lab_exec home1 rsync -a --delete --out-format=%n tree/ office1:tree | grep -v '^deleting' | grep -v '/$')"
wanted=$(sum home1 tree)
same "is what is there" "$wanted" "$(sum office1 tree)"

echo "--- HTTP"
lab_spawn office1 "$LAB_LOGS/http.log" python3 -m http.server 8000 --directory /root/tree >/dev/null
eventually "a server in the office" lab_exec campus1 curl -sf -o /dev/null http://office1:8000/1
yes "a download" lab_exec campus1 curl -sf -o large.http http://office1.lab.internal:8000/large
yes "is what was there" lab_exec campus1 cmp large large.http

echo "--- NFS"
lab_exec office1 bash -c 'mv tree /tmp/home && export-folder /tmp/home'
eventually "the export is served" lab_exec home1 nfs-ls 'nfs://office1/tmp/home?version=3'
same "version 4 shows it, too" "file 1" "$(lab_exec home1 nfs-cat 'nfs://office1/tmp/home/1?version=4')"
yes "a file there" lab_exec campus1 nfs-cp large.http 'nfs://office1/tmp/home/copy?version=3&uid=0&gid=0'
yes "is what was sent" lab_exec office1 cmp /tmp/home/large /tmp/home/copy
yes "and read elsewhere" lab_exec home1 nfs-cp 'nfs://office1/tmp/home/copy?version=3' copy
yes "is the same" lab_exec home1 cmp tree/large copy
no "nobody outside the pool reaches it" lab_exec r1 timeout 3 nfs-ls "nfs://$(lab_address office1)/tmp/home?version=3"
same "it listens on the pool alone" "${ip[office1]}:2049" "$(lab_exec office1 ss -Htln 'sport = 2049' | awk '{ sub(/^\[::ffff:/, "", $4); sub(/\]/, "", $4); print $4 }')"
echo "all passed"

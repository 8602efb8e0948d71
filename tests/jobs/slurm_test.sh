#!/bin/bash
# Slurm over three firewalled sites, used by PBS commands: head behind a NAT, nodes at every site, a shared home by NFS, a real
# program that aligns sequences; a node that moves to another site keeps its job, and a controller that moves its cluster.
set -euo pipefail
# shellcheck source=tests/jobs/jobs.sh
source "$(dirname "${BASH_SOURCE[0]}")/jobs.sh"
jobs_need munged slurmctld slurmd sinfo qsub qstat pbsnodes clustalo ganesha.nfsd rpcbind nfs-cp
lab_reexec "$@"

nodes=(campus1 home2 office2)
hosts=(home1 office1 "${nodes[@]}")
pool_laboratory "${hosts[@]}"
lab_install "$examples/slurm/join-cluster" "$examples/slurm/genes" "$examples/nfs/export-folder"
cp "$examples/slurm/align.pbs" "$LAB_DIR/bin"
pool_create
pool_routers r1 r2
pool_up "${hosts[@]}"
for host in "${hosts[@]}"; do
  eventually "$host knows all names" lab_exec "$host" getent ahostsv4 "${hosts[@]}"
done

echo "--- a cluster"
install -m 600 /etc/munge/munge.key "$LAB_DIR/munge.key"
# As Debian's package leaves a machine: munged is at work, with a key of its own making.
yes "campus1 has a key of its own in use" lab_exec campus1 bash -c 'install -d -o munge -g munge -m 755 /run/munge
  install -d -o munge -g munge -m 700 /var/log/munge /var/lib/munge
  head -c 128 /dev/urandom >/etc/munge/munge.key && chown -R munge: /etc/munge && chmod 400 /etc/munge/munge.key
  runuser -u munge -- /usr/sbin/munged'
for host in home1 "${nodes[@]}"; do
  lab_exec "$host" cp "$LAB_DIR/munge.key" /etc/munge/munge.key
  yes "$host joins it" lab_exec "$host" join-cluster home1 --match '@(campus1|home2|office2)'
done
idle() { [[ $(lab_exec home1 sinfo -h -N -o '%N %T' | sort | paste -sd,) == "campus1 idle,home2 idle,office2 idle" ]]; }
eventually "three nodes wait for work" idle
same "pbsnodes knows them" "campus1,home2,office2" "$(lab_exec home1 pbsnodes | grep '^[a-z]' | sort | paste -sd,)"

echo "--- jobs"
lab_exec office1 bash -c 'mkdir /tmp/home && export-folder /tmp/home && for i in {1..12}; do genes 12 300 $i >/tmp/home/genes$i.fasta; done'
eventually "the home is served" lab_exec campus1 nfs-ls 'nfs://office1/tmp/home?version=3'
submit() { lab_exec home1 bash -c "cd /tmp && for i in {$1..$2}; do qsub -v HOME_URL=nfs://office1/tmp/home,FILE=genes\$i.fasta -o /tmp/align.\$i -e /tmp/align.\$i.e $LAB_DIR/bin/align.pbs; done"; }
at=$(lab_now_ms)
same "12 jobs are taken" 12 "$(submit 1 12 | wc -l)"
yes "qstat shows them" lab_exec home1 bash -c 'qstat | grep -q align'
# Of all jobs, or of one: state and how often it was started again.
outcomes() { lab_exec home1 scontrol -o show job "$@" | grep -o ' JobState=[A-Z]*\| Restarts=[0-9]*' | cut -d= -f2 | paste -d' ' - -; }
all_done() { [[ ! $(lab_exec home1 squeue -h) ]]; }
WAIT_S=90 eventually "all are done" all_done
ok "12 jobs in $(($(lab_now_ms) - at)) ms"
same "each succeeded, at the first try" "12 COMPLETED 0" "$(outcomes | sort | uniq -c | xargs)"
same "every node had some" 3 "$(lab_exec home1 scontrol -o show job | grep -o ' BatchHost=[a-z0-9]*' | sort -u | wc -l)"
for i in 1 12; do
  lab_exec office1 clustalo -i "/tmp/home/genes$i.fasta" -o "/tmp/here$i" --threads=1
  yes "the result of job $i is that of a run beside the file" lab_exec office1 cmp "/tmp/here$i" "/tmp/home/genes$i.fasta.aligned"
done
yes "their words came to the node's file" grep -q "aligned genes1.fasta" <(cat "$LAB_DIR"/hosts/*/tmp/align.1)

echo "--- parallel jobs, and what ends early"
same "srun on all nodes" "campus1,home2,office2" "$(lab_exec home1 timeout 30 srun -N3 hostname </dev/null | sort | paste -sd,)"
job=$(lab_exec home1 bash -c 'cd /tmp && printf "#!/bin/sh\nsleep 1000\n" >sleeper && qsub -N sleeper sleeper')
yes "qdel" lab_exec home1 qdel "${job%%.*}"
eventually "ends it" all_done

echo "--- a node moves to another site, its job goes on; and so it does when the controller moves"
# moves_in_a_job HOST SITE: the job is home2's.
moves_in_a_job() {
  local job
  job=$(lab_exec home1 sbatch --parsable -w home2 -o "/tmp/moved-$1" --wrap 'for i in 1 2 3 4 5 6; do echo $i; sleep 1; done; hostname')
  # shellcheck disable=SC2317
  runs() { [[ $(lab_exec home1 squeue -h -j "$job" -o %T) == RUNNING ]]; }
  eventually "it runs" runs
  lab_move "$1" "$2"
  WAIT_S=60 eventually "it ends" all_done
  same "well, at the first try" "COMPLETED 0" "$(outcomes "$job")"
  same "with all that it wrote" "1 2 3 4 5 6 home2" "$(paste -sd' ' "$LAB_DIR/hosts/home2/tmp/moved-$1")"
}
moves_in_a_job home2 office
moves_in_a_job home1 campus
yes "the next job finds its nodes" lab_exec home1 timeout 30 srun -N3 hostname
echo "all passed"

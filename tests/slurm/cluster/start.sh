#!/usr/bin/env bash
# Start munge, the controller and one node with two pretend GPUs on this machine; return when the node takes jobs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p /etc/slurm /var/spool/slurmctld /var/spool/slurmd /var/log/slurm
memory=$(awk '/MemTotal/ {print int($2 / 1024) - 512}' /proc/meminfo)
sed -e "s/@HOST@/$(hostname -s)/g" -e "s/@CPUS@/$(nproc --all)/g" -e "s/@MEMORY@/$memory/g" \
  "$here/slurm.conf" > /etc/slurm/slurm.conf
cp "$here/gres.conf" /etc/slurm/gres.conf
touch /run/egara-gpu0 /run/egara-gpu1
if ! munge -n > /dev/null 2>&1; then
  [ -s /etc/munge/munge.key ] || (umask 077; head -c 128 /dev/urandom > /etc/munge/munge.key)
  chown munge: /etc/munge/munge.key
  install -d -o munge -g munge -m 0755 /run/munge
  runuser -u munge -- /usr/sbin/munged
fi
slurmctld -c
slurmd -c
for _ in $(seq 100); do
  [ "$(sinfo -h -o %T 2> /dev/null | sort -u)" = idle ] && exit 0
  sleep 0.2
done
tail -n 20 /var/log/slurm/*.log
exit 1

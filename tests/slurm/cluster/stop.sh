#!/usr/bin/env bash
# Stop the node and the controller; while slurm.conf names a dead controller, every Snakemake call would wait for it.
for name in slurmd slurmctld; do
  [ -f "/run/$name.pid" ] && kill "$(cat "/run/$name.pid")"
done
[ -f /run/munge/munged.pid ] && kill "$(cat /run/munge/munged.pid)"
rm -f /etc/slurm/slurm.conf
exit 0

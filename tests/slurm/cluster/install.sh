#!/usr/bin/env bash
# Debian's SLURM and munge, without recommended packages.
set -euo pipefail
command -v slurmctld sbatch slurmd munged > /dev/null && exit 0
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge

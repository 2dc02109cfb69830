#!/bin/bash
# Train on a Slurm cluster, one task of an array a stage. From the project's root, in a folder that all nodes share:
#
#   $ make setup
#   $ bash tools/slurm.sh      # prepares the data here, submits the rest; takes the options of sbatch (--partition=...)
#   $ make repro               # once squeue lists it no more: the report, and whatever failed
#
# A stage that is up to date takes seconds, so what was broken off is submitted again as it was.
#
#SBATCH --job-name=study
#SBATCH --cpus-per-task=2
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
set -euo pipefail

if ! [ -f dvc.yaml ] || ! [ -x .venv/bin/dvc ]; then
    echo "error: no dvc.yaml or no .venv in $PWD: to be started in the project's root, after make setup" >&2
    exit 1
fi
export PATH="$PWD/.venv/bin:$PATH" # stages say plain `python`

# On the login node. Data sets are fetched here, as compute nodes seldom reach the internet. Stages are listed here,
# once, as dvc stage list waits for no lock: it would fail in a task while another one writes dvc.lock.
if [ -z "${SLURM_ARRAY_TASK_ID:-}" ]; then
    dvc repro preprocess
    listed=$(dvc stage list --name-only train_cnn train_torch train_numpy ablations tune)
    if [ -z "$listed" ]; then
        echo "error: dvc stage list names no stages to train" >&2
        exit 1
    fi
    mapfile -t stages <<< "$listed"
    exec sbatch --array="0-$((${#stages[@]} - 1))" --output=.dvc/tmp/slurm-%A_%a.log "$@" tools/slurm.sh "${stages[@]}"
fi

# A task: the stage at its place among the arguments, with as many runs side by side as it was given cores.
stage=${*:SLURM_ARRAY_TASK_ID+1:1}
if [ -z "$stage" ]; then
    echo "error: no stage is left for task $SLURM_ARRAY_TASK_ID: submit with bash tools/slurm.sh" >&2
    exit 1
fi
export STUDY_JOBS="${SLURM_CPUS_PER_TASK:-1}"
# DVC's own notes are databases that nodes can't share: each task makes do without those of others.
DVC_SITE_CACHE_DIR=$(mktemp -d)
export DVC_SITE_CACHE_DIR
trap 'rm -rf "$DVC_SITE_CACHE_DIR"' EXIT
# DVC locks the project for moments, not while a stage trains; with --wait-for-lock others wait instead of giving up.
dvc --wait-for-lock repro --single-item "$stage"

"""A stage a task, as on a Slurm cluster; instead of its nodes, processes of this machine that begin at about once."""

import sys
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides

from tests.project import RUNNING, Project

# Runs the tasks of an array, four at a time, and waits for them, which the real one doesn't.
SBATCH = """#!/bin/bash
for word; do case $word in --array=0-*) last=${word#--array=0-};; --output=*) log=${word#--output=};; esac; done
while [[ $1 == -* ]]; do shift; done
export SLURM_CPUS_PER_TASK=2 LOG=${log/\\%A_/}
task='SLURM_ARRAY_TASK_ID={} bash "$@" > "${LOG/\\%a/{}}" 2>&1'
seq 0 "$last" | xargs -P 4 -I{} bash -c "$task" bash "$@"
"""
CHANGED = ["tune.optimiser.seeds=[1]", "tune.faults.seeds=[1]", "train_numpy.label_smoothing=0.2"]


@pytest.fixture
def on_a_cluster(reproduced: Project, tmp_path: Path) -> Project:
    """A project of which some stages are out of date, where `sbatch` is a command."""
    (reproduced.folder / ".venv").symlink_to(sys.prefix)
    sbatch = tmp_path / "bin/sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text(SBATCH)
    sbatch.chmod(0o700)
    apply_overrides(reproduced.folder / "params.yaml", CHANGED)
    return reproduced


def test_tasks_side_by_side_leave_the_report_alone_to_be_made(on_a_cluster: Project, tmp_path: Path):
    alone = on_a_cluster.copy(tmp_path / "alone")
    *stale, report = RUNNING.findall(alone.dvc("repro"))
    assert {"check", "train_numpy", "tune@faults", "tune@optimiser"} <= set(stale)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    path = f"{tmp_path / 'bin'}:{on_a_cluster.environment()['PATH']}"
    output = on_a_cluster.succeed("bash", "tools/slurm.sh", PATH=path, TMPDIR=str(temporary))
    assert not list(temporary.glob("tmp.*"))
    logs = [output, *(path.read_text() for path in (on_a_cluster.folder / ".dvc/tmp").glob("slurm-*.log"))]
    assert sorted(stage for log in logs for stage in RUNNING.findall(log)) == sorted(stale), logs
    assert RUNNING.findall(on_a_cluster.dvc("repro")) == [report]
    assert on_a_cluster.files() == alone.files()


def test_a_task_without_a_stage_says_how_to_submit(on_a_cluster: Project):
    done = on_a_cluster.run("bash", "tools/slurm.sh", "train_numpy", SLURM_ARRAY_TASK_ID="1")
    assert done.returncode == 1
    assert done.stdout == "error: no stage is left for task 1: submit with bash tools/slurm.sh\n"

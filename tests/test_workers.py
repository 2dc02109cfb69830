"""Runs side by side: what comes of a run that fails, kills its worker or outlives its parent."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from stages.common.errors import StudyError
from stages.common.parallel import as_done
from stages.common.params import Variant, load_params
from stages.common.studies import train_study
from stages.common.workers import LostRunError, Worker, as_done_by_workers

HERE = Path("here")
ROOT = Path(__file__).parent.parent


def play(data: Path, task: str) -> tuple[str, int]:
    """Return, raise or die, as the task says."""
    if task.startswith("signal"):
        os.kill(os.getpid(), int(task.split()[1]))
    if task.startswith("exit"):
        os._exit(int(task.split()[1]))
    if task == "memory":
        np.empty(2**50)
    if task == "torch memory":
        torch.empty(2**50)
    if task == "study error":
        raise StudyError("the line")
    if task == "fault":
        return 1 / 0
    if task == "sleep":
        time.sleep(600)
    return task, os.getpid()


def name(data: Path, task: tuple[Variant, int]) -> tuple[str, int]:
    """What tells a run from the others of its study."""
    variant, seed = task
    return variant.name, seed


@pytest.fixture
def children() -> list[psutil.Process]:
    """Those that a test leaves behind; there must be none."""
    before = set(psutil.Process().children())
    found: list[psutil.Process] = []
    yield found
    left = set(psutil.Process().children()) - before
    assert not {child for child in left if "spawn_main" in " ".join(child.cmdline())}


def test_every_task_is_done_once_by_as_many_workers(children: list):
    tasks = [f"task {number}" for number in range(7)]
    done = list(as_done_by_workers(2, play, HERE, tasks))
    assert sorted(number for number, _ in done) == list(range(7))
    assert all(tasks[number] == task for number, (task, _) in done)
    workers = {process for _, (_, process) in done}
    assert len(workers) == 2
    assert os.getpid() not in workers


@pytest.mark.parametrize("section", ["tune", "ablations"])
def test_a_variant_of_any_study_reaches_a_worker(section: str, children: list):
    study = next(iter(getattr(load_params(ROOT / "params.yaml"), section).values()))
    assert sorted(as_done_by_workers(2, name, HERE, study.tasks[:3])) == [
        (number, (variant.name, seed)) for number, (variant, seed) in enumerate(study.tasks[:3])
    ]


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (f"signal {int(signal.SIGKILL)}", "was killed, as the system does when memory runs out"),
        (f"signal {int(signal.SIGTERM)}", "was ended by SIGTERM"),
        (f"signal {int(signal.SIGSEGV)}", "was ended by SIGSEGV"),
        ("exit 3", "ended its worker with exit status 3"),
        ("memory", "had not enough memory"),
        ("torch memory", "had not enough memory"),
    ],
)
def test_the_run_that_is_lost_is_known_by_its_number(task: str, reason: str, children: list):
    with pytest.raises(LostRunError) as lost:
        list(as_done_by_workers(2, play, HERE, ["sleep", task]))
    assert (lost.value.number, lost.value.reason) == (1, reason)


def die(data: Path, task: tuple[Variant, int]) -> None:
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_study_names_the_run_that_it_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, children: list):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STUDY_JOBS", "2")
    Path("data.npz").write_bytes(b"any")
    study = load_params(ROOT / "params.yaml").tune["learning_rate"]
    with pytest.raises(StudyError) as lost:
        train_study("tune x", die, Path("data.npz"), study.tasks[:2], lambda training: 1.0, Path("reports"))
    assert re.fullmatch(
        r"tune x: the run of variant 1\.0 with seed [12] was killed, as the system does when memory runs out; "
        r"finished runs are kept: run it again, with fewer at once \(STUDY_JOBS=1; dask worker --nworkers 1\) where "
        "memory is short",
        str(lost.value),
    )


@pytest.mark.parametrize("task", ["memory", "torch memory"])
def test_memory_that_runs_out_is_named_without_workers_too(task: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STUDY_JOBS", "1")
    with pytest.raises(LostRunError) as lost:
        list(as_done(play, HERE, ["a", task]))
    assert lost.value.number == 1


def test_a_users_mistake_comes_through_as_it_is(children: list):
    with pytest.raises(StudyError) as mistake:
        list(as_done_by_workers(2, play, HERE, ["sleep", "study error"]))
    assert str(mistake.value) == "the line"


def test_a_fault_tells_where_it_was(children: list):
    with pytest.raises(ZeroDivisionError) as fault:
        list(as_done_by_workers(2, play, HERE, ["fault", "sleep"]))
    assert "in play" in "".join(fault.value.__notes__)


def test_whoever_stops_early_ends_the_workers(children: list):
    results = as_done_by_workers(2, play, HERE, ["a", "sleep", "sleep"])
    next(results)
    results.close()


def test_a_worker_does_not_know_ctrl_c(children: list):
    worker = Worker(play, HERE)
    try:
        os.kill(worker.process.pid, signal.SIGINT)
        worker.begin(0, "a")
        assert worker.result()[0] == "a"
    finally:
        worker.end()


def test_a_worker_ends_with_its_parent_in_the_middle_of_a_run():
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from tests.test_workers import *; w = Worker(play, HERE); w.begin(0, 'a'); w.result();"
            "w.begin(1, 'sleep'); print(w.process.pid, flush=True); time.sleep(600)",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    gone, alive = psutil.wait_procs([worker], timeout=20)
    for process in alive:
        process.kill()
    assert gone

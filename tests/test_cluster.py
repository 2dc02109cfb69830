"""Runs on a Dask cluster, a real one on this machine: a scheduler, and workers that are processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest
from dvc.utils.hydra import apply_overrides

from stages.common.cluster import result
from stages.common.workers import NO_MEMORY, LostRunError
from tests.project import Project

STUDY = "optimiser"
SECONDS = 60  # until something that takes two or three must have happened
SECONDS_TO_BEGIN = 3  # of processor time, for a worker to load the libraries and be in the middle of a run
Start = Callable[..., subprocess.Popen]


@pytest.fixture
def start(reproduced: Project, tmp_path: Path) -> Iterator[Start]:
    """Start a program in the background, in a project's folder; its output is kept, and it is killed in the end."""
    processes = []

    def begin(*command: str, project: Project = reproduced, **variables: str) -> subprocess.Popen:
        with (tmp_path / f"output_{len(processes)}").open("w") as output:
            environment = project.environment() | variables
            process = subprocess.Popen(
                command, cwd=project.folder, env=environment, stdout=output, stderr=subprocess.STDOUT
            )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def address(start: Start, tmp_path: Path) -> str:
    """Where a scheduler listens, which knows nothing of the project."""
    return start_scheduler(start, tmp_path)[1]


def start_scheduler(start: Start, tmp_path: Path) -> tuple[subprocess.Popen, str]:
    """A scheduler, and where it listens."""
    file = tmp_path / "scheduler.json"
    command = ("dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file")
    scheduler = start(*command, str(file))
    wait_until(file.exists)
    return scheduler, json.loads(file.read_text())["address"]


def start_worker(start: Start, address: str, place: Path, threads: int = 1, **options: object) -> subprocess.Popen:
    """A worker whose files are in `place`, and nowhere else; returns when it has joined."""
    command = ("dask", "worker", address, "--nthreads", str(threads), "--no-nanny", "--no-dashboard")
    place.mkdir()
    worker = start(*command, "--local-directory", str(place), PYTHONPATH=".", **options)
    wait_until(lambda: any(place.rglob("worker-*")))
    return worker


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(0.02)


def results(project: Project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (project.folder / "reports/tune" / STUDY).iterdir()}


def train(project: Project, **variables: str) -> subprocess.CompletedProcess[str]:
    return project.run(sys.executable, "-m", "stages.tune", STUDY, **variables)


def test_a_worker_killed_in_the_middle_changes_no_byte(reproduced: Project, start: Start, address: str, tmp_path: Path):
    apply_overrides(reproduced.folder / "params.yaml", ["tune_base.corrected.epochs=400"])
    assert train(reproduced, STUDY_JOBS="1").returncode == 0
    wanted = results(reproduced)
    workers = [start_worker(start, address, tmp_path / f"worker_{number}") for number in (1, 2)]
    study = start(sys.executable, "-m", "stages.tune", STUDY, STUDY_SCHEDULER=address)
    unfinished = reproduced.folder / "data/unfinished"
    wait_until(lambda: any(unfinished.rglob("*.json")))
    assert study.poll() is None  # in the middle: one run is done, and not all
    os.kill(workers[0].pid, signal.SIGKILL)
    assert study.wait(SECONDS) == 0
    assert results(reproduced) == wanted
    assert workers[1].poll() is None
    assert not unfinished.exists()


@pytest.fixture
def long_study(reproduced: Project) -> Project:
    """A study of one run, which takes longer than anybody waits."""
    changes = [
        "tune_base.corrected={epochs: 1000, batch_size: 1}",
        f"tune.{STUDY}={{variants: [{{name: sgd}}], seeds: [1]}}",
    ]
    apply_overrides(reproduced.folder / "params.yaml", changes)
    return reproduced


def wait_until_it_trains(worker: subprocess.Popen) -> None:
    wait_until(lambda: psutil.Process(worker.pid).cpu_times().user > SECONDS_TO_BEGIN)


def test_a_run_that_loses_its_workers_is_named(long_study: Project, start: Start, address: str, tmp_path: Path):
    before = results(long_study)
    with ThreadPoolExecutor() as pool:
        study = pool.submit(train, long_study, STUDY_SCHEDULER=address)
        for number in range(4):  # it is begun anew three times
            worker = start_worker(start, address, tmp_path / f"worker_{number}")
            wait_until_it_trains(worker)
            worker.kill()
        complains_once(
            study.result(SECONDS), "variant sgd with seed 1 lost its worker 4 times, the last one tcp://127.0.0.1:"
        )
    assert results(long_study) == before


def test_a_run_without_memory_on_a_worker_is_known_by_its_number():
    done = Mock(result=Mock(side_effect=MemoryError))
    with pytest.raises(LostRunError) as lost:
        result(done, 7)
    assert (lost.value.number, lost.value.reason) == (7, NO_MEMORY)


def test_a_scheduler_that_ends_is_named(long_study: Project, start: Start, tmp_path: Path):
    scheduler, address = start_scheduler(start, tmp_path)
    before = results(long_study)
    worker = start_worker(start, address, tmp_path / "worker")
    with ThreadPoolExecutor() as pool:
        study = pool.submit(train, long_study, STUDY_SCHEDULER=address)
        wait_until_it_trains(worker)
        scheduler.kill()
        complains_once(study.result(SECONDS), f"STUDY_SCHEDULER = '{address}'")
    assert results(long_study) == before


def test_a_cluster_trains_the_networks_in_pytorch_to_the_same_bytes(
    reproduced: Project, start: Start, address: str, tmp_path: Path
):
    start_worker(start, address, tmp_path / "worker")
    before = reproduced.files()
    reproduced.succeed(sys.executable, "-m", "stages.ablations", "pixels", STUDY_SCHEDULER=address)
    assert reproduced.files() == before


def test_a_worker_with_other_code_refuses(reproduced: Project, start: Start, address: str, tmp_path: Path):
    other = reproduced.copy(tmp_path / "other")
    with (other.folder / "stages/numpy_net/layers.py").open("a") as file:
        file.write("# another version\n")
    start_worker(start, address, tmp_path / "worker", project=other)
    before = results(reproduced)
    complains_once(train(reproduced, STUDY_SCHEDULER=address), "has another code")
    assert results(reproduced) == before


def test_a_worker_outside_a_copy_of_the_project_is_told_how_to_start(
    reproduced: Project, start: Start, address: str, tmp_path: Path
):
    empty = tmp_path / "elsewhere"
    empty.mkdir()
    start_worker(start, address, tmp_path / "worker", project=Project(empty, reproduced.data, reproduced.home))
    complains_once(train(reproduced, STUDY_SCHEDULER=address), "start it in a copy of the project")


def test_a_worker_of_several_threads_is_refused(reproduced: Project, start: Start, address: str, tmp_path: Path):
    start_worker(start, address, tmp_path / "worker", threads=2)
    complains_once(train(reproduced, STUDY_SCHEDULER=address), "start workers with --nthreads 1")


@pytest.mark.parametrize("nowhere", ["tcp://127.0.0.1:9", "nonsense://x", "8786"])
def test_an_address_without_a_scheduler_is_named(reproduced: Project, nowhere: str):
    complains_once(train(reproduced, STUDY_SCHEDULER=nowhere), f"STUDY_SCHEDULER = '{nowhere}'")


def complains_once(done: subprocess.CompletedProcess[str], complaint: str) -> None:
    assert done.returncode == 1, done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert complaint in lines[0]
    assert "Traceback" not in done.stdout, done.stdout

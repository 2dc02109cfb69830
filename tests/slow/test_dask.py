"""Studies on a real Dask cluster on this machine: the scheduler and each worker are separate processes."""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fake_training import HOLD, LOG, VARIANTS, study

ROOT = Path(__file__).parents[2]
SECONDS = 60  # until something that takes a few must have happened
STUDY = "from tests.fake_training import *; exit_on_error(lambda arguments: study({}) and None)"
Start = Callable[..., subprocess.Popen]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a program in the study's folder, with its output in a file; kill it at the end of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STUDY_SCHEDULER", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    Path("data.bin").write_bytes(b"images")
    processes = []

    def begin(*command: str, **options: object) -> subprocess.Popen:
        with Path(f"output {len(processes)}").open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)
        process.output = Path(f"output {len(processes)}").absolute()
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def scheduler(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> subprocess.Popen:
    """A scheduler without a copy of the project, at the address that the study uses."""
    file = tmp_path / "scheduler.json"
    command = ("-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    process = start(sys.executable, *command, "--scheduler-file", str(file), env={**os.environ, "PYTHONPATH": ""})
    wait_until(lambda: file.exists() and file.read_text().endswith("}"))
    monkeypatch.setenv("STUDY_SCHEDULER", json.loads(file.read_text())["address"])
    return process


def start_workers(
    start: Start, count: int = 1, *options: str, project: Path = ROOT, **variables: str
) -> list[subprocess.Popen]:
    """Start workers that have one thread each and no nanny, which would replace them, unless `options` differ."""
    command = (sys.executable, "-m", "distributed.cli.dask_worker", os.environ["STUDY_SCHEDULER"], "--no-dashboard")
    environment = {**os.environ, "PYTHONPATH": str(project), **variables}
    workers = []
    for number in range(count):
        place = ("--local-directory", str(Path(f"worker {number}").absolute()))
        workers.append(start(*command, *place, *(options or ("--no-nanny", "--nthreads", "1")), env=environment))
    wait_until(lambda: all("Registered to" in worker.output.read_text() for worker in workers))
    return workers


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def start_study(start: Start, arguments: str = "VARIANTS") -> subprocess.Popen:
    return start(sys.executable, "-c", STUDY.format(arguments))


def failure(process: subprocess.Popen) -> str:
    """The one error line of a study that fails."""
    assert process.wait(SECONDS) == 1, process.output.read_text()
    (line,) = process.output.read_text().splitlines()
    assert line.startswith("error: ")
    return line


def test_a_worker_killed_in_the_middle_changes_no_byte(start, scheduler, tmp_path, monkeypatch):
    workers = start_workers(start, 2)
    HOLD.touch()
    process = start_study(start)
    wait_until(lambda: len(list(LOG.glob("hang*"))) == 2)
    os.kill(workers[0].pid, signal.SIGKILL)
    HOLD.unlink()
    assert process.wait(SECONDS) == 0, process.output.read_text()
    assert len(list(LOG.glob("hang*"))) == 3
    found = {path.name: path.read_bytes() for path in Path("reports/x").iterdir()}
    (tmp_path / "alone").mkdir()
    shutil.copy("data.bin", "alone")
    monkeypatch.chdir(tmp_path / "alone")
    monkeypatch.delenv("STUDY_SCHEDULER")
    assert study(VARIANTS) == found


@pytest.mark.parametrize(
    ("act", "workers", "reason"),
    [
        ("signal SIGKILL", 4, "lost its worker 4 times, the last one tcp://127.0.0.1:"),
        ("memory", 1, "ran out of memory; finished runs are kept"),
        ("mistake", 1, "error: lr = 0: above 0"),
    ],
)
def test_a_failed_run_is_named(act, workers, reason, start, scheduler):
    start_workers(start, workers)
    line = failure(start_study(start, f"dict(bad=Settings(act={act!r})), [7]"))
    assert reason in line
    assert act == "mistake" or "the run of variant bad with seed 7" in line


def test_a_lost_scheduler_is_one_line(start, scheduler):
    start_workers(start)
    HOLD.touch()
    process = start_study(start)
    wait_until(lambda: any(LOG.glob("hang*")))
    scheduler.kill()
    assert "the scheduler was lost; finished runs are kept" in failure(process)


def test_a_worker_with_other_code_refuses(start, scheduler, tmp_path):
    for folder in ("stages", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / "other" / folder)
    with (tmp_path / "other/stages/training/fitting.py").open("a") as file:
        file.write("# another version\n")
    start_workers(start, project=tmp_path / "other")
    assert "has another code" in failure(start_study(start))


OTHER = {
    "BLAS kernel": {"OPENBLAS_CORETYPE": "Nehalem"},
    "NumPy instructions": {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"},
}


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="portable arithmetic is for x86-64")
@pytest.mark.parametrize("differs", OTHER)
def test_a_worker_refuses_other_instructions_unless_it_is_started_as_told(differs, start, scheduler):
    """Dask imports NumPy, and so the choice comes too late in the worker itself."""
    (worker,) = start_workers(start, **OTHER[differs])
    line = failure(start_study(start))
    assert f"has another {differs}" in line
    worker.kill()
    options = line.partition("dask worker ")[2].split()
    start_workers(start, 1, *options, "--nthreads", "1", **OTHER[differs])
    assert start_study(start).wait(SECONDS) == 0


def test_workers_that_cannot_train_give_the_command_to_start_them(start, scheduler, tmp_path):
    start_workers(start, project=tmp_path)
    assert "start it in a copy of the project" in failure(start_study(start))


def test_workers_with_several_threads_are_refused(start, scheduler):
    start_workers(start, 1, "--no-nanny", "--nthreads", "2")
    assert "start workers with --nthreads 1" in failure(start_study(start))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x", "8786"])
def test_an_address_without_a_scheduler_is_named(address, start, monkeypatch):
    monkeypatch.setenv("STUDY_SCHEDULER", address)
    assert f"STUDY_SCHEDULER = '{address}'" in failure(start_study(start))

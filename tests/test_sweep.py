"""Studies: the same bytes with any number of parallel runs and after interruptions; failures end in one line."""

import errno
import math
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from stages import errors
from stages.errors import StudyError, exit_on_error
from stages.training import run_cache
from stages.training.pool import describe_exit, jobs, train_here
from stages.training.progress import Progress
from stages.training.results import Run
from stages.training.run_cache import FOLDER, RunCache, Task, environment, loaded_files
from tests.fake_training import HOLD, LOG, VARIANTS, Settings, study, train

ROOT = Path(__file__).parent.parent
DATA = Path("data.bin")
SECONDS = 30  # until something that takes two must have happened


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study's folder, where one run at a time is trained."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STUDY_SCHEDULER", raising=False)
    monkeypatch.setenv("STUDY_JOBS", "1")
    DATA.write_bytes(b"images")
    return tmp_path


def trained() -> Counter[tuple[str, int]]:
    """How often a training that does something has begun with each seed."""
    return Counter((act, int(seed)) for act, _, seed, *_ in (path.name.split() for path in LOG.iterdir()))


# The same bytes


def rows(content: bytes) -> list[list[str]]:
    """The rows of a table, without its header."""
    return [line.split(",") for line in content.decode().splitlines()[1:]]


def test_one_and_two_jobs_give_the_same_bytes_in_the_order_of_the_variants(folder, monkeypatch):
    variants = dict(reversed(VARIANTS.items()))
    wanted = study(variants, (2, 1))
    order = [["slow", "2"], ["slow", "1"], ["quick", "2"], ["quick", "1"]]
    assert [row[:2] for row in rows(wanted["runs.csv"])] == order
    (folder / "second").mkdir()
    (folder / "second/data.bin").write_bytes(b"images")
    monkeypatch.chdir(folder / "second")
    monkeypatch.setenv("STUDY_JOBS", "2")
    assert study(variants, (2, 1)) == wanted
    processes = {path.name.split()[3] for path in LOG.iterdir()}
    assert 1 <= len(processes) <= 2
    assert str(os.getpid()) not in processes


def test_the_longest_start_first():
    study({f"{epochs} epochs": Settings(epochs=epochs) for epochs in (1, 9, 5)}, (1,))
    begun = sorted(LOG.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert [path.name.split()[1] for path in begun] == ["9", "5", "1"]


def test_equal_runs_of_variants_and_studies_are_trained_once():
    first = study({"usual": VARIANTS["slow"]})
    second = study(VARIANTS | {"same": Settings(epochs=9)})
    assert trained() == {(act, seed): 1 for act in ("train", "hang") for seed in (1, 2)}
    for name in ("history.csv", "runs.csv"):
        found = {
            variant: [row[1:] for row in rows(second[name]) if row[0] == variant] for variant in ("same", *VARIANTS)
        }
        assert found["slow"] == [row[1:] for row in rows(first[name])]
        assert found["same"] == found["quick"] != found["slow"]


def test_more_seeds_are_trained_alone_and_leave_the_old_rows_as_they_are():
    few, many = study(VARIANTS, (1, 2)), study(VARIANTS, (1, 2, 3, 4))
    assert trained() == {(act, seed): 1 for act in ("train", "hang") for seed in (1, 2, 3, 4)}
    for name in ("history.csv", "runs.csv"):
        assert [row for row in rows(many[name]) if row[1] in "12"] == rows(few[name])
        assert {row[1] for row in rows(many[name])} == set("1234")


def start(jobs: int) -> subprocess.Popen[str]:
    """The study as a process, in a process group of its own, as a terminal makes one."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fake_training"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "STUDY_JOBS": str(jobs)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def start_until_it_hangs(jobs: int) -> subprocess.Popen[str]:
    """Wait until the quick runs are finished and each process hangs in a slow one."""
    HOLD.touch()
    process, deadline = start(jobs), time.monotonic() + SECONDS
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while len(list(FOLDER.glob("*.json"))) < 2 or len(list(LOG.glob("hang*"))) < jobs:
        for child in children.read_text().split() if children.exists() else ():
            os.kill(int(child), signal.SIGINT)  # workers ignore Ctrl-C at any time
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def output(process: subprocess.Popen[str]) -> str:
    """All that was said; it ends only once no process is left that could say more, workers included."""
    try:
        return process.communicate(timeout=SECONDS)[0]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_a_killed_study_leaves_no_worker_and_continues_with_the_runs_that_are_missing():
    process = start_until_it_hangs(jobs=2)
    process.kill()
    output(process)
    HOLD.unlink()
    second = start(jobs=1)
    assert "tune x: 2 of 4 runs are in the run cache" in output(second)
    assert second.returncode == 0
    assert trained() == {("train", 1): 1, ("train", 2): 1, ("hang", 1): 2, ("hang", 2): 2}
    continued = {path.name: path.read_bytes() for path in Path("reports/x").iterdir()}
    assert continued == study(VARIANTS)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("number", "to_all", "line"),
    [
        (signal.SIGINT, True, "interrupted\n"),  # Ctrl-C on a terminal
        (signal.SIGTERM, False, "terminated\n"),
    ],
)
def test_an_interruption_is_one_line_and_leaves_no_worker(number, to_all, line, jobs):
    process = start_until_it_hangs(jobs)
    os.killpg(process.pid, number) if to_all else process.send_signal(number)
    assert (output(process), process.returncode) == (line, 128 + number)


KERNELS = """
import sys, importlib
if sys.argv[1:]:
    importlib.import_module(sys.argv[1])
from numpy.lib.introspect import opt_func_info
from threadpoolctl import threadpool_info
print([pool["architecture"] for pool in threadpool_info() if pool["internal_api"] == "openblas"])
print(opt_func_info("^exp$", "float64")["exp"]["dd"]["current"])
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="portable arithmetic is for x86-64")
def test_numpys_kernels_are_those_of_avx2_unless_the_parameters_say_native(monkeypatch):
    def kernels(*modules: str) -> list[str]:
        command = [sys.executable, "-c", KERNELS, *modules]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()

    for name in ("NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE"):
        monkeypatch.delenv(name, raising=False)  # this process has set them
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    fastest = kernels()
    for arithmetic in (None, "portable", "native"):
        if arithmetic:
            Path("params.yaml").write_text(f"seed: 1\narithmetic: {arithmetic}\n")
        native = arithmetic == "native"
        assert kernels("stages.train_numpy") == (fastest if native else ["['Haswell']", "X86_V3"]), arithmetic


# The run cache

TASK = Task(1, Settings(), DATA)


def run(loss: float) -> Run:
    history = [{"epoch": 1, "train_loss": 1 / 3, "train_accuracy": 0.75, "loss": loss, "accuracy": 0.5}]
    return Run("ok", "validation", 1, 1, history, loss, 0.25)


@pytest.mark.parametrize("loss", [0.1 + 0.2, 5e-324, math.inf, math.nan])
def test_a_cached_run_is_the_same_run(loss):
    assert RunCache().get(TASK) is None
    RunCache().put(TASK, run(loss))
    assert repr(RunCache().get(TASK)) == repr(run(loss))


@pytest.mark.parametrize("task", [Task(2, Settings(), DATA), Task(1, Settings(epochs=4), DATA)])
def test_another_seed_or_setting_is_another_run(task):
    RunCache().put(TASK, run(1.0))
    assert RunCache().get(task) is None


@pytest.mark.parametrize("change", ["data", *environment(loaded_files())])
def test_with_other_data_code_or_libraries_a_run_is_another_run(change, monkeypatch):
    RunCache().put(TASK, run(1.0))
    if change == "data":
        DATA.write_bytes(b"other images")
    other = {**environment(loaded_files()), change: "another"}
    monkeypatch.setattr(run_cache, "environment", lambda files: other)
    assert RunCache().get(TASK) is None


def test_the_code_of_a_run_is_what_affects_results(folder, monkeypatch):
    files = set(loaded_files())
    assert "stages/training/fitting.py" in files
    assert not {"stages/__init__.py", "stages/params.py", "stages/training/pool.py"} & files
    monkeypatch.setattr(run_cache, "ROOT", folder)
    codes = []
    for name, text in (("a.py", "1"), ("b.py", "2"), ("c.py", "2")):
        (folder / name).write_text(text)
        codes.append(environment((name,))["code"])
    (folder / "a.py").write_text("changed after it was loaded")
    assert environment(("a.py",))["code"] == codes[0]
    assert len(set(codes)) == 3


@pytest.mark.parametrize("damage", [lambda text: text[:-5], lambda text: "", lambda text: "[1]", lambda text: "{}"])
def test_a_damaged_file_counts_as_absent(damage):
    study({"a": Settings()}, (1,))
    (path,) = FOLDER.glob("*")
    path.write_text(damage(path.read_text()))
    study({"a": Settings()}, (1,))
    assert path.stat().st_size > 100
    assert RunCache().get(TASK) is not None


def test_missing_data_is_named():
    DATA.unlink()
    with pytest.raises(StudyError, match=r"data\.bin is missing; run `dvc repro preprocess`"):
        study(VARIANTS)


# Failures


@pytest.mark.parametrize(
    ("jobs", "act", "reason"),
    [
        (2, "signal SIGKILL", "was killed, as the system does when memory runs out"),
        (1, "memory", "ran out of memory"),
        (1, "torch memory", "ran out of memory"),
    ],
)
def test_a_failed_run_is_named(jobs, act, reason, monkeypatch):
    monkeypatch.setenv("STUDY_JOBS", str(jobs))
    HOLD.touch()
    other = Settings(act="hang" if jobs > 1 else "train")
    with pytest.raises(StudyError) as failure:
        study({"other": other, "bad": Settings(act=act)}, (7,))
    assert re.fullmatch(
        f"tune x: the run of variant bad with seed 7 {reason}; finished runs are kept: run it again, with fewer at "
        r"once \(STUDY_JOBS=1; dask worker --nworkers 1\) if memory is short",
        str(failure.value),
    )


def test_the_end_of_a_process_in_words():
    assert describe_exit(-signal.SIGSEGV) == "was terminated by SIGSEGV"
    assert describe_exit(3) == "exited with status 3"


def test_an_error_in_a_worker_is_raised_unchanged_with_its_traceback(monkeypatch):
    monkeypatch.setenv("STUDY_JOBS", "2")
    with pytest.raises(StudyError) as error:
        list(train_here(train, [Task(1, Settings(act="mistake"), DATA)] * 2))
    assert str(error.value) == "lr = 0: above 0"
    assert "in perform" in str(error.value.__cause__)


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_a_wrong_number_of_jobs_is_named(value, monkeypatch):
    monkeypatch.setenv("STUDY_JOBS", value)
    with pytest.raises(StudyError, match=r"STUDY_JOBS = .*at least 1"):
        jobs()


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        (StudyError("lr = 0: above 0"), "error: lr = 0: above 0\n"),
        (MemoryError(), "error: not enough memory: close other programs, or set STUDY_JOBS=1\n"),
        (RuntimeError("CUDA out of memory"), "error: not enough memory: close other programs, or set STUDY_JOBS=1\n"),
        (OSError(errno.ENOSPC, "No space left on device", "a.csv"), "error: a.csv: No space left on device\n"),
        (OSError(errno.EACCES, "Permission denied"), "error: Permission denied\n"),
        (KeyboardInterrupt(), "interrupted\n"),
    ],
)
def test_what_the_user_can_fix_is_one_line(raised, line, capsys, monkeypatch):
    monkeypatch.setattr(errors.signal, "signal", lambda number, handler: None)

    def main(arguments: list[str]) -> None:
        raise raised

    with pytest.raises(SystemExit) as end:
        exit_on_error(main)
    assert end.value.code == (130 if isinstance(raised, KeyboardInterrupt) else 1)
    assert capsys.readouterr().err == line


def test_a_bug_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(errors.signal, "signal", lambda number, handler: None)
    with pytest.raises(FileNotFoundError):
        exit_on_error(lambda arguments: Path("none").read_text())


# Progress


def test_a_log_has_a_line_every_ten_seconds_and_one_at_the_end(capsys, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("stages.training.progress.time.monotonic", lambda: clock.now)
    with Progress("tune x", 4, "runs") as bar:
        for seconds in (6, 12, 18, 19):
            clock.now = seconds
            bar.advance(note=f"at {seconds}")
    assert capsys.readouterr().err == "tune x: 2/4 runs at 12\ntune x: 4/4 runs at 19\n"

"""Interrupted at any moment, by any signal to any process, the pipeline loses nothing and leaves nothing behind.

Nothing is simulated: the signals go to DVC, to the nodes that it runs and to their workers, while they work on a
project in miniature. The next `dvc repro` must complete, and every byte be that of a project never interrupted.
"""

import hashlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from dvc.utils.serialize import modify_yaml

from tests.project import FURTHER, Project

STUDY = "optimiser"
TARGETS = ("train_numpy", f"tune@{STUDY}", f"ablations@{FURTHER}")  # each with the download and all that lies between
REPRO = (sys.executable, "-m", "dvc", "repro")
TUNE = (sys.executable, "-m", "stages.tune", STUDY)
VICTIMS = ("dvc", "node", "worker")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
EVERYONE = "everyone"  # as Ctrl-C on a terminal
MARK = "INTERRUPTION_MARK"  # a variable that processes hand down to those that they start
SECONDS = 90  # until something that takes a few must have happened
# In which all must have ended, where only one was ended; ten times what they need on an idle machine.
A_FEW_SECONDS = 15
QUICK, LONG, LONG_SEED = "quick", "long", 7  # the variants of a study that is still at work when it is interrupted
# What DVC says of a file of its own that it was writing in its place when it was killed. It reads them before any code
# of this project could mend them, and leaves it to the user to remove them.
CUT_OFF = {
    "Unable to read RWLock-file": ".dvc/tmp/rwlock",
    "'./dvc.lock' is invalid": "dvc.lock",
    "'./dvc.lock' validation failed": "dvc.lock",
}
# Stands still as soon as a node has written a file and is about to put it into its place.
STAND_STILL = """
import os, time
def stands_still(move):
    def moves(source, target, **options):
        if "DVC_STAGE" in os.environ and os.environ["STAND_STILL_AT"] in os.fspath(target):
            open(os.environ["STANDS_STILL"], "w").close()
            time.sleep(600)
        return move(source, target, **options)
    return moves
os.rename, os.replace = stands_still(os.rename), stands_still(os.replace)
"""


class Moment(NamedTuple):
    """Whom to interrupt, by what, and when: at which share of the time that there is such a process."""

    target: str
    victim: str
    signal: signal.Signals
    share: float
    at_once: bool  # whether the next `dvc repro` begins before everything has ended


def moments() -> list[Moment]:
    """Twenty, every victim with every signal among them."""
    rng = random.Random(1)
    pairs = [*itertools.product(VICTIMS, SIGNALS)] * 2 + [(EVERYONE, signal.SIGINT)] * 2
    return [
        Moment(TARGETS[1] if victim == "worker" else rng.choice(TARGETS), victim, number, rng.random(), place % 2 == 0)
        for place, (victim, number) in enumerate(pairs)
    ]


class Running:
    """A command in a project, with every process that came of it, whoever is their parent by now."""

    def __init__(self, project: Project, *command: str, **variables: str) -> None:
        self.mark, self.file = uuid.uuid4().hex, project.folder.parent / f"output_{uuid.uuid4().hex}"
        with self.file.open("w") as output:
            self.process = subprocess.Popen(
                command,
                cwd=project.folder,
                env=project.environment() | {"STUDY_JOBS": "2", "CI": "1", MARK: self.mark} | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a process group, as a terminal makes one
            )

    def processes(self) -> list[psutil.Process]:
        """All that are left."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self.mark:
                    found.append(process)
        return found

    def find(self, victim: str) -> list[psutil.Process]:
        """Those of a kind."""
        found = []
        for process in self.processes():
            with suppress(psutil.Error):
                if kind(process) == victim:
                    found.append(process)
        return found

    def strike(self, victim: str, number: signal.Signals) -> bool:
        """Send a signal to one process, or to all that a terminal would send it to; return whether there was one."""
        if victim == EVERYONE:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
                return True
        for process in self.find(victim)[:1]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
                return True
        return False

    def wait(self) -> int:
        """The exit status, in the end."""
        return self.process.wait(SECONDS)

    def output(self) -> str:
        """What it has said so far."""
        return self.file.read_text(encoding="utf-8")

    def wait_for_all(self, seconds: float = A_FEW_SECONDS) -> None:
        """Wait until no process is left."""
        deadline = time.monotonic() + seconds
        while left := self.processes():
            assert time.monotonic() < deadline, f"{[described(process) for process in left]} are left"
            time.sleep(0.1)

    def end(self) -> None:
        """End all processes, so that a test that fails leaves none."""
        while left := self.processes():
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.01)
        self.process.wait()


def kind(process: psutil.Process) -> str:
    """Which of the victims a process is, if any."""
    words = process.cmdline()
    if any("spawn_main" in word for word in words):
        return "worker"
    if any(word.startswith("stages.") for word in words):
        return "node"
    return "dvc" if "dvc" in words else "none"


def described(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return "a process that has just ended"


def wait_until(holds: Callable[[], Any], running: Running) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert running.process.poll() is None, running.output()
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(0.01)


def contents(project: Project) -> dict[str, bytes | None]:
    """Every file and folder of the workspace, hidden ones too; not what git, DVC and Python keep for themselves."""
    # DVC takes back the lines that it added to a .gitignore where a stage fails, those of finished stages too.
    own = {".git", ".dvc", ".gitignore", "__pycache__"}
    paths = (path.relative_to(project.folder) for path in project.folder.rglob("*"))
    kept = [path for path in paths if not own.intersection(path.parts)]
    return {str(path): read(project.folder / path) for path in kept}


def read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def differences(one: dict[str, bytes | None], other: dict[str, bytes | None]) -> list[str]:
    return sorted(path for path in one.keys() | other.keys() if one.get(path, b"none") != other.get(path, b"none"))


def wrong_objects(project: Project) -> list[str]:
    """Files of DVC's cache whose contents aren't those that they are named after."""
    files = [path for path in (project.folder / ".dvc/cache/files/md5").glob("??/*") if path.is_file()]
    return [
        str(path)
        for path in files
        if hashlib.md5(path.read_bytes()).hexdigest() != path.parent.name + path.name.removesuffix(".dir")
    ]


@pytest.fixture
def launch() -> Iterator[Callable[..., Running]]:
    """Start a command in the background; whatever is left of it is killed in the end."""
    begun = []

    def begin(project: Project, *command: str, **variables: str) -> Running:
        begun.append(Running(project, *command, **variables))
        return begun[-1]

    yield begin
    for running in begun:
        running.end()


@pytest.fixture(scope="module")
def fresh_project(miniature_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One data set for all networks, and runs that last long enough to be interrupted. Not to be changed."""
    project = miniature_project.copy(tmp_path_factory.mktemp("fresh") / "project")
    with modify_yaml(project.folder / "params.yaml") as params:
        params["train_torch"]["dataset"] = "fashion_mnist"
        params["train_numpy"]["epochs"] = 20
        params["tune_base"]["corrected"]["epochs"] = 200
    return project


@pytest.fixture
def project(fresh_project: Project, tmp_path: Path) -> Project:
    """A copy of it, to be changed at will."""
    return fresh_project.copy(tmp_path / "project")


class Whole(NamedTuple):
    """A pipeline that nobody interrupted."""

    contents: dict[str, bytes | None]
    times: dict[str, list[float]]  # seconds after its start at which there was such a process


@pytest.fixture(scope="module")
def whole(fresh_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Whole]:
    """What comes of a target that is left in peace, and when its processes are there."""
    known: dict[str, Whole] = {}

    def make(target: str) -> Whole:
        if target not in known:
            project = fresh_project.copy(tmp_path_factory.mktemp("whole") / "project")
            times = {victim: [] for victim in (*VICTIMS, EVERYONE)}
            began, running = time.monotonic(), Running(project, *REPRO, target)
            while running.process.poll() is None:
                for victim in {EVERYONE, *map(kind_or_none, running.processes())} & times.keys():
                    times[victim].append(time.monotonic() - began)
                time.sleep(0.02)
            assert running.wait() == 0, running.output()
            running.wait_for_all()
            known[target] = Whole(contents(project), times)
        return known[target]

    return make


def kind_or_none(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return kind(process)
    return "none"


@pytest.mark.parametrize("moment", moments(), ids=lambda m: f"{m.victim}-{m.signal.name}-{m.target.split('@')[0]}")
def test_the_next_repro_completes_with_the_same_bytes(
    moment: Moment, project: Project, whole: Callable[[str], Whole], launch: Callable[..., Running]
):
    wanted, times = whole(moment.target)
    first = launch(project, *REPRO, moment.target)
    time.sleep(times[moment.victim][int(moment.share * len(times[moment.victim]))])
    # There may be none at this very moment, or none any more; who is quicker than the signal is not interrupted.
    while first.process.poll() is None and not first.strike(moment.victim, moment.signal):
        time.sleep(0.01)
    status = first.wait()
    assert status != 0 or differences(contents(project), wanted) == []
    if not moment.at_once:
        first.wait_for_all()
    second = repro(project, moment.target)
    if moment.victim in ("dvc", EVERYONE):
        for file in (file for complaint, file in CUT_OFF.items() if complaint in second.stdout):
            (project.folder / file).unlink()
            second = repro(project, moment.target)
    first.wait_for_all()
    both = f"{first.output()}\n--- the next ---\n{second.stdout}"
    assert second.returncode == 0, both
    assert differences(contents(project), wanted) == [], both
    assert wrong_objects(project) == []


def repro(project: Project, target: str) -> subprocess.CompletedProcess[str]:
    return project.run(*REPRO, target, STUDY_JOBS="2", CI="1")


@pytest.fixture(scope="module")
def prepared_project(fresh_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same with its data, ready to train. Not to be changed."""
    project = fresh_project.copy(tmp_path_factory.mktemp("prepared") / "project")
    project.succeed(*REPRO, "preprocess@fashion_mnist", CI="1")
    return project


@pytest.fixture
def at_work(prepared_project: Project, tmp_path: Path) -> Project:
    """A copy of it, to be changed at will: of a study's three runs, one begins first and takes minutes."""
    project = prepared_project.copy(tmp_path / "project")
    with modify_yaml(project.folder / "params.yaml") as params:
        params["architectures"]["long"] = layers([784, 2000, 2000, 10])
        params["tune"][STUDY]["seeds"] = [1, 2]
        params["tune"][STUDY]["variants"] = [
            {"name": QUICK, "lr": 0.1},
            {"name": LONG, "architecture": "long", "batch_size": 1, "epochs": 1000, "seeds": [LONG_SEED]},
        ]
    return project


def layers(units: list[int]) -> list[dict[str, Any]]:
    """An architecture of params.yaml."""
    *hidden, last = units
    return [
        *({"input_nodes": number, "activation": "relu"} for number in hidden),
        {"input_nodes": last, "activation": "softmax"},
    ]


def shorten(project: Project) -> None:
    """Make the run that takes minutes one of an instant; the others stay as they are."""
    with modify_yaml(project.folder / "params.yaml") as params:
        params["tune"][STUDY]["variants"][1]["epochs"] = 1


def kept(project: Project) -> list[Path]:
    """The finished runs of a study that isn't complete."""
    return [path for path in (project.folder / "data/unfinished").rglob("*.json") if not path.name.startswith(".")]


def wait_for_the_long_run(running: Running, project: Project) -> None:
    """Until all others are finished."""
    wait_until(lambda: len(kept(project)) == 2, running)


def complaint(running: Running) -> str:
    """The line about what went wrong, the only one; there must be no stack trace."""
    lines = [line for line in running.output().splitlines() if line.startswith("error: ")]
    assert "Traceback" not in running.output()
    assert len(lines) == 1, running.output()
    return lines[0]


def test_a_killed_worker_is_named_and_costs_its_own_run_alone(
    at_work: Project, launch: Callable[..., Running], tmp_path: Path
):
    never_interrupted = at_work.copy(tmp_path / "never_interrupted")
    first = launch(at_work, *REPRO, TARGETS[1])
    wait_for_the_long_run(first, at_work)
    for worker in first.find("worker"):  # one of them has nothing to do any more
        worker.kill()
    assert first.wait() != 0
    first.wait_for_all()
    assert f"the run of variant {LONG} with seed {LONG_SEED} was killed" in complaint(first)
    assert len(kept(at_work)) == 2
    for project in (at_work, never_interrupted):
        shorten(project)
    second = repro(at_work, TARGETS[1])
    assert second.returncode == 0, second.stdout
    assert "2 of 3 runs are kept from when it was broken off" in second.stdout
    assert repro(never_interrupted, TARGETS[1]).returncode == 0
    assert differences(contents(at_work), contents(never_interrupted)) == []


# DVC has the user's shell run a stage's command: bash makes way for the command, dash stays between.
SHELLS = [path for name in ("sh", "bash") if (path := shutil.which(name))]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("victim", "number"),
    [
        *(("dvc", number) for number in (signal.SIGTERM, signal.SIGKILL)),
        *(("node", number) for number in SIGNALS),
        (EVERYONE, signal.SIGINT),
    ],
)
def test_no_process_outlives_an_interruption_in_the_middle_of_a_run(
    at_work: Project, launch: Callable[..., Running], victim: str, number: signal.Signals, shell: str
):
    running = launch(at_work, *REPRO, TARGETS[1], SHELL=shell)
    wait_for_the_long_run(running, at_work)
    assert running.find("worker")
    assert running.strike(victim, number)
    assert running.wait() != 0
    running.wait_for_all()
    assert len(kept(at_work)) == 2


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(("number", "line"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_node_says_in_one_line_that_it_was_ended(
    at_work: Project, launch: Callable[..., Running], number: signal.Signals, line: str, jobs: str
):
    study = launch(at_work, *TUNE, STUDY_JOBS=jobs)
    if jobs == "1":  # the long run goes first
        wait_until(lambda: seconds_worked(study) > 3, study)  # to load the libraries takes one
    else:
        wait_for_the_long_run(study, at_work)
    assert study.strike("node", number)
    assert study.wait() == 128 + number
    progress = "tune "  # a line every ten seconds
    assert [said for said in study.output().splitlines() if not said.startswith(progress)] == [line]
    study.wait_for_all()


def seconds_worked(running: Running) -> float:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(running.process.pid).cpu_times().user
    return 0.0


@pytest.mark.parametrize(
    ("target", "place"),
    [
        (TARGETS[0], "data/raw/fashion_mnist"),  # a folder
        (TARGETS[0], "data/prepared/fashion_mnist.npz"),
        (TARGETS[1], "data/unfinished/"),
        (TARGETS[1], f"reports/tune/{STUDY}/history.csv"),
    ],
)
def test_what_a_killed_node_was_writing_is_gone_after_the_next_repro(
    project: Project,
    whole: Callable[[str], Whole],
    launch: Callable[..., Running],
    tmp_path: Path,
    target: str,
    place: str,
):
    sign = tmp_path / "stands_still"
    (tmp_path / "code").mkdir()
    (tmp_path / "code/sitecustomize.py").write_text(STAND_STILL, encoding="utf-8")
    first = launch(
        project, *REPRO, target, PYTHONPATH=str(tmp_path / "code"), STAND_STILL_AT=place, STANDS_STILL=str(sign)
    )
    wait_until(sign.exists, first)
    assert first.strike("node", signal.SIGKILL)
    assert first.wait() != 0
    first.wait_for_all()
    assert half_written(project)
    second = repro(project, target)
    assert second.returncode == 0, second.stdout
    assert differences(contents(project), whole(target).contents) == []


def half_written(project: Project) -> list[Path]:
    """What has been written beside its place."""
    folders = [project.folder / name for name in ("data", "reports")]
    found = [path for folder in folders for path in folder.rglob(".*.*")]
    return [path for path in found if path.name != ".gitignore"]

"""A study that is broken off goes on where it was, and never with what is stale."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides

from stages.common import fingerprint, unfinished
from stages.common.costs import mlp_cost, numpy_cost
from stages.common.errors import StudyError
from stages.common.params import Variant, load_params
from stages.common.runs import Run
from stages.common.studies import train_study
from stages.common.unfinished import Unfinished
from tests.project import Project

ROOT = Path(__file__).parent.parent
PARAMS = load_params(ROOT / "params.yaml")
TRAINING = PARAMS.tune["learning_rate"].variants[0].training
STUDY = "optimiser"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A file to train on, in a folder of its own; one run at a time, here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STUDY_JOBS", "1")
    path = tmp_path / "data.npz"
    path.write_bytes(b"images")
    return path


def variant(name, **settings):
    return Variant(name=name, seeds=[1, 2], training=TRAINING.model_copy(update=settings))


def a_run(name, seed, loss=0.1 + 0.2):
    rows = [{"epoch": 1, "train_loss": 1 / 3, "loss": loss, "accuracy": 0.5}]
    return Run(name, seed, "ok", "validation", 1, 1, rows, loss, 0.25)


@pytest.mark.parametrize("loss", [0.1 + 0.2, 5e-324, float("inf")])
def test_a_finished_run_comes_back_as_it_was(data, loss):
    kept = Unfinished("tune x", data)
    assert kept.find(variant("a"), 1) is None
    kept.keep(variant("a"), 1, a_run("a", 1, loss))
    found = Unfinished("tune x", data).find(variant("a"), 1)
    assert found == a_run("a", 1, loss)
    kept.forget()
    assert not Path("data").exists() or not any(Path("data").rglob("*"))


def test_a_loss_that_is_no_number_comes_back_too(data):
    kept = Unfinished("tune x", data)
    kept.keep(variant("a"), 1, a_run("a", 1, float("nan")))
    assert math.isnan(kept.find(variant("a"), 1).test_loss)
    assert math.isnan(kept.find(variant("a"), 1).history[0]["loss"])


def test_nothing_stale_is_found(data, monkeypatch):
    """Another name, seed, setting, data set or environment, and another study: each has nothing."""
    kept = Unfinished("tune x", data)
    kept.keep(variant("a"), 1, a_run("a", 1))
    assert kept.find(variant("b"), 1) is None
    assert kept.find(variant("a"), 2) is None
    assert kept.find(variant("a", lr=0.3), 1) is None
    assert Unfinished("tune y", data).find(variant("a"), 1) is None
    for what, value in fingerprint.own_environment().items():
        other = fingerprint.own_environment() | {what: f"not {value}"}
        monkeypatch.setattr(unfinished, "own_environment", lambda other=other: other)
        assert Unfinished("tune x", data).find(variant("a"), 1) is None
    monkeypatch.undo()
    monkeypatch.chdir(data.parent)
    assert Unfinished("tune x", data).find(variant("a"), 1) is not None
    data.write_bytes(b"other images")
    assert Unfinished("tune x", data).find(variant("a"), 1) is None


def test_every_file_that_a_run_goes_through_counts_as_its_code(tmp_path, monkeypatch):
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/a.py").write_text("1")
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    hashes = []
    for text in ("1", "2"):
        (tmp_path / "stages/a.py").write_text(text)
        fingerprint.environment.cache_clear()
        hashes.append(fingerprint.environment(("stages/a.py",), False)["code"])
    fingerprint.environment.cache_clear()
    assert hashes[0] != hashes[1]
    monkeypatch.undo()
    used = fingerprint.modules_in_use()
    assert {"stages/common/fitting.py", "stages/common/unfinished.py", "stages/common/runs.py"} <= set(used)


def test_a_damaged_file_counts_as_none(data):
    kept = Unfinished("tune x", data)
    kept.keep(variant("a"), 1, a_run("a", 1))
    place = kept.place(variant("a"), 1)
    place.write_bytes(place.read_bytes()[:-5])
    assert kept.find(variant("a"), 1) is None


def test_the_longest_go_first_and_come_back_in_order(data):
    begun = []

    def one_run(path, task):
        begun.append(task)
        return a_run(task[0].name, task[1])

    tasks = [(variant(name), seed) for name in ("short", "long", "middle") for seed in (1, 2)]
    lengths = {name: variant(name, epochs=epochs) for name, epochs in (("short", 1), ("long", 9), ("middle", 5))}
    tasks = [(lengths[task.name], seed) for task, seed in tasks]
    train_study("tune x", one_run, data, tasks, lambda training: training.epochs, Path("reports"))
    assert [task[0].name for task in begun] == ["long"] * 2 + ["middle"] * 2 + ["short"] * 2
    rows = Path("reports/runs.csv").read_text().splitlines()[1:]
    assert [row.split(",")[:2] for row in rows] == [[task.name, str(seed)] for task, seed in tasks]
    assert not Path("data/unfinished").exists()


def test_a_study_of_which_nothing_is_its_own_says_so(data):
    with pytest.raises(StudyError, match="tune x: all of its variants are trained by the study that it shares with"):
        train_study("tune x", None, data, [], numpy_cost, Path("reports"))


def test_data_that_is_missing_is_named(data):
    data.unlink()
    with pytest.raises(StudyError, match=r"data\.npz is missing; run `dvc repro preprocess`"):
        Unfinished("tune x", data)


def test_costs_grow_with_what_takes_time():
    assert numpy_cost(TRAINING.model_copy(update={"epochs": 60})) == 2 * numpy_cost(TRAINING)
    assert numpy_cost(TRAINING.model_copy(update={"batch_size": 1})) > 5 * numpy_cost(TRAINING)
    assert numpy_cost(TRAINING.model_copy(update={"precision": "float64"})) > numpy_cost(TRAINING)
    deep = PARAMS.tune["architecture"].variants[-1].training
    assert numpy_cost(deep) > 5 * numpy_cost(PARAMS.tune["architecture"].variants[0].training)
    stages = {variant.name: variant.training for variant in PARAMS.ablations["baseline"].variants}
    assert mlp_cost(stages["staircase"]) == 3 * mlp_cost(stages["constant"])
    assert mlp_cost(stages["constant"]) > mlp_cost(stages["batch_256"])


def test_a_killed_sweep_goes_on_where_it_was(reproduced: Project):
    apply_overrides(reproduced.folder / "params.yaml", ["tune_base.corrected.epochs=300"])
    command = (sys.executable, "-m", "stages.tune", STUDY)
    folder, kept = reproduced.folder / "reports/tune" / STUDY, reproduced.folder / "data/unfinished"
    reproduced.succeed(*command, STUDY_JOBS="1")
    wanted = {path.name: path.read_bytes() for path in folder.iterdir()}
    with subprocess.Popen(
        command, cwd=reproduced.folder, env=reproduced.environment() | {"STUDY_JOBS": "1"}, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 60
        while not any(kept.rglob("[!.]*.json")):  # not one that is being written
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    times = {path: path.stat().st_mtime_ns for path in kept.rglob("[!.]*.json")}
    output = reproduced.succeed(*command, STUDY_JOBS="1")
    assert f"{len(times)} of 4 runs are kept from when it was broken off" in output
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == wanted
    assert not kept.exists()

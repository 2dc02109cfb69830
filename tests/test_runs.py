"""Run records, generators, figures of merit and side-by-side runs, against worked examples."""

import csv as csv_reader
import json
import math

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_info

from stages.common.errors import StudyError
from stages.common.files import whole_file, write_json
from stages.common.metrics import class_table, confusion_table, mistakes_table, record_metrics
from stages.common.parallel import jobs, run_all
from stages.common.randomness import generators
from stages.common.runs import Run, write_study


def run(variant, seed, accuracies, *, status="ok", losses=None, test=(0.5, 0.8)):
    losses = losses or [1.0 / number for number in range(1, len(accuracies) + 1)]
    history = [
        {"epoch": number, "train_loss": 1 / 3, "loss": loss, "accuracy": accuracy}
        for number, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True), start=1)
    ]
    return Run(variant, seed, status, "validation", len(losses), len(losses), history, *test)


def test_a_study_is_three_files(tmp_path):
    runs = [run("0.1", 1, [0.5, 0.75]), run("0.1", 2, [0.5, 0.85]), run("2", 1, [0.6, 0.1], status="diverged")]
    write_study(tmp_path / "study", runs)
    history = pd.read_csv(tmp_path / "study/history.csv", dtype={"variant": str})
    assert list(history) == ["variant", "seed", "epoch", "train_loss", "validation_loss", "validation_accuracy"]
    assert history["variant"].tolist() == ["0.1"] * 4 + ["2"] * 2
    assert history["train_loss"][0] == 0.333333
    table = pd.read_csv(tmp_path / "study/runs.csv")
    assert table["status"].tolist() == ["ok", "ok", "diverged"]
    assert table["final_accuracy"].tolist() == [0.75, 0.85, 0.1]
    assert table["best_accuracy"].tolist() == [0.75, 0.85, 0.6]
    metrics = json.loads((tmp_path / "study/metrics.json").read_text())
    assert metrics == {
        "0.1": {"validation_accuracy": 0.8, "std": 0.0707, "diverged": 0},
        "2": {"validation_accuracy": 0.1, "diverged": 1},
    }


def test_nothing_that_is_not_finite_reaches_a_file(tmp_path):
    lost = run("x", 1, [0.1, 0.1], status="diverged", losses=[math.nan, math.inf], test=(math.nan, 0.1))
    write_study(tmp_path, [lost])
    for path in tmp_path.iterdir():
        text = path.read_text().lower()
        assert "nan" not in text
        assert "inf" not in text
    with (tmp_path / "runs.csv").open(newline="") as file:
        (row,) = csv_reader.DictReader(file)
    assert (row["final_loss"], row["test_loss"], row["test_accuracy"]) == ("", "", "0.1")
    assert record_metrics(lost) == {"validation_accuracy": 0.1, "test_accuracy": 0.1, "epochs": 2, "best_epoch": 2}


def test_generators_depend_on_seed_and_name_and_on_nothing_else():
    def draws(seed, name):
        return [generator.random() for generator in generators(seed, name, 3)]

    assert draws(1, "a") == draws(1, "a")
    assert len({*draws(1, "a"), *draws(2, "a"), *draws(1, "b")}) == 9


def test_figures_of_merit_worked_example():
    labels = np.array([0, 0, 0, 1, 1, 2])
    predictions = np.array([0, 0, 1, 1, 1, 0])
    probabilities = np.full((6, 3), 0.05)
    probabilities[np.arange(6), predictions] = [0.9, 0.9, 0.6, 0.9, 0.9, 0.8]
    names = ("shirt", "coat", "bag")
    confusion = confusion_table(labels, probabilities, names)
    assert confusion["count"].tolist() == [2, 1, 0, 0, 2, 0, 1, 0, 0]
    classes = class_table(labels, probabilities, names).set_index("class")
    assert classes.loc["shirt"].tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 3])
    assert classes.loc["coat"].tolist() == pytest.approx([2 / 3, 1, 0.8, 2])
    assert classes.loc["bag"].tolist() == [0, 0, 0, 1]
    mistakes = mistakes_table(labels, probabilities, names)
    assert mistakes.to_dict("list") == {
        "index": [5, 2],
        "label": ["bag", "shirt"],
        "predicted": ["shirt", "coat"],
        "confidence": [0.8, 0.6],
    }


def blas_threads(task):
    return task, [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.mark.parametrize("count", ["1", "2"])
def test_runs_come_back_in_order_and_with_one_blas_thread(count, monkeypatch):
    monkeypatch.setenv("STUDY_JOBS", count)
    results = run_all(blas_threads, [3, 1, 2], "test")
    assert [task for task, _ in results] == [3, 1, 2]
    assert all(set(threads) == {1} for _, threads in results)


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_a_wrong_job_count_names_the_variable(value, monkeypatch):
    monkeypatch.setenv("STUDY_JOBS", value)
    with pytest.raises(StudyError, match=r"STUDY_JOBS = .*at least 1"):
        jobs()


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "folder/a.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": math.nan})

    def write_half():
        with whole_file(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError, match="fire"):
        write_half()
    assert json.loads(path.read_text()) == {"a": 1}
    assert [entry.name for entry in path.parent.iterdir()] == ["a.json"]

"""Run records, generators, figures of merit and side-by-side runs, against worked examples."""

import csv as csv_reader
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_info

from stages.common.errors import StudyError
from stages.common.files import whole_file, write_json
from stages.common.fitting import Fit
from stages.common.metrics import (
    calibration_error,
    calibration_table,
    class_table,
    confusion_table,
    mistakes_table,
    record_metrics,
    top_accuracy,
)
from stages.common.parallel import as_done, jobs
from stages.common.params import Study, Variant, load_params
from stages.common.randomness import generators
from stages.common.records import write_record
from stages.common.runs import Run, run_of, write_study
from stages.common.sharing import own_tasks, shared_variants

ROOT = Path(__file__).parent.parent


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


def test_a_run_is_recorded_as_its_fit_went():
    rows = run("x", 1, [0.1, 0.8, 0.7]).history
    fit = Fit(rows, "diverged", best_epoch=2, kept_epoch=3)
    record = run_of(fit, variant="x", seed=7, split="validation", test_loss=0.5, test_accuracy=0.6)
    assert record == Run("x", 7, "diverged", "validation", 2, 3, rows, 0.5, 0.6)


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
    probabilities = np.eye(2)[[0, 0, 1, 0]]
    assert record_metrics(lost, np.array([0, 1, 1, 1]), probabilities) == {
        "validation_accuracy": 0.1,
        "test_accuracy": 0.1,
        "test_top2_accuracy": 1.0,
        "test_calibration_error": 0.5,
        "epochs": 2,
        "best_epoch": 2,
    }


def test_a_model_that_is_lost_leaves_a_record_without_numbers_that_are_none(tmp_path):
    lost = run("x", 1, [0.1], status="diverged", losses=[math.nan], test=(math.nan, 0.5))
    write_record(tmp_path, lost, np.eye(2)[[0, 1]], np.full((2, 2), np.nan), ("a", "b"))
    for path in tmp_path.iterdir():
        assert "nan" not in path.read_text().lower(), path.name
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["test_accuracy"] == 0.5
    assert "test_loss" not in metrics
    assert "test_calibration_error" not in metrics


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


def sure(confidence, predicted):
    """Probabilities (n, 3) that give the class predicted its confidence, and to the others what is left."""
    probabilities = np.repeat((1 - np.array(confidence))[:, np.newaxis] / 2, 3, axis=1)
    probabilities[np.arange(len(confidence)), predicted] = confidence
    return probabilities


def test_calibration_worked_example():
    """Two of four images in the bin from 13/15 to 14/15; 0.6 = 9/15 is still in the bin that ends there."""
    labels, predicted = np.array([0, 1, 2, 2]), [0, 1, 1, 2]
    table = calibration_table(labels, sure([0.6, 0.9, 0.92, 1.0], predicted))
    np.testing.assert_allclose(table["low"], np.arange(15) / 15)
    np.testing.assert_allclose(table["high"], np.arange(1, 16) / 15)
    assert table["count"].tolist() == [0] * 8 + [1] + [0] * 4 + [2, 1]
    full = table[table["count"] > 0]
    assert full["confidence"].tolist() == pytest.approx([0.6, 0.91, 1.0])
    assert full["accuracy"].tolist() == [1.0, 0.5, 1.0]
    empty = table[table["count"] == 0]
    assert empty[["confidence", "accuracy"]].isna().all(axis=None)
    # Bins count for as much as there is in them: (0.4 + 2 · 0.41 + 0) / 4.
    assert calibration_error(table) == pytest.approx(0.305)


def test_a_network_that_is_as_sure_as_it_is_right_has_no_calibration_error():
    labels, predicted = np.array([0] * 10), [0] * 8 + [1, 2]
    assert calibration_error(calibration_table(labels, sure([0.8] * 10, predicted))) == pytest.approx(0)
    assert calibration_error(calibration_table(labels, sure([1.0] * 10, predicted))) == pytest.approx(0.2)


def test_top_accuracy_worked_example():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.4, 0.4, 0.2]])
    labels = np.array([0, 1, 0, 1])
    assert [top_accuracy(labels, probabilities, count) for count in (1, 2, 3)] == [0.25, 0.75, 1.0]


def test_figures_of_a_record_are_those_of_the_weights_that_were_kept():
    """Best and kept is the second of three epochs; among the test images one is wrong, and right at second sight."""
    history = run("x", 1, [0.6, 0.71234, 0.7], losses=[1.0, 0.51239, 0.6]).history
    stopped = Run("x", 1, "ok", "validation", 2, 2, history, 0.61237, 0.75)
    labels = np.array([0, 1, 2, 2])
    probabilities = sure([0.9, 0.9, 0.9, 0.6], [0, 1, 2, 0])
    probabilities[3] = [0.6, 0.1, 0.3]
    assert record_metrics(stopped, labels, probabilities) == {
        "validation_accuracy": 0.7123,
        "validation_loss": 0.5124,
        "test_accuracy": 0.75,
        "test_loss": 0.6124,
        "test_top2_accuracy": 1.0,
        "test_calibration_error": 0.225,  # (3 · 0.1 + 0.6) / 4
        "epochs": 3,
        "best_epoch": 2,
    }


def test_shared_variants_are_found_by_their_settings():
    plain = load_params(ROOT / "params.yaml").ablations["baseline"].variants[0].training
    dropped = plain.model_copy(update={"dropout": 0.5})
    large = plain.model_copy(update={"batch_size": 512})

    def study(**variants):
        made = [Variant(name=name, seeds=[1], training=training) for name, training in variants.items()]
        return Study(seeds=[1], variants=made, shares="first")

    studies = {"first": study(usual=plain, large=large), "second": study(none=plain, usual=dropped, as_run=large)}
    assert shared_variants(studies, "second") == {"none": "usual", "as_run": "large"}
    assert shared_variants(studies, "first") == {}
    assert [(variant.name, seed) for variant, seed in own_tasks(studies, "second")] == [("usual", 1)]
    assert len(own_tasks(studies, "first")) == 2
    more = studies["second"].variants[0].model_copy(update={"seeds": [1, 2]})  # the other has no seed 2
    studies["second"] = studies["second"].model_copy(update={"variants": [more]})
    assert shared_variants(studies, "second") == {}


def blas_threads(data, task):
    return data, task, [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.mark.parametrize("count", ["1", "2"])
def test_each_result_comes_with_the_number_of_its_task_and_from_one_blas_thread(count, monkeypatch):
    monkeypatch.setenv("STUDY_JOBS", count)
    results = sorted(as_done(blas_threads, Path("here"), ["c", "a", "b"]))
    assert [(number, data, task) for number, (data, task, _) in results] == [
        (number, Path("here"), task) for number, task in enumerate("cab")
    ]
    assert all(set(threads) == {1} for _, (_, _, threads) in results)


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

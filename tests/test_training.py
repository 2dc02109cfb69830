"""Code that all networks share: prepared data, fitting, schedules, generators, and result files."""

import hashlib
import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, top_k_accuracy_score
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR

from stages.errors import StudyError
from stages.training.files import atomic_write, write_arrays, write_csv, write_json, write_text
from stages.training.final_model import (
    calibration_error,
    calibration_table,
    class_table,
    confusion_table,
    error_table,
    headline_metrics,
    top_accuracy,
    write_final_model,
)
from stages.training.fitting import Fit, fit
from stages.training.live import epoch_display
from stages.training.prepared import (
    read_class_names,
    read_normalisation,
    read_split,
    read_test,
    redivide,
    scale,
    write_prepared,
)
from stages.training.randomness import generator
from stages.training.results import Run, run_of, write_study
from stages.training.schedules import learning_rates

# Files


def test_a_file_is_complete_or_unchanged(tmp_path):
    path = tmp_path / "folder/a.json"
    write_json(path, {"a": 1})
    for value in (math.nan, math.inf, np.float64("nan")):
        with pytest.raises(ValueError, match="JSON"):
            write_json(path, {"a": [1, {"b": value}]})
    with pytest.raises(TypeError), atomic_write(path) as temporary:
        temporary.write_bytes(temporary.write_text("half"))
    assert json.loads(path.read_text()) == {"a": 1}
    write_text(path, "é\n")
    assert path.read_bytes() == b"\xc3\xa9\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.json"]


def test_a_table_has_six_digits_and_empty_cells_for_what_is_not_finite(tmp_path):
    columns = {
        "name": ["a", "b, c", 'd"e', "nan"],
        "double": [1 / 3, math.nan, math.inf, -math.inf],
        "single": np.array([0.1, np.nan, np.inf, 3e38], np.float32),
        "whole": np.array([1, 2, 3, 2**40]),
    }
    write_csv(tmp_path / "a.csv", pd.DataFrame(columns))
    lines = ["name,double,single,whole", "a,0.333333,0.1,1", '"b, c",,,2', '"d""e",,,3', "nan,,3e+38,1099511627776"]
    assert (tmp_path / "a.csv").read_text().splitlines() == lines


def test_arrays_are_read_as_written_and_their_bytes_are_fixed(tmp_path):
    arrays = {"b": np.arange(6, dtype=np.uint8).reshape(2, 3), "a": np.array(["coat", "bag"]), "c": np.zeros((0, 2))}
    write_arrays(tmp_path / "x.npz", arrays)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as loaded:
        assert loaded.files == ["b", "a", "c"]
        for name, array in arrays.items():
            np.testing.assert_array_equal(loaded[name], array, strict=True)
    digest = hashlib.sha256((tmp_path / "x.npz").read_bytes()).hexdigest()
    assert digest == "928809a41a15918425f008cc680fe445013b3c13fb7a9b6abc4eae79882ae348"
    with zipfile.ZipFile(tmp_path / "x.npz") as archive:
        assert {member.flag_bits & 8 for member in archive.infolist()} == {0}


# The prepared data set

VALIDATION = [1, 4, 5]
_rng = np.random.default_rng(2)
PREPARED = {
    "train_images": _rng.integers(0, 256, (8, 4, 5, 3), np.uint8),
    "train_labels": np.eye(4, dtype=np.uint8)[_rng.integers(0, 4, 8)],
    "test_images": _rng.integers(0, 256, (3, 4, 5, 3), np.uint8),
    "test_labels": np.eye(4, dtype=np.uint8)[_rng.integers(0, 4, 3)],
    "validation_index": np.array(VALIDATION),
    "mean": np.array([0.1, 0.2, 0.3]),
    "std": np.array([0.5, 0.6, 0.7]),
    "class_names": np.array(["a", "b", "c", "dress"]),
}
DAMAGED = r"set\.npz is damaged or not a prepared data set; run `dvc repro preprocess`"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_prepared(tmp_path / "set.npz", PREPARED)
    return tmp_path / "set.npz"


def test_each_split_has_its_own_images_and_no_others(path):
    training = [index for index in range(8) if index not in VALIDATION]
    for name, index in (("training", training), ("validation", VALIDATION), ("all_training", list(range(8)))):
        split = read_split(path, name)
        np.testing.assert_array_equal(split.images, PREPARED["train_images"][index], strict=True)
        np.testing.assert_array_equal(split.labels, PREPARED["train_labels"][index], strict=True)
        assert split.images.flags.c_contiguous
    np.testing.assert_array_equal(read_test(path).images, PREPARED["test_images"], strict=True)
    np.testing.assert_array_equal(read_test(path).labels, PREPARED["test_labels"], strict=True)
    assert [array.tolist() for array in read_normalisation(path)] == [[0.1, 0.2, 0.3], [0.5, 0.6, 0.7]]
    assert read_class_names(path) == ("a", "b", "c", "dress")


def test_training_data_is_read_without_the_test_images(tmp_path):
    path = tmp_path / "set.npz"
    write_arrays(path, {name: array for name, array in PREPARED.items() if not name.startswith("test")})
    assert len(read_split(path, "training").images) == 5
    with pytest.raises(StudyError, match=DAMAGED):
        read_test(path)


def test_a_redivision_has_all_images_and_the_class_counts_in_random_order(tmp_path):
    """Each image is a number; classes are of unequal size, two of them in one part alone."""
    path, train, test = tmp_path / "set.npz", [30, 0, 7, 20], [10, 5, 0, 20]
    classes = np.repeat([0, 1, 2, 3] * 2, train + test)
    images, labels = np.arange(92, dtype=np.uint8).reshape(-1, 1, 1, 1), np.eye(4, dtype=np.uint8)[classes]
    first, second = slice(57), slice(57, None)
    arrays = {"train_images": images[first], "test_images": images[second]}
    write_prepared(path, PREPARED | arrays | {"train_labels": labels[first], "test_labels": labels[second]})
    in_test, of_class_3 = np.zeros(92), np.zeros((2, 2))
    for seed in range(300):
        parts = redivide(path, np.random.default_rng(seed))
        numbers = [part.images.ravel() for part in parts]
        assert sorted(np.concatenate(numbers)) == list(range(92))
        for part, number, counts in zip(parts, numbers, (train, test), strict=True):
            np.testing.assert_array_equal(part.labels, labels[number], strict=True)
            assert part.labels.sum(axis=0).tolist() == counts
        in_test[numbers[1]] += 1
        of_class_3 += [part.labels[[0, -1], 3] for part in parts]
    again = redivide(path, np.random.default_rng(299))
    assert [part.images.ravel().tolist() for part in again] == [number.tolist() for number in numbers]
    # How often an image is a test image, and how often the first and the last image of a part are of class 3: by their
    # shares, within five standard deviations.
    np.testing.assert_allclose(in_test[classes == 0], 300 * 10 / 40, atol=38)
    np.testing.assert_allclose(in_test[classes == 3], 300 * 20 / 40, atol=44)
    np.testing.assert_allclose(of_class_3, [[300 * 20 / 57] * 2, [300 * 20 / 35] * 2], atol=44)


def change_a_pixel(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.find(PREPARED["test_images"].tobytes()) + 100] ^= 1
    path.write_bytes(content)


def not_a_zip(path: Path) -> None:
    path.write_text("<html>")


def lone_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def pickled(path: Path) -> None:
    np.savez(path, test_images=np.array([{}], object), test_labels=PREPARED["test_labels"])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


@pytest.mark.parametrize("damage", [Path.unlink, cut, change_a_pixel, lone_array, pickled, not_a_zip])
def test_a_damaged_file_says_what_to_run(damage, path):
    damage(path)
    with pytest.raises(StudyError, match=DAMAGED if path.exists() else "is missing; run `dvc repro preprocess`"):
        read_test(path)


@pytest.mark.parametrize("order", ["C", "F"])
def test_scaling_is_by_channel_and_leaves_the_images_as_they_are(order):
    images, mean, std = (PREPARED[name] for name in ("train_images", "mean", "std"))
    images = np.asarray(images, order=order)
    before, standardised = images.copy(), scale(images, mean=mean, std=std)
    np.testing.assert_allclose(standardised, ((images / 255 - mean) / std).reshape(8, -1), atol=1e-6)
    np.testing.assert_array_equal(scale(images), images.reshape(8, -1).astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(images, before)
    assert standardised.dtype == np.float32
    assert standardised.flags.c_contiguous
    for half in ({"mean": mean}, {"std": std}):
        with pytest.raises(ValueError, match="or neither"):
            scale(images, **half)


# Fitting


class Training:
    """A stand-in for a network: its only parameter is the number of epochs that it was trained."""

    def __init__(self, rows: list[tuple[float, float, float]]) -> None:
        self.rows, self.parameter, self.copies, self.shown = rows, 0, [], []

    def epochs(self):
        for train_loss, loss, accuracy in self.rows:
            self.parameter += 1
            row = {"epoch": self.parameter, "train_loss": train_loss, "train_accuracy": 0.5}
            yield row | {"loss": loss, "accuracy": accuracy}

    def snapshot(self) -> int:
        self.copies.append(self.parameter)
        return self.parameter

    def fit(self, classes: int = 10, patience: int | None = None) -> Fit:
        return fit(
            self.epochs(),
            classes,
            snapshot=self.snapshot,
            restore=lambda parameter: setattr(self, "parameter", parameter),
            patience=patience,
            on_epoch=self.shown.append,
        )


@pytest.mark.parametrize(
    ("losses", "patience", "status", "length", "best", "kept", "copies"),
    [
        ((3, 2, 2.5, 1, 1.5, 1.2, 0.5), 2, "ok", 6, 4, 4, [1, 2, 4]),  # the seventh epoch would have been better
        ((3, 2, 2.5, 1, 1.5, 1.2, 0.5), 3, "ok", 7, 7, 7, [1, 2, 4, 7]),
        ((3, 1, 2, 2), 5, "ok", 4, 2, 2, [1, 2]),  # the epochs are over before patience is
        ((1, 1, 1, 1), 2, "ok", 3, 1, 1, [1]),  # an equal loss does not count as lower
        ((3, 1, 2, 4, 5), None, "ok", 5, 2, 5, []),
        ((2, 1, 3, math.nan, 0), 5, "diverged", 4, 2, 2, [1, 2]),
        ((2, 1, math.inf, 0), None, "diverged", 3, 2, 3, []),
        ((2, -math.inf, 0), None, "diverged", 2, 1, 2, []),
        ((math.nan, 1), 5, "diverged", 1, 0, 1, []),
    ],
)
def test_patience_best_epoch_and_losses_that_are_not_finite(losses, patience, status, length, best, kept, copies):
    training = Training([(loss, loss, 0.5) for loss in losses])
    result = training.fit(patience=patience)
    assert (result.status, len(result.history)) == (status, length)
    assert (result.best_epoch, result.kept_epoch) == (best, kept)
    assert (training.parameter, training.copies) == (kept, copies)
    assert [id(row) for row in training.shown] == [id(row) for row in result.history]
    run = run_of(result, split="validation", test_loss=0.5, test_accuracy=0.6)
    assert run == Run(status, "validation", best, kept, result.history, 0.5, 0.6)


def test_a_training_loss_that_is_not_finite_is_divergence_too():
    result = Training([(1.0, 1.0, 0.5), (math.nan, 0.1, 0.5), (0.1, 0.1, 0.5)]).fit()
    assert (result.status, len(result.history), result.best_epoch) == ("diverged", 2, 1)


GUESS, FINE = (10.0, 0.1), (1.0, 0.5)  # loss and accuracy, of ten classes


@pytest.mark.parametrize(
    ("pairs", "classes", "length", "status"),
    [
        ([GUESS, GUESS, FINE], 10, 2, "diverged"),
        ([GUESS, FINE, GUESS, GUESS, FINE], 10, 4, "diverged"),
        ([(9.22, 0.15)] * 3, 10, 2, "diverged"),  # 4 log(10) = 9.2103, 1.5 / 10 = 0.15
        ([(9.20, 0.15)] * 3, 10, 3, "ok"),
        ([(50.0, 0.16)] * 3, 10, 3, "ok"),
        ([(2.78, 0.75)] * 3, 2, 2, "diverged"),  # 4 log(2) = 2.7726
        ([(2.77, 0.75)] * 3, 2, 3, "ok"),
    ],
)
def test_two_epochs_of_confident_guessing_are_divergence(pairs, classes, length, status):
    result = Training([(1.0, loss, accuracy) for loss, accuracy in pairs]).fit(classes)
    assert (result.status, len(result.history)) == (status, length)


# Schedules and generators


def of_pytorch(make, lr: float, count: int) -> list[float]:
    """The rates of `count` steps by a scheduler of PyTorch."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler, rates = make(optimiser), []
    for _ in range(count):
        rates.append(scheduler.get_last_lr()[0])
        optimiser.step()
        if len(rates) < count:
            scheduler.step()
    return rates


def test_schedules_equal_pytorchs():
    cosine = of_pytorch(lambda each: CosineAnnealingLR(each, 19, eta_min=0.3e-4), 0.3, 20)
    np.testing.assert_allclose(learning_rates("cosine", 0.3, 4, 5).ravel(), cosine, rtol=1e-9)
    cycle = learning_rates("one_cycle", 0.3, 4, 5, warmup=0.3)
    assert cycle.shape == (4, 5)
    climb = of_pytorch(lambda each: LinearLR(each, 1 / 7, total_iters=6), 0.3, 7)
    np.testing.assert_allclose(cycle.ravel()[:7], climb, rtol=1e-9)
    # PyTorch's climbs by a cosine too, from max_lr / div_factor, and ends at that over final_div_factor.
    factors = {"pct_start": 7 / 20, "div_factor": 7, "final_div_factor": 1e4 / 7, "cycle_momentum": False}
    whole = of_pytorch(lambda each: OneCycleLR(each, 0.3, 20, **factors), 0.3, 20)
    np.testing.assert_allclose(cycle.ravel()[6:], whole[6:], rtol=1e-9)


def test_schedules_worked_examples():
    np.testing.assert_array_equal(learning_rates("constant", 0.3, 2, 3), np.full((2, 3), 0.3))
    # Half-way down the cosine, between 1 and 1e-4; a single step has the highest rate.
    assert learning_rates("cosine", 1.0, 1, 101)[0, [0, 50, 100]] == pytest.approx([1, (1 + 1e-4) / 2, 1e-4])
    assert learning_rates("cosine", 0.5, 1, 1).tolist() == [[0.5]]
    assert learning_rates("one_cycle", 2.0, 1, 4, warmup=0.5)[0] == pytest.approx([2 / 3, 4 / 3, 2, 2e-4])


def test_generators_are_independent_and_the_same_on_every_machine():
    draws = {(seed, purpose): generator(seed, purpose).random(3) for seed in (1, 2) for purpose in ("weights", "order")}
    assert len({draw for each in draws.values() for draw in each}) == 12
    assert draws[1, "weights"] == pytest.approx([0.882003, 0.515065, 0.699403], abs=1e-6)
    np.testing.assert_array_equal(generator(1, "weights").random(3), draws[1, "weights"])


# The files of a study


def a_run(accuracies, *, status="ok", losses=None, test=(0.5, 0.8)) -> Run:
    losses = losses or [1.0 / number for number in range(1, len(accuracies) + 1)]
    history = [
        {"epoch": number, "train_loss": 1 / 3, "train_accuracy": 0.9, "loss": loss, "accuracy": accuracy}
        for number, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True), start=1)
    ]
    return Run(status, "validation", len(losses), len(losses), history, *test)


def test_the_three_files_of_a_study(tmp_path):
    diverged = a_run([0.6, 0.1], status="diverged", losses=[2.5, math.nan], test=(math.nan, 0.1))
    runs = {("0.1", 1): a_run([0.5, 0.75]), ("0.1", 2): a_run([0.5, 0.85]), ("2", 1): diverged}
    write_study(tmp_path, runs)
    assert (tmp_path / "history.csv").read_text() == (
        "variant,seed,epoch,train_loss,train_accuracy,validation_loss,validation_accuracy\n"
        "0.1,1,1,0.333333,0.9,1,0.5\n0.1,1,2,0.333333,0.9,0.5,0.75\n"
        "0.1,2,1,0.333333,0.9,1,0.5\n0.1,2,2,0.333333,0.9,0.5,0.85\n"
        "2,1,1,0.333333,0.9,2.5,0.6\n2,1,2,0.333333,0.9,,0.1\n"
    )
    assert (tmp_path / "runs.csv").read_text() == (
        "variant,seed,status,epochs,best_epoch,split,final_loss,final_accuracy,best_loss,best_accuracy,"
        "test_loss,test_accuracy\n"
        "0.1,1,ok,2,2,validation,0.5,0.75,0.5,0.75,0.5,0.8\n"
        "0.1,2,ok,2,2,validation,0.5,0.85,0.5,0.85,0.5,0.8\n"
        "2,1,diverged,2,2,validation,,0.1,2.5,0.6,,0.1\n"
    )
    assert json.loads((tmp_path / "metrics.json").read_text()) == {
        "0.1": {"validation_accuracy": 0.8, "std": 0.0707, "diverged": 0},
        "2": {"validation_accuracy": 0.1, "diverged": 1},
    }


def test_the_summary_of_a_study_does_not_depend_on_the_test_images(tmp_path):
    for folder, test in (("a", (0.5, 0.8)), ("b", (9.0, 0.1))):
        write_study(tmp_path / folder, {("x", seed): a_run([0.5, 0.7], test=test) for seed in (1, 2)})
    assert (tmp_path / "a/metrics.json").read_bytes() == (tmp_path / "b/metrics.json").read_bytes()


# The files of a final model

NAMES = ("shirt", "coat", "bag", "boot")


def test_figures_of_a_classifier_equal_scikit_learns():
    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(0, 3, 300), rng.dirichlet([0.5, 0.6, 0.7, 1e-6], 300)  # no boots
    predicted, classes = probabilities.argmax(axis=1), np.arange(4)
    counts = confusion_table(labels, probabilities, NAMES)["count"].to_numpy().reshape(4, 4)
    np.testing.assert_array_equal(counts, confusion_matrix(labels, predicted, labels=classes))
    figures = class_table(labels, probabilities, NAMES)[["precision", "recall", "f1", "support"]].to_numpy()
    expected = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    np.testing.assert_allclose(figures, np.transpose(expected))
    for k in (1, 2, 3):
        assert top_accuracy(labels, probabilities, k) == top_k_accuracy_score(
            labels, probabilities, k=k, labels=classes
        )
    bins = calibration_table(labels, probabilities)
    full = bins[bins["count"] > 0]
    accuracy, confidence = calibration_curve(labels == predicted, probabilities.max(axis=1), n_bins=15)
    np.testing.assert_allclose(full[["accuracy", "confidence"]], np.column_stack([accuracy, confidence]))


def confident(confidence: list[float], predicted: list[int]) -> np.ndarray:
    """Probabilities (n, 3): the predicted class has the confidence, the others share the rest."""
    probabilities = np.repeat((1 - np.array(confidence))[:, np.newaxis] / 2, 3, axis=1)
    probabilities[np.arange(len(confidence)), predicted] = confidence
    return probabilities


def test_calibration_worked_example():
    """Two of four images in the bin from 13/15 to 14/15; 0.6 = 9/15 is in the bin that ends there."""
    labels, predicted = np.array([0, 1, 2, 2]), [0, 1, 1, 2]
    table = calibration_table(labels, confident([0.6, 0.9, 0.92, 1.0], predicted))
    np.testing.assert_allclose(table[["low", "high"]], np.column_stack([np.arange(15), np.arange(1, 16)]) / 15)
    assert table["count"].tolist() == [0] * 8 + [1] + [0] * 4 + [2, 1]
    assert table[table["count"] == 0][["confidence", "accuracy"]].isna().all(axis=None)
    assert calibration_error(table) == pytest.approx((0.4 + 2 * 0.41 + 0) / 4)


def test_the_most_confident_errors_come_first():
    labels, predicted = np.array([0, 0, 0, 1, 1, 2]), [0, 0, 1, 1, 1, 0]
    assert error_table(labels, confident([0.9, 0.9, 0.6, 0.9, 0.9, 0.8], predicted), NAMES).to_dict("list") == {
        "index": [5, 2],
        "label": ["bag", "shirt"],
        "predicted": ["shirt", "coat"],
        "confidence": [0.8, 0.6],
    }
    assert len(error_table(np.zeros(40, int), confident([0.9] * 40, [1] * 40), NAMES)) == 25


def test_headline_figures_are_those_of_the_epoch_that_was_kept():
    history = a_run([0.6, 0.71234, 0.7], losses=[1.0, 0.51239, 0.6]).history
    stopped = Run("ok", "validation", 2, 2, history, 0.61237, 0.75)
    probabilities = confident([0.9, 0.9, 0.9, 0.6], [0, 1, 2, 0])
    probabilities[3] = [0.6, 0.1, 0.3]
    assert headline_metrics(stopped, np.array([0, 1, 2, 2]), probabilities) == {
        "validation_accuracy": 0.7123,
        "validation_loss": 0.5124,
        "test_accuracy": 0.75,
        "test_loss": 0.6124,
        "test_top2_accuracy": 1.0,
        "test_calibration_error": 0.225,  # (3 · 0.1 + 0.6) / 4
        "epochs": 3,
        "best_epoch": 2,
    }


def test_the_files_of_a_diverged_model_hold_no_nan(tmp_path):
    diverged = a_run([0.1], status="diverged", losses=[math.nan], test=(math.nan, 0.5))
    write_final_model(tmp_path, diverged, np.eye(2)[[0, 1]], np.full((2, 2), np.nan), ("a", "b"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("calibration.csv", "classes.csv", "confusion.csv", "errors.csv", "history.csv", "metrics.json")
    ]
    assert not [path.name for path in tmp_path.iterdir() if "nan" in path.read_text().lower()]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert not {"test_loss", "validation_loss", "test_calibration_error"} & set(metrics)


def test_the_curve_of_a_model_is_there_while_it_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("reports/a")
    with epoch_display("a", 3, folder, "validation") as show_epoch:
        for epoch, loss in enumerate((2.5, 0.5, math.nan), start=1):
            show_epoch({"epoch": epoch, "train_loss": 1.0, "train_accuracy": 0.5, "loss": loss, "accuracy": epoch / 4})
            curve, metrics = pd.read_csv(folder / "history.csv"), json.loads((folder / "metrics.json").read_text())
            assert curve["epoch"].tolist() == list(range(1, epoch + 1))
            assert curve["validation_accuracy"].iloc[-1] == metrics["validation_accuracy"] == epoch / 4
            assert str(metrics["validation_loss"]) == str(loss)

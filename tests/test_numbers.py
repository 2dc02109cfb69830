"""Numbers that go wrong, or nearly: each case has a stated result, and no file ever holds what is no number.

pytest turns every warning into an error, so that a case which passes here has warned of nothing either.
"""

import csv as csv_reader
import io
import json
import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from stages import train_numpy
from stages.common import numpy_run, torch_run
from stages.common.errors import StudyError
from stages.common.files import write_json
from stages.common.mlps import build_mlp
from stages.common.records import write_record
from stages.common.runs import Run, csv, runs_table, summary, write_study
from stages.common.torch_record import train_record
from stages.numpy_net import Network
from stages.reporting.tables import csv_text
from tests.small_runs import (
    CLASSES,
    KINDS,
    NAMES,
    Trained,
    arrays,
    builder,
    configured,
    one_hot,
    train,
    write,
)

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parent.parent
GUESS = math.log(CLASSES)  # the loss of whoever gives every class the same probability


@pytest.fixture(autouse=True)
def on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_DEVICE", "cpu")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("prepared") / "usual.npz", arrays())


def figures(trained: Trained) -> list[float]:
    """All that a run says of its losses."""
    return [row[name] for row in trained.run.history for name in ("train_loss", "loss")]


# Overflow

LEAKY = {"lr": 1e9, "batch_size": 4, "activation": "leaky_relu"}  # a ReLU would die before anything overflows
# By what grows beyond all bounds: kind of network and settings.
OVERFLOWS = {
    "numpy": ("numpy", {"lr": 1e9, "l2": 1e9}),
    # Every 27 images, so that the weights are huge in the end, but numbers: it is the logits that overflow.
    "numpy, logits alone": ("numpy", {"lr": 1e9, "optimiser": "adamw", "weight_decay": 0.1, "batch_size": 27}),
    "numpy, float64": ("numpy", {"lr": 1e9, "l2": 1e9, "batch_size": 4, "precision": "float64"}),
    "numpy, published": ("numpy", {"lr": 1e9, "objective": "published", "protocol": "published"}),
    "perceptron": ("mlp", LEAKY),
    "perceptron, batch norm": ("mlp", {**LEAKY, "batch_norm": True}),
    "perceptron, bfloat16": ("mlp", {**LEAKY, "precision": "bfloat16"}),
    "convolutional": ("cnn", LEAKY),
    "convolutional, bfloat16": ("cnn", {**LEAKY, "precision": "bfloat16"}),
}


@pytest.mark.parametrize(("kind", "changes"), OVERFLOWS.values(), ids=OVERFLOWS)
def test_a_run_that_overflows_has_diverged_and_its_files_can_be_read(kind, changes, path, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    lost = train(kind, path, epochs=30, **changes)
    assert lost.run.status == "diverged"
    assert len(lost.run.history) < 30
    assert not all(math.isfinite(value) for value in figures(lost)[-2:])
    assert 0 <= lost.run.test_accuracy <= 1
    assert_files_are_strict(tmp_path, lost)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("patience", [None, 9])
def test_an_overflow_ends_the_run_keeps_its_history_and_with_patience_its_best_epoch(kind, patience, path, monkeypatch):
    """Rates that are good for two epochs, and then beyond all bounds."""
    for module in (numpy_run, torch_run):
        monkeypatch.setattr(module, "learning_rates", runaway)
    good, lost = (train(kind, path, epochs=epochs, patience=patience) for epochs in (2, 30))
    assert (good.run.status, lost.run.status) == ("ok", "diverged")
    assert lost.run.history[:2] == good.run.history
    assert len(lost.run.history) == 3
    assert not math.isfinite(figures(lost)[-1])
    assert lost.run.best_epoch == good.run.best_epoch > 0
    if patience:
        assert (lost.run.kept_epoch, lost.weights) == (lost.run.best_epoch, good.weights)
        assert (lost.run.test_loss, lost.run.test_accuracy) == (good.run.test_loss, good.run.test_accuracy)
    else:
        assert lost.run.kept_epoch == 3
        assert not math.isfinite(lost.run.test_loss)


def runaway(schedule: str, lr: float, epochs: int, steps: int, warmup: float) -> np.ndarray:
    """In the place of `learning_rates`."""
    rates = np.full((epochs, steps), lr)
    rates[2:] = 1e300
    return rates


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_record_that_is_lost_leaves_files_that_can_be_read(kind, path, tmp_path, monkeypatch):
    """By the functions of the stages themselves."""
    training = configured(kind, **OVERFLOWS[{"numpy": "numpy, logits alone"}.get(kind, "perceptron")][1])
    model = tmp_path / ("model.npz" if kind == "numpy" else "model.safetensors")
    reports = tmp_path / "reports"
    if kind == "numpy":
        for name, place in (("PREPARED", path), ("MODEL", model), ("REPORTS", reports)):
            monkeypatch.setattr(train_numpy, name, place)
        monkeypatch.setattr(train_numpy, "load_params", lambda: SimpleNamespace(seed=1, train_numpy=training))
        train_numpy.main([])
    else:
        train_record("lost", builder(training), training, path, 1, model, reports, 1)
    assert len(list(tmp_path.rglob("*.*"))) == 2 + 6
    assert_strict(tmp_path)
    metrics = json.loads((reports / "metrics.json").read_text())
    assert metrics["test_accuracy"] == 0.1
    assert not {"test_loss", "validation_loss", "test_calibration_error"} & set(metrics)


# Networks that have nothing left to learn


def dead_network(*given: Any, **settings: Any) -> Network:
    """The NumPy network with hidden units that are far below zero for every image."""
    network = Network(*given, **settings)
    network.dense[0].biases[:] = -1000
    return network


def dead_mlp(*given: Any) -> torch.nn.Module:
    """The same in PyTorch, where the output has biases from the start: they are taken away."""
    model = build_mlp(*given)
    with torch.no_grad():
        model.layers[0].bias.fill_(-1000)
        model.layers[2].bias.zero_()
    return model


@pytest.mark.parametrize("kind", ["numpy", "mlp"])
def test_dead_relus_guess_forever_and_have_not_diverged(kind, path, monkeypatch):
    """A hidden layer that is zero for every image gets no gradient, and ten balanced classes leave none to the output.

    For that, the one mini-batch has all images: every class as often as every other.
    """
    monkeypatch.setattr(numpy_run, "Network", dead_network)
    build = None if kind == "numpy" else partial(dead_mlp, configured(kind))
    dead = train(kind, path, build=build, batch_size=80)
    assert (dead.run.status, len(dead.run.history)) == ("ok", 4)
    np.testing.assert_allclose([*figures(dead), dead.run.test_loss], GUESS, rtol=1e-6)
    assert [row["accuracy"] for row in dead.run.history] == [0.1] * 4
    assert dead.run.test_accuracy == 0.1
    np.testing.assert_allclose(dead.probabilities, 0.1, rtol=1e-5)
    longer = train(kind, path, build=build, batch_size=80, epochs=8)
    assert hidden_layer(dead, kind) == hidden_layer(longer, kind)


def hidden_layer(trained: Trained, kind: str) -> list[bytes]:
    """Its weights and biases."""
    if kind == "numpy":
        return [array.tobytes() for array in (trained.network.dense[0].weights, trained.network.dense[0].biases)]
    return [array.numpy().tobytes() for array in trained.network.layers[0].state_dict().values()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grey", [0, 7, 255])
def test_images_that_are_all_the_same_are_guessed(kind, grey, tmp_path):
    """One answer for all: right for a tenth of them, and by Gibbs' inequality no better than a guess in its loss."""
    content = arrays()
    content |= {name: np.full_like(content[name], grey) for name in ("train_images", "test_images")}
    guessing = train(kind, write(tmp_path / "grey.npz", content))
    assert guessing.run.status == "ok"
    assert [row["accuracy"] for row in guessing.run.history] == [0.1] * 4
    assert guessing.run.test_accuracy == 0.1
    losses = [row["loss"] for row in guessing.run.history]
    assert all(GUESS - 1e-6 <= loss < 2 * GUESS for loss in [*losses, guessing.run.test_loss])


# Data in unusual amounts


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_larger_than_the_data_is_the_whole_data(kind, path):
    """80 images are trained on."""
    whole, larger = (train(kind, path, batch_size=size) for size in (80, 100_000))
    assert larger.run == whole.run
    assert larger.weights == whole.weights


@pytest.mark.parametrize("kind", KINDS)
def test_one_image_to_train_on_is_learnt(kind, tmp_path):
    """And one to validate on, of another class: its accuracy is 0 or 1, and the loss of the first falls."""
    content = arrays()
    content |= {name: content[name][2:4] for name in ("train_images", "train_labels")}
    content |= {"validation_index": np.array([1])}
    content |= {name: content[name][:1] for name in ("test_images", "test_labels")}
    one = train(kind, write(tmp_path / "one.npz", content), epochs=6)
    assert one.run.status == "ok"
    losses = [row["train_loss"] for row in one.run.history]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 2
    assert {row["accuracy"] for row in one.run.history} | {one.run.test_accuracy} <= {0.0, 1.0}


@pytest.mark.parametrize(("images", "batch_size"), [(81, 16), (81, 80), (81, 1), (1, 16)])
def test_batch_norm_of_a_perceptron_refuses_a_single_image_before_anything_is_trained(images, batch_size, tmp_path):
    content = arrays()
    content["validation_index"] = np.arange(images, 120)
    rows = []
    with pytest.raises(StudyError, match=f"batch_size = {batch_size}: of {images} training images the last"):
        train("mlp", write(tmp_path / "odd.npz", content), rows.append, batch_norm=True, batch_size=batch_size)
    assert not rows


@pytest.mark.parametrize(
    ("kind", "changes"), [("mlp", {}), ("cnn", {}), ("mlp", {"batch_norm": True, "batch_size": 79})]
)
def test_where_a_single_image_can_be_trained_on_it_is(kind, changes, tmp_path):
    """81 images: the last mini-batch of 16 has one. A map of several pixels has a spread in one image too."""
    content = arrays()
    content["validation_index"] = np.arange(81, 120)
    assert train(kind, write(tmp_path / "odd.npz", content), **changes).run.status == "ok"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("split", "changes"),
    [
        ("training", {"validation_index": np.arange(120)}),
        ("validation", {"validation_index": np.array([], int)}),
        ("test", {"test_images": np.zeros((0, 28, 28, 1), np.uint8), "test_labels": np.zeros((0, 10), np.uint8)}),
    ],
)
def test_a_split_without_images_is_named(kind, split, changes, tmp_path):
    with pytest.raises(StudyError, match=f"the split {split} has no images; run `dvc repro preprocess`"):
        train(kind, write(tmp_path / "empty.npz", {**arrays(), **changes}))


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_missing_from_the_validation_split_is_missing_from_its_mean(kind, tmp_path):
    """Loss and accuracy are means over the images that there are, as PyTorch and NumPy work them out here."""
    content = arrays()
    labels = content["train_labels"].argmax(axis=1)
    content["validation_index"] = np.flatnonzero((labels != 3) & (np.arange(120) % 3 == 0))
    trained = train(kind, write(tmp_path / "missing.npz", content))
    chosen = content["validation_index"]
    logits, truth = logits_of(trained, content["train_images"][chosen]), torch.from_numpy(labels[chosen])
    assert 3 not in truth
    last = trained.run.history[-1]
    assert trained.run.status == "ok"
    assert last["loss"] == pytest.approx(cross_entropy(logits, truth).item(), rel=1e-5)
    assert last["accuracy"] == (logits.numpy().argmax(axis=1) == labels[chosen]).mean()


def logits_of(trained: Trained, images: np.ndarray) -> torch.Tensor:
    """What a network says of images (n, height, width, channels), in double precision: (n, classes)."""
    pixels = torch.from_numpy(images / 255)
    if isinstance(trained.network, torch.nn.Module):
        with torch.no_grad():
            return trained.network.double().eval()(pixels)
    (first, second), x = trained.network.dense, pixels.flatten(start_dim=1)
    weights = [
        torch.from_numpy(array).double() for array in (first.weights, first.biases, second.weights, second.biases)
    ]
    return (x @ weights[0] + weights[1]).relu() @ weights[2] + weights[3]


def test_a_class_missing_from_the_test_images_has_figures_of_zero(path, tmp_path):
    """Precision, recall and F1 of a class without images, and of one that is never predicted, are 0, not 0 / 0."""
    probabilities = np.eye(CLASSES)[np.array([0, 1, 2, 2])]
    run = train("numpy", path).run
    write_record(tmp_path, run, one_hot(np.array([0, 1, 2, 4])), probabilities, NAMES)
    classes = pd.read_csv(tmp_path / "classes.csv").set_index("class")
    assert classes.loc["j"].tolist() == [0, 0, 0, 0]  # neither
    assert classes.loc["e"].tolist() == [0, 0, 0, 1]  # never predicted
    assert classes.loc["c"].tolist() == [0.5, 1, pytest.approx(2 / 3, rel=1e-5), 1]
    assert_strict(tmp_path)


def test_a_model_of_record_has_as_many_outputs_as_classes(path, tmp_path):
    """What it says of a class that there is not would be counted as another class's."""
    training = configured("mlp", outputs=12)
    with pytest.raises(StudyError, match=r"final: outputs = 12: a model of record has one a class, 10"):
        train_record("final", builder(training), training, path, 1, tmp_path / "x.safetensors", tmp_path / "x", 1)
    assert not list(tmp_path.iterdir())


# Files


def no_word(word: str) -> None:
    raise AssertionError(f"{word} is not JSON")


def assert_strict(folder: Path) -> None:
    """Every JSON and CSV file of a folder is what any strict reader takes it for."""
    for file in sorted(folder.rglob("*.json")):
        json.loads(file.read_text(encoding="utf-8"), parse_constant=no_word)
    for file in sorted(folder.rglob("*.csv")):
        assert_table(file.read_text(encoding="utf-8"), str(file))


def assert_table(text: str, where: str = "") -> list[list[str]]:
    """The cells of a CSV file: as many in every row, read alike by Python and by pandas, and no words for no number."""
    header, *rows = csv_reader.reader(io.StringIO(text, newline=""), strict=True)
    table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    assert header == list(table.columns), where
    assert len(set(header)) == len(header), where
    assert rows == table.to_numpy().tolist(), where
    for row in rows:
        assert len(row) == len(header), where
        for cell in row:
            assert cell.lower().lstrip("+-") not in ("nan", "inf", "infinity"), where
            assert not cell.startswith(("np.", "[", "tensor(")), where
    return rows


def assert_files_are_strict(folder: Path, trained: Trained) -> None:
    """Those of a study and of a model of record."""
    write_study(folder / "study", [trained.run])
    write_record(folder / "record", trained.run, arrays()["test_labels"], trained.probabilities, NAMES)
    assert len(list(folder.rglob("*.*"))) == 3 + 6
    assert_strict(folder)


FLOATS = st.floats(width=64) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e308, 5e-324, 1e16])
SHARES = st.floats(0, 1)
ROWS = st.lists(st.tuples(FLOATS, FLOATS, SHARES), min_size=1, max_size=4)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(histories=st.lists(ROWS, min_size=1, max_size=4), test=st.tuples(FLOATS, SHARES), data=st.data())
def test_whatever_the_figures_the_files_of_a_study_and_of_a_record_are_strict(histories, test, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    names = st.sampled_from(["0.10", "1e-05", "none", "nan", "inf", "NA", "-1", "a.b+c"])
    runs = [
        Run(
            data.draw(names),
            seed,
            data.draw(st.sampled_from(["ok", "diverged"])),
            "validation",
            *(data.draw(st.integers(low, len(rows))) for low in (0, 1)),
            [
                {"epoch": epoch, "train_loss": train_loss, "loss": loss, "accuracy": accuracy}
                for epoch, (train_loss, loss, accuracy) in enumerate(rows, start=1)
            ],
            *test,
        )
        for seed, rows in enumerate(histories)
    ]
    write_study(folder, runs)
    rows = st.tuples(SHARES, SHARES, SHARES) | st.just((math.nan,) * 3)  # what a network says, and one that is lost
    probabilities = np.array(data.draw(st.lists(rows, min_size=1, max_size=4)))
    labels = np.eye(3)[np.arange(len(probabilities)) % 3]
    write_record(folder / "record", runs[0], labels, probabilities, ("a", "b", "c"))
    for file in folder.rglob("*.json"):
        json.loads(file.read_text(encoding="utf-8"), parse_constant=no_word)
    for file in folder.rglob("*.csv"):
        text = file.read_text(encoding="utf-8")
        cells = list(csv_reader.reader(io.StringIO(text, newline=""), strict=True))
        assert {len(row) for row in cells} == {len(cells[0])}
        table = pd.read_csv(
            io.StringIO(text), dtype={"variant": str, "status": str}, keep_default_na=False, na_values=[""]
        )
        assert table.shape == (len(cells) - 1, len(cells[0]))
    # Of every figure, the cell is empty or holds the number to six digits.
    written = [row["loss"] for run in runs for row in run.history]
    with (folder / "history.csv").open(newline="") as file:
        for row, loss in zip(csv_reader.DictReader(file), written, strict=True):
            if math.isfinite(loss):
                assert float(row["validation_loss"]) == float(f"{loss:.6g}")
            else:
                assert row["validation_loss"] == ""


@pytest.mark.parametrize("write_table", [csv, csv_text])
def test_numbers_are_written_as_numbers_and_nothing_else_is(write_table):
    """Whatever type of number it is, single or double, whole or not."""
    table = pd.DataFrame(
        {
            "name": ["a", "b, c", 'd"e', "nan"],
            "double": [0.1, math.nan, math.inf, -math.inf],
            "single": np.array([0.1, np.nan, np.inf, 3e38], np.float32),
            "whole": np.array([1, 2, 3, 2**40]),
        }
    )
    lines = ["name,double,single,whole", "a,0.1,0.1,1", '"b, c",,,2', '"d""e",,,3', "nan,,3e+38,1099511627776"]
    assert write_table(table).splitlines() == lines


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_json_refuses_what_is_no_number_and_leaves_what_was_there(value, tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    for content in (value, {"a": [1, {"b": value}]}):
        with pytest.raises(ValueError, match="JSON"):
            write_json(tmp_path / "a.json", content)
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}


def test_the_sum_of_a_study_is_finite_when_all_its_runs_are_lost(path):
    lost = [train("numpy", path, lr=1e9, optimiser="adamw", epochs=9).run, train("cnn", path, lr=1e9).run]
    assert [run.status for run in lost] == ["diverged"] * 2
    figures = summary(runs_table(lost))["x"]
    assert figures["diverged"] == 2
    assert all(math.isfinite(value) for value in figures.values())


COMMITTED = sorted(path for folder in ("reports", "data/published", "docs") for path in (ROOT / folder).rglob("*.*"))


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_all_results_of_the_project_are_strict(suffix):
    files = [path for path in COMMITTED if path.suffix == suffix and path.exists()]
    for file in files:
        text = file.read_text(encoding="utf-8")
        if suffix == ".csv":
            assert_table(text, str(file))
        else:
            json.loads(text, parse_constant=no_word)
    assert files

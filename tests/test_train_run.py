"""Whole runs of all three kinds of network: from settings, a seed and prepared data to figures and weights."""

import csv
import json
import math
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from stages import train_numpy, train_torch
from stages.errors import StudyError
from stages.params import FinalModel
from stages.torch_net.devices import DEVICES, has_bfloat16
from tests.published_code import published_training
from tests.small_runs import CLASSES, EVERYTHING, KINDS, SETTINGS, prepared, settings, train

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parent.parent
GUESS = math.log(CLASSES)  # the loss of equal probabilities
ADAM = {"optimiser": "adam", "lr": 0.01}


@pytest.fixture(autouse=True)
def cpu(monkeypatch):
    monkeypatch.setenv("STUDY_DEVICE", "cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("prepared") / "clothes.npz")


def split(data):
    """What a prepared file holds, pixels in [0, 1]."""
    with np.load(data) as content:
        arrays = dict(content)
    return arrays | {name: arrays[name] / 255 for name in ("train_images", "test_images")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_depends_only_on_its_settings_and_seed(kind, data):
    """Not on earlier runs, global generators or the number of threads."""
    first = train(kind, data, **EVERYTHING[kind])
    train(kind, data, seed=5)
    torch.manual_seed(20)
    torch.set_num_threads(2)
    again = train(kind, data, **EVERYTHING[kind])
    assert (again.run, again.weights) == (first.run, first.weights)
    assert again.probabilities.tobytes() == first.probabilities.tobytes()
    changed = train(kind, data, **EVERYTHING[kind], seed=2)
    assert changed.run.history != first.run.history
    assert changed.weights != first.weights


def beginnings(kind, data, monkeypatch, *variants):
    """For each variant: the first layer's initial weights, all initial weights, and the generator of the order."""
    module = train_numpy if kind == "numpy" else train_torch
    original, found = module.train, []

    def spy(network, *given, **options):
        if kind == "numpy":
            weights, state = [network.dense[0].weights, network.parameters], options["rng"].bit_generator.state
        else:
            weights = [next(network.parameters()), torch.cat([value.flatten() for value in network.parameters()])]
            state = given[0].generator.get_state().tolist()
        found.append((*(values.tolist() for values in weights), state))
        return original(network, *given, **options)

    monkeypatch.setattr(module, "train", spy)
    histories = [train(kind, data, epochs=1, **changes).run.history for changes in variants]
    return found, histories


RANDOM = {"dropout": 0.2, "shift": 1, "flip": True, "cutout": 2}


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind in KINDS for key in RANDOM if key in SETTINGS[kind]])
def test_random_sources_are_independent(kind, key, data, monkeypatch):
    """Dropout or augmentation changes neither the first weights nor the order of the images."""
    (first, second), histories = beginnings(kind, data, monkeypatch, {}, {key: RANDOM[key]})
    assert first == second
    assert histories[0] != histories[1]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("numpy", {"architecture": "784-12-7-10 tanh", "batch_size": 9}),
        ("mlp", {"hidden": [12, 7], "outputs": 14, "batch_size": 9, "optimiser": "adam"}),
        ("mlp", {"batch_norm": True}),
        ("cnn", {"widths": [5], "batch_size": 9}),
    ],
)
def test_variants_with_the_same_seed_have_the_same_first_weights_and_order(kind, changes, data, monkeypatch):
    (first, second, other), _ = beginnings(kind, data, monkeypatch, {}, changes, {"seed": 2})
    assert (first[0], first[2]) == (second[0], second[2])
    assert first[1] != second[1]
    assert first[0] != other[0]
    assert first[2] != other[2]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_dropout_in_validation_changes_validation_figures_alone(batch_norm, data):
    without, active = (
        train("mlp", data, dropout=0.4, batch_norm=batch_norm, dropout_in_validation=on) for on in (False, True)
    )
    assert active.weights == without.weights
    assert active.probabilities.tobytes() == without.probabilities.tobytes()
    assert (active.run.test_loss, active.run.test_accuracy) == (without.run.test_loss, without.run.test_accuracy)
    for ours, theirs in zip(active.run.history, without.run.history, strict=True):
        assert {key for key in ours if ours[key] != theirs[key]} - {"accuracy"} == {"loss"}
    again = train("mlp", data, dropout=0.4, batch_norm=batch_norm, dropout_in_validation=True)
    assert again.run == active.run


BASE = {"schedule": "one_cycle", "warmup": 0.3, "epochs": 2}
BOTH = {"pixels": "standardised", "shift": 1, "flip": True, "optimiser": "nesterov", "momentum": 0.9, "lr": 0.1}
BOTH |= {"weight_decay": 0.1, "epochs": 3, "schedule": "cosine", "warmup": 0.5, "batch_size": 9, "label_smoothing": 0.1}
CHANGES = {
    "numpy": {
        **BOTH,
        **{"architecture": "784-12-10 tanh", "objective": "published", "protocol": "published", "bias": False},
        **{"precision": "float64", "reduction": "sum", "reshuffle": False, "initialiser": "xavier", "l2": 0.01},
        **{"dropout": 0.4, "clip_norm": 0.1, "clip_value": 0.001, "patience": 1, "division": "random"},
    },
    "mlp": {
        **BOTH,
        **{"cutout": 2, "test_time_flip": True, "precision": "bfloat16", "hidden": [9], "activation": "tanh"},
        **{
            "dropout": 0.4,
            "dropout_everywhere": True,
            "dropout_in_validation": True,
            "batch_norm": True,
            "outputs": 12,
            "patience": 1,
        },
    },
    "cnn": {
        **BOTH,
        "stem": 5,
        "widths": [7],
        "activation": "gelu",
        "logit_scale": 0.25,
        "early_share": 0.5,
        "early_size": 0.5,
    },
}
# Settings that only matter together with others.
BESIDE = {
    ("numpy", "optimiser"): {"momentum": 0.5},
    ("numpy", "momentum"): {"optimiser": "momentum", "momentum": 0.5},
    ("numpy", "weight_decay"): {"optimiser": "adamw"},
    ("numpy", "division"): {"protocol": "published"},
    ("mlp", "optimiser"): {"momentum": 0.5},
    ("cnn", "optimiser"): {"momentum": 0.5},
    ("cnn", "early_share"): {"early_size": 0.5},
    ("cnn", "early_size"): {"early_share": 0.5},
    ("mlp", "dropout_everywhere"): {"dropout": 0.4, "hidden": [9, 8]},
    ("mlp", "dropout_in_validation"): {"dropout": 0.4},
    **{(kind, "patience"): {"lr": 1.0, "epochs": 20} for kind in KINDS},
}


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind in KINDS for key in CHANGES[kind]])
def test_every_setting_changes_the_run(kind, key, data, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    base = {**BASE, **BESIDE.get((kind, key), {})}
    usual, changed = (train(kind, data, **{**base, **change}).run for change in ({}, {key: CHANGES[kind][key]}))
    assert usual.history != changed.history


def test_no_setting_is_missing_above():
    assert set(CHANGES["numpy"]) == set(type(settings("numpy")).model_fields)
    assert set(CHANGES["mlp"]) == set(type(settings("mlp")).model_fields) - {"phases"}
    assert set(CHANGES["mlp"]) | set(CHANGES["cnn"]) >= set(type(settings("cnn")).model_fields) - {"phases"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pixels", ["unit", "standardised"])
def test_a_run_learns_and_its_figures_are_those_of_its_network(kind, pixels, data, monkeypatch):
    monkeypatch.setattr("stages.training.prepared.SCORED", 30)
    rows = []
    flip = kind != "numpy" and pixels == "standardised"
    changes = {**ADAM, "test_time_flip": True} if flip else ADAM
    trained = train(kind, data, rows.append, epochs=12, pixels=pixels, **changes)
    run, content = trained.run, split(data)
    assert (run.status, run.split) == ("ok", "validation")
    assert rows == run.history
    assert [row["epoch"] for row in rows] == list(range(1, 13))
    mean, std = (0.5, 0.25) if pixels == "standardised" else (0, 1)
    index = content["validation_index"]
    sample = np.delete(np.arange(120), index)[np.linspace(0, 79, 30).astype(int)]
    train_images, train_labels = content["train_images"], content["train_labels"]
    for images, labels, figures in (
        (train_images[sample], train_labels[sample], (rows[-1]["train_loss"], rows[-1]["train_accuracy"])),
        (train_images[index], train_labels[index], (rows[-1]["loss"], rows[-1]["accuracy"])),
        (content["test_images"], content["test_labels"], (run.test_loss, run.test_accuracy)),
    ):
        probabilities = forward(trained.network, (images - mean) / std, flip)
        loss = -np.log((probabilities * labels).sum(axis=1)).mean()
        accuracy = (probabilities.argmax(axis=1) == labels.argmax(axis=1)).mean()
        assert figures == pytest.approx((loss, accuracy), rel=1e-4)
    assert pixels == "unit" or (rows[-1]["train_accuracy"] > 0.5 and run.test_accuracy > 0.2)
    np.testing.assert_allclose(trained.probabilities, probabilities, atol=1e-5)
    assert trained.probabilities.dtype == np.float32


def forward(network, x, flip=False):
    """Class probabilities of scaled images (n, height, width, channels), the NumPy network reimplemented."""
    if isinstance(network, torch.nn.Module):
        views = [torch.tensor(view.copy(), dtype=torch.float32) for view in ((x, x[:, :, ::-1]) if flip else (x,))]
        with torch.no_grad():
            return sum(network.eval()(view) for view in views).div(len(views)).softmax(dim=1).numpy()
    first, second = network.dense
    z = np.maximum(x.reshape(len(x), -1) @ first.weights + first.biases, 0) @ second.weights + second.biases
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("lr", [0.003, 0.01])
def test_the_published_protocol_has_the_published_codes_trajectory(lr, data):
    content = split(data)
    x, x_test = (content[f"{name}_images"].reshape(-1, 784) for name in ("train", "test"))
    labels = content["train_labels"], content["test_labels"]
    expected = published_training(x, labels[0], x_test, labels[1], [784, 12, 10], "relu", lr, 16, epochs=6, seed=7)
    published = {"objective": "published", "protocol": "published", "reduction": "sum", "precision": "float64"}
    run = train("numpy", data, seed=7, lr=lr, epochs=6, bias=False, reshuffle=False, **published).run
    figures = [(row["loss"], row["accuracy"]) for row in run.history]
    np.testing.assert_allclose(figures, expected, rtol=1e-5)  # the images are scaled in float32
    assert (run.test_loss, run.test_accuracy, run.split) == (*figures[-1], "test")


def test_each_seed_of_a_random_division_trains_and_tests_on_other_images(data, monkeypatch):
    """And a seed always on the same ones; the network learns, so the labels are those of the images."""
    original, seen = train_numpy.train, []

    def spy(network, loss, optimiser, images, *given, **options):
        seen.append(sorted(images.sum(axis=1)))
        return original(network, loss, optimiser, images, *given, **options)

    monkeypatch.setattr(train_numpy, "train", spy)
    published = {"protocol": "published", "pixels": "standardised", "epochs": 12, **ADAM}
    first, again, _ = (train("numpy", data, seed=seed, division="random", **published) for seed in (1, 1, 2))
    train("numpy", data, **published)
    assert (first.run, first.weights) == (again.run, again.weights)
    assert seen[0] == seen[1]
    assert seen[0] != seen[2]
    assert seen[3] not in seen[:3]
    assert first.run.test_accuracy == first.run.history[-1]["accuracy"] > 0.5


@pytest.mark.parametrize("kind", [*KINDS, "mlp with batch_norm"])
def test_early_stopping_restores_the_best_epochs_network(kind, data, tmp_path):
    """The same weights, and running statistics, as a run that ends with that epoch."""
    labels = split(data)["train_labels"]
    labels[::6] = np.roll(labels[::6], 1, axis=1)  # every second validation label is wrong: overfitting is certain
    wrong = prepared(tmp_path / "wrong.npz", train_labels=labels)
    changes = {**ADAM, "pixels": "standardised", **({"batch_norm": True} if " " in kind else {})}
    kind = kind.split()[0]
    stopped = train(kind, wrong, epochs=60, patience=3, **changes)
    losses = [row["loss"] for row in stopped.run.history]
    best = int(np.argmin(losses)) + 1
    assert len(losses) == best + 3 < 60
    assert stopped.run.kept_epoch == stopped.run.best_epoch == best
    short = train(kind, wrong, epochs=best, **changes)
    assert (short.weights, short.run.test_loss) == (stopped.weights, stopped.run.test_loss)
    assert short.run.history == stopped.run.history[:best]


# A leaky ReLU, as a ReLU would die before anything overflows.
@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("numpy", {"l2": 1e9}),
        ("numpy", {"optimiser": "adamw", "weight_decay": 0.1, "batch_size": 27}),  # the logits alone
        ("numpy", {"l2": 1e9, "batch_size": 4, "precision": "float64"}),
        ("numpy", {"objective": "published", "protocol": "published"}),
        ("mlp", {"batch_size": 4, "activation": "leaky_relu"}),
        ("mlp", {"batch_size": 4, "activation": "leaky_relu", "batch_norm": True}),
        ("mlp", {"batch_size": 4, "activation": "leaky_relu", "precision": "bfloat16"}),
        ("cnn", {"batch_size": 4, "activation": "leaky_relu"}),
        ("cnn", {"batch_size": 4, "activation": "leaky_relu", "precision": "bfloat16"}),
    ],
)
def test_an_overflow_ends_the_run_as_diverged(kind, changes, data, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    run = train(kind, data, lr=1e9, epochs=30, **changes).run
    assert run.status == "diverged"
    assert len(run.history) < 30
    assert not all(math.isfinite(run.history[-1][name]) for name in ("train_loss", "loss"))
    assert 0 <= run.test_accuracy <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_identical_images_lead_to_guessing(kind, tmp_path):
    """By Gibbs' inequality no loss is below that of guessing."""
    grey = {
        "train_images": np.full((120, 28, 28, 1), 7, np.uint8),
        "test_images": np.full((40, 28, 28, 1), 7, np.uint8),
    }
    run = train(kind, prepared(tmp_path / "grey.npz", **grey)).run
    assert run.status == "ok"
    assert {row["accuracy"] for row in run.history} == {run.test_accuracy} == {0.1}
    assert all(GUESS - 1e-6 <= loss < 2 * GUESS for loss in [*(row["loss"] for row in run.history), run.test_loss])


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_larger_than_the_data_is_all_80_images(kind, data):
    whole, larger = (train(kind, data, batch_size=size) for size in (80, 100_000))
    assert (larger.run, larger.weights) == (whole.run, whole.weights)


@pytest.mark.parametrize(("images", "batch_size"), [(81, 16), (81, 80), (81, 1), (1, 16)])
def test_batch_norm_of_an_mlp_refuses_a_batch_of_one_image_before_training(images, batch_size, tmp_path):
    rows, data = [], prepared(tmp_path / "odd.npz", validation_index=np.arange(images, 120))
    with pytest.raises(StudyError, match=f"batch_size = {batch_size}: the last mini-batch of {images} training") as one:
        train("mlp", data, rows.append, batch_norm=True, batch_size=batch_size)
    assert not rows
    assert "\n" not in str(one.value)


@pytest.mark.parametrize(
    ("kind", "changes"), [("mlp", {}), ("cnn", {}), ("mlp", {"batch_norm": True, "batch_size": 79})]
)
def test_a_batch_of_one_image_is_trained_on_where_it_can_be(kind, changes, tmp_path):
    data = prepared(tmp_path / "odd.npz", validation_index=np.arange(81, 120))
    assert train(kind, data, **changes).run.status == "ok"


def test_more_outputs_than_classes_are_scored_as_classes(data):
    trained = train("mlp", data, outputs=17, epochs=12, pixels="standardised", **ADAM)
    assert trained.probabilities.shape == (40, 17)
    np.testing.assert_allclose(trained.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert trained.run.test_accuracy > 0.7


def test_phases_worked_example():
    """70 images are 3 batches of 32."""
    two = [{"lr": 0.1, "epochs": 2}, {"lr": 0.01, "epochs": 1, "momentum": 0.5, "weight_decay": 0.25}]
    changes = {"lr": None, "epochs": None, "phases": two, "weight_decay": 0.125, "batch_size": 32}
    first, second = train_torch.phases(settings("mlp", **changes), 70)
    assert first == train_torch.Phase("sgd", [[0.1] * 3] * 2, 0.0, 0.125)
    assert second == train_torch.Phase("sgd", [[0.01] * 3], 0.5, 0.25)
    (only,) = train_torch.phases(settings("mlp", schedule="cosine", lr=0.1, epochs=2, batch_size=32), 64)
    np.testing.assert_allclose(only.learning_rates, [[0.1, 0.075], [0.025, 0.0]], atol=2e-5)


@pytest.mark.parametrize(("pixels", "black"), [("unit", [0.0]), ("standardised", [-2.0])])
def test_numpy_crops_are_padded_with_black(pixels, black, data):
    rng = np.random.default_rng(0)
    augment = train_numpy.augmentation(settings("numpy", shift=1, pixels=pixels), data, rng)
    assert augment.background.tolist() == black  # (0 - mean) / std
    assert train_numpy.augmentation(settings("numpy", pixels=pixels), data, rng) is None


# Devices and threads


@pytest.mark.parametrize(
    ("kind", "capability", "expected"),
    [
        ("cpu", {"avx512_bf16": True}, True),
        ("cpu", {"avx512_bf16": False}, False),
        ("cpu", {}, False),  # another architecture
        ("cuda", (8, 0), True),
        ("cuda", (7, 5), False),
        ("mps", None, False),
    ],
)
def test_bfloat16_is_used_only_where_the_device_supports_it(kind, capability, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capability)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda where: capability)
    assert has_bfloat16(torch.device(kind)) is expected


def test_a_run_uses_bfloat16_where_the_device_has_it(data, monkeypatch):
    histories = []
    for capability, precision in ((True, "bfloat16"), (False, "bfloat16"), (True, "float32")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda there=capability: {"avx512_bf16": there})
        histories.append(train("mlp", data, precision=precision).run.history)
    low, without, single = histories
    assert without == single != low
    np.testing.assert_allclose([row["loss"] for row in low], [row["loss"] for row in single], rtol=0.05)


@pytest.mark.parametrize(("cuda", "mps", "best"), [(1, 1, "cuda"), (0, 1, "mps"), (0, 0, "cpu"), (1, 0, "cuda")])
def test_the_device_is_the_best_available_or_the_requested_one(cuda, mps, best, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: bool(mps))
    for name, there in (("", True), ("auto", True), ("cpu", True), ("cuda", cuda), ("mps", mps), ("gpu", False)):
        monkeypatch.setenv("STUDY_DEVICE", name)
        if there:
            assert train_torch.device() == torch.device(best if name in ("", "auto") else name)
        else:
            with pytest.raises(StudyError, match=f"STUDY_DEVICE = '{name}': .*choose from {', '.join(DEVICES)}$"):
                train_torch.device()


@pytest.mark.parametrize(
    ("variable", "value", "threads", "fails"),
    [
        ("OMP_THREAD_LIMIT", "1", 2, True),
        ("OMP_THREAD_LIMIT", "1", 1, False),
        ("OMP_THREAD_LIMIT", "2", 2, False),
        ("OMP_DYNAMIC", "true", 2, True),
        ("OMP_DYNAMIC", "TRUE", 1, False),
        ("OMP_DYNAMIC", "false", 2, False),
    ],
)
def test_threads_are_those_of_the_parameters_or_the_run_is_refused(variable, value, threads, fails, monkeypatch):
    monkeypatch.setenv(variable, value)
    torch.set_num_threads(1)
    if fails:
        with pytest.raises(StudyError, match=f"^{variable} = {value}: "):
            train_torch.set_threads(threads)
    else:
        train_torch.set_threads(threads)
        assert torch.get_num_threads() == threads


DISTURBED = {
    **{"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    **{"DNNL_MAX_CPU_ISA": "SSE41", "NPY_ENABLE_CPU_FEATURES": "X86_V3"},
}
PRODUCT = """
import hashlib, sys
import stages
import numpy as np, torch
from stages.torch_net.devices import make_native
if sys.argv[1:]:
    make_native()
x = torch.from_numpy(np.random.default_rng(0).random((64, 500), np.float32))
torch.set_num_threads(1)
images = x[:, :432].reshape(-1, 3, 12, 12)
found = (x @ x.T).sin().sum(dim=1), torch.nn.functional.conv2d(images, images[:8, :, :5, :5])
print(torch.backends.cpu.get_cpu_capability(), *(hashlib.sha256(part.numpy()).hexdigest() for part in found))
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="portable arithmetic is for x86-64")
def test_the_environment_does_not_change_the_arithmetic(tmp_path):
    def product(*arguments, **variables):
        environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
        for name in (DISTURBED | {"ONEDNN_MAX_CPU_ISA": ""}).keys() - variables.keys():
            environment.pop(name, None)
        command = [sys.executable, "-c", PRODUCT, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout

    portable = product()
    assert portable.startswith("AVX2 ")
    assert product(**DISTURBED) == portable
    assert product("native", **DISTURBED) == product("native")


# Final models


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lr", [0.01, 1e9])
def test_a_final_model_can_be_loaded_again_and_a_diverged_one_too(kind, lr, tmp_path, monkeypatch):
    data, module = prepared(tmp_path / "clothes.npz"), train_numpy if kind == "numpy" else train_torch
    training = settings(kind, optimiser="adam", lr=lr, epochs=8, pixels="standardised")
    model = FinalModel(dataset="clothes", training=training) if kind != "numpy" else None

    class Params:
        seed, threads, numpy_dataset, train_numpy, train_torch = 7, 1, "clothes", training, {"best": model}

    monkeypatch.chdir(tmp_path)  # DVCLive looks for a repository here
    monkeypatch.setattr(module, "load_params", Params)
    monkeypatch.setattr(module, "PREPARED", tmp_path)
    monkeypatch.setattr(module, "REPORTS", tmp_path / "reports")
    weights = tmp_path / "models" / ("best.npz" if kind == "numpy" else "best.safetensors")
    if kind == "numpy":
        monkeypatch.setattr(module, "MODEL", weights)
        module.main([])
    else:
        monkeypatch.setattr(module, "MODELS", weights.parent)
        module.main(["best"])
    reports = tmp_path / "reports" / ("" if kind == "numpy" else "best")
    names = ["calibration.csv", "classes.csv", "confusion.csv", "errors.csv", "history.csv", "metrics.json"]
    assert sorted(path.name for path in reports.iterdir()) == names
    configuration = json.loads(weights.with_suffix(".json").read_text())
    assert configuration.pop("seed") == 7
    configuration.pop("dataset", None)
    read = type(training)(**configuration)
    assert read == training
    metrics, content = json.loads((reports / "metrics.json").read_text()), split(data)
    with (reports / "confusion.csv").open(newline="") as file:
        right = sum(int(row["count"]) for row in csv.DictReader(file) if row["label"] == row["predicted"])
    assert metrics["test_accuracy"] == right / 40
    assert (metrics["precision"], metrics["device"], metrics["threads"]) == ("float32", "cpu", 1)
    if lr > 1:
        assert "test_loss" not in metrics or math.isfinite(metrics["test_loss"])
        return
    pixels, truth = (content["test_images"] - 0.5) / 0.25, content["test_labels"].argmax(axis=1)
    probabilities = forward(load(read, weights), pixels)
    assert (probabilities.argmax(axis=1) == truth).mean() == metrics["test_accuracy"] > 0.5
    assert metrics["test_loss"] == pytest.approx(-np.log(probabilities[np.arange(40), truth]).mean(), abs=1e-4)


def load(training, weights):
    """The network of a file of weights."""
    if weights.suffix == ".npz":
        with np.load(weights) as arrays:
            layers = [
                type("Dense", (), {"weights": arrays[f"weights_{n}"], "biases": arrays[f"biases_{n}"]}) for n in (1, 2)
            ]
        return type("Network", (), {"dense": layers})
    network = train_torch.build_network(training, (28, 28, 1), CLASSES, torch.Generator(), torch.Generator())
    network.load_state_dict(load_file(weights))
    return network


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("mlp", {"optimiser": "adamw", "weight_decay": 0.1, "dropout": 0.2, "patience": 4, "shift": 2, "flip": True}),
        ("mlp", {"lr": None, "epochs": None, "phases": [{"lr": 0.1, "epochs": 2}, {"lr": 0.01, "epochs": 3}]}),
        ("cnn", {"optimiser": "nesterov", "momentum": 0.9, "flip": True}),
    ],
)
@pytest.mark.parametrize("interrupted_in", [1, 3, 5])
def test_an_interrupted_training_goes_on_to_the_same_bytes(kind, changes, interrupted_in, data, tmp_path):
    training, checkpoint = settings(kind, **{"epochs": 5, **changes}), tmp_path / "state.safetensors"

    def interrupt(row: dict[str, float]) -> None:
        if row["epoch"] == interrupted_in:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_torch.train_run(training, data, 3, interrupt, checkpoint=checkpoint)
    epochs = []
    run, network, probabilities = train_torch.train_run(training, data, 3, epochs.append, checkpoint=checkpoint)
    expected, other, others = train_torch.train_run(training, data, 3)
    assert run == expected
    assert epochs == expected.history
    np.testing.assert_array_equal(probabilities, others)
    for one, two in zip(network.state_dict().values(), other.state_dict().values(), strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())

"""Whole runs of PyTorch networks, from a prepared data set to the files of a record, in miniature."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from threadpoolctl import threadpool_limits

from stages.ablations import one_run
from stages.common.datasets import read_test
from stages.common.errors import StudyError
from stages.common.mlps import build_mlp
from stages.common.parallel import as_done
from stages.common.params import Variant
from stages.common.torch_params import MlpTraining
from stages.common.torch_record import train_record
from stages.common.torch_run import images_and_labels, normalisation, phases, save_weights, train_run
from stages.common.torch_run import scoring_images_and_labels as scored
from stages.torch_net.images import Normalisation
from stages.torch_net.prediction import predict, score

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = ("heel", "hat", "glove")
SHAPE = (6, 5, 3)
MEAN, STD = (0.3, 0.5, 0.6), (0.2, 0.25, 0.3)
CPU = torch.device("cpu")
SETTINGS = {
    "pixels": "standardised",
    "shift": 0,
    "flip": False,
    "cutout": 0,
    "optimiser": "sgd",
    "momentum": 0.0,
    "weight_decay": 0.0,
    "lr": 0.1,
    "epochs": 4,
    "phases": None,
    "schedule": "constant",
    "warmup": 0.0,
    "batch_size": 32,
    "label_smoothing": 0.0,
    "patience": None,
    "test_time_flip": False,
    "precision": "float32",
    "hidden": [16, 8],
    "activation": "relu",
    "dropout": 0.0,
    "dropout_everywhere": False,
    "batch_norm": False,
    "outputs": 3,
}
# All that draws random numbers, and all that keeps a state.
EVERYTHING = {
    "shift": 1,
    "flip": True,
    "cutout": 2,
    "optimiser": "adamw",
    "weight_decay": 0.01,
    "lr": 0.01,
    "schedule": "one_cycle",
    "warmup": 0.3,
    "label_smoothing": 0.1,
    "test_time_flip": True,
    "precision": "bfloat16",
    "dropout": 0.2,
    "dropout_everywhere": True,
    "batch_norm": True,
}


@pytest.fixture(autouse=True)
def on_the_processor(monkeypatch):
    monkeypatch.setenv("STUDY_DEVICE", "cpu")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A prepared data set of three classes with a pattern each, under noise that hides some of them."""
    rng = np.random.default_rng(6)
    patterns = rng.uniform(60, 200, (len(NAMES), *SHAPE))

    def draw(count):
        labels = np.arange(count) % len(NAMES)
        images = patterns[labels] + rng.normal(0, 90, (count, *SHAPE))
        return images.clip(0, 255).astype(np.uint8), np.eye(len(NAMES), dtype=np.uint8)[labels]

    (train_images, train_labels), (test_images, test_labels) = draw(150), draw(60)
    path = tmp_path_factory.mktemp("prepared") / "clothes.npz"
    np.savez(
        path,
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        validation_index=np.arange(0, 150, 4),
        mean=np.array(MEAN),
        std=np.array(STD),
        class_names=np.array(NAMES),
    )
    return path


def settings(**changes):
    return MlpTraining(**{**SETTINGS, **changes})


def trained(prepared, training, variant="x", seed=1, **options):
    return train_run(partial(build_mlp, training), training, prepared, variant, seed, **options)


def weights(model, folder):
    save_weights(model, folder / "weights.safetensors")
    return (folder / "weights.safetensors").read_bytes()


def test_a_run_depends_on_its_seed_and_name_and_on_nothing_else(prepared, tmp_path):
    training = settings(**EVERYTHING)
    torch.manual_seed(10)
    run, model, probabilities = trained(prepared, training)
    trained(prepared, settings(), "between", 5)
    torch.manual_seed(20)
    again, same, same_probabilities = trained(prepared, training)
    assert run == again
    assert weights(model, tmp_path) == weights(same, tmp_path)
    assert probabilities.tobytes() == same_probabilities.tobytes()
    for variant, seed in (("x", 2), ("y", 1)):
        other, unlike, _ = trained(prepared, training, variant, seed)
        assert other.history != run.history
        assert weights(unlike, tmp_path) != weights(model, tmp_path)


@pytest.mark.parametrize("what", ["dropout", "shift", "flip", "cutout"])
def test_each_source_of_chance_is_one_of_its_own(what, prepared, monkeypatch):
    """To add dropout or augmentation changes neither the first weights nor the order of the images."""
    randperm, seen = torch.randperm, []
    monkeypatch.setattr(torch, "randperm", lambda *size, **options: noted(randperm(*size, **options)))

    def noted(tensor):
        seen.append(tensor.tolist())
        return tensor

    def build(training, *made):
        model = build_mlp(training, *made)
        for value in model.state_dict().values():
            noted(value)
        return model

    met, ends = [], []
    for changes in ({}, {what: EVERYTHING[what]}):
        training = settings(**changes)
        run, *_ = train_run(partial(build, training), training, prepared, "x", 1)
        met.append(seen.copy())
        ends.append(run.history)
        seen.clear()
    assert len(met[0]) == 6 + 4  # weights and biases of three layers, the order of four epochs
    assert met[0] == met[1]
    assert ends[0] != ends[1]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("pixels", "unit"),
        ("shift", 1),
        ("flip", True),
        ("cutout", 2),
        ("optimiser", "nesterov"),
        ("momentum", 0.9),
        ("weight_decay", 0.1),
        ("lr", 0.05),
        ("epochs", 3),
        ("schedule", "cosine"),
        ("warmup", 0.5),
        ("batch_size", 16),
        ("label_smoothing", 0.1),
        ("test_time_flip", True),
        ("hidden", [16]),
        ("activation", "leaky_relu"),
        ("dropout", 0.4),
        ("dropout_everywhere", True),
        ("batch_norm", True),
        ("outputs", 4),
    ],
)
def test_every_setting_reaches_the_training(setting, value, prepared):
    base = {"momentum": 0.5, "schedule": "one_cycle", "warmup": 0.3, "dropout": 0.2, "epochs": 2}
    usual, changed = (trained(prepared, settings(**{**base, **change}))[0] for change in ({}, {setting: value}))
    assert usual.history != changed.history


def run_and_threads(path, task):
    return one_run(path, task), torch.get_num_threads()


def test_runs_are_the_same_side_by_side_each_on_one_thread(prepared, monkeypatch):
    variants = [
        Variant(name="plain", seeds=[1], training=settings()),
        Variant(name="everything", seeds=[1], training=settings(**EVERYTHING)),
    ]
    tasks = [(variant, seed) for variant in variants for seed in (1, 2)]
    results = {}
    for count in ("1", "2"):
        monkeypatch.setenv("STUDY_JOBS", count)
        with threadpool_limits(2):
            assert torch.get_num_threads() == 2
            results[count] = [result for _, result in sorted(as_done(run_and_threads, prepared, tasks))]
    assert results["1"] == results["2"]
    assert {threads for _, threads in results["1"]} == {1}
    assert [(run.variant, run.seed) for run, _ in results["1"]] == [(variant.name, seed) for variant, seed in tasks]


def test_a_run_learns_and_is_scored_as_recorded(prepared):
    rows = []
    run, model, probabilities = trained(prepared, settings(epochs=12), on_epoch=rows.append)
    assert (run.variant, run.seed, run.status, run.split) == ("x", 1, "ok", "validation")
    assert rows == run.history
    assert [row["epoch"] for row in rows] == list(range(1, 13))
    images, one_hot = read_test(prepared)
    labels = one_hot.argmax(axis=1)
    model.eval()
    with torch.no_grad():
        logits = model(torch.tensor(((images / 255 - MEAN) / STD).astype(np.float32)))
    np.testing.assert_allclose(probabilities, logits.softmax(dim=1), atol=1e-5)
    assert probabilities.dtype == np.float32
    assert run.test_accuracy == (probabilities.argmax(axis=1) == labels).mean() > 0.7
    assert run.test_loss == pytest.approx(-np.log(probabilities[np.arange(60), labels]).mean(), rel=1e-4)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_early_stopping_puts_the_best_epochs_network_back(batch_norm, prepared):
    """Few noisy images and many epochs: certain to overfit. Running statistics belong to the network."""
    training = settings(batch_norm=batch_norm, lr=0.5, epochs=100, patience=4)
    run, model, _ = trained(prepared, training)
    losses = [row["loss"] for row in run.history]
    assert len(losses) == run.best_epoch + 4 < 100
    assert run.kept_epoch == run.best_epoch == int(np.argmin(losses)) + 1
    prepare = normalisation(training, prepared, CPU)
    for split, figures in (
        ("validation", (losses[run.best_epoch - 1], run.history[run.best_epoch - 1]["accuracy"])),
        ("test", (run.test_loss, run.test_accuracy)),
    ):
        read = partial(images_and_labels, prepared, split) if split == "validation" else partial(scored, prepared)
        images, labels = read(CPU)
        assert score(predict(model, images, prepare), labels) == figures
    assert losses[-1] > losses[run.best_epoch - 1]


@pytest.mark.parametrize("changes", [{}, {"optimiser": "nesterov", "momentum": 0.9, "patience": 3}])
def test_a_run_that_diverges_ends_and_says_so(changes, prepared):
    run, *_ = trained(prepared, settings(lr=1e6, epochs=30, activation="leaky_relu", **changes))
    assert run.status == "diverged"
    assert 1 <= len(run.history) < 30


def test_fewer_outputs_than_classes_are_a_mistake(prepared):
    with pytest.raises(StudyError, match=r"outputs = 2: the data set has 3 classes"):
        trained(prepared, settings(outputs=2))


def test_more_outputs_than_classes_are_scored_as_classes(prepared):
    run, _, probabilities = trained(prepared, settings(outputs=7, epochs=12))
    assert probabilities.shape == (60, 7)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert run.test_accuracy > 0.7


def test_pixels_worked_example(prepared):
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).expand(1, 1, 1, 3)
    unit = normalisation(settings(pixels="unit"), prepared, CPU)(images)
    standardised = normalisation(settings(), prepared, CPU)(images)
    np.testing.assert_allclose(unit.flatten(), [0, 0.2, 1], rtol=1e-6)
    np.testing.assert_allclose(standardised.flatten(), [-0.3 / 0.2, -0.3 / 0.25, 0.4 / 0.3], rtol=1e-5)


def test_phases_worked_example():
    """The report's final model: 10 epochs at 0.1, 10 at 0.01 with a decay; 70 images are 3 batches of 32."""
    stretches = [{"lr": 0.1, "epochs": 2}, {"lr": 0.01, "epochs": 1, "momentum": 0.5, "weight_decay": 0.25}]
    first, second = phases(settings(lr=None, epochs=None, phases=stretches, weight_decay=0.125), 70)
    assert first.learning_rates == [[0.1] * 3] * 2
    assert second.learning_rates == [[0.01] * 3]
    assert (first.optimiser, first.momentum, first.weight_decay) == ("sgd", 0.0, 0.125)
    assert (second.optimiser, second.momentum, second.weight_decay) == ("sgd", 0.5, 0.25)
    (only,) = phases(settings(schedule="cosine", epochs=2), 64)
    np.testing.assert_allclose(only.learning_rates, [[0.1, 0.075], [0.025, 0.0]], atol=2e-5)


def test_bfloat16_is_used_where_the_device_has_it(prepared, monkeypatch):
    histories = []
    for capability, precision in ((True, "bfloat16"), (False, "bfloat16"), (True, "float32")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda there=capability: {"avx512_bf16": there})
        histories.append(trained(prepared, settings(precision=precision))[0].history)
    low, without, single = histories
    assert without == single
    assert low != single
    np.testing.assert_allclose([row["loss"] for row in low], [row["loss"] for row in single], rtol=0.05)


def test_a_record_is_all_its_files_and_can_be_loaded_again(prepared, tmp_path, capsys):
    training = settings(**EVERYTHING, epochs=6)
    model, reports = tmp_path / "models/final.safetensors", tmp_path / "reports"
    train_record("final", partial(build_mlp, training), training, prepared, 7, model, reports, 2)
    names = ["calibration.csv", "classes.csv", "confusion.csv", "history.csv", "metrics.json", "mistakes.csv"]
    assert sorted(path.name for path in reports.iterdir()) == names
    assert sorted(path.name for path in model.parent.iterdir()) == ["final.json", "final.safetensors"]
    assert "final: 6/6 epochs" in capsys.readouterr().err

    # From the two files beside each other, to the network, to what the reports say of it.
    configuration = json.loads(model.with_suffix(".json").read_text())
    assert (configuration.pop("dataset"), configuration.pop("seed")) == ("clothes", 7)
    read = MlpTraining(**configuration)
    assert read == training
    network = build_mlp(read, SHAPE, len(NAMES), torch.Generator(), torch.Generator())
    network.load_state_dict(load_file(model))
    images, labels = scored(prepared, CPU)
    prepare = Normalisation(torch.tensor(MEAN), torch.tensor(STD))
    low = torch.cpu.get_capabilities().get("avx512_bf16", False)
    logits = predict(network, images, prepare, flip=True, bfloat16=low)
    confusion = pd.crosstab(labels.numpy(), logits.argmax(dim=1).numpy())
    confusion = confusion.reindex(index=range(3), columns=range(3), fill_value=0)
    written = pd.read_csv(reports / "confusion.csv").pivot(index="label", columns="predicted", values="count")
    assert written.loc[list(NAMES), list(NAMES)].to_numpy().tolist() == confusion.to_numpy().tolist()
    metrics = json.loads((reports / "metrics.json").read_text())
    loss, accuracy = score(logits, labels)
    assert (metrics["test_loss"], metrics["test_accuracy"]) == (round(loss, 4), round(accuracy, 4))
    history = pd.read_csv(reports / "history.csv")
    assert list(history) == ["epoch", "train_loss", "validation_loss", "validation_accuracy"]
    assert metrics["validation_accuracy"] == round(history["validation_accuracy"].iloc[-1], 4)
    mistakes = pd.read_csv(reports / "mistakes.csv")
    wrong = (logits.argmax(dim=1) != labels).nonzero().flatten().tolist()
    assert set(mistakes["index"]) <= set(wrong)
    surest = logits.softmax(dim=1).max(dim=1).values[wrong].max().item()
    assert mistakes["confidence"].iloc[0] == pytest.approx(surest, rel=1e-4)


def test_a_record_is_byte_identical_when_trained_again_whatever_the_environments_threads(prepared, tmp_path):
    training = settings(**EVERYTHING)
    files = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        folder = tmp_path / str(threads)
        model = folder / "x.safetensors"
        train_record("x", partial(build_mlp, training), training, prepared, 7, model, folder / "x", 2)
        assert torch.get_num_threads() == 2
        files.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")})
    assert files[0] == files[1]
    assert len(files[0]) == 8

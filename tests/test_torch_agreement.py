"""The two halves against each other: one network, written twice, computes the same numbers and takes the same steps."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from stages.common.datasets import scale
from stages.common.schedules import learning_rates
from stages.numpy_net import Network
from stages.numpy_net import epochs as numpy_epochs
from stages.numpy_net.losses import CrossEntropy, smooth_labels
from stages.numpy_net.optimisers import OPTIMISERS as NUMPY_OPTIMISERS
from stages.numpy_net.optimisers import optimiser as numpy_optimiser
from stages.torch_net.images import Augmentation, Normalisation
from stages.torch_net.mlp import MLP
from stages.torch_net.optimisers import OPTIMISERS, optimiser
from stages.torch_net.training import Phase, epochs, take_step

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE = (2, 3, 2)  # height, width, channels: unlike each other, so that no order of axes is taken for another
HIDDEN, CLASSES = [8, 6], 5
DTYPES = {"float32": torch.float32, "float64": torch.float64}
# Nothing of their own is left to differ in float64; in float32 sums are rounded in another order.
CLOSE = {"float32": {"rtol": 1e-4, "atol": 1e-6}, "float64": {"rtol": 1e-10, "atol": 1e-13}}
TWICE = ("relu", "leaky_relu", "sigmoid", "tanh")  # gelu has two forms, see below


def twins(activation="relu", dtype="float64"):
    """The same network in NumPy and in PyTorch, with weights and biases that are all different from 0."""
    rng = np.random.default_rng(11)
    sizes = [int(np.prod(SHAPE)), *HIDDEN, CLASSES]
    layers = [{"input_nodes": size, "activation": activation} for size in sizes]
    layers[-1]["activation"] = "softmax"
    ours = Network(layers, generator=rng, dtype=np.dtype(dtype))
    ours.parameters += rng.normal(scale=0.1, size=len(ours.parameters))  # biases start at 0
    theirs = MLP(sizes[0], HIDDEN, CLASSES, generator=torch.Generator(), activation=activation).to(DTYPES[dtype])
    linear = [layer for layer in theirs.modules() if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for layer, dense in zip(linear, ours.dense, strict=True):
            layer.weight.copy_(torch.tensor(dense.weights.T.copy()))  # (units, inputs), as PyTorch has it
            layer.bias.copy_(torch.tensor(dense.biases))
    return ours, theirs, list(zip(ours.dense, linear, strict=True))


def batch(size=9, dtype="float64"):
    """Images (size, *SHAPE), class numbers (size,)."""
    rng = np.random.default_rng(12)
    return rng.normal(size=(size, *SHAPE)).astype(dtype), rng.integers(CLASSES, size=size)


@pytest.mark.parametrize("dtype", sorted(DTYPES))
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("activation", TWICE)
def test_logits_loss_and_gradients(activation, smoothing, dtype):
    ours, theirs, layers = twins(activation, dtype)
    images, labels = batch(dtype=dtype)
    objective = CrossEntropy(np.dtype(dtype))
    targets = smooth_labels(np.eye(CLASSES, dtype=dtype)[labels], smoothing)
    logits = ours.forward(images.reshape(len(images), -1), training=True)
    loss = objective.forward(logits, targets).mean()
    ours.backward(objective.backward(1 / len(images)))
    expected = theirs(torch.tensor(images))
    expected_loss = cross_entropy(expected, torch.tensor(labels), label_smoothing=smoothing)
    expected_loss.backward()
    assert logits.dtype == ours.gradient.dtype == dtype
    np.testing.assert_allclose(logits, expected.detach().numpy(), **CLOSE[dtype])
    assert loss == pytest.approx(expected_loss.item(), rel=CLOSE[dtype]["rtol"])
    for dense, layer in layers:
        np.testing.assert_allclose(dense.weight_gradient, layer.weight.grad.numpy().T, **CLOSE[dtype])
        np.testing.assert_allclose(dense.bias_gradient, layer.bias.grad.numpy(), **CLOSE[dtype])
        assert np.abs(dense.weight_gradient).max() > 1e-4


def test_gelu_is_the_tanh_form_here_and_the_exact_one_there():
    """Hendrycks & Gimpel give both; no two values of them are further apart than 0.0005."""
    ours, theirs, _ = twins("gelu")
    images, _ = batch()
    flat = images.reshape(len(images), -1)
    exact = theirs(torch.tensor(images)).detach().numpy()
    np.testing.assert_allclose(ours.forward(flat), exact, atol=5e-3)
    for layer in theirs.layers:
        if isinstance(layer, nn.GELU):
            layer.approximate = "tanh"
    tanh_form = theirs(torch.tensor(images)).detach().numpy()
    np.testing.assert_allclose(ours.forward(flat), tanh_form, **CLOSE["float64"])
    assert np.abs(tanh_form - exact).max() > 1e-6


@pytest.mark.parametrize("dtype", sorted(DTYPES))
@pytest.mark.parametrize("name", sorted(OPTIMISERS))
def test_optimisers_take_the_same_steps(name, dtype):
    """Ten steps at changing rates, defaults and all: what isn't set is what the other half has."""
    ours, theirs, layers = twins("tanh", dtype)
    images, labels = batch(dtype=dtype)
    flat, targets = images.reshape(len(images), -1), np.eye(CLASSES, dtype=dtype)[labels]
    objective = CrossEntropy(np.dtype(dtype))
    settings = {
        "momentum": 0.9 if name in ("momentum", "nesterov") else 0.0,
        "weight_decay": 0.1 if name == "adamw" else 0.0,
    }
    rule = numpy_optimiser(name, ours.parameters, **settings)
    step = optimiser(name, theirs.parameters(), **settings)
    before = ours.parameters.copy()
    for number in range(10):
        rate = 0.02 * (1 + number % 3)
        objective.forward(ours.forward(flat, training=True), targets)
        ours.backward(objective.backward((rate if rule.folds_lr else 1.0) / len(flat)))
        rule.step(ours.parameters, ours.gradient, rate)
        take_step(step, cross_entropy(theirs(torch.tensor(images)), torch.tensor(labels)), rate)
    tolerance = {"float32": {"rtol": 1e-3, "atol": 2e-5}, "float64": {"rtol": 1e-7, "atol": 1e-10}}[dtype]
    for dense, layer in layers:
        np.testing.assert_allclose(dense.weights, layer.weight.detach().numpy().T, **tolerance)
        np.testing.assert_allclose(dense.biases, layer.bias.detach().numpy(), **tolerance)
    assert np.abs(ours.parameters - before).max() > 0.02


def test_both_halves_have_the_same_optimisers():
    assert set(OPTIMISERS) == set(NUMPY_OPTIMISERS)


@pytest.mark.parametrize(
    ("name", "lr", "momentum", "weight_decay", "smoothing"),
    [("sgd", 0.5, 0.0, 0.0, 0.0), ("nesterov", 0.1, 0.9, 0.0, 0.1), ("adamw", 0.02, 0.0, 0.1, 0.1)],
)
def test_whole_trainings(name, lr, momentum, weight_decay, smoothing):
    """From bytes to a row an epoch. A batch is all images: each half draws their order from a generator of its own."""
    ours, theirs, _ = twins("relu", "float32")
    rng = np.random.default_rng(13)
    mean, std = np.array([0.4, 0.6]), np.array([0.2, 0.3])
    images, labels = rng.integers(256, size=(60, *SHAPE), dtype=np.uint8), rng.integers(CLASSES, size=60)
    scored, truth = rng.integers(256, size=(20, *SHAPE), dtype=np.uint8), rng.integers(CLASSES, size=20)
    rates = learning_rates("one_cycle", lr, 8, 1, 0.3)
    settings = {"momentum": momentum, "weight_decay": weight_decay}
    one_hot = np.eye(CLASSES, dtype=np.float32)
    numpy_rows = numpy_epochs(
        ours,
        CrossEntropy(np.float32),
        numpy_optimiser(name, ours.parameters, **settings),
        scale(images, mean=mean, std=std),
        smooth_labels(one_hot[labels], smoothing),
        evaluation=(scale(scored, mean=mean, std=std), one_hot[truth]),
        learning_rates=rates,
        batch_size=60,
        generator=rng,
    )
    torch_rows = epochs(
        theirs,
        torch.tensor(images),
        torch.tensor(labels),
        evaluation=(torch.tensor(scored), torch.tensor(truth)),
        phases=[Phase(name, rates.tolist(), **settings)],
        batch_size=60,
        normalise=Normalisation(torch.tensor(mean).float(), torch.tensor(std).float()),
        augment=Augmentation(0, False, 0, torch.Generator()),
        generator=torch.Generator(),
        label_smoothing=smoothing,
    )
    numpy_rows, torch_rows = list(numpy_rows), list(torch_rows)
    assert [row["epoch"] for row in torch_rows] == [row["epoch"] for row in numpy_rows] == list(range(1, 9))
    for key in ("train_loss", "loss"):
        np.testing.assert_allclose(
            [row[key] for row in numpy_rows], [row[key] for row in torch_rows], rtol=1e-3, err_msg=key
        )
    assert [row["accuracy"] for row in numpy_rows] == [row["accuracy"] for row in torch_rows]
    assert numpy_rows[-1]["train_loss"] < 0.9 * numpy_rows[0]["train_loss"]

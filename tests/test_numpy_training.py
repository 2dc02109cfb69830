"""The training loop against an independent account of it: the published code, PyTorch's optimisers, worked examples."""

import tracemalloc
from functools import partial

import numpy as np
import pytest
import torch

from stages.common.fitting import fit
from stages.common.schedules import learning_rates
from stages.numpy_net import Network, epochs, evaluate, predict
from stages.numpy_net.augmentation import Augmentation
from stages.numpy_net.clipping import clip_norm, clip_value
from stages.numpy_net.initialisers import INITIALISERS, draw_weights
from stages.numpy_net.layers import Dropout
from stages.numpy_net.losses import CrossEntropy, Published, objective
from stages.numpy_net.optimisers import OPTIMISERS, optimiser
from tools.benchmark import published_way


def architecture(sizes, activation="relu"):
    return [
        {"input_nodes": size, "activation": activation if number < len(sizes) - 1 else "softmax"}
        for number, size in enumerate(sizes)
    ]


def blobs(rng, n, inputs=20, classes=10):
    """Images that can be told apart, as float32 pixels between 0 and 1, and one-hot labels."""
    labels = rng.integers(classes, size=n)
    centres = np.random.default_rng(0).uniform(size=(classes, inputs))
    pixels = np.clip(centres[labels] + rng.normal(scale=0.15, size=(n, inputs)), 0, 1)
    return pixels.astype(np.float32), np.eye(classes)[labels]


@pytest.mark.parametrize(
    ("sizes", "activation", "lr", "batch_size"),
    [
        ([20, 16, 10], "relu", 0.05, 1),
        ([20, 16, 10], "relu", 0.02, 7),
        ([20, 16, 12, 8, 10], "relu", 0.02, 32),
        ([20, 16, 10], "sigmoid", 0.05, 16),
    ],
)
def test_published_objective_follows_the_published_code(sizes, activation, lr, batch_size):
    rng = np.random.default_rng(5)
    (x, y), (x_test, y_test) = blobs(rng, 300), blobs(rng, 100)
    weights = published_way.first_weights(sizes)
    expected = []
    for _ in range(5):
        published_way.train_epoch(weights, x, y, batch_size, lr, activation)
        expected.append(published_way.evaluate(weights, x_test, y_test, activation))
    network = Network(
        architecture(sizes, activation), generator=np.random.RandomState(42), bias=False, dtype=np.float64
    )
    rows = epochs(
        network,
        Published(np.float64),
        optimiser("sgd", network.parameters),
        x.astype(np.float64),
        y,
        evaluation=(x_test.astype(np.float64), y_test),
        learning_rates=np.full((5, -(-300 // batch_size)), lr),
        batch_size=batch_size,
        generator=np.random.RandomState(42),
        mean=False,
        reshuffle=False,
    )
    ours = [(row["accuracy"], row["loss"]) for row in rows]
    np.testing.assert_allclose(ours, expected, rtol=1e-10)
    assert ours[-1][0] > ours[0][0]


def torch_optimiser(name, parameters, lr):
    return {
        "sgd": lambda: torch.optim.SGD(parameters, lr=lr),
        "momentum": lambda: torch.optim.SGD(parameters, lr=lr, momentum=0.9),
        "nesterov": lambda: torch.optim.SGD(parameters, lr=lr, momentum=0.9, nesterov=True),
        "adagrad": lambda: torch.optim.Adagrad(parameters, lr=lr),
        "rmsprop": lambda: torch.optim.RMSprop(parameters, lr=lr),
        "adam": lambda: torch.optim.Adam(parameters, lr=lr),
        "adamw": lambda: torch.optim.AdamW(parameters, lr=lr, weight_decay=0.1),
    }[name]()


@pytest.mark.parametrize("name", sorted(OPTIMISERS))
def test_optimiser_takes_torchs_steps(name):
    """Twenty steps down a quadratic whose learning rate changes at every step."""
    rng = np.random.default_rng(3)
    start, scale = rng.normal(size=12), rng.uniform(0.5, 3, size=12)
    ours, theirs = start.copy(), torch.tensor(start, requires_grad=True)
    rule = optimiser(name, ours, momentum=0.9, weight_decay=0.1)
    reference = torch_optimiser(name, [theirs], 1.0)
    for step in range(20):
        lr = 0.05 / (1 + step)
        reference.param_groups[0]["lr"] = lr
        theirs.grad = torch.tensor(theirs.detach().numpy() * scale)
        reference.step()
        gradient = ours * scale
        if rule.folds_lr:
            gradient *= lr
        rule.step(ours, gradient, lr)
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-12)
    assert not np.allclose(ours, start)


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam"])
def test_l2_and_clipping_as_in_torch(name):
    """One epoch with L2 (torch's weight_decay on the weights alone) and norm clipping, mini-batch by mini-batch."""
    rng = np.random.default_rng(4)
    x, y = blobs(rng, 100)
    x = x.astype(np.float64)
    network = Network(architecture([20, 8, 10]), generator=rng, dtype=np.float64)
    model = torch.nn.Sequential(torch.nn.Linear(20, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10)).double()
    with torch.no_grad():
        for module, layer in zip([model[0], model[2]], network.dense, strict=True):
            module.weight.copy_(torch.tensor(layer.weights.T.copy()))
            module.bias.copy_(torch.tensor(layer.biases))
    reference = torch_optimiser(name, model.parameters(), 0.1)
    order = np.random.default_rng(9).permutation(100)
    for start in range(0, 100, 32):
        chosen = order[start : start + 32]
        reference.zero_grad()
        penalty = sum((module.weight**2).sum() for module in (model[0], model[2])) * 0.01 / 2
        loss = torch.nn.functional.cross_entropy(model(torch.tensor(x[chosen])), torch.tensor(y[chosen]))
        (loss + penalty).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.3)
        torch.nn.utils.clip_grad_value_(model.parameters(), 0.05)
        reference.step()
    next(
        epochs(
            network,
            CrossEntropy(np.float64),
            optimiser(name, network.parameters, momentum=0.9),
            x,
            y,
            evaluation=(x, y),
            learning_rates=np.full((1, 4), 0.1),
            batch_size=32,
            generator=np.random.default_rng(9),
            l2=0.01,
            clip_norm_at=0.3,
            clip_value_at=0.05,
        )
    )
    for module, layer in zip([model[0], model[2]], network.dense, strict=True):
        # clip_grad_norm_ divides by norm + 1e-6: no closer agreement is to be had.
        np.testing.assert_allclose(layer.weights, module.weight.detach().numpy().T, atol=1e-6)
        np.testing.assert_allclose(layer.biases, module.bias.detach().numpy(), atol=1e-6)


def test_clipping_worked_examples():
    gradient = np.array([3.0, 4.0])
    clip_norm(gradient, 10.0)
    assert gradient.tolist() == [3.0, 4.0]
    clip_norm(gradient, 1.0)
    np.testing.assert_allclose(gradient, [0.6, 0.8])
    clip_value(gradient, 0.7)
    np.testing.assert_allclose(gradient, [0.6, 0.7])


@pytest.mark.parametrize(("name", "expected"), [("he", np.sqrt(2 / 400)), ("xavier", np.sqrt(2 / 600)), ("normal", 1)])
def test_initialisers_have_their_spread(name, expected):
    weights = draw_weights(name, 400, 200, np.random.default_rng(0))
    assert weights.shape == (400, 200)
    assert abs(weights.std() / expected - 1) < 0.01
    assert abs(weights.mean() / expected) < 0.02


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: draw_weights("hee", 2, 2, np.random.default_rng(0)), INITIALISERS),
        (lambda: optimiser("sgdd", np.zeros(2)), OPTIMISERS),
        (lambda: objective("mse", np.float64), ("cross_entropy", "published")),
        (lambda: Network(architecture([2, 2, 2], "rellu"), generator=np.random.default_rng(0)), ("relu", "gelu")),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_ones(call, names):
    with pytest.raises(ValueError, match="choose from") as caught:
        call()
    assert all(name in str(caught.value) for name in names)


def test_dropout_keeps_the_expected_value_and_rests_when_predicting():
    layer = Dropout(0.3, np.random.default_rng(0), np.float64)
    x = np.ones((200, 500))
    out = layer.forward(x, training=True)
    assert abs((out == 0).mean() - 0.3) < 0.01
    assert abs(out.mean() - 1) < 0.01
    assert layer.forward(x) is x


def test_augmentation_shifts_and_flips_as_slicing_would():
    images = np.arange(2 * 4 * 5 * 3, dtype=np.float64).reshape(2, 4, 5, 3)
    background = np.array([-1.0, -2.0, -3.0])
    augment = Augmentation((4, 5, 3), 1, True, background, np.random.default_rng(0))
    padded = np.empty((2, 6, 7, 3))
    padded[:] = background
    padded[:, 1:5, 1:6] = images
    crops = [padded[:, top : top + 4, left : left + 5] for top in range(3) for left in range(3)]
    views = crops + [crop[:, :, ::-1] for crop in crops]
    seen = set()
    for _ in range(300):
        result = augment(images.reshape(2, -1)).reshape(images.shape)
        kinds = [next(k for k, view in enumerate(views) if np.array_equal(view[i], result[i])) for i in range(2)]
        seen.update(kinds)
    assert len(seen) == 18


def test_schedules_worked_examples():
    np.testing.assert_array_equal(learning_rates("constant", 0.3, 2, 3), np.full((2, 3), 0.3))
    cosine = learning_rates("cosine", 1.0, 1, 101)[0]
    np.testing.assert_allclose(cosine[[0, 50, 100]], [1.0, 0.5, 0.0], atol=1e-4)
    cycle = learning_rates("one_cycle", 2.0, 10, 10, warmup=0.3).ravel()
    assert cycle.argmax() == 30
    assert cycle[30] == 2.0
    assert (np.diff(cycle[:31]) > 0).all()
    assert (np.diff(cycle[30:]) < 0).all()
    np.testing.assert_allclose(np.diff(cycle[:30]), cycle[0])


def small_training(rng, *, lr=0.5, length=20, patience=None, dtype=np.float32, n=400):
    (x, y), (x_test, y_test) = blobs(rng, n), blobs(rng, 200)
    network = Network(architecture([20, 16, 10]), generator=rng, dtype=dtype)
    loss = CrossEntropy(dtype)
    rows = epochs(
        network,
        loss,
        optimiser("sgd", network.parameters),
        x.astype(dtype),
        y.astype(dtype),
        evaluation=(x_test.astype(dtype), y_test.astype(dtype)),
        learning_rates=np.full((length, -(-n // 32)), lr),
        batch_size=32,
        generator=rng,
    )
    result = fit(
        rows,
        10,
        keep=network.parameters.copy,
        put_back=partial(np.copyto, network.parameters),
        patience=patience,
    )
    return network, loss, result, (x_test.astype(dtype), y_test.astype(dtype))


def test_training_learns_and_predicts_what_it_scores():
    network, loss, result, (x, y) = small_training(np.random.default_rng(1))
    assert result.status == "ok"
    assert result.history[-1]["accuracy"] > 0.9
    assert [row["epoch"] for row in result.history] == list(range(1, 21))
    probabilities = predict(network, x)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    value, accuracy = evaluate(network, loss, x, y)
    assert accuracy == (probabilities.argmax(axis=1) == y.argmax(axis=1)).mean() == result.history[-1]["accuracy"]
    assert value == pytest.approx(-np.log((probabilities * y).sum(axis=1)).mean(), rel=1e-4)


def test_early_stopping_restores_the_best_weights():
    # 40 images and 400 epochs: certain to overfit.
    network, loss, result, held_out = small_training(np.random.default_rng(2), n=40, length=400, patience=5, lr=1.0)
    losses = [row["loss"] for row in result.history]
    assert len(losses) < 400
    assert len(losses) == result.best_epoch + 5
    assert result.kept_epoch == result.best_epoch == int(np.argmin(losses)) + 1
    assert evaluate(network, loss, *held_out)[0] == min(losses)


def test_without_patience_the_last_weights_stay():
    network, loss, result, held_out = small_training(np.random.default_rng(2), n=40, length=60, lr=1.0)
    assert result.kept_epoch == 60
    assert evaluate(network, loss, *held_out)[0] == result.history[-1]["loss"]


def test_divergence_ends_the_run_and_keeps_its_history():
    _, _, result, _ = small_training(np.random.default_rng(1), lr=1e6)
    assert result.status == "diverged"
    assert 1 <= len(result.history) <= 3


def test_numpy_warnings_are_the_callers_between_epochs():
    x, y = blobs(np.random.default_rng(1), 32)
    network = Network(architecture([20, 8, 10]), generator=np.random.default_rng(1))
    rows = epochs(
        network,
        CrossEntropy(np.float32),
        optimiser("sgd", network.parameters),
        x,
        y,
        evaluation=(x, y),
        learning_rates=np.full((2, 1), 0.1),
        batch_size=32,
        generator=np.random.default_rng(1),
    )
    with np.errstate(all="raise"):
        inside = [np.geterr() for _ in rows]
        assert inside == [np.geterr()] * 2


def test_the_same_generators_give_the_same_bytes_and_others_do_not():
    first, second, third = (small_training(np.random.default_rng(seed), length=2)[0] for seed in (1, 1, 2))
    assert first.parameters.tobytes() == second.parameters.tobytes()
    assert first.parameters.tobytes() != third.parameters.tobytes()


def test_float32_gradient_agrees_with_torch_to_float32():
    rng = np.random.default_rng(8)
    x, y = blobs(rng, 64)
    network = Network(architecture([20, 16, 10]), generator=rng)
    loss = CrossEntropy(np.float32)
    value = loss.forward(network.forward(x, training=True), y.astype(np.float32)).mean()
    network.backward(loss.backward(1 / 64))
    first, second = (torch.tensor(layer.weights.copy(), requires_grad=True) for layer in network.dense)
    expected = torch.nn.functional.cross_entropy(torch.relu(torch.tensor(x) @ first) @ second, torch.tensor(y))
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-6)
    np.testing.assert_allclose(network.dense[0].weight_gradient, first.grad.numpy(), atol=1e-7)
    np.testing.assert_allclose(network.dense[1].weight_gradient, second.grad.numpy(), atol=1e-7)


@pytest.mark.parametrize(
    ("name", "objective_class", "settings"),
    [
        ("sgd", Published, {"mean": False}),
        ("sgd", CrossEntropy, {"l2": 0.01, "clip_norm_at": 1.0}),
        ("nesterov", CrossEntropy, {"clip_value_at": 0.1}),
        ("adamw", CrossEntropy, {"dropout": 0.2}),
    ],
)
def test_a_step_allocates_nothing_but_what_numpy_does_inside(name, objective_class, settings):
    """After the first steps: the smallest array of this network that a step could allocate anew takes 256 KiB."""
    batch, inside = 1024, 4 * 8192 * np.dtype(np.float32).itemsize + 20_000  # NumPy's own buffers, of 8192 numbers
    rng = np.random.default_rng(0)
    x, y = rng.random((6 * batch, 64), dtype=np.float32), np.eye(64, dtype=np.float32)[rng.integers(64, size=6 * batch)]
    layers = architecture([64, 512, 256, 64])
    network = Network(layers, generator=rng, dropout=settings.pop("dropout", 0.0), dropout_generator=rng)
    peaks, before = [], 0

    def watch(images):  # called between steps
        nonlocal before
        peaks.append(tracemalloc.get_traced_memory()[1] - before)
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        return images

    rows = epochs(
        network,
        objective_class(np.float32),
        optimiser(name, network.parameters),
        x,
        y,
        evaluation=(x[:10], y[:10]),
        learning_rates=np.full((1, 6), 0.001),
        batch_size=batch,
        generator=rng,
        augment=watch,
        **settings,
    )
    tracemalloc.start()
    try:
        next(rows)
    finally:
        tracemalloc.stop()
    first, *later = peaks[1:]
    assert first > 4 * inside  # buffers are made in the first step
    assert max(later[1:]) < inside < batch * 64 * np.dtype(np.float32).itemsize

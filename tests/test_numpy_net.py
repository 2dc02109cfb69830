"""The NumPy network against finite differences, PyTorch, and a reimplementation of the published code."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from stages.numpy_net import Network, epochs, evaluate, predict
from stages.numpy_net.activations import ACTIVATIONS, Activation, Pair
from stages.numpy_net.augmentation import Augmentation
from stages.numpy_net.clipping import clip_norm, clip_value
from stages.numpy_net.initialisers import INITIALISERS, draw_weights
from stages.numpy_net.layers import Dense, Dropout
from stages.numpy_net.losses import CrossEntropy, Published, objective, smooth_labels
from stages.numpy_net.optimisers import OPTIMISERS, optimiser
from tests.published_code import published_training

pytestmark = pytest.mark.usefixtures("one_thread")

TORCH = {
    "relu": torch.relu,
    "leaky_relu": lambda z: functional.leaky_relu(z, 0.01),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": lambda z: functional.gelu(z, approximate="tanh"),
}
TORCH_OPTIMISERS = {
    "sgd": torch.optim.SGD,
    "momentum": lambda parameters, lr: torch.optim.SGD(parameters, lr, momentum=0.9),
    "nesterov": lambda parameters, lr: torch.optim.SGD(parameters, lr, momentum=0.9, nesterov=True),
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "adamw": lambda parameters, lr: torch.optim.AdamW(parameters, lr, weight_decay=0.1),
}
STEP = 1e-6


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def assert_gradient(analytic, function, x):
    """`analytic` is the gradient of the scalar `function` at `x`: central differences, to 1e-7 of the largest one."""
    numerical = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += STEP
        down[index] -= STEP
        numerical[index] = (function(up) - function(down)) / (2 * STEP)
    scale = max(np.abs(numerical).max(), 1e-3)
    np.testing.assert_allclose(analytic / scale, numerical / scale, rtol=0, atol=1e-7)


def one_hot(rng, batch, classes):
    return np.eye(classes)[rng.integers(classes, size=batch)]


def architecture(sizes, activation="relu"):
    names = [activation] * (len(sizes) - 1) + ["softmax"]
    return [{"input_nodes": size, "activation": name} for size, name in zip(sizes, names, strict=True)]


def blobs(rng, n, inputs=20, classes=10):
    """Ten separable classes: float32 pixels in [0, 1] (n, inputs), one-hot labels (n, classes)."""
    labels = rng.integers(classes, size=n)
    centres = np.random.default_rng(0).uniform(size=(classes, inputs))
    pixels = np.clip(centres[labels] + rng.normal(scale=0.15, size=(n, inputs)), 0, 1)
    return pixels.astype(np.float32), np.eye(classes, dtype=np.float32)[labels]


# Layers and losses


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activation(name, rng):
    z, weights = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    layer = Activation(name, np.float64)
    layer.forward(z)
    error = layer.backward(weights.copy())
    assert_gradient(error, lambda z: float((Activation(name, np.float64).forward(z) * weights).sum()), z)
    z = np.array([[0.0, 40.0, -40.0, 800.0, -800.0], 3 * rng.normal(size=5)])  # the kink, and where exp overflows
    weights, tensor = rng.normal(size=z.shape), torch.tensor(z, requires_grad=True)
    output = TORCH[name](tensor)
    (output * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(layer.forward(z), output.detach(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(layer.backward(weights.copy()), tensor.grad, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("bias", [True, False])
def test_dense_backward_is_the_derivative(batch, bias, rng):
    x, error = rng.normal(size=(batch, 4)), rng.normal(size=(batch, 3))
    weights, biases = rng.normal(size=(4, 3)), rng.normal(size=3)

    def dense(weights=weights, biases=biases):
        return Dense(weights, biases if bias else None, np.empty((4, 3)), np.empty(3) if bias else None)

    layer = dense()
    np.testing.assert_allclose(layer.forward(x), x @ weights + (biases if bias else 0))
    assert_gradient(layer.backward(error), lambda x: float((dense().forward(x) * error).sum()), x)
    assert_gradient(layer.weight_gradient, lambda w: float((dense(weights=w).forward(x) * error).sum()), weights)
    if bias:
        assert_gradient(layer.bias_gradient, lambda b: float((dense(biases=b).forward(x) * error).sum()), biases)
    assert layer.backward(error, input_error=False) is None


def test_dropout(rng):
    """The backward pass is the derivative for the mask drawn; the share of zeros is the rate, the mean is preserved."""
    x, error = rng.normal(size=(5, 6)), rng.normal(size=(5, 6))

    def layer(seed=3):
        return Dropout(0.3, np.random.default_rng(seed), np.float64)

    one = layer()
    one.forward(x, training=True)
    masked = one.backward(error.copy())
    assert_gradient(masked, lambda x: float((layer().forward(x, training=True) * error).sum()), x)
    ones = np.ones((200, 500))
    out = one.forward(ones, training=True)
    assert abs((out == 0).mean() - 0.3) < 0.01
    assert abs(out.mean() - 1) < 0.01
    assert one.forward(ones) is ones
    assert not np.array_equal(layer(4).forward(ones, training=True), layer().forward(ones, training=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy(smoothing, rng):
    logits, labels = rng.normal(scale=4, size=(6, 10)), rng.integers(10, size=6)
    targets, loss = smooth_labels(np.eye(10)[labels], smoothing), CrossEntropy(np.float64)
    value = loss.forward(logits, targets).mean()
    error = loss.backward(1 / 6).copy()
    assert_gradient(error, lambda z: float(CrossEntropy(np.float64).forward(z, targets).mean()), logits)
    tensor = torch.tensor(logits, requires_grad=True)
    expected = functional.cross_entropy(tensor, torch.tensor(labels), label_smoothing=smoothing)
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-13)
    np.testing.assert_allclose(error, tensor.grad, atol=1e-15)


def test_cross_entropy_of_huge_logits_is_finite():
    logits, targets = np.array([[1e4, -1e4], [-1e4, 1e4]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    assert CrossEntropy(np.float64).forward(logits, targets).tolist() == [0.0, 2e4]


def test_published_error_is_a_squared_error_through_the_jacobians_diagonal(rng):
    logits, targets = rng.normal(size=(4, 10)), one_hot(rng, 4, 10)
    loss = Published(np.float64)
    losses = loss.forward(logits, targets).copy()
    p = torch.softmax(torch.tensor(logits), dim=1)
    jacobians = [torch.autograd.functional.jacobian(lambda z: torch.softmax(z, 0), torch.tensor(z)) for z in logits]
    diagonal = torch.diagonal(torch.stack(jacobians), dim1=1, dim2=2)
    np.testing.assert_allclose(loss.backward(1.0), 2 * (p - torch.tensor(targets)) / 10 * diagonal, atol=1e-15)
    np.testing.assert_allclose(losses, -np.log((p.numpy() * targets).sum(axis=1) + 1e-15), rtol=1e-13)


def test_published_softmax_underflows_in_training_when_shifted_by_the_batch_maximum():
    logits, targets = np.array([[1000.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    with np.errstate(all="ignore"):
        assert np.isnan(Published(np.float64).forward(logits, targets)[1])
    assert np.isfinite(Published(np.float64).evaluate(logits, targets)).all()


# The network


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("bias", [True, False])
def test_network_gradient(name, batch, bias, rng):
    """Against finite differences, and against PyTorch with the same weights; in float32 to its precision."""
    network = Network(architecture([6, 5, 4, 3], name), generator=rng, bias=bias, dtype=np.float64)
    network.parameters += rng.normal(scale=0.1, size=len(network.parameters))  # biases start at 0
    x, y, loss = rng.normal(size=(batch, 6)), one_hot(rng, batch, 3), CrossEntropy(np.float64)
    value = loss.forward(network.forward(x, training=True), y).mean()
    network.backward(loss.backward(1 / batch))
    gradient, parameters = network.gradient.copy(), network.parameters.copy()

    def loss_at(changed):
        network.parameters[:] = changed
        return float(loss.forward(network.forward(x), y).mean())

    assert_gradient(gradient, loss_at, parameters)
    network.parameters[:] = parameters

    flat = torch.tensor(parameters, requires_grad=True)
    *weights, biases = flat.split([30, 20, 12, len(parameters) - 62])
    biases = biases.split([5, 4, 3]) if bias else [0.0, 0.0, 0.0]
    a = torch.tensor(x)
    for number, (w, b, shape) in enumerate(zip(weights, biases, [(6, 5), (5, 4), (4, 3)], strict=True)):
        a = a @ w.reshape(shape) + b
        a = TORCH[name](a) if number < 2 else a
    expected = functional.cross_entropy(a, torch.tensor(y))
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(gradient, flat.grad, rtol=1e-10, atol=1e-14)

    single = Network(architecture([6, 5, 4, 3], name), generator=rng, bias=bias)
    single.parameters[:], loss = parameters, CrossEntropy(np.float32)
    loss.forward(single.forward(x.astype(np.float32), training=True), y.astype(np.float32))
    single.backward(loss.backward(1 / batch))
    assert single.gradient.dtype == np.float32
    np.testing.assert_allclose(single.gradient, gradient, atol=1e-6)


def wrong_sigmoid(z, a, error, buffers):
    error *= a  # without its factor (1 - a)


def wrong_dense(self, error, input_error=True):
    self.weight_gradient[:] = self.x.T @ error * (1 + 1e-5)
    if self.bias_gradient is not None:
        self.bias_gradient[:] = error.sum(axis=0)
    return error @ self.weights.T


def wrong_loss(self, scale):
    return np.abs(self.p - self.targets) * scale


@pytest.mark.parametrize("wrong", ["sigmoid", "dense", "loss"])
def test_the_checker_detects_a_wrong_gradient(wrong, rng, monkeypatch):
    if wrong == "sigmoid":
        monkeypatch.setitem(ACTIVATIONS, "sigmoid", Pair(ACTIVATIONS["sigmoid"].forward, wrong_sigmoid))
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            test_activation("sigmoid", rng)
    else:
        owner, backward = {"dense": (Dense, wrong_dense), "loss": (CrossEntropy, wrong_loss)}[wrong]
        monkeypatch.setattr(owner, "backward", backward)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        test_network_gradient("sigmoid", 7, True, rng)


@pytest.mark.parametrize(("name", "expected"), [("he", np.sqrt(2 / 400)), ("xavier", np.sqrt(2 / 600)), ("normal", 1)])
def test_initialisers_have_their_standard_deviation(name, expected):
    weights = draw_weights(name, 400, 200, np.random.default_rng(0))
    assert weights.shape == (400, 200)
    assert abs(weights.std() / expected - 1) < 0.01
    assert abs(weights.mean() / expected) < 0.02


def test_layers_and_their_parameters():
    network = Network(architecture([6, 5, 3]), generator=np.random.default_rng(0), dropout=0.2)
    assert [type(layer) for layer in network.layers] == [Dense, Activation, Dropout, Dense]
    assert len(network.parameters) == 6 * 5 + 5 + 5 * 3 + 3
    assert len(network.weights) == 6 * 5 + 5 * 3
    assert len(Network(architecture([6, 5, 3]), generator=np.random.default_rng(0), bias=False).parameters) == 45


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: draw_weights("hee", 2, 2, np.random.default_rng(0)), INITIALISERS),
        (lambda: optimiser("sgdd", np.zeros(2)), OPTIMISERS),
        (lambda: objective("mse", np.float64), ("cross_entropy", "published")),
        (lambda: Network(architecture([2, 2, 2], "rellu"), generator=np.random.default_rng(0)), ACTIVATIONS),
    ],
)
def test_an_unknown_name_lists_the_known_ones(call, names):
    with pytest.raises(ValueError, match="choose from") as caught:
        call()
    assert all(name in str(caught.value) for name in names)


# Optimisers, clipping, augmentation


@pytest.mark.parametrize("name", sorted(OPTIMISERS))
def test_optimiser_steps_equal_pytorchs(name):
    """A hundred steps down a quadratic whose learning rate changes at every step."""
    rng = np.random.default_rng(3)
    start, scale = rng.normal(size=12), rng.uniform(0.5, 3, size=12)
    ours, theirs = start.copy(), torch.tensor(start, requires_grad=True)
    rule = optimiser(name, ours, momentum=0.9, weight_decay=0.1)
    reference = TORCH_OPTIMISERS[name]([theirs], 1.0)
    for step in range(100):
        lr = 0.05 / (1 + step % 7)
        reference.param_groups[0]["lr"] = lr
        theirs.grad = torch.tensor(theirs.detach().numpy() * scale)
        reference.step()
        rule.step(ours, ours * scale * (lr if rule.folds_lr else 1), lr)
        np.testing.assert_allclose(ours, theirs.detach(), rtol=1e-9, atol=1e-13)
    assert np.abs(ours - start).max() > 0.1


def test_clipping_worked_examples():
    gradient = np.array([3.0, 4.0])
    clip_norm(gradient, 10.0)
    assert gradient.tolist() == [3.0, 4.0]
    clip_norm(gradient, 1.0)
    np.testing.assert_allclose(gradient, [0.6, 0.8])
    clip_value(gradient, 0.7)
    np.testing.assert_allclose(gradient, [0.6, 0.7])


@pytest.mark.parametrize(("shift", "flip"), [(0, True), (1, False), (1, True)])
def test_augmentation_shifts_and_flips_as_slicing_does(shift, flip):
    """Every view is drawn, each about as often, and pixels from outside have the background's value."""
    images, background = np.arange(400 * 4 * 5 * 3, dtype=np.float64).reshape(400, 4, 5, 3), [-1.0, -2.0, -3.0]
    padded = np.empty((400, 4 + 2 * shift, 5 + 2 * shift, 3))
    padded[:] = background
    padded[:, shift : 4 + shift, shift : 5 + shift] = images
    places = range(2 * shift + 1)
    views = [padded[:, top : top + 4, left : left + 5] for top in places for left in places]
    views += [view[:, :, ::-1] for view in views] if flip else []
    augment = Augmentation((4, 5, 3), shift, flip, background, np.random.default_rng(0))
    result = augment(images.reshape(400, -1)).reshape(images.shape)
    found = np.array([[np.array_equal(view[i], result[i]) for view in views] for i in range(400)])  # (images, views)
    assert (found.sum(axis=1) == 1).all()
    expected = 400 / len(views)
    assert (np.abs(found.sum(axis=0) - expected) < 5 * np.sqrt(expected)).all()


# Training


def train(network, data, rule="sgd", loss=CrossEntropy, lr=0.1, length=1, batch_size=32, **settings):
    """The rows of a training on `data`, scored on the same data unless there is an `evaluation`."""
    x, y = (array.astype(network.parameters.dtype) for array in data)
    return epochs(
        network,
        loss(x.dtype),
        optimiser(rule, network.parameters, momentum=0.9, weight_decay=0.1),
        x,
        y,
        learning_rates=np.full((length, -(-len(x) // batch_size)), lr),
        batch_size=batch_size,
        **{"evaluation": (x, y), "generator": np.random.default_rng(9), **settings},
    )


@pytest.mark.parametrize(
    ("sizes", "activation", "lr", "batch_size"),
    [
        ([20, 16, 10], "relu", 0.05, 1),
        ([20, 16, 10], "relu", 0.02, 7),
        ([20, 16, 12, 8, 10], "relu", 0.02, 32),
        ([20, 16, 10], "sigmoid", 0.05, 16),
    ],
)
def test_the_published_code_has_the_same_trajectory(sizes, activation, lr, batch_size):
    rng = np.random.default_rng(5)
    (x, y), (x_test, y_test) = blobs(rng, 300), blobs(rng, 100)
    expected = published_training(x, y, x_test, y_test, sizes, activation, lr, batch_size, epochs=5)
    legacy = [np.random.RandomState(42) for _ in range(2)]
    network = Network(architecture(sizes, activation), generator=legacy[0], bias=False, dtype=np.float64)
    rows = train(
        network,
        (x, y),
        evaluation=(x_test.astype(float), y_test.astype(float)),
        loss=Published,
        lr=lr,
        length=5,
        batch_size=batch_size,
        generator=legacy[1],
        mean=False,
        reshuffle=False,
    )
    figures = [(row["accuracy"], row["loss"]) for row in rows]
    np.testing.assert_allclose(figures, expected, rtol=1e-10)
    assert figures[-1][0] > figures[0][0]


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam"])
@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("reshuffle", [True, False])
def test_training_equals_a_pytorch_loop(name, mean, reshuffle):
    """Two epochs, L2 on the weights alone, both clippings, a last mini-batch of four: weights and losses."""
    x, y = blobs(np.random.default_rng(4), 100)
    network = Network(architecture([20, 8, 10]), generator=np.random.default_rng(4), dtype=np.float64)
    model = torch.nn.Sequential(torch.nn.Linear(20, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10)).double()
    linear = [model[0], model[2]]
    with torch.no_grad():
        for module, layer in zip(linear, network.dense, strict=True):
            module.weight.copy_(torch.tensor(layer.weights.T.copy()))
            module.bias.zero_()
    reference, draw, expected = TORCH_OPTIMISERS[name](model.parameters(), 0.1), np.random.default_rng(9), []
    pixels, targets, order = torch.tensor(x).double(), torch.tensor(y).double(), draw.permutation(100)
    for epoch in range(2):
        order, losses = draw.permutation(100) if reshuffle and epoch else order, []
        for start in range(0, 100, 32):
            chosen = torch.tensor(order[start : start + 32])
            reference.zero_grad()
            each = functional.cross_entropy(model(pixels[chosen]), targets[chosen], reduction="none")
            penalty = sum((module.weight**2).sum() for module in linear) * 0.01 / 2
            ((each.mean() if mean else each.sum()) + penalty).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.3)
            torch.nn.utils.clip_grad_value_(model.parameters(), 0.05)
            reference.step()
            losses += each.tolist()
        expected.append((np.mean(losses), functional.cross_entropy(model(pixels), targets).item()))
    clipping = {"l2": 0.01, "clip_norm_at": 0.3, "clip_value_at": 0.05}
    rows = list(train(network, (x, y), rule=name, length=2, mean=mean, reshuffle=reshuffle, **clipping))
    # clip_grad_norm_ divides by norm + 1e-6, so that the two cannot agree more closely.
    np.testing.assert_allclose([(row["train_loss"], row["loss"]) for row in rows], expected, rtol=1e-5)
    for module, layer in zip(linear, network.dense, strict=True):
        np.testing.assert_allclose(layer.weights, module.weight.detach().T, atol=2e-6)
        np.testing.assert_allclose(layer.biases, module.bias.detach(), atol=2e-6)


def test_training_learns_and_predicts_what_it_scores():
    data, held_out = (blobs(np.random.default_rng(seed), 400) for seed in (1, 2))
    network = Network(architecture([20, 16, 10]), generator=np.random.default_rng(1))
    rows = list(train(network, data, evaluation=held_out, lr=0.5, length=20))
    assert [row["epoch"] for row in rows] == list(range(1, 21))
    x, y = held_out
    probabilities = predict(network, x)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    loss, accuracy = evaluate(network, CrossEntropy(np.float32), x, y)
    assert accuracy == (probabilities.argmax(axis=1) == y.argmax(axis=1)).mean() == rows[-1]["accuracy"] > 0.9
    assert loss == rows[-1]["loss"] == pytest.approx(-np.log((probabilities * y).sum(axis=1)).mean(), rel=1e-4)


def test_each_epoch_visits_every_image_once_and_only_training_augments():
    """`augment` replaces images by zeros here: training sees them, scoring does not; dropout is off when scoring."""
    data, seen = blobs(np.random.default_rng(1), 50), []
    network = Network(
        architecture([20, 16, 10]),
        generator=np.random.default_rng(1),
        dropout=0.5,
        dropout_generator=np.random.default_rng(2),
    )

    def augment(images):
        seen.append(images.copy())
        return np.zeros_like(images)

    before = evaluate(network, CrossEntropy(np.float32), *data)
    for row in train(network, data, lr=1e-12, length=2, batch_size=16, augment=augment):
        assert row["train_loss"] == pytest.approx(np.log(10), rel=1e-6)
        assert row["loss"] == pytest.approx(before[0], rel=1e-5)
    assert [len(batch) for batch in seen] == [16, 16, 16, 2] * 2
    epoch_images = [np.concatenate(seen[:4]), np.concatenate(seen[4:])]
    assert not np.array_equal(*epoch_images)
    for images in epoch_images:
        np.testing.assert_array_equal(np.unique(images, axis=0), np.unique(data[0], axis=0))


def test_overflow_is_no_error_and_the_callers_numpy_settings_apply_between_epochs():
    network = Network(architecture([20, 8, 10], "leaky_relu"), generator=np.random.default_rng(1))
    with np.errstate(all="raise"):
        settings, rows = [], []
        for row in train(network, blobs(np.random.default_rng(1), 64), lr=1e30, length=3):
            settings.append(np.geterr())
            rows.append(row)
        assert settings == [np.geterr()] * 3
    assert not np.isfinite(rows[-1]["loss"])

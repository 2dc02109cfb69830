"""The NumPy network against finite differences, PyTorch, and a reimplementation of the published code."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from stages import numpy_net
from stages.numpy_net import build, evaluate, predict
from stages.numpy_net.activations import ACTIVATIONS, Activation, sigmoid
from stages.numpy_net.augmentation import Augmentation
from stages.numpy_net.clipping import clip_norm, clip_value
from stages.numpy_net.layers import Dense, Dropout
from stages.numpy_net.losses import CrossEntropy, smooth_labels
from stages.numpy_net.optimisers import OPTIMISERS, optimiser
from stages.numpy_net.published import Published
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
    layer = Activation(name)
    layer.forward(z)
    assert_gradient(layer.backward(weights), lambda z: float((Activation(name).forward(z) * weights).sum()), z)
    z = np.array([[0.0, 40.0, -40.0, 800.0, -800.0], 3 * rng.normal(size=5)])  # the kink, and where exp overflows
    weights, tensor = rng.normal(size=z.shape), torch.tensor(z, requires_grad=True)
    output = TORCH[name](tensor)
    (output * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(layer.forward(z), output.detach(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(layer.backward(weights), tensor.grad, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("bias", [True, False])
def test_dense_backward_is_the_derivative(batch, bias, rng):
    x, error = rng.normal(size=(batch, 4)), rng.normal(size=(batch, 3))
    layer = Dense(4, 3, rng, bias=bias, dtype=np.float64)
    weights, biases = layer.weights.copy(), rng.normal(size=3)

    def output(x=x, weights=weights, biases=biases):
        layer.weights[:] = weights
        if bias:
            layer.biases[:] = biases
        return layer.forward(x)

    np.testing.assert_allclose(output(), x @ weights + (biases if bias else 0))
    input_error, weight_gradient, bias_gradient = layer.backward(error), layer.weight_gradient, layer.bias_gradient
    assert_gradient(input_error, lambda x: float((output(x) * error).sum()), x)
    assert_gradient(weight_gradient, lambda w: float((output(weights=w) * error).sum()), weights)
    if bias:
        assert_gradient(bias_gradient, lambda b: float((output(biases=b) * error).sum()), biases)
    assert layer.backward(error, input_error=False) is None


def test_dropout(rng):
    """The backward pass is the derivative for the units kept; the share of zeros is the rate, the mean is preserved."""
    x, error = rng.normal(size=(5, 6)), rng.normal(size=(5, 6))

    def layer(seed=3):
        return Dropout(0.3, np.random.default_rng(seed))

    one = layer()
    one.forward(x, training=True)
    assert_gradient(one.backward(error), lambda x: float((layer().forward(x, training=True) * error).sum()), x)
    ones = np.ones((200, 500), np.float32)
    out = one.forward(ones, training=True)
    assert out.dtype == np.float32
    assert abs((out == 0).mean() - 0.3) < 0.01
    assert abs(out.mean() - 1) < 0.01
    assert one.forward(ones) is ones
    assert not np.array_equal(layer(4).forward(ones, training=True), layer().forward(ones, training=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_cross_entropy(reduction, smoothing, rng):
    logits, labels = rng.normal(scale=4, size=(6, 10)), rng.integers(10, size=6)
    targets, loss = smooth_labels(np.eye(10)[labels], smoothing), CrossEntropy(reduction)
    losses = loss.forward(logits, targets)
    error = loss.backward()
    assert_gradient(error, lambda z: float(getattr(loss.forward(z, targets), reduction)()), logits)
    tensor = torch.tensor(logits, requires_grad=True)
    settings = {"reduction": "none", "label_smoothing": smoothing}
    expected = functional.cross_entropy(tensor, torch.tensor(labels), **settings)
    getattr(expected, reduction)().backward()
    np.testing.assert_allclose(losses, expected.detach(), rtol=1e-12)
    np.testing.assert_allclose(error, tensor.grad, atol=1e-15)


def test_cross_entropy_of_huge_logits_is_finite():
    logits, targets = np.array([[1e4, -1e4], [-1e4, 1e4]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    assert CrossEntropy().forward(logits, targets).tolist() == [0.0, 2e4]


def test_published_error_is_a_squared_error_through_the_jacobians_diagonal(rng):
    logits, targets = rng.normal(size=(4, 10)), one_hot(rng, 4, 10)
    p = torch.softmax(torch.tensor(logits), dim=1)
    jacobians = [torch.autograd.functional.jacobian(lambda z: torch.softmax(z, 0), torch.tensor(z)) for z in logits]
    diagonal = torch.diagonal(torch.stack(jacobians), dim1=1, dim2=2)
    for reduction, count in (("sum", 1), ("mean", 4)):
        loss = Published(reduction)
        losses = loss.forward(logits, targets)
        expected = 2 * (p - torch.tensor(targets)) / 10 * diagonal / count
        for _ in range(2):
            np.testing.assert_allclose(loss.backward(), expected, atol=1e-15)
        np.testing.assert_allclose(losses, -np.log((p.numpy() * targets).sum(axis=1) + 1e-15), rtol=1e-13)


def test_published_softmax_underflows_in_training_when_shifted_by_the_batch_maximum():
    logits, targets = np.array([[1000.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    with np.errstate(all="ignore"):
        assert np.isnan(Published().forward(logits, targets)[1])
    assert np.isfinite(Published().evaluate(logits, targets)).all()


# The network


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("bias", [True, False])
def test_network_gradient(name, batch, bias, rng):
    """Against finite differences, and against PyTorch with the same weights; in float32 to its precision."""
    network = build(architecture([6, 5, 4, 3], name), rng, bias=bias, dtype=np.float64)
    network.parameters += rng.normal(scale=0.1, size=len(network.parameters))  # biases start at 0
    x, y, loss = rng.normal(size=(batch, 6)), one_hot(rng, batch, 3), CrossEntropy()
    value = loss.forward(network.forward(x, training=True), y).mean()
    network.backward(loss.backward())
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

    single = build(architecture([6, 5, 4, 3], name), rng, bias=bias)
    single.parameters[:] = parameters
    error = x.astype(np.float32)
    for layer in single.layers:  # no layer falls back to float64
        error = layer.forward(error, training=True)
        assert error.dtype == np.float32
    loss.forward(error, y.astype(np.float32))
    error = loss.backward()
    for layer in reversed(single.layers):
        assert error.dtype == np.float32
        error = layer.backward(error)
    np.testing.assert_allclose(single.gradient, gradient, atol=1e-6)


def wrong_sigmoid(z, a):
    return a  # without its factor (1 - a)


def wrong_dense(self, error, input_error=True):
    self.weight_gradient[:] = self.x.T @ error * (1 + 1e-5)
    if self.bias_gradient is not None:
        self.bias_gradient[:] = error.sum(axis=0)
    return error @ self.weights.T


def wrong_loss(self):
    return np.abs(self.p - self.targets) / len(self.p)


@pytest.mark.parametrize("wrong", ["sigmoid", "dense", "loss"])
def test_the_checker_detects_a_wrong_gradient(wrong, rng, monkeypatch):
    if wrong == "sigmoid":
        monkeypatch.setitem(ACTIVATIONS, "sigmoid", (sigmoid, wrong_sigmoid))
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            test_activation("sigmoid", rng)
    else:
        owner, backward = {"dense": (Dense, wrong_dense), "loss": (CrossEntropy, wrong_loss)}[wrong]
        monkeypatch.setattr(owner, "backward", backward)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        test_network_gradient("sigmoid", 7, True, rng)


@pytest.mark.parametrize(("name", "expected"), [("he", np.sqrt(2 / 400)), ("xavier", np.sqrt(2 / 600)), ("normal", 1)])
def test_initialisers_have_their_standard_deviation(name, expected):
    weights = Dense(400, 200, np.random.default_rng(0), initialiser=name, dtype=np.float64).weights
    assert weights.shape == (400, 200)
    assert abs(weights.std() / expected - 1) < 0.01
    assert abs(weights.mean() / expected) < 0.02


def test_layers_and_their_parameters():
    """An update of the flat vectors is one of the layers."""
    network = build(architecture([6, 5, 3]), np.random.default_rng(0), dropout=0.2)
    assert [type(layer) for layer in network.layers] == [Dense, Activation, Dropout, Dense]
    network.parameters[:] = network.gradient[:] = np.arange(6 * 5 + 5 * 3 + 5 + 3)
    for name in ("weights", "weight_gradient"):
        first, second = (getattr(layer, name) for layer in network.dense)
        np.testing.assert_array_equal(first, np.arange(30).reshape(6, 5))
        np.testing.assert_array_equal(second, np.arange(30, 45).reshape(5, 3))
        np.testing.assert_array_equal(getattr(network, name), np.arange(45))
    for name in ("biases", "bias_gradient"):
        assert [getattr(layer, name).tolist() for layer in network.dense] == [[45, 46, 47, 48, 49], [50, 51, 52]]
    assert len(build(architecture([6, 5, 3]), np.random.default_rng(0), bias=False).parameters) == 45


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
        rule.step(ours, ours * scale, lr)
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


def train(network, data, rule="sgd", loss=None, lr=0.1, length=1, batch_size=32, **settings):
    """Train on `data`: an iterator of epochs."""
    x, y = (array.astype(network.parameters.dtype) for array in data)
    return numpy_net.train(
        network,
        loss or CrossEntropy(),
        optimiser(rule, network.parameters, momentum=0.9, weight_decay=0.1),
        x,
        y,
        learning_rates=np.full((length, -(-len(x) // batch_size)), lr),
        batch_size=batch_size,
        **{"rng": np.random.default_rng(9), **settings},
    )


@pytest.mark.parametrize(
    ("sizes", "activation", "lr", "batch_size"),
    [
        ([20, 16, 10], "relu", 0.05, 1),
        ([20, 16, 10], "relu", 0.02, 7),
        ([20, 16, 12, 8, 10], "relu", 0.02, 32),
        ([20, 16, 10], "sigmoid", 0.05, 16),
        ([784, 64, 10], "relu", 0.01, 128),
    ],
)
def test_the_published_code_has_the_same_trajectory(sizes, activation, lr, batch_size):
    rng = np.random.default_rng(5)
    (x, y), (x_test, y_test) = blobs(rng, 1000, sizes[0]), blobs(rng, 100, sizes[0])
    expected = published_training(x, y, x_test, y_test, sizes, activation, lr, batch_size, epochs=2)
    draw, order = np.random.RandomState(42), np.random.RandomState(42)
    network, loss = build(architecture(sizes, activation), draw, bias=False, dtype=np.float64), Published("sum")
    settings = {"lr": lr, "length": 2, "batch_size": batch_size, "rng": order, "reshuffle": False}
    epochs = train(network, (x, y), loss=loss, **settings)
    figures = [evaluate(network, loss, x_test.astype(float), y_test) for _ in epochs]
    np.testing.assert_allclose(figures, expected, rtol=1e-12)
    assert figures[1][0] < figures[0][0]


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("reshuffle", [True, False])
def test_training_equals_a_pytorch_loop(name, reduction, reshuffle):
    """Two epochs, L2 on the weights alone, both clippings, a last mini-batch of four: weights and losses."""
    x, y = blobs(np.random.default_rng(4), 100)
    network = build(architecture([20, 8, 10]), np.random.default_rng(4), dtype=np.float64)
    model = torch.nn.Sequential(torch.nn.Linear(20, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10)).double()
    linear = [model[0], model[2]]
    with torch.no_grad():
        for module, layer in zip(linear, network.dense, strict=True):
            module.weight.copy_(torch.tensor(layer.weights.T.copy()))
            module.bias.zero_()
    reference, draw, expected = TORCH_OPTIMISERS[name](model.parameters(), 0.1), np.random.default_rng(9), []
    pixels, targets, order = torch.tensor(x).double(), torch.tensor(y).double(), draw.permutation(100)
    for epoch in range(2):
        order = draw.permutation(100) if reshuffle and epoch else order
        for start in range(0, 100, 32):
            chosen = torch.tensor(order[start : start + 32])
            reference.zero_grad()
            loss = functional.cross_entropy(model(pixels[chosen]), targets[chosen], reduction=reduction)
            (loss + sum((module.weight**2).sum() for module in linear) * 0.01 / 2).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.3)
            torch.nn.utils.clip_grad_value_(model.parameters(), 0.05)
            reference.step()
        expected.append(functional.cross_entropy(model(pixels), targets).item())

    def clip(gradient):
        clip_norm(gradient, 0.3)
        clip_value(gradient, 0.05)

    loss, settings = CrossEntropy(reduction), {"length": 2, "reshuffle": reshuffle, "l2": 0.01, "clip": clip}
    epochs = train(network, (x, y), rule=name, loss=loss, **settings)
    # clip_grad_norm_ divides by norm + 1e-6, so that the two cannot agree more closely.
    np.testing.assert_allclose([evaluate(network, loss, x, y)[0] for _ in epochs], expected, rtol=1e-5)
    for module, layer in zip(linear, network.dense, strict=True):
        np.testing.assert_allclose(layer.weights, module.weight.detach().T, atol=2e-6)
        np.testing.assert_allclose(layer.biases, module.bias.detach(), atol=2e-6)


def test_training_learns_and_predicts_what_it_scores():
    data, (x, y) = (blobs(np.random.default_rng(seed), 1400) for seed in (1, 2))
    network = build(architecture([20, 16, 10]), np.random.default_rng(1))
    assert list(train(network, data, lr=0.5, length=10)) == list(range(1, 11))
    probabilities = predict(network, x)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    loss, accuracy = evaluate(network, CrossEntropy(), x, y)
    assert accuracy == (probabilities.argmax(axis=1) == y.argmax(axis=1)).mean() > 0.9
    assert loss == pytest.approx(-np.log((probabilities * y).sum(axis=1)).mean(), rel=1e-4)


def test_each_epoch_visits_every_image_once_and_only_training_augments():
    """`augment` replaces images by zeros here, so that no weight changes; scoring sees images, without dropout."""
    data, seen = blobs(np.random.default_rng(1), 50), []
    dropout = {"dropout": 0.5, "dropout_rng": np.random.default_rng(2)}
    network = build(architecture([20, 16, 10]), np.random.default_rng(1), bias=False, **dropout)

    def augment(images):
        seen.append(images.copy())
        return np.zeros_like(images)

    before = evaluate(network, CrossEntropy(), *data)
    for _ in train(network, data, length=2, batch_size=16, augment=augment):
        assert evaluate(network, CrossEntropy(), *data) == before
    assert [len(batch) for batch in seen] == [16, 16, 16, 2] * 2
    epoch_images = [np.concatenate(seen[:4]), np.concatenate(seen[4:])]
    assert not np.array_equal(*epoch_images)
    for images in epoch_images:
        np.testing.assert_array_equal(np.unique(images, axis=0), np.unique(data[0], axis=0))

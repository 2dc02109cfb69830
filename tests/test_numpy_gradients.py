"""Every backward pass of the NumPy network against finite differences and against PyTorch's autograd."""

import numpy as np
import pytest
import torch

from stages.numpy_net.activations import ACTIVATIONS, Activation, Pair
from stages.numpy_net.layers import Dense, Dropout
from stages.numpy_net.losses import CrossEntropy, Published, smooth_labels
from stages.numpy_net.network import Network
from tests.gradients import assert_gradient

TORCH = {
    "relu": torch.relu,
    "leaky_relu": lambda z: torch.nn.functional.leaky_relu(z, 0.01),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": lambda z: torch.nn.functional.gelu(z, approximate="tanh"),
}


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def one_hot(rng, batch, classes):
    return np.eye(classes)[rng.integers(classes, size=batch)]


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activation_backward_is_the_derivative(name, rng):
    z, weights = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    layer = Activation(name, np.float64)
    layer.forward(z)
    error = layer.backward(weights.copy())
    assert_gradient(error, lambda z: float((Activation(name, np.float64).forward(z) * weights).sum()), z)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activation_agrees_with_torch(name, rng):
    z, weights = rng.normal(scale=3, size=(6, 5)), rng.normal(size=(6, 5))
    z[0] = [0.0, 40.0, -40.0, 800.0, -800.0]  # the corner, and where a naive exp overflows
    tensor = torch.tensor(z, requires_grad=True)
    output = TORCH[name](tensor)
    (output * torch.tensor(weights)).sum().backward()
    layer = Activation(name, np.float64)
    np.testing.assert_allclose(layer.forward(z), output.detach().numpy(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(layer.backward(weights.copy()), tensor.grad.numpy(), rtol=1e-10, atol=1e-14)


def test_every_activation_has_its_torch_counterpart():
    assert set(TORCH) == set(ACTIVATIONS)


@pytest.mark.parametrize("batch", [1, 5])
def test_dense_backward_is_the_derivative(batch, rng):
    x, error = rng.normal(size=(batch, 4)), rng.normal(size=(batch, 3))
    weights, biases = rng.normal(size=(4, 3)), rng.normal(size=3)

    def dense(weights=weights, biases=biases):
        return Dense(weights, biases, np.empty((4, 3)), np.empty(3))

    layer = dense()
    layer.forward(x)
    dx = layer.backward(error)
    assert_gradient(dx, lambda x: float((dense().forward(x) * error).sum()), x)
    assert_gradient(layer.weight_gradient, lambda w: float((dense(weights=w).forward(x) * error).sum()), weights)
    assert_gradient(layer.bias_gradient, lambda b: float((dense(biases=b).forward(x) * error).sum()), biases)


def test_dropout_backward_is_the_derivative_of_the_mask_it_drew(rng):
    x, error = rng.normal(size=(5, 6)), rng.normal(size=(5, 6))

    def forward(x):
        return Dropout(0.4, np.random.default_rng(3), np.float64).forward(x, training=True)

    layer = Dropout(0.4, np.random.default_rng(3), np.float64)
    layer.forward(x, training=True)
    assert_gradient(layer.backward(error.copy()), lambda x: float((forward(x) * error).sum()), x)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_exact(smoothing, rng):
    logits = rng.normal(scale=4, size=(6, 10))
    targets = smooth_labels(one_hot(rng, 6, 10), smoothing)
    loss = CrossEntropy(np.float64)
    losses = loss.forward(logits, targets)
    error = loss.backward(1 / 6).copy()
    assert_gradient(error, lambda z: float(CrossEntropy(np.float64).forward(z, targets).mean()), logits)
    tensor = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(tensor, torch.tensor(targets))
    expected.backward()
    np.testing.assert_allclose(losses.mean(), expected.item(), rtol=1e-13)
    np.testing.assert_allclose(error, tensor.grad.numpy(), atol=1e-15)


def test_label_smoothing_agrees_with_torch(rng):
    logits, labels = rng.normal(size=(8, 10)), rng.integers(10, size=8)
    losses = CrossEntropy(np.float64).forward(logits, smooth_labels(np.eye(10)[labels], 0.2))
    expected = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(labels), label_smoothing=0.2)
    np.testing.assert_allclose(losses.mean(), expected.item(), rtol=1e-13)


def test_cross_entropy_of_huge_logits_is_finite():
    logits, targets = np.array([[1e4, -1e4], [-1e4, 1e4]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    assert CrossEntropy(np.float64).forward(logits, targets).tolist() == [0.0, 2e4]


def test_published_error_is_the_diagonal_of_a_squared_error(rng):
    """Σ (p - y)² / classes through softmax by autograd, but with the off-diagonal of the Jacobian left out."""
    logits, targets = rng.normal(size=(4, 10)), one_hot(rng, 4, 10)
    loss = Published(np.float64)
    losses = loss.forward(logits, targets)
    error = loss.backward(1.0)
    p = torch.softmax(torch.tensor(logits), dim=1)
    squared = 2 * (p - torch.tensor(targets)) / 10
    jacobian = torch.stack(
        [torch.autograd.functional.jacobian(lambda z: torch.softmax(z, 0), torch.tensor(z)) for z in logits]
    )
    np.testing.assert_allclose(error, (squared * torch.diagonal(jacobian, dim1=1, dim2=2)).numpy(), atol=1e-15)
    np.testing.assert_allclose(losses, -np.log((p.numpy() * targets).sum(axis=1) + 1e-15), rtol=1e-13)


def test_published_softmax_underflows_where_one_shift_serves_the_whole_batch():
    logits, targets = np.array([[1000.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    with np.errstate(all="ignore"):
        assert np.isnan(Published(np.float64).forward(logits, targets)[1])
    assert np.isfinite(Published(np.float64).evaluate(logits, targets)).all()


def network_and_torch(names, rng, dtype=np.float64):
    """A network, and a function that gives loss and gradients of PyTorch's network with the same weights."""
    sizes = [6, 5, 4, 3][: len(names) + 1]
    architecture = [{"input_nodes": sizes[0], "activation": "relu"}]
    architecture += [{"input_nodes": size, "activation": name} for size, name in zip(sizes[1:], names, strict=True)]
    network = Network(architecture, generator=rng, dtype=dtype)
    network.parameters += rng.normal(scale=0.1, size=len(network.parameters))  # biases start at 0

    def torch_gradient(x, y):
        tensors = [
            torch.tensor(a, requires_grad=True) for d in network.dense for a in (d.weights.copy(), d.biases.copy())
        ]
        a = torch.tensor(x)
        for number, name in enumerate(names):
            a = a @ tensors[2 * number] + tensors[2 * number + 1]
            if name != "softmax":
                a = TORCH[name](a)
        loss = torch.nn.functional.cross_entropy(a, torch.tensor(y))
        loss.backward()
        return loss.item(), [t.grad.numpy() for t in tensors[::2]], [t.grad.numpy() for t in tensors[1::2]]

    return network, torch_gradient


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("batch", [1, 7])
def test_network_gradient_agrees_with_finite_differences_and_torch(name, batch, rng):
    network, torch_gradient = network_and_torch([name, name, "softmax"], rng)
    x, y = rng.normal(size=(batch, 6)), one_hot(rng, batch, 3)
    loss = CrossEntropy(np.float64)
    value = loss.forward(network.forward(x, training=True), y).mean()
    network.backward(loss.backward(1 / batch))
    gradient = network.gradient.copy()

    def loss_at(parameters):
        kept = network.parameters.copy()
        network.parameters[:] = parameters
        result = float(loss.forward(network.forward(x), y).mean())
        network.parameters[:] = kept
        return result

    assert_gradient(gradient, loss_at, network.parameters.copy())
    expected, weight_gradients, bias_gradients = torch_gradient(x, y)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    flat = np.concatenate([g.ravel() for g in weight_gradients + bias_gradients])
    np.testing.assert_allclose(gradient, flat, rtol=1e-10, atol=1e-14)


def test_the_checker_catches_a_wrong_backward(rng, monkeypatch):
    """Sigmoid's derivative without its factor (1 - a): the mistake must not pass as a gradient."""

    def wrong(z, a, error, buffers):
        error *= a

    monkeypatch.setitem(ACTIVATIONS, "sigmoid", Pair(ACTIVATIONS["sigmoid"].forward, wrong))
    with pytest.raises(AssertionError):
        test_activation_backward_is_the_derivative("sigmoid", rng)
    with pytest.raises(AssertionError):
        test_network_gradient_agrees_with_finite_differences_and_torch("sigmoid", 7, rng)

"""Networks in PyTorch against formulas written out, PyTorch's own defaults, and counts made by hand."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import cross_entropy

from stages.common.torch_run import save_weights
from stages.torch_net.cnn import CNN
from stages.torch_net.layers import Dropout, draw_weights
from stages.torch_net.mlp import MLP

pytestmark = pytest.mark.usefixtures("one_thread")


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def mlp(hidden=(8, 6), outputs=5, *, inputs=12, seed=0, **settings):
    return MLP(inputs, hidden, outputs, generator=seeded(seed), dropout_generator=seeded(seed + 1), **settings)


def normalised_mlp(*, seed=0):
    """A perceptron for the images, 16 x 16 in colour, that the small convolutional network is tested with."""
    return mlp(inputs=16 * 16 * 3, batch_norm=True, seed=seed)


def cnn(channels=3, *, seed=0, **settings):
    return CNN(channels, 8, [16, 24], 10, generator=seeded(seed), **settings)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def equal(first, second):
    """Whether two networks have the same weights, biases and running statistics."""
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


PLAIN = ["Linear", "ReLU"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [*PLAIN, *PLAIN, "Linear"]),
        ({"dropout": 0.2}, [*PLAIN, *PLAIN, "Dropout", "Linear"]),
        ({"dropout": 0.2, "dropout_everywhere": True}, [*PLAIN, "Dropout", *PLAIN, "Dropout", "Linear"]),
        ({"dropout_everywhere": True}, [*PLAIN, *PLAIN, "Linear"]),
        ({"batch_norm": True}, ["Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d", "ReLU", "Linear"]),
    ],
)
def test_order_of_layers(settings, expected):
    assert [type(layer).__name__ for layer in mlp(**settings).layers] == expected


@pytest.mark.parametrize("batch_norm", [False, True])
def test_only_what_batch_norm_would_undo_is_without_a_bias(batch_norm):
    linear = [layer for layer in mlp(batch_norm=batch_norm).layers if isinstance(layer, nn.Linear)]
    assert [layer.bias is not None for layer in linear] == [not batch_norm, not batch_norm, True]


def test_batch_norm_network_against_its_formula():
    """W x, to mean 0 and variance 1 over the batch, relu, W x + b: pixels row by row, channels within a pixel."""
    model = mlp([8], batch_norm=True)
    images = torch.randn(7, 2, 3, 2, generator=seeded(5))
    parameters = {name: value.double().numpy().copy() for name, value in model.state_dict().items()}
    flat = np.stack([np.concatenate([pixel for row in image for pixel in row]) for image in images.double().numpy()])
    z = flat @ parameters["layers.0.weight"].T
    normal = (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5)
    expected = np.maximum(normal, 0) @ parameters["layers.3.weight"].T + parameters["layers.3.bias"]
    np.testing.assert_allclose(model(images).detach().numpy(), expected, atol=1e-5)


def test_the_published_baseline_has_as_many_parameters_as_counted_by_hand():
    assert count(mlp([256, 128], 10, inputs=3072)) == 3072 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10 == 820_874


def test_more_outputs_than_classes_begin_at_the_loss_that_was_published():
    """Published fault F9: 128 outputs scored as classes, a loss of ln 128 before training."""
    model = mlp([256, 256], 128, inputs=3072)
    images, labels = torch.rand(50, 32, 32, 3, generator=seeded(1)), torch.arange(50) % 10
    logits = model(images)
    assert logits.shape == (50, 128)
    assert cross_entropy(logits, labels).item() == pytest.approx(math.log(128), abs=0.05)


@pytest.mark.parametrize("rate", [0.15, 0.5])
def test_dropout_zeroes_its_share_and_scales_the_rest(rate):
    out = Dropout(rate, seeded(3))(torch.ones(400, 500))
    assert (out == 0).float().mean().item() == pytest.approx(rate, abs=0.005)
    np.testing.assert_allclose(out[out != 0].numpy(), 1 / (1 - rate), rtol=1e-6)
    assert out.mean().item() == pytest.approx(1, abs=0.01)
    shares = (out == 0).float().mean(dim=0)  # (units,): no unit is dropped more than another
    assert abs(shares - rate).max() < 5 * math.sqrt(rate * (1 - rate) / 400)


def test_dropout_is_the_identity_when_predicting_and_draws_nothing():
    generator = seeded(3)
    before = generator.get_state()
    layer = Dropout(0.5, generator).eval()
    x = torch.ones(3, 4)
    assert layer(x) is x
    assert torch.equal(generator.get_state(), before)


def test_dropout_follows_its_own_generator_and_no_other():
    x = torch.ones(20, 30)

    def masks(seed, other):
        torch.manual_seed(other)
        layer = Dropout(0.5, seeded(seed))
        state = torch.get_rng_state()
        drawn = torch.stack([layer(x), layer(x)])
        assert torch.equal(torch.get_rng_state(), state)
        return drawn

    first = masks(1, 10)
    assert torch.equal(first, masks(1, 20))
    assert not torch.equal(first, masks(2, 10))
    assert not torch.equal(first[0], first[1])


def test_dropout_sends_errors_back_through_what_it_kept():
    x = torch.ones(5, 6, requires_grad=True)
    out = Dropout(0.4, seeded(2))(x)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())  # x is 1, so that the output is the mask


def test_dropout_keeps_the_precision_that_it_is_given():
    assert Dropout(0.4, seeded(2))(torch.ones(2, 3, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("make", "fan_in"), [(lambda: nn.Linear(50, 400), 50), (lambda: nn.Conv2d(4, 500, 3), 4 * 3 * 3)]
)
def test_weights_are_spread_as_pytorch_spreads_them(make, fan_in):
    torch.manual_seed(0)
    theirs, ours = make(), make()
    default = ours.weight.detach().clone()
    draw_weights(ours, seeded(1))
    assert not torch.equal(ours.weight, default)
    bound = 1 / math.sqrt(fan_in)
    shares = torch.linspace(0, 1, 21)
    for name in ("weight", "bias"):
        drawn, reference = (layer.get_parameter(name).detach().flatten() for layer in (ours, theirs))
        assert drawn.abs().max() <= bound
        # Where 5 % of the numbers lie below, 10 %, and so on: as in PyTorch, and as in a uniform distribution.
        error = 4 * bound / math.sqrt(len(drawn))
        np.testing.assert_allclose(drawn.quantile(shares), reference.quantile(shares), atol=error)
        np.testing.assert_allclose(drawn.quantile(shares), (2 * shares - 1) * bound, atol=error)


def test_batch_norm_is_left_at_one_and_zero():
    model = cnn()
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert norms
    for norm in norms:
        assert (norm.weight == 1).all()
        assert (norm.bias == 0).all()


@pytest.mark.parametrize("make", [mlp, cnn])
def test_weights_follow_their_generator_and_no_other(make):
    torch.manual_seed(10)
    first = make(seed=1)
    torch.manual_seed(20)
    assert equal(first, make(seed=1))
    assert not equal(first, make(seed=2))


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3)])
def test_cnn_gives_a_logit_for_each_class(shape):
    model = cnn(shape[-1])
    images = torch.randn(6, *shape, generator=seeded(1))
    logits = model(images)
    assert logits.shape == (6, 10)
    assert logits.isfinite().all()
    model.eval()
    # In batches of any size an image is judged by itself.
    np.testing.assert_allclose(model(images)[:2].detach(), model(images[:2]).detach(), atol=1e-5)


def test_cnn_keeps_channels_last_in_memory():
    filters = [parameter for parameter in cnn().parameters() if parameter.dim() == 4]
    assert filters
    assert all(parameter.is_contiguous(memory_format=torch.channels_last) for parameter in filters)


def test_cnn_logits_are_scaled():
    images = torch.randn(4, 32, 32, 3, generator=seeded(1))
    plain, scaled = cnn(), cnn(logit_scale=0.125)
    np.testing.assert_allclose(scaled(images).detach() * 8, plain(images).detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [normalised_mlp, cnn])
def test_every_parameter_is_reached_by_the_gradient(make):
    model = make()
    logits = model(torch.randn(16, 16, 16, 3, generator=seeded(1)))
    cross_entropy(logits, torch.arange(16) % 5).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_cnn_learns_a_few_images_of_noise_by_heart():
    model = cnn()
    images, labels = torch.randn(20, 16, 16, 3, generator=seeded(1)), torch.arange(20) % 10
    step = torch.optim.Adam(model.parameters(), lr=0.01)
    first = cross_entropy(model(images), labels).item()
    for _ in range(40):
        step.zero_grad()
        loss = cross_entropy(model(images), labels)
        loss.backward()
        step.step()
    assert (model(images).argmax(dim=1) == labels).all()
    assert loss.item() < 0.1 * first


@pytest.mark.parametrize("make", [normalised_mlp, cnn])
def test_weights_come_back_from_their_file(make, tmp_path):
    """Running statistics too, whatever the order in memory; the same network gives the same bytes."""
    images = torch.randn(8, 16, 16, 3, generator=seeded(1))
    model, other = make(seed=1), make(seed=2)
    model(images)  # so that the running statistics are not those of a new network
    save_weights(model, tmp_path / "a.safetensors")
    save_weights(model, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    other.load_state_dict(load_file(tmp_path / "a.safetensors"))
    assert equal(model, other)
    assert torch.equal(model.eval()(images), other.eval()(images))

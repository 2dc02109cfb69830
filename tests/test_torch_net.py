"""The PyTorch networks against the NumPy network, plain loops, formulas, and worked examples."""

import math
from collections import Counter
from itertools import chain

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.functional import cross_entropy

from stages import numpy_net
from stages.numpy_net.losses import CrossEntropy, smooth_labels
from stages.numpy_net.optimisers import OPTIMISERS as NUMPY_OPTIMISERS
from stages.numpy_net.optimisers import optimiser as numpy_optimiser
from stages.torch_net import prediction, training
from stages.torch_net.cnn import CNN
from stages.torch_net.convolution import Convolution, NarrowConvolution
from stages.torch_net.images import Augmentation, Batches, Normalisation
from stages.torch_net.layers import Dropout, active_dropout, draw_weights
from stages.torch_net.mlp import MLP
from stages.torch_net.optimisers import OPTIMISERS, optimiser
from stages.torch_net.prediction import predict, score
from stages.torch_net.training import Phase, take_step

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE, CLASSES = (4, 3, 2), 5  # height, width, channels: all different, so that swapped axes are noticed
NORMALISE = Normalisation(torch.tensor([0.4, 0.6]), torch.tensor([0.2, 0.3]))
DTYPES = {"float32": (torch.float32, {"rtol": 1e-4, "atol": 1e-6}), "float64": (torch.float64, {"rtol": 1e-10})}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def mlp(hidden=(8, 6), outputs=CLASSES, *, inputs=24, seed=3, **settings):
    return MLP(inputs, hidden, outputs, generator=seeded(seed), dropout_generator=seeded(4), **settings)


def cnn(channels=3, *, seed=0, **settings):
    return CNN(channels, 8, [16, 24], 10, generator=seeded(seed), **settings)


def largest_difference(first, second):
    """Of two networks' parameters."""
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return max((ours - theirs).abs().max().item() for ours, theirs in pairs)


# Networks


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "Linear ReLU Linear ReLU Linear"),
        ({"dropout": 0.2}, "Linear ReLU Linear ReLU Dropout Linear"),
        ({"dropout": 0.2, "dropout_everywhere": True}, "Linear ReLU Dropout Linear ReLU Dropout Linear"),
        ({"dropout_everywhere": True, "activation": "tanh"}, "Linear Tanh Linear Tanh Linear"),
        ({"batch_norm": True}, "Linear BatchNorm1d ReLU Linear BatchNorm1d ReLU Linear"),
    ],
)
def test_mlp_layers(settings, expected):
    layers = list(mlp(**settings).layers)
    assert " ".join(type(layer).__name__ for layer in layers) == expected
    has_bias = [layer.bias is not None for layer in layers if isinstance(layer, nn.Linear)]
    assert has_bias == [not settings.get("batch_norm")] * 2 + [True]


@pytest.mark.parametrize(
    ("model", "count"),
    [
        (lambda: mlp([256, 128], 10, inputs=3072), 3072 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10),
        (cnn, 2 * 2 * 3 * 8 + 8 + 9 * (8 * 16 + 16 * 16 + 16 * 24 + 24 * 24) + 4 * (16 + 24) + 24 * 10),
    ],
)
def test_parameter_counts(model, count):
    assert sum(parameter.numel() for parameter in model().parameters()) == count


def test_batch_norm_mlp_against_its_formula():
    """W x, normalised over the batch, ReLU, W x + b; pixels are flattened row by row, channels within a pixel."""
    model, images = mlp([8], batch_norm=True), torch.randn(7, *SHAPE, generator=seeded(5))
    values = {name: value.double().numpy().copy() for name, value in model.state_dict().items()}
    flat = np.stack([np.concatenate([pixel for row in image for pixel in row]) for image in images.double().numpy()])
    z = flat @ values["layers.0.weight"].T
    z = np.maximum((z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5), 0)
    expected = z @ values["layers.3.weight"].T + values["layers.3.bias"]
    np.testing.assert_allclose(model(images).detach(), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(28, 28, 3), (32, 32, 3)])
def test_cnn_against_its_formula(shape):
    model, images = cnn(activation="gelu", logit_scale=0.125), torch.randn(6, *shape, generator=seeded(1))
    w = model.state_dict()

    def norm(x):  # over batch and pixels
        return (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()

    x = functional.gelu(functional.conv2d(images.movedim(3, 1), w["stem.weight"], w["stem.bias"]))
    for block in ("blocks.0", "blocks.1"):
        x = functional.conv2d(x, w[f"{block}.down.weight"], padding=1)
        x = functional.gelu(norm(functional.max_pool2d(x, 2)))
        x = x + functional.gelu(norm(functional.conv2d(x, w[f"{block}.same.weight"], padding=1)))
    expected = x.flatten(start_dim=2).max(dim=2).values @ w["output.weight"].T * 0.125
    logits = model(images)
    assert logits.shape == (6, 10)
    np.testing.assert_allclose(logits.detach(), expected, atol=2e-5)
    assert model.stem.weight.is_contiguous(memory_format=torch.channels_last)
    model.eval()
    np.testing.assert_allclose(model(images)[:2].detach(), model(images[:2]).detach(), atol=1e-5)


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 3, 3), (6, 2, 5), (15, 1, 1), (40, 7, 7)])
def test_gradients_of_a_narrow_convolution_are_those_of_pytorch(batch, height, width):
    x = torch.randn(batch, 4, height, width, generator=seeded(1), dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, 4, 3, 3, generator=seeded(2), dtype=torch.float64, requires_grad=True)
    error = torch.randn(batch, 5, height, width, generator=seeded(3), dtype=torch.float64)
    expected = torch.autograd.grad(functional.conv2d(x, weight, padding=1), (x, weight), error)
    found = torch.autograd.grad(NarrowConvolution.apply(x, weight), (x, weight), error)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("width", "dtype", "narrow"), [(8, "bfloat16", True), (9, "bfloat16", False), (8, "float32", False)]
)
def test_only_narrow_images_in_bfloat16_are_put_side_by_side(width, dtype, narrow):
    dtype = getattr(torch, dtype)
    x, error = (torch.randn(6, channels, width, width, generator=seeded(channels)) for channels in (4, 5))
    layer = Convolution(4, 5)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        output = layer(x.to(dtype))
    assert (output.grad_fn.name() == "NarrowConvolutionBackward") is narrow
    (expected,) = torch.autograd.grad(functional.conv2d(x, layer.weight, padding=1), layer.weight, error)
    (found,) = torch.autograd.grad(output, layer.weight, error.to(dtype))
    assert (found - expected).norm() < 0.01 * expected.norm()


def test_cnn_gradient_reaches_every_parameter_and_a_few_images_are_memorised():
    model, images, labels = cnn(), torch.randn(20, 16, 16, 3, generator=seeded(1)), torch.arange(20) % 10
    step = optimiser("adam", model.parameters())
    for _ in range(40):
        loss = cross_entropy(model(images), labels)
        take_step(step, loss, 0.01)
    assert all(parameter.grad.abs().max() > 0 for parameter in model.parameters())
    assert (model(images).argmax(dim=1) == labels).all()
    assert loss.item() < 0.2


@pytest.mark.parametrize("rate", [0.15, 0.5])
def test_dropout(rate):
    generator, x = seeded(3), torch.ones(400, 500, requires_grad=True)
    layer, state = Dropout(rate, generator), torch.get_rng_state()
    out = layer(x)
    out.sum().backward()
    assert (out == 0).float().mean().item() == pytest.approx(rate, abs=0.005)
    assert out.mean().item() == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(out[out != 0].detach(), 1 / (1 - rate), rtol=1e-6)
    assert torch.equal(x.grad, out.detach())  # x is 1, so that the output is the mask
    shares = (out == 0).float().mean(dim=0)  # (units,)
    assert abs(shares - rate).max() < 5 * math.sqrt(rate * (1 - rate) / 400)
    assert not torch.equal(layer(x), out)
    assert torch.equal(Dropout(rate, seeded(3))(x), out)
    assert layer(x.bfloat16()).dtype == torch.bfloat16
    drawn = generator.get_state()
    assert layer.eval()(x) is x
    assert torch.equal(generator.get_state(), drawn)
    assert torch.equal(torch.get_rng_state(), state)
    with active_dropout(nn.Sequential(layer), seeded(5)):
        assert torch.equal(layer(x), Dropout(rate, seeded(5))(x))
    assert layer(x) is x
    assert torch.equal(generator.get_state(), drawn)


@pytest.mark.parametrize("make", [lambda: nn.Linear(50, 40), lambda: nn.Conv2d(4, 50, 3), lambda: nn.Conv2d(2, 3, 2)])
def test_weights_are_those_that_pytorch_draws(make):
    torch.manual_seed(1)
    theirs, ours = make(), make()
    state = torch.get_rng_state()
    draw_weights(ours, seeded(1))
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("changed", "equal"),
    [
        ({"hidden": (8, 6, 7)}, [0, 1]),
        ({"hidden": (8, 4)}, [0]),
        ({"activation": "tanh", "dropout": 0.5}, [0, 1, 2]),
        ({"outputs": 9}, [0, 1]),
        ({"seed": 4}, []),
    ],
)
def test_networks_with_the_same_seed_have_the_same_weights_up_to_the_first_other_shape(changed, equal):
    ours, theirs = (
        [layer for layer in model.layers if isinstance(layer, nn.Linear)] for model in (mlp(), mlp(**changed))
    )
    alike = [
        place
        for place, (one, other) in enumerate(zip(ours, theirs, strict=False))
        if torch.equal(one.weight, other.weight) and torch.equal(one.bias, other.bias)
    ]
    assert alike == equal


# Against the NumPy network


def pair(activation="relu", dtype="float64"):
    """The same network in NumPy and in PyTorch, and their layers side by side."""
    rng, sizes = np.random.default_rng(11), [math.prod(SHAPE), 8, 6, CLASSES]
    layers = [{"input_nodes": size, "activation": activation} for size in sizes[:3]]
    layers.append({"input_nodes": CLASSES, "activation": "softmax"})
    ours = numpy_net.build(layers, rng, dtype=np.dtype(dtype))
    ours.parameters += rng.normal(scale=0.1, size=len(ours.parameters))  # biases start at 0
    theirs = mlp(activation=activation).to(DTYPES[dtype][0])
    linear = [layer for layer in theirs.layers if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for dense, layer in zip(ours.dense, linear, strict=True):
            layer.weight.copy_(torch.tensor(dense.weights.T.copy()))  # (units, inputs)
            layer.bias.copy_(torch.tensor(dense.biases))
    return ours, theirs, list(zip(ours.dense, linear, strict=True))


def batch(dtype="float64"):
    """Images (9, *SHAPE), the same flat (9, inputs), and class numbers (9,)."""
    rng = np.random.default_rng(12)
    images = rng.normal(size=(9, *SHAPE)).astype(dtype)
    return torch.tensor(images), images.reshape(9, -1), rng.integers(CLASSES, size=9)


@pytest.mark.parametrize("dtype", sorted(DTYPES))
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "sigmoid", "tanh", "gelu"])
def test_the_two_networks_have_the_same_loss_and_gradients(activation, smoothing, dtype):
    ours, theirs, layers = pair(activation, dtype)
    images, flat, labels = batch(dtype)
    if activation == "gelu":  # exact in PyTorch, the tanh form in NumPy: close, and here made the same
        np.testing.assert_allclose(ours.forward(flat), theirs(images).detach(), atol=5e-3)
        theirs.layers[1].approximate = theirs.layers[3].approximate = "tanh"
    loss, close = CrossEntropy(), DTYPES[dtype][1]
    targets = smooth_labels(np.eye(CLASSES, dtype=dtype)[labels], smoothing)
    value = loss.forward(ours.forward(flat, training=True), targets).mean()
    ours.backward(loss.backward())
    expected = cross_entropy(theirs(images), torch.tensor(labels), label_smoothing=smoothing)
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=close["rtol"])
    for dense, layer in layers:
        np.testing.assert_allclose(dense.weight_gradient, layer.weight.grad.T, **{"atol": 1e-13, **close})
        np.testing.assert_allclose(dense.bias_gradient, layer.bias.grad, **{"atol": 1e-13, **close})
        assert np.abs(dense.weight_gradient).max() > 1e-4


@pytest.mark.parametrize("name", sorted({*OPTIMISERS, *NUMPY_OPTIMISERS}))
def test_the_two_networks_optimisers_take_the_same_steps(name):
    """Ten steps at changing rates; what is not set has the same default."""
    ours, theirs, layers = pair("tanh")
    images, flat, labels = batch()
    loss, targets = CrossEntropy(), np.eye(CLASSES)[labels]
    settings = {"momentum": 0.9 * (name in ("momentum", "nesterov")), "weight_decay": 0.1 * (name == "adamw")}
    rule, step = numpy_optimiser(name, ours.parameters, **settings), optimiser(name, theirs.parameters(), **settings)
    before = ours.parameters.copy()
    for rate in [0.02, 0.04, 0.06] * 3 + [0.02]:
        loss.forward(ours.forward(flat, training=True), targets)
        ours.backward(loss.backward())
        rule.step(ours.parameters, ours.gradient, rate)
        take_step(step, cross_entropy(theirs(images), torch.tensor(labels)), rate)
    for dense, layer in layers:
        np.testing.assert_allclose(dense.weights, layer.weight.detach().T, rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(dense.biases, layer.bias.detach(), rtol=1e-7, atol=1e-10)
    assert np.abs(ours.parameters - before).max() > 0.02


@pytest.mark.parametrize(
    ("name", "settings", "gradient", "steps", "expected"),
    [
        ("sgd", {"weight_decay": 0.1}, 0, 1, 2 * 0.95),
        ("adamw", {"weight_decay": 0.1}, 0, 1, 2 * 0.95),
        ("adam", {"weight_decay": 0.1}, 0, 1, 2 - 0.5),  # a whole step
        ("adam", {"momentum": 0.9}, 0, 1, 2),
        ("sgd", {"momentum": 0.9}, 1, 2, 2 - 0.5 * (1 + 1.9)),  # published bug F7 gives sgd a momentum
        ("momentum", {"momentum": 0.9}, 1, 2, 2 - 0.5 * (1 + 1.9)),
        ("nesterov", {"momentum": 0.9}, 1, 2, 2 - 0.5 * (1.9 + 2.71)),
    ],
)
def test_optimiser_settings_worked_examples(name, settings, gradient, steps, expected):
    weight = nn.Parameter(torch.tensor([2.0]))
    step = optimiser(name, [weight], **settings)
    for _ in range(steps):
        take_step(step, (weight * gradient).sum(), 0.5)
    assert weight.item() == pytest.approx(expected, rel=1e-5)


# Images


@pytest.mark.parametrize(("mean", "std"), [([0.1, 0.5, 0.9], [0.2, 0.3, 0.7]), ([0.0] * 3, [1.0] * 3)])
def test_normalisation(mean, std):
    images = torch.arange(256, dtype=torch.uint8).repeat_interleave(3).reshape(256, 1, 1, 3)
    normalise = Normalisation(torch.tensor(mean), torch.tensor(std))
    expected = (images.numpy() / 255 - mean) / std
    np.testing.assert_allclose(normalise(images), expected, atol=2e-6)
    assert torch.equal(normalise(images, torch.bfloat16), normalise(images).bfloat16())


@pytest.mark.parametrize(
    ("shift", "flip", "size"),
    [(0, False, 1), (0, True, 1), (1, False, 1), (1, True, 1), (2, True, 1), (0, False, 0.5), (1, True, 0.7)],
)
def test_crops_and_flips_are_those_of_a_plain_loop(shift, flip, size):
    """Every view of a reflected image is drawn, each about as often as the others."""
    images = torch.randint(256, (4, 7, 6, 3), generator=seeded(0), dtype=torch.uint8)
    padded = np.pad(images.numpy(), [(0, 0), (shift, shift), (shift, shift), (0, 0)], mode="reflect")
    tall, wide = {1: (7, 6), 0.5: (4, 3), 0.7: (5, 4)}[size]
    corners = [(top, left) for top in range(8 + 2 * shift - tall) for left in range(7 + 2 * shift - wide)]
    known = []
    for image in padded:
        views = [image[top : top + tall, left : left + wide] for top, left in corners]
        views += [view[:, ::-1] for view in views] if flip else []
        known.append({view.tobytes(): number for number, view in enumerate(views)})
    augment, chosen = Augmentation(shift, flip, 0, seeded(1)), torch.arange(4000) % 4
    np.testing.assert_array_equal(augment.pad(images), padded)
    result = augment.crop(augment.pad(images), chosen, size)
    assert (result.shape, result.dtype) == ((4000, tall, wide, 3), torch.uint8)
    # A view of another image, or pixels of two, would be a KeyError.
    pairs = zip(chosen.tolist(), result.numpy(), strict=True)
    counts = Counter(known[number][view.tobytes()] for number, view in pairs)
    expected = 4000 / len(known[0])
    assert len(counts) == len(known[0]) == len(corners) * (1 + flip)
    assert max(abs(count - expected) for count in counts.values()) < 5 * expected**0.5


@pytest.mark.parametrize("size", [0, 1, 3, 4])
def test_cutout_sets_a_square_to_the_mean_and_nothing_else(size):
    height, width = 10, 8
    images = 1 + torch.rand(2000, height, width, 3, generator=seeded(2))  # no pixel is 0
    result = Augmentation(0, False, size, seeded(3)).blank(images).numpy()
    blank = result == 0
    assert (blank.all(axis=3) == blank.any(axis=3)).all()
    np.testing.assert_array_equal(result[~blank], images.numpy()[~blank])
    rows, columns = blank[..., 0].any(axis=2), blank[..., 0].any(axis=1)  # (images, height), (images, width)
    np.testing.assert_array_equal(blank[..., 0], rows[:, :, None] & columns[:, None, :])
    for inside, length in ((rows, height), (columns, width)):
        starts = [centre - size // 2 for centre in range(length)]
        expected = Counter(max(min(start + size, length) - max(start, 0), 0) for start in starts)
        counts = Counter(inside.sum(axis=1).tolist())
        assert counts.keys() == expected.keys()
        for span, count in counts.items():
            often = expected[span] * 2000 / length
            assert abs(count - often) < 5 * often**0.5
        assert size == 0 or inside.any(axis=0).all()


def test_crops_are_small_in_early_epochs():
    images, labels = data()
    augment = Augmentation(1, False, 0, seeded(1))
    batches = Batches(augment.pad(images), labels, 16, augment, seeded(5), early_size=0.5, early_epochs=2)
    shapes = [{tuple(x.shape[1:]) for x, _ in batches.epoch(number)} for number in (1, 2, 3, 4)]
    assert shapes == [{(2, 2, 2)}, {(2, 2, 2)}, {SHAPE}, {SHAPE}]


# Training and prediction


def data(count=50, seed=0):
    """Images (count, *SHAPE), brighter the higher their class, and class numbers (count,)."""
    labels = torch.randint(CLASSES, (count,), generator=seeded(seed))
    noise = torch.randint(60, (count, *SHAPE), generator=seeded(seed + 1))
    return (noise + 45 * labels[:, None, None, None]).to(torch.uint8), labels


class Recorder(Augmentation):
    """No augmentation; records which images make up each batch."""

    def __init__(self):
        super().__init__(0, False, 0, seeded(0))
        self.batches = []

    def crop(self, padded, chosen, size):
        self.batches.append(chosen.tolist())
        return super().crop(padded, chosen, size)


def train(model, *phases, augment=None, **settings):
    """Loss and accuracy on the training images after every epoch."""
    images, labels = data()
    augment = augment or Recorder()
    batches = Batches(NORMALISE(augment.pad(images)), labels, 16, augment, seeded(5))

    pixels = NORMALISE(images)
    return [score(predict(model, pixels), labels) for _ in training.train(model, batches, phases, **settings)]


@pytest.mark.parametrize("forget", [True, False])
def test_training_equals_a_plain_loop_with_a_new_optimiser_for_each_phase(forget):
    (images, labels), ours, theirs, recorder = data(), mlp(), mlp(), Recorder()
    phases = [
        Phase("nesterov", [[0.1, 0.2, 0.1, 0.05]] * 2, 0.9, 0.0),
        Phase("nesterov", [[0.02, 0.01, 0.03, 0.02]] * 2, 0.8, 0.05),
    ]
    assert len(train(ours, *phases, augment=recorder, label_smoothing=0.1)) == 4
    pixels, batches, reference = (images.float() / 255 - NORMALISE.mean) / NORMALISE.std, iter(recorder.batches), None
    for phase in phases:
        changed = {"momentum": phase.momentum, "weight_decay": phase.weight_decay}
        if forget or reference is None:
            reference = torch.optim.SGD(theirs.parameters(), nesterov=True, **changed)
        else:
            reference.param_groups[0].update(changed)  # keeps the velocity
        for rate in chain(*phase.learning_rates):
            chosen = next(batches)
            reference.zero_grad()
            cross_entropy(theirs(pixels[chosen]), labels[chosen], label_smoothing=0.1).backward()
            reference.param_groups[0]["lr"] = rate
            reference.step()
    assert (largest_difference(ours, theirs) < 1e-5) if forget else (largest_difference(ours, theirs) > 1e-3)


def test_every_epoch_visits_every_image_once_in_a_new_order():
    first, second = Recorder(), Recorder()
    phases = [Phase("sgd", [[0.1] * 4] * 2, 0.0, 0.0), Phase("sgd", [[0.1] * 4], 0.0, 0.0)]
    for recorder, other in ((first, 1), (second, 2)):
        torch.manual_seed(other)
        train(mlp(), *phases, augment=recorder)
    assert second.batches == first.batches
    assert [len(chosen) for chosen in first.batches] == [16, 16, 16, 2] * 3
    orders = [list(chain(*first.batches[start : start + 4])) for start in (0, 4, 8)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert orders[0] != orders[1] != orders[2] != orders[0]


@pytest.mark.parametrize("steps", [3, 5])
def test_a_wrong_number_of_rates_is_an_error(steps):
    with pytest.raises(ValueError, match="zip"):
        train(mlp(), Phase("sgd", [[0.1] * steps], 0.0, 0.0))


def test_accuracy_is_that_of_all_images_not_the_mean_of_batches(monkeypatch):
    """Published bug F13: all of the first batch of 7 are correct, and none of the second of 3."""
    monkeypatch.setattr(prediction, "BATCH", 7)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
    images = torch.where(torch.arange(10) < 7, labels, (labels + 1) % 3).to(torch.uint8).reshape(10, 1, 1, 1)

    class Reader(nn.Module):  # reads its prediction from the first pixel
        def forward(self, x):
            return 10.0 * functional.one_hot((x[:, 0, 0, 0] * 255).round().long(), 3)

    loss, accuracy = score(predict(Reader(), images / 255), labels)
    assert accuracy == 0.7
    assert loss == pytest.approx(math.log1p(2 * math.exp(-10)) + 0.3 * 10, rel=1e-5)


@pytest.mark.parametrize("size", [1000, 7])
@pytest.mark.parametrize("flip", [False, True])
def test_prediction_averages_an_image_and_its_mirror_image(size, flip, monkeypatch):
    monkeypatch.setattr(prediction, "BATCH", size)
    images, model = NORMALISE(data(20)[0]), mlp(batch_norm=True, dropout=0.5)
    model(images)  # for running statistics
    model.eval()
    mirrored = torch.tensor(images.numpy()[:, :, ::-1].copy())
    views = [model(view).detach() for view in (images, mirrored)]
    model.train()
    expected = sum(views) / 2 if flip else views[0]
    np.testing.assert_allclose(predict(model, images, flip=flip), expected, atol=1e-6)
    assert (views[0] - views[1]).abs().max() > 1e-3


def test_prediction_with_dropout_draws_from_its_own_generator_and_leaves_batch_norm_alone():
    images, model = NORMALISE(data(2000)[0]), mlp(batch_norm=True, dropout=0.5)
    model(images)
    drawn, state = model.layers[-2].generator.get_state(), {k: v.clone() for k, v in model.state_dict().items()}
    first, second, other = (predict(model, images, dropout=seeded(seed)) for seed in (1, 1, 2))
    whole = predict(model, images)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert not torch.equal(first, whole)
    assert (first - whole).mean().abs() < 0.01  # the outputs are linear in what is dropped
    assert torch.equal(model.layers[-2].generator.get_state(), drawn)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_augmentation_is_for_training_only():
    """Cutouts larger than the image leave nothing to learn from."""
    phase = Phase("momentum", [[0.1] * 4] * 20, 0.9, 0.0)
    assert train(mlp(), phase)[-1][1] > 0.9
    assert train(mlp(dropout=0.2), phase, augment=Augmentation(0, False, 32, seeded(0)))[-1][0] > 1.3


def test_the_loss_of_bfloat16_is_that_of_label_smoothing_in_float32():
    """Not rounded to bfloat16: one step of one batch against PyTorch."""
    images, labels = data(16)
    ours, theirs, smoothing = mlp(), mlp(), {"label_smoothing": 0.2}
    batches = Batches(NORMALISE(images), labels, 16, Recorder(), seeded(5))
    phases = [Phase("sgd", [[0.1]], 0.0, 0.0)]
    epochs = training.train(ours, batches, phases, dtype=torch.bfloat16, **smoothing)
    assert [epoch for epoch, _ in epochs] == [1]
    step = torch.optim.SGD(theirs.parameters(), 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        logits = theirs(NORMALISE(images)[batches.augment.batches[0]])
    cross_entropy(logits.float(), labels[batches.augment.batches[0]], **smoothing).backward()
    step.step()
    assert largest_difference(ours, theirs) < 1e-6 < largest_difference(ours, mlp())


def test_the_same_generators_give_the_same_bytes_and_bfloat16_is_close_to_float32():
    models, losses = [], []
    for number in range(4):
        torch.manual_seed(number)
        models.append(mlp(dropout=0.3))
        phase, augment = Phase("adam", [[0.01] * 4] * 2, 0.0, 0.0), Augmentation(1, True, 2, seeded(9))
        dtype = torch.bfloat16 if number > 1 else torch.float32
        losses.append(train(models[-1], phase, augment=augment, dtype=dtype)[-1][0])
    assert largest_difference(*models[:2]) == largest_difference(*models[2:]) == 0
    assert all(parameter.dtype == torch.float32 for parameter in models[2].parameters())
    assert losses[2] != losses[0] == pytest.approx(losses[2], rel=0.02)

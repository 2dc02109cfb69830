"""Training and prediction in PyTorch against loops written out plainly, and figures worked out by hand."""

import math
from itertools import chain

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from stages.common.errors import StudyError
from stages.common.schedules import learning_rates
from stages.common.torch_run import device
from stages.torch_net import prediction
from stages.torch_net.devices import DEVICES, has_bfloat16
from stages.torch_net.images import Augmentation, Normalisation
from stages.torch_net.mlp import MLP
from stages.torch_net.optimisers import optimiser
from stages.torch_net.prediction import predict, score
from stages.torch_net.training import Phase, epochs

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE, CLASSES = (4, 3, 2), 5
NORMALISE = Normalisation(torch.tensor([0.4, 0.6]), torch.tensor([0.2, 0.3]))
UNIT = Normalisation(torch.zeros(1), torch.ones(1))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def data(count=50, seed=0):
    """Images (count, *SHAPE), brighter the higher their class, and class numbers (count,)."""
    labels = torch.randint(CLASSES, (count,), generator=seeded(seed))
    noise = torch.randint(60, (count, *SHAPE), generator=seeded(seed + 1))
    return (noise + 45 * labels[:, None, None, None]).to(torch.uint8), labels


def network(**settings):
    return MLP(math.prod(SHAPE), [8, 6], CLASSES, generator=seeded(3), dropout_generator=seeded(4), **settings)


class Noted(Augmentation):
    """Nothing but a look at which images make up each batch."""

    def __init__(self):
        super().__init__(0, False, 0, seeded(0))
        self.batches = []

    def crop(self, padded, chosen):
        self.batches.append(chosen.tolist())
        return super().crop(padded, chosen)


def train(model, images, labels, phases, *, augment=None, evaluation=None, batch_size=16, **settings):
    rows = epochs(
        model,
        images,
        labels,
        evaluation=evaluation or (images, labels),
        phases=phases,
        batch_size=batch_size,
        normalise=NORMALISE,
        augment=augment or Noted(),
        generator=seeded(5),
        **settings,
    )
    return list(rows)


def plain_training(model, images, labels, batches, rates, make_optimiser, **settings):
    """The same training written out: `make_optimiser(epoch)` returns a new optimiser, or None to go on with the old."""
    pixels = (images.float() / 255 - NORMALISE.mean) / NORMALISE.std
    per_epoch = len(batches) // len(rates)
    step = None
    for number, chosen in enumerate(batches):
        epoch, place = divmod(number, per_epoch)
        if place == 0:
            step = make_optimiser(epoch) or step
        loss = cross_entropy(model(pixels[chosen]), labels[chosen], **settings)
        step.zero_grad()
        loss.backward()
        step.param_groups[0]["lr"] = rates[epoch][place]
        step.step()


def far_apart(first, second):
    """The largest difference between two networks' weights."""
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return max((ours - theirs).abs().max().item() for ours, theirs in pairs)


def test_training_is_a_plain_loop():
    images, labels = data()
    rates = learning_rates("one_cycle", 0.2, 3, 4, 0.3).tolist()
    ours, theirs, note = network(), network(), Noted()
    train(ours, images, labels, [Phase("momentum", rates, 0.9, 0.01)], augment=note, label_smoothing=0.1)
    plain_training(
        theirs,
        images,
        labels,
        note.batches,
        rates,
        lambda epoch: None if epoch else torch.optim.SGD(theirs.parameters(), momentum=0.9, weight_decay=0.01),
        label_smoothing=0.1,
    )
    assert far_apart(ours, theirs) < 1e-5
    assert far_apart(ours, network()) > 0.1


def test_every_epoch_meets_every_image_once_in_a_new_order():
    images, labels = data()
    note, other = Noted(), Noted()
    phases = [Phase("sgd", [[0.1] * 4] * 2, 0.0, 0.0), Phase("sgd", [[0.1] * 4], 0.0, 0.0)]
    train(network(), images, labels, phases, augment=note)
    assert [len(batch) for batch in note.batches] == [16, 16, 16, 2] * 3
    orders = [list(chain(*note.batches[start : start + 4])) for start in (0, 4, 8)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert orders[0] != orders[1] != orders[2] != orders[0]
    torch.manual_seed(77)
    train(network(), images, labels, phases, augment=other)
    assert other.batches == note.batches


def test_a_phase_forgets_the_one_before():
    images, labels = data()
    first = Phase("nesterov", [[0.1, 0.2, 0.1, 0.05]] * 2, 0.9, 0.0)
    second = Phase("nesterov", [[0.02, 0.01, 0.03, 0.02]] * 2, 0.8, 0.05)
    ours, forgetful, faithful, note = network(), network(), network(), Noted()
    rows = train(ours, images, labels, [first, second], augment=note)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    rates = [*first.learning_rates, *second.learning_rates]

    def sgd(model, phase):
        settings = {"momentum": phase.momentum, "weight_decay": phase.weight_decay}
        return torch.optim.SGD(model.parameters(), nesterov=True, **settings)

    anew = {0: first, 2: second}
    plain_training(
        forgetful,
        images,
        labels,
        note.batches,
        rates,
        lambda epoch: sgd(forgetful, anew[epoch]) if epoch in anew else None,
    )
    assert far_apart(ours, forgetful) < 1e-5
    # The same, but for the velocity, which lives on in an optimiser whose settings alone are changed.
    kept = sgd(faithful, first)

    def change(epoch):
        if epoch == 2:
            kept.param_groups[0].update(momentum=second.momentum, weight_decay=second.weight_decay)
        return kept

    plain_training(faithful, images, labels, note.batches, rates, change)
    assert far_apart(ours, faithful) > 1e-3


def test_a_rate_too_few_or_too_many_is_an_error():
    images, labels = data()
    for steps in (3, 5):
        with pytest.raises(ValueError, match="zip"):
            train(network(), images, labels, [Phase("sgd", [[0.1] * steps], 0.0, 0.0)])


def test_sgd_with_a_momentum_is_momentum():
    """As the published code ran it: a weight decay passed in the momentum's place (published fault F7)."""
    images, labels = data()
    models = {name: network() for name in ("sgd", "momentum", "without")}
    for name, model in models.items():
        rule, momentum = ("sgd", 0.0) if name == "without" else (name, 0.9)
        train(model, images, labels, [Phase(rule, [[0.1] * 4], momentum, 0.0)])
    assert far_apart(models["sgd"], models["momentum"]) == 0
    assert far_apart(models["sgd"], models["without"]) > 1e-3


@pytest.mark.parametrize(("name", "shrunk"), [("adamw", 1 - 0.5 * 0.1), ("sgd", 1 - 0.5 * 0.1), ("adam", None)])
def test_weight_decay_worked_example(name, shrunk):
    """Where the gradient is 0: adamw and sgd take lr · decay of w away; adam makes a whole step of it."""
    weight = nn.Parameter(torch.tensor([2.0, -3.0]))
    step = optimiser(name, [weight], weight_decay=0.1)
    weight.grad = torch.zeros(2)
    step.param_groups[0]["lr"] = 0.5
    step.step()
    expected = [2 * shrunk, -3 * shrunk] if shrunk else [2 - 0.5, -3 + 0.5]
    np.testing.assert_allclose(weight.detach(), expected, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_train_loss_is_the_mean_over_images(smoothing):
    """At a rate of 0 nothing is learnt; the last of 7 batches has 2 images, which count for 2."""
    images, labels = data()
    model, note = network(), Noted()
    (row,) = train(
        model,
        images,
        labels,
        [Phase("sgd", [[0.0] * 7], 0.0, 0.0)],
        augment=note,
        batch_size=8,
        label_smoothing=smoothing,
    )
    logits = model(NORMALISE(images))
    losses = cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
    assert row["train_loss"] == pytest.approx(losses.mean().item(), rel=1e-5)
    by_batch = [losses[batch].mean().item() for batch in note.batches]
    assert row["train_loss"] != pytest.approx(np.mean(by_batch), rel=1e-4)
    assert row["loss"] == pytest.approx(cross_entropy(logits, labels).item(), rel=1e-5)  # scored without smoothing


class Reader(nn.Module):
    """A network that reads its answer from the first pixel, sure of it; `unused` is there to be trained."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        said = (x[:, 0, 0, 0] * 255).round().long()
        return 10.0 * nn.functional.one_hot(said, 3) + self.unused


def test_accuracy_is_that_of_all_images_not_the_mean_of_batches(monkeypatch):
    """Published fault F13: here 7 of 10 are right, all of the first batch of 7 and none of the second of 3."""
    monkeypatch.setattr(prediction, "BATCH", 7)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
    said = torch.where(torch.arange(10) < 7, labels, (labels + 1) % 3)
    images = said.to(torch.uint8).reshape(10, 1, 1, 1)
    expected_loss = (7 * math.log1p(2 * math.exp(-10)) + 3 * (10 + math.log1p(2 * math.exp(-10)))) / 10
    loss, accuracy = score(predict(Reader(), images, UNIT), labels)
    assert accuracy == 0.7
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    (row,) = epochs(
        Reader(),
        images[:4],
        labels[:4],
        evaluation=(images, labels),
        phases=[Phase("sgd", [[0.0]], 0.0, 0.0)],
        batch_size=4,
        normalise=UNIT,
        augment=Noted(),
        generator=seeded(0),
    )
    assert row["accuracy"] == 0.7
    assert row["loss"] == pytest.approx(expected_loss, rel=1e-5)


def test_score_worked_example():
    """Probabilities 1/4 and 3/4: a wrong answer costs ln 4, a right one ln 4/3."""
    logits = torch.tensor([[math.log(3), 0.0], [math.log(3), 0.0], [0.0, math.log(3)]])
    loss, accuracy = score(logits, torch.tensor([1, 0, 1]))
    assert loss == pytest.approx((math.log(4) + 2 * math.log(4 / 3)) / 3, rel=1e-6)
    assert accuracy == 2 / 3


@pytest.mark.parametrize("size", [1000, 7])
def test_prediction_with_flips_is_the_mean_of_both_views(size, monkeypatch):
    monkeypatch.setattr(prediction, "BATCH", size)
    images, _ = data(20)
    model = network(batch_norm=True, dropout=0.5)
    model(NORMALISE(images))  # running statistics of some images
    model.eval()
    mirrored = torch.tensor(images.numpy()[:, :, ::-1].copy())  # left is right
    views = [model(NORMALISE(batch)).detach() for batch in (images, mirrored)]
    model.train()
    np.testing.assert_allclose(predict(model, images, NORMALISE), views[0], atol=1e-6)
    model.train()
    np.testing.assert_allclose(predict(model, images, NORMALISE, flip=True), sum(views) / 2, atol=1e-6)
    assert (views[0] - views[1]).abs().max() > 1e-3


def test_rows_are_scored_with_flips_where_asked_for():
    images, labels = data()
    model = network()
    (row,) = train(model, images, labels, [Phase("sgd", [[0.1] * 4], 0.0, 0.0)], flip=True)
    assert (row["loss"], row["accuracy"]) == score(predict(model, images, NORMALISE, flip=True), labels)
    assert row["loss"] != score(predict(model, images, NORMALISE), labels)[0]


def test_training_uses_dropout_and_scoring_does_not():
    """In the second epoch too, when the network has been scored once."""
    images, labels = data()
    model = network(dropout=0.5)
    rows = train(model, images, labels, [Phase("sgd", [[0.0] * 4] * 2, 0.0, 0.0)])
    model.eval()
    exact = cross_entropy(model(NORMALISE(images)), labels).item()
    for row in rows:
        assert row["loss"] == pytest.approx(exact, rel=1e-5)
        assert row["train_loss"] != pytest.approx(exact, rel=1e-3)


def test_images_are_augmented_in_training_alone():
    """Cutouts larger than the image leave nothing to learn from; the images that are scored are whole."""
    images, labels = data()
    model, blind = network(), network()
    phases = [Phase("momentum", [[0.1] * 4] * 20, 0.9, 0.0)]
    rows = train(model, images, labels, phases)
    assert rows[-1]["accuracy"] > 0.9
    rows = train(blind, images, labels, phases, augment=Augmentation(0, False, 32, seeded(0)))
    assert rows[-1]["train_loss"] > 1.3
    logits = predict(blind, images, NORMALISE)
    assert rows[-1]["loss"] == score(logits, labels)[0]
    assert logits.std(dim=0).max() > 1e-3


def test_bfloat16_is_close_to_float32():
    images, labels = data()
    single, half = network(), network()
    phases = [Phase("sgd", [[0.2] * 4] * 5, 0.0, 0.0)]
    single_rows = train(single, images, labels, phases)
    half_rows = train(half, images, labels, phases, bfloat16=True)
    assert all(parameter.dtype == torch.float32 for parameter in half.parameters())
    for key in ("train_loss", "loss"):
        ours, theirs = ([row[key] for row in rows] for rows in (half_rows, single_rows))
        assert ours != theirs
        np.testing.assert_allclose(ours, theirs, rtol=0.02)
    exact, rounded = (predict(single, images, NORMALISE, flip=True, bfloat16=low) for low in (False, True))
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    np.testing.assert_allclose(rounded, exact, atol=0.05 * exact.abs().max().item())


def test_the_loss_itself_is_never_rounded_to_bfloat16():
    """At a rate of 0, the loss in training is that of the scored images, though its last batch has but two."""
    images, labels = data()
    (row,) = train(network(), images, labels, [Phase("sgd", [[0.0] * 4], 0.0, 0.0)], bfloat16=True)
    assert row["train_loss"] == pytest.approx(row["loss"], rel=2e-5)


@pytest.mark.parametrize("low", [False, True])
def test_the_same_training_gives_the_same_bytes(low):
    images, labels = data()
    first, second = network(dropout=0.3), network(dropout=0.3)
    for model, other in ((first, 1), (second, 2)):
        torch.manual_seed(other)
        augment = Augmentation(1, True, 2, seeded(9))
        train(model, images, labels, [Phase("adam", [[0.01] * 4] * 2, 0.0, 0.0)], augment=augment, bfloat16=low)
    assert far_apart(first, second) == 0


@pytest.mark.parametrize(
    ("kind", "capability", "expected"),
    [
        ("cpu", {"avx512_bf16": True}, True),
        ("cpu", {"avx512_bf16": False}, False),
        ("cpu", {}, False),  # another architecture
        ("cuda", (8, 0), True),
        ("cuda", (9, 0), True),
        ("cuda", (7, 5), False),
        ("mps", None, False),
    ],
)
def test_bfloat16_is_for_devices_that_have_it(kind, capability, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capability)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda where: capability)
    assert has_bfloat16(torch.device(kind)) is expected


@pytest.mark.parametrize(
    ("cuda", "mps", "best"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu"), (True, False, "cuda")]
)
def test_the_device_is_the_best_there_is_or_the_one_asked_for(cuda, mps, best, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.delenv("STUDY_DEVICE", raising=False)
    assert device() == torch.device(best)
    for name, there in (("cpu", True), ("cuda", cuda), ("mps", mps), ("auto", True)):
        monkeypatch.setenv("STUDY_DEVICE", name)
        if there:
            assert device() == torch.device(best if name == "auto" else name)
        else:
            with pytest.raises(StudyError, match=f"STUDY_DEVICE = '{name}': this machine has none"):
                device()


@pytest.mark.parametrize("name", ["gpu", "CPU", "cuda:0"])
def test_an_unknown_device_is_answered_with_the_known_ones(name, monkeypatch):
    monkeypatch.setenv("STUDY_DEVICE", name)
    with pytest.raises(StudyError) as caught:
        device()
    assert str(caught.value).startswith(f"STUDY_DEVICE = '{name}': choose from ")
    assert all(known in str(caught.value) for known in DEVICES)

"""The convolutional network: images a second of real training, beside the same layers with nothing else to do."""

import time
from functools import partial
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from stages.common.params import load_params
from stages.common.residual import build_cnn
from stages.common.torch_params import CnnTraining
from stages.torch_net.cnn import CNN
from stages.torch_net.images import Augmentation, Normalisation
from stages.torch_net.optimisers import optimiser
from stages.torch_net.training import Phase, epochs, take_step
from tools.benchmark.data import CLASSES, SHAPES, Data
from tools.benchmark.ours_torch import bfloat16_here, deterministic, second_of_two
from tools.benchmark.plan import CIFAR, Plan
from tools.benchmark.threads import CORES
from tools.benchmark.timing import Contestant, ratios, spread, take_turns

CHANNELS = 3
LR = 0.01  # small: what is learned doesn't matter here


def build(training: CnnTraining) -> CNN:
    """The configured network."""
    weights = torch.Generator().manual_seed(0)
    return build_cnn(training, SHAPES[CIFAR], CLASSES, weights, weights)


def normalisation() -> Normalisation:
    """Any one will do: they cost the same."""
    return Normalisation(torch.full((CHANNELS,), 0.5), torch.full((CHANNELS,), 0.25))


def real_seconds(training: CnnTraining, data: Data, batch_size: int, bfloat16: bool) -> float:
    """Training as in the study: shuffling, crops, flips, normalisation, and one image evaluated.

    The second of two epochs is timed: the first pads all images, which a training does once, and warms up.
    """
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    steps = -(-len(labels) // batch_size)
    draws = torch.Generator().manual_seed(1)
    rows = epochs(
        build(training),
        images,
        labels,
        evaluation=(images[:1], labels[:1]),
        phases=[Phase(training.optimiser, [[LR] * steps] * 2, training.momentum, training.weight_decay)],
        batch_size=batch_size,
        normalise=normalisation(),
        augment=Augmentation(training.shift, training.flip, training.cutout, draws),
        generator=draws,
        label_smoothing=training.label_smoothing,
        bfloat16=bfloat16,
    )
    return second_of_two(rows)


def bare_seconds(training: CnnTraining, data: Data, batch_size: int, bfloat16: bool) -> float:
    """As many steps on one batch that is ready: forward, backward, optimiser; after one step that warms up."""
    model = build(training)
    x = normalisation()(torch.from_numpy(data.images[:batch_size]))  # (batch, height, width, channels)
    y = torch.from_numpy(data.labels[:batch_size])
    step = optimiser(
        training.optimiser, model.parameters(), momentum=training.momentum, weight_decay=training.weight_decay
    )

    def one_step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = model(x)
        take_step(step, cross_entropy(logits.float(), y, label_smoothing=training.label_smoothing), LR)

    model.train()
    with deterministic():
        one_step()
        start = time.perf_counter()
        for _ in range(-(-len(data.labels) // batch_size)):
            one_step()
        return time.perf_counter() - start


def measure_cnn(data: Data, plan: Plan) -> dict[str, Any]:
    """Images a second both ways, and the share of the bare rate that real training reaches; on all cores."""
    training = load_params().train_cnn[CIFAR]
    batch_size = plan.cnn_batch or training.batch_size
    bfloat16 = training.precision == "bfloat16" and bfloat16_here()
    some = data.first(batch_size * plan.cnn_steps)
    images = len(some.labels)
    timers = {"real": real_seconds, "bare": bare_seconds}
    taken = take_turns(
        {
            name: Contestant(partial(timer, training, some, batch_size, bfloat16), CORES)
            for name, timer in timers.items()
        },
        plan.repeats,
        plan.cell_seconds,
    )
    return {
        "network": f"CNN {training.stem}, {', '.join(map(str, training.widths))}",
        "batch_size": batch_size,
        "precision": "bfloat16" if bfloat16 else "float32",
        "threads": CORES,
        "steps_timed": plan.cnn_steps,
        "images_per_second": {name: spread([images / value for value in taken[name]]) for name in timers},
        "share_of_bare": spread(ratios(taken["bare"], taken["real"])),
    }

"""A process that trains one epoch, or one run of the study, and prints its seconds and the most memory that it had.

    python -m tools.growth.child epoch '{"engine": "numpy", "sizes": [784, 64, 10], "share": 0.5, "steps": null}'
    python -m tools.growth.child worker tune

Seconds are processor time of one thread, so that other work on the machine changes them little.
"""

import json
import sys
import time
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from threadpoolctl import threadpool_limits

from stages.common.datasets import read_split, scale
from tools.benchmark.data import Data, prepared
from tools.benchmark.memory import MEBI, peak_bytes
from tools.growth.plan import BATCH, CIFAR, FASHION, Epoch

LR = 0.01
TIMED = 2  # epochs, of which the faster counts; one more comes before


def images_of(epoch: Epoch) -> Data:
    """The training images: the first of them, or all, or all of them twice."""
    images, labels = read_split(prepared(epoch.data_set), "training")
    if epoch.share > 1:
        times = round(epoch.share)
        images, labels = np.concatenate([images] * times), np.concatenate([labels] * times)
    return Data(images[: epoch.images], labels[: epoch.images])


def numpy_rows(data: Data, epoch: Epoch, timed: int) -> Iterator[dict[str, float]]:
    """Epochs of the network from scratch on the first `timed` of the images, all of which are in memory."""
    from stages.numpy_net import Network, epochs
    from stages.numpy_net.losses import objective
    from stages.numpy_net.optimisers import optimiser
    from tools.benchmark.ours_numpy import architecture

    pixels, labels = scale(data.images), data.classes.astype(np.float32)
    network = Network(architecture(epoch.sizes), generator=np.random.default_rng(0))
    return epochs(
        network,
        objective("cross_entropy", np.float32),
        optimiser("sgd", network.parameters),
        pixels[:timed],
        labels[:timed],
        evaluation=(pixels[:1], labels[:1]),
        learning_rates=np.full((1 + TIMED, -(-timed // BATCH)), LR),
        batch_size=BATCH,
        generator=np.random.default_rng(1),
    )


def torch_rows(data: Data, epoch: Epoch, timed: int) -> Iterator[dict[str, float]]:
    """Epochs of the PyTorch perceptron on the first `timed` of the images, the others ready in memory as well."""
    import torch

    from stages.torch_net.devices import make_deterministic
    from stages.torch_net.images import Augmentation, Normalisation
    from stages.torch_net.mlp import MLP
    from stages.torch_net.prediction import compute_type
    from stages.torch_net.training import Phase, epochs
    from tools.benchmark.ours_torch import bfloat16_here

    torch.set_num_threads(1)
    make_deterministic()
    inputs, *hidden, outputs = epoch.sizes
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    channels = images.shape[-1]
    normalise = Normalisation(torch.zeros(channels), torch.ones(channels))
    others = normalise.whole(images[timed:], compute_type(bfloat16_here()))
    order = torch.Generator().manual_seed(1)
    yield from epochs(
        MLP(inputs, hidden, outputs, generator=torch.Generator().manual_seed(0)),
        images[:timed],
        labels[:timed],
        evaluation=(images[:1], labels[:1]),
        phases=[Phase("sgd", [[LR] * -(-timed // BATCH)] * (1 + TIMED), momentum=0.0, weight_decay=0.0)],
        batch_size=BATCH,
        normalise=normalise,
        augment=Augmentation(0, False, 0, order),
        generator=order,
        bfloat16=bfloat16_here(),
    )
    del others  # held until here


def epoch_seconds(epoch: Epoch) -> float:
    """Seconds of an epoch, worked out from those of a part where it has `steps`.

    The first isn't timed: in it the libraries warm up, and all images are normalised. Of the others the fastest counts,
    since other work on the machine can only slow one down.
    """
    data = images_of(epoch)
    timed = epoch.images if epoch.steps is None else epoch.steps * BATCH
    rows = (numpy_rows if epoch.engine == "numpy" else torch_rows)(data, epoch, timed)
    next(rows)
    ends = [time.process_time()]
    for _ in range(TIMED):
        next(rows)
        ends.append(time.process_time())
    return min(after - before for before, after in pairwise(ends)) * epoch.images / timed


def worker_seconds(section: str) -> float:
    """Seconds of one epoch as a worker of tune or ablations trains it, its scores and the reading of data included.

    A worker's memory is its images, not its mini-batch: so this takes 128, where an epoch of single images is long.
    """
    from stages.common.params import load_params

    params = load_params()
    start = time.process_time()
    if section == "tune":
        from stages.tune import one_run

        variant = params.tune["published_learning_rate"].variants[0]
        changes, data = {"epochs": 1, "batch_size": BATCH, "lr": 1e-5}, FASHION
    else:
        from stages.ablations import one_run

        variant = params.ablations["baseline"].variants[0]
        changes, data = {"epochs": 1, "phases": None, "lr": 1e-5}, CIFAR
    shortened = variant.model_copy(update={"training": variant.training.model_copy(update=changes)})
    one_run(prepared(data), (shortened, variant.seeds[0]))
    return time.process_time() - start


def main(arguments: list[str]) -> None:
    """Do what is asked for, then print {"seconds", "mib"}."""
    what, details = arguments
    with threadpool_limits(1):
        if what == "epoch":
            content = json.loads(details)
            seconds = epoch_seconds(Epoch(**{**content, "sizes": tuple(content["sizes"])}))
        else:
            seconds = worker_seconds(details)
    print(json.dumps({"seconds": seconds, "mib": peak_bytes() / MEBI}))


if __name__ == "__main__":
    main(sys.argv[1:])

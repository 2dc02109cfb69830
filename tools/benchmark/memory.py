"""Peak memory of a process that trains one network: an epoch, or a few steps of the CNN with its whole split in memory.

    python -m tools.benchmark.memory NAME

Each contestant is imported by its own process alone, so that none pays for another's libraries.
"""

import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from tools.benchmark.children import output_of
from tools.benchmark.data import load
from tools.benchmark.plan import CIFAR, CIFAR_MLP, DEEP, FASHION

BATCH = 128
CNN_STEPS = 2
MEBI = 2**20
STATUS = Path("/proc/self/status")


def train_numpy() -> None:
    """The network from scratch, 784-512-256-128-64-10."""
    from tools.benchmark.ours_numpy import epoch_seconds

    epoch_seconds(load(FASHION, "training"), DEEP, BATCH)


def train_scikit() -> None:
    """scikit-learn, the same network."""
    from tools.benchmark.scikit import epoch_seconds

    epoch_seconds(load(FASHION, "training"), DEEP, BATCH)


def train_plain_torch() -> None:
    """PyTorch written plainly, the same network."""
    from tools.benchmark.plain_torch import epoch_seconds

    epoch_seconds(load(FASHION, "training"), DEEP, BATCH)


def train_torch_mlp() -> None:
    """The PyTorch perceptron of the study, 3072-256-128-10."""
    from tools.benchmark.ours_torch import epoch_seconds

    epoch_seconds(load(CIFAR, "training"), CIFAR_MLP, BATCH, False)


def train_cnn() -> None:
    """The convolutional network of the study."""
    import torch

    from stages.common.params import load_params
    from stages.torch_net.images import Augmentation
    from tools.benchmark.convolution import real_seconds
    from tools.benchmark.ours_torch import bfloat16_here

    training = load_params().train_cnn[CIFAR]
    bfloat16 = training.precision == "bfloat16" and bfloat16_here()
    data = load(CIFAR, "training")
    # A training pads its whole split and keeps it; the few steps below pad but their own images.
    draws = torch.Generator().manual_seed(0)
    whole = Augmentation(training.shift, training.flip, training.cutout, draws).pad(torch.from_numpy(data.images))
    real_seconds(training, data.first(CNN_STEPS * training.batch_size), training.batch_size, bfloat16)
    del whole


TRAININGS: dict[str, Callable[[], None]] = {
    "numpy": train_numpy,
    "scikit_learn": train_scikit,
    "plain_torch": train_plain_torch,
    "torch_mlp": train_torch_mlp,
    "cnn": train_cnn,
}
LABELS = {
    "numpy": "NumPy 784-512-256-128-64-10, batch 128",
    "scikit_learn": "scikit-learn, the same",
    "plain_torch": "PyTorch plain, the same",
    "torch_mlp": "torch MLP 3072-256-128-10, batch 128",
    "cnn": "CNN of CIFAR-10, its own batch",
}


def peak_bytes() -> int:
    """The most memory that this process had resident.

    On Linux, `getrusage` remembers the process that started this one; /proc doesn't.
    """
    if STATUS.exists():
        lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) * 1024  # "123 kB"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure_memory(name: str) -> float:
    """Peak of a child process that runs `TRAININGS[name]`, in MiB."""
    command = [sys.executable, "-m", "tools.benchmark.memory", name]
    return round(json.loads(output_of(command, env={**os.environ, "OMP_NUM_THREADS": "1"})) / MEBI, 1)


def main() -> None:
    """Train, then print the peak in bytes."""
    TRAININGS[sys.argv[1]]()
    print(json.dumps(peak_bytes()))


if __name__ == "__main__":
    main()

"""How far each axis is followed, and what isn't measured here."""

from dataclasses import dataclass, replace

FASHION, CIFAR = "fashion_mnist", "cifar10"
IMAGES = {FASHION: 50_000, CIFAR: 45_000}  # training images
BATCH = 128

SHARES = (0.125, 0.25, 0.5, 1.0, 2.0)  # of the training images
HIDDEN = (64, 256, 1024, 4096)  # units of the one hidden layer
SEEDS = (1, 2, 3, 5, 10)  # of every study
JOBS = (1, 2, 4, 8, 16, 32, 64, 128)  # runs side by side, on as many cores
CORES = 2  # jobs where seeds are varied

# Seconds of the models of record on two cores, measured elsewhere. They are single trainings, so they take the same
# time whatever the seeds and the jobs.
RECORD = {
    "train_numpy": 84.0,
    "train_torch": 250.0,
    "train_cnn fashion_mnist": 300.0,
    "train_cnn cifar10": 555.0,
}

# Of the images, where all configurations of the study are timed.
PART = 0.25
# Weights times images from which on a part of an epoch is timed, and the whole worked out from it.
MOST_WORK = 1.5e10


@dataclass(frozen=True)
class Epoch:
    """What one child process does: an epoch of one network.

    `share`: images as a share of the training images. `steps`: mini-batches that are timed, None for all.
    """

    engine: str  # numpy or torch
    sizes: tuple[int, ...]
    share: float = 1.0
    steps: int | None = None

    @property
    def data_set(self) -> str:
        """What it trains on."""
        return FASHION if self.engine == "numpy" else CIFAR

    @property
    def images(self) -> int:
        """How many images an epoch has."""
        return round(self.share * IMAGES[self.data_set])

    @property
    def network(self) -> str:
        """As labels and tables name it."""
        return {"numpy": "NumPy ", "torch": "PyTorch "}[self.engine] + "-".join(map(str, self.sizes))


NETWORKS = (
    Epoch("numpy", (784, 64, 10)),
    Epoch("numpy", (784, 512, 256, 128, 64, 10)),
    Epoch("torch", (3072, 256, 128, 10)),
)


def images_epochs() -> list[Epoch]:
    """Every network with every number of images."""
    return [replace(network, share=share) for network in NETWORKS for share in SHARES]


def hidden_epochs() -> list[Epoch]:
    """One hidden layer of every width, in either engine; of long epochs a part."""
    return [
        replace(epoch, steps=part_of(epoch))
        for engine, inputs in (("numpy", 784), ("torch", 3072))
        for units in HIDDEN
        for epoch in [Epoch(engine, (inputs, units, 10))]
    ]


def part_of(epoch: Epoch) -> int | None:
    """How many mini-batches of an epoch are timed: None where all are."""
    work = epoch.sizes[0] * epoch.sizes[1] * epoch.images
    steps = -(-epoch.images // BATCH)
    return None if work <= MOST_WORK else max(20, round(steps * MOST_WORK / work))

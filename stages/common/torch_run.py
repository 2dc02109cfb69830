"""From a configuration, a seed and the data to a trained PyTorch network: what all PyTorch stages share.

Which kind of network it is, is not known here: `Build` makes it.
"""

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from stages.common.datasets import Split, read_class_names, read_normalisation, read_split, read_test
from stages.common.errors import StudyError
from stages.common.files import whole_file
from stages.common.fitting import Fit, fit
from stages.common.randomness import generators
from stages.common.runs import Run, run_of
from stages.common.schedules import learning_rates
from stages.common.torch_params import TorchTraining
from stages.torch_net.devices import DEVICES, has_bfloat16, make_deterministic
from stages.torch_net.images import Augmentation, Normalisation
from stages.torch_net.prediction import predict, score
from stages.torch_net.training import Phase, epochs

# From the shape (height, width, channels) of the images, the number of classes, and two generators (for the weights,
# on the processor, and for dropout, where the network will be) to a network on the processor.
Build = Callable[[tuple[int, ...], int, torch.Generator, torch.Generator], nn.Module]


def device() -> torch.device:
    """Where to compute: `STUDY_DEVICE`, or the best there is."""
    asked = os.environ.get("STUDY_DEVICE") or "auto"
    if asked not in DEVICES:
        raise StudyError(f"STUDY_DEVICE = {asked!r}: choose from {', '.join(DEVICES)}")
    found = DEVICES[asked]()
    if found is None:
        raise StudyError(f"STUDY_DEVICE = {asked!r}: this machine has none; leave it unset for the best that there is")
    return found


# A worker trains many runs on the same data, so it keeps what it has read.
@lru_cache(maxsize=4)
def images_and_labels(path: Path, split: str, where: torch.device) -> tuple[Tensor, Tensor]:
    """A split on a device, to be trained on or chosen by."""
    return on_device(read_split(path, split), where)


@lru_cache(maxsize=1)
def scoring_images_and_labels(path: Path, where: torch.device) -> tuple[Tensor, Tensor]:
    """The test images on a device, to be scored."""
    return on_device(read_test(path), where)


def on_device(data: Split, where: torch.device) -> tuple[Tensor, Tensor]:
    """Images uint8 (n, height, width, channels) and class numbers int64 (n,)."""
    return torch.from_numpy(data.images).to(where), torch.from_numpy(data.labels.argmax(axis=1)).to(where)


def normalisation(training: TorchTraining, path: Path, where: torch.device) -> Normalisation:
    """To [0, 1], or to mean 0 and deviation 1 over the training split."""
    mean, std = read_normalisation(path)  # (channels,), (channels,)
    if training.pixels == "unit":
        mean, std = np.zeros_like(mean), np.ones_like(std)
    return Normalisation(*(torch.tensor(values, dtype=torch.float32, device=where) for values in (mean, std)))


def phases(training: TorchTraining, images: int) -> list[Phase]:
    """The configured phases with a rate for every step."""
    steps = -(-images // training.batch_size)
    return [
        Phase(
            training.optimiser,
            learning_rates(training.schedule, phase.lr, phase.epochs, steps, training.warmup).tolist(),
            phase.momentum,
            phase.weight_decay,
        )
        for phase in training.stretches
    ]


def train_run(
    build: Build,
    training: TorchTraining,
    path: Path,
    variant: str,
    seed: int,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> tuple[Run, nn.Module, np.ndarray]:
    """Train what `build` makes on the prepared data set at `path`; score the test images once, when all is over.

    Returns the run, the network, and its class probabilities of the test images: float32 (n, outputs).
    """
    make_deterministic()
    where = device()
    predicting = {
        "normalise": normalisation(training, path, where),
        "flip": training.test_time_flip,
        "bfloat16": training.precision == "bfloat16" and has_bfloat16(where),
    }
    images, validation = images_and_labels(path, "training", where), images_and_labels(path, "validation", where)
    classes = len(read_class_names(path))
    model, result = fit_network(build, training, images, validation, classes, variant, seed, predicting, on_epoch)
    test_images, test_labels = scoring_images_and_labels(path, where)
    logits = predict(model, test_images, **predicting)  # (n, outputs)
    test_loss, test_accuracy = score(logits, test_labels)
    run = run_of(
        result, variant=variant, seed=seed, split="validation", test_loss=test_loss, test_accuracy=test_accuracy
    )
    return run, model, logits.softmax(dim=1).cpu().numpy()


def fit_network(
    build: Build,
    training: TorchTraining,
    training_split: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    classes: int,
    variant: str,
    seed: int,
    predicting: dict[str, Any],
    on_epoch: Callable[[dict[str, float]], None],
) -> tuple[nn.Module, Fit]:
    """Train what `build` makes, scored on the validation images after every epoch. `predicting`: see `predict`."""
    images, labels = training_split  # (n, height, width, channels), (n,)
    where = images.device
    initial, *others = (int(generator.integers(2**63)) for generator in generators(seed, variant, 4))
    order, crop, drop = (torch.Generator(where).manual_seed(number) for number in others)
    model = build(tuple(images.shape[1:]), classes, torch.Generator().manual_seed(initial), drop).to(where)
    require_batches(model, len(labels), training.batch_size)
    return model, fit(
        epochs(
            model,
            images,
            labels,
            evaluation=validation,
            phases=phases(training, len(labels)),
            batch_size=training.batch_size,
            augment=Augmentation(training.shift, training.flip, training.cutout, crop),
            generator=order,
            label_smoothing=training.label_smoothing,
            **predicting,
        ),
        classes,
        keep=lambda: {name: value.clone() for name, value in model.state_dict().items()},
        put_back=model.load_state_dict,
        patience=training.patience,
        on_epoch=on_epoch,
    )


def require_batches(model: nn.Module, images: int, batch_size: int) -> None:
    """Batch norm of a perceptron measures the spread within a mini-batch, which a single image has not."""
    normed = any(isinstance(layer, nn.BatchNorm1d) for layer in model.modules())
    if normed and 1 in (batch_size, images % batch_size):
        raise StudyError(
            f"batch_size = {batch_size}: of {images:,} training images the last mini-batch would be a single one, "
            "which batch_norm cannot normalise; choose another, or batch_norm: false"
        )


def save_weights(model: nn.Module, path: Path) -> None:
    """Write weights, biases and running statistics as safetensors; the same ones give the same bytes."""
    with whole_file(path) as temporary:
        save_file({name: value.cpu().contiguous() for name, value in model.state_dict().items()}, temporary)

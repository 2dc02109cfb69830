"""Seconds of every kind of run that the study has, on a part of the images, by the study's own functions."""

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from stages.common import numpy_run, torch_run
from stages.common.mlps import build_mlp
from stages.common.numpy_params import NumpyTraining
from stages.common.params import Params
from stages.common.sharing import own_tasks
from stages.common.torch_params import MlpTraining
from tools.benchmark.data import prepared
from tools.benchmark.threads import pinned
from tools.growth.kinds import kind_of, name_of
from tools.growth.plan import CIFAR, FASHION, PART
from tools.growth.rows import ON_A_PART, Row

OF_IMAGES = ("train_images", "train_labels", "test_images", "test_labels")


def write_part(source: Path, target: Path, share: float) -> None:
    """Write the first `share` of a prepared data set's training and test images as a prepared data set."""
    with np.load(source, allow_pickle=False) as arrays:
        parts = {name: arrays[name] for name in arrays.files}
    for name in OF_IMAGES:
        parts[name] = parts[name][: round(share * len(parts[name]))]
    inside = parts["validation_index"] < len(parts["train_images"])
    np.savez(target, **{**parts, "validation_index": parts["validation_index"][inside]})


def train(training: NumpyTraining | MlpTraining, data: Path, on_epoch: Callable[[dict], None]) -> None:
    """One run as tune or ablations makes it."""
    if isinstance(training, NumpyTraining):
        numpy_run.train_run(training, data, "growth", 0, on_epoch)
    else:
        torch_run.train_run(partial(build_mlp, training), training, data, "growth", 0, on_epoch)


def once_and_epoch(training: NumpyTraining | MlpTraining, data: Path) -> tuple[float, float]:
    """Seconds of what a run does once (prepare images, score the test images), and of an epoch with its scores."""
    ends: list[float] = []
    start = time.process_time()
    train(training, data, lambda row: ends.append(time.process_time()))
    whole = time.process_time() - start
    epoch = ends[1] - ends[0]
    return max(whole - 2 * epoch, 0.0), epoch


def kinds(params: Params, section: str) -> dict[str, NumpyTraining | MlpTraining]:
    """Every kind of run that a section of params.yaml trains, by its name."""
    studies = getattr(params, section)
    tasks = [task for name in studies for task in own_tasks(studies, name)]
    return {name_of(variant.training): kind_of(variant.training) for variant, _ in tasks}


def time_kinds(params: Params, known: set[str]) -> Iterator[list[Row]]:
    """Rows of one kind after the other, less those that are `known`."""
    with tempfile.TemporaryDirectory() as folder, pinned(1):
        for section, data_set in (("tune", FASHION), ("ablations", CIFAR)):
            missing = {name: kind for name, kind in kinds(params, section).items() if name not in known}
            if not missing:
                continue
            data = Path(folder, f"{data_set}.npz")
            write_part(prepared(data_set), data, PART)
            warm_up(next(iter(missing.values())), data)
            for name, kind in missing.items():
                once, epoch = once_and_epoch(kind, data)
                yield [
                    Row("run", kind.batch_size, name, quantity, "s", seconds / PART, ON_A_PART)
                    for quantity, seconds in (("once", once), ("epoch", epoch))
                ]


def warm_up(kind: NumpyTraining | MlpTraining, data: Path) -> None:
    """Read the images and wake the libraries, which a worker does once for many runs."""
    train(kind.model_copy(update={"epochs": 1, "batch_size": 1024}), data, lambda row: None)

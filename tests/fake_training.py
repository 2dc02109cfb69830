"""A training of a few milliseconds, which fails or hangs on request.

`python -m tests.fake_training` is a study of it, in the current folder; start it with the project on PYTHONPATH.
"""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel
from threadpoolctl import threadpool_info

from stages.errors import StudyError, exit_on_error
from stages.params import Study, Variant
from stages.training.results import Run
from stages.training.run_cache import Task
from stages.training.sweep import train_studies

LOG = Path("log")  # one empty file per training: what it does, its epochs, its seed, its process, the time
HOLD = Path("hold")  # while this file exists, those trainings that can hang do so


class Settings(BaseModel):
    """What the training should do."""

    epochs: int = 3
    act: str = "train"


def train(task: Task) -> Run:
    """A run whose figures depend on the data, the settings, the seed and BLAS."""
    LOG.mkdir(exist_ok=True)
    (LOG / f"{task.training.act} {task.training.epochs} {task.seed} {os.getpid()} {time.monotonic_ns()}").touch()
    perform(task.training.act)
    assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
    rng = np.random.default_rng([len(task.data.read_bytes()), task.training.epochs, task.seed])
    rows = []
    for epoch in range(1, task.training.epochs + 1):
        x = rng.normal(size=(64, 64))
        loss = float((x @ x).std())
        accuracy = 1 / (1 + loss)
        row = {"epoch": epoch, "train_loss": loss / 3, "train_accuracy": accuracy, "loss": loss, "accuracy": accuracy}
        rows.append(row)
    return Run("ok", "validation", 1, 1, rows, float("nan"), 0.5)


def perform(act: str) -> None:
    if act == "hang":
        while HOLD.exists():
            time.sleep(0.05)
    elif act == "memory":
        np.empty(2**50)
    elif act == "torch memory":
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
    elif act == "mistake":
        raise StudyError("lr = 0: above 0")
    elif act.startswith("signal"):
        time.sleep(0.2)
        os.kill(os.getpid(), signal.Signals[act.split()[1]])


def cost(training: Settings) -> float:
    return training.epochs


def study(variants: Mapping[str, Settings], seeds: Sequence[int] = (1, 2)) -> dict[str, bytes]:
    """Train every variant with every seed in the current folder; return the files of the study."""
    configurations = [Variant.model_construct(name=name, training=settings) for name, settings in variants.items()]
    made = Study.model_construct(seeds=list(seeds), variants=configurations)
    train_studies("tune", train, {"x": Path("data.bin")}, {"x": made}, cost, Path("reports"))
    return {path.name: path.read_bytes() for path in Path("reports/x").iterdir()}


# Short runs, and some that hang while they are held: the longer begin first.
VARIANTS = {"quick": Settings(epochs=9), "slow": Settings(act="hang")}


if __name__ == "__main__":
    exit_on_error(lambda arguments: study(VARIANTS) and None)

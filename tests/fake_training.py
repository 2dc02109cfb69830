"""A training of a few milliseconds, which fails or hangs on request.

`python -m tests.fake_training` is a study of it, in the current folder; start it with the project on PYTHONPATH.
"""

import os
import signal
import time
from pathlib import Path

import numpy as np
from pydantic import BaseModel
from threadpoolctl import threadpool_info

from stages.errors import StudyError, exit_on_error
from stages.training.results import Run
from stages.training.run_cache import Task
from stages.training.sweep import train_study

LOG = Path("log")  # one empty file per training: variant, seed, process
HOLD = Path("hold")  # while this file exists, those trainings that can hang do so


class Settings(BaseModel):
    """What the training should do."""

    epochs: int = 3
    act: str = "train"


def train(data: Path, task: Task) -> Run:
    """A run whose figures depend on the data, the variant, the seed and BLAS."""
    LOG.mkdir(exist_ok=True)
    (LOG / f"{task.variant} {task.seed} {os.getpid()}").touch()
    perform(task.training.act)
    assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
    rng = np.random.default_rng([len(data.read_bytes()), len(task.variant), task.seed])
    rows = []
    for epoch in range(1, task.training.epochs + 1):
        x = rng.normal(size=(64, 64))
        loss = float((x @ x).std())
        rows.append({"epoch": epoch, "train_loss": loss / 3, "loss": loss, "accuracy": 1 / (1 + loss)})
    return Run(task.variant, task.seed, "ok", "validation", 1, 1, rows, float("nan"), 0.5)


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


def study(tasks: list[Task], data: Path = Path("data.bin")) -> dict[str, bytes]:
    """Train in the current folder; return the files of the study."""
    folder = Path("reports/study")
    train_study("tune x", train, data, tasks, cost, folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# Two short runs, and two that hang while they are held: the longer begin first.
TASKS = [
    Task(name, seed, Settings(act=act, epochs=epochs))
    for name, act, epochs in (("quick", "train", 9), ("slow", "hang", 3))
    for seed in (1, 2)
]


if __name__ == "__main__":
    exit_on_error(lambda arguments: study(TASKS) and None)

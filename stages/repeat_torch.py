"""The final PyTorch models, trained again with other seeds: how much of their accuracy is chance.

One thread each. As the models themselves, they are trained on this machine: a cluster's workers compute portably.
"""

import os
from pathlib import Path

from stages.errors import choose_names, exit_on_error
from stages.params import load_params
from stages.torch_net.devices import make_native
from stages.train_torch import PREPARED, cost, train_task
from stages.training.results import Run
from stages.training.run_cache import Task
from stages.training.sweep import train_studies

REPORTS = Path("reports/repeats")


def train_native(task: Task) -> Run:
    """Train one run with the arithmetic of the final models."""
    make_native()
    return train_task(task)


def main(arguments: list[str]) -> None:
    """`python -m stages.repeat_torch MODEL ...`: models of params.yaml's `train_torch`."""
    make_native()
    os.environ.pop("STUDY_SCHEDULER", None)
    params = load_params()
    models = {name: params.train_torch[name] for name in choose_names(arguments, params.train_torch)}
    data = {name: PREPARED / f"{model.dataset}.npz" for name, model in models.items()}
    train_studies("repeat", train_native, data, {name: params.repeats[name] for name in models}, cost, REPORTS)


if __name__ == "__main__":
    exit_on_error(main)

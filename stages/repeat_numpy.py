"""The final NumPy network, trained again with other seeds: how much of its accuracy is chance."""

from pathlib import Path

from stages.errors import exit_on_error
from stages.params import load_params
from stages.train_numpy import PREPARED, cost, train_task
from stages.training.sweep import train_studies

REPORTS = Path("reports/repeats")


def main(arguments: list[str]) -> None:
    """`python -m stages.repeat_numpy`."""
    params = load_params()
    data = {"numpy": PREPARED / f"{params.numpy_dataset}.npz"}
    train_studies("repeat", train_task, data, {"numpy": params.repeats["numpy"]}, cost, REPORTS)


if __name__ == "__main__":
    exit_on_error(main)

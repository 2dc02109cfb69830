"""A sweep of the NumPy network: every variant with every seed, and the three files of a study."""

from pathlib import Path

from stages.errors import choose_name, exit_on_error
from stages.params import load_params
from stages.train_numpy import PREPARED, cost, train_task
from stages.training.sweep import train_study

REPORTS = Path("reports/tune")


def main(arguments: list[str]) -> None:
    """`python -m stages.tune STUDY`, a study of params.yaml's `tune`."""
    params = load_params()
    name = choose_name(arguments, params.tune)
    data = PREPARED / f"{params.numpy_dataset}.npz"
    train_study(f"tune {name}", train_task, data, params.tune[name], cost, REPORTS / name)


if __name__ == "__main__":
    exit_on_error(main)

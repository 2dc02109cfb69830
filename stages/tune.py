"""A sweep of the NumPy network: every variant with every seed, and the three files of a study."""

from pathlib import Path

from stages.errors import choose_names, exit_on_error
from stages.params import load_params
from stages.train_numpy import PREPARED, cost, train_task
from stages.training.sweep import train_studies

REPORTS = Path("reports/tune")


def main(arguments: list[str]) -> None:
    """`python -m stages.tune STUDY ...`: studies of params.yaml's `tune`."""
    params = load_params()
    studies = {name: params.tune[name] for name in choose_names(arguments, params.tune)}
    data = dict.fromkeys(studies, PREPARED / f"{params.numpy_dataset}.npz")
    train_studies("tune", train_task, data, studies, cost, REPORTS)


if __name__ == "__main__":
    exit_on_error(main)

"""An ablation of the PyTorch perceptron: every variant with every seed, and the three files of a study."""

from pathlib import Path

from stages.errors import choose_names, exit_on_error
from stages.params import load_params
from stages.train_torch import PREPARED, cost, train_task
from stages.training.sweep import train_studies

REPORTS = Path("reports/ablations")


def main(arguments: list[str]) -> None:
    """`python -m stages.ablations STUDY ...`: studies of params.yaml's `ablations`."""
    params = load_params()
    studies = {name: params.ablations[name] for name in choose_names(arguments, params.ablations)}
    data = dict.fromkeys(studies, PREPARED / f"{params.torch_dataset}.npz")
    train_studies("ablations", train_task, data, studies, cost, REPORTS)


if __name__ == "__main__":
    exit_on_error(main)

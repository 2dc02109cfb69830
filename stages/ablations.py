"""An ablation of the PyTorch perceptron: every variant with every seed, and the three files of a study."""

from pathlib import Path

from stages.errors import choose_name, exit_on_error
from stages.params import load_params
from stages.train_torch import PREPARED, cost, train_task
from stages.training.sweep import train_study

REPORTS = Path("reports/ablations")


def main(arguments: list[str]) -> None:
    """`python -m stages.ablations STUDY`, a study of params.yaml's `ablations`."""
    params = load_params()
    name = choose_name(arguments, params.ablations)
    data = PREPARED / f"{params.torch_dataset}.npz"
    train_study(f"ablations {name}", train_task, data, params.ablations[name], cost, REPORTS / name)


if __name__ == "__main__":
    exit_on_error(main)

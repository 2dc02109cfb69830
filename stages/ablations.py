"""One ablation of the PyTorch network: every variant, every seed, the three files of a study."""

from functools import partial
from pathlib import Path

from stages.common.costs import mlp_cost
from stages.common.errors import StudyError, exit_on_error
from stages.common.mlps import build_mlp
from stages.common.params import load_params
from stages.common.runs import Run
from stages.common.sharing import own_tasks
from stages.common.studies import Task, train_study
from stages.common.torch_run import train_run

PREPARED = Path("data/prepared")
REPORTS = Path("reports/ablations")


def one_run(path: Path, task: Task) -> Run:
    """Train one variant with one seed."""
    variant, seed = task
    run, *_ = train_run(partial(build_mlp, variant.training), variant.training, path, variant.name, seed)
    return run


def main(arguments: list[str]) -> None:
    """`python -m stages.ablations STUDY`, a study of params.yaml's `ablations`."""
    params = load_params()
    studies = params.ablations
    if len(arguments) != 1 or arguments[0] not in studies:
        raise StudyError(f"ablations {' '.join(arguments)}: name one study of {', '.join(studies)}")
    name = arguments[0]
    data = PREPARED / f"{params.train_torch.dataset}.npz"
    train_study(f"ablations {name}", one_run, data, own_tasks(studies, name), mlp_cost, REPORTS / name)


if __name__ == "__main__":
    exit_on_error(main)

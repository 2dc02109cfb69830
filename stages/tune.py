"""One sweep of the NumPy network: every variant, every seed, the three files of a study."""

from pathlib import Path

from stages.common.costs import numpy_cost
from stages.common.errors import StudyError, exit_on_error
from stages.common.numpy_run import train_run
from stages.common.params import load_params
from stages.common.runs import Run
from stages.common.sharing import own_tasks
from stages.common.studies import Task, train_study

PREPARED = Path("data/prepared/fashion_mnist.npz")
REPORTS = Path("reports/tune")


def one_run(path: Path, task: Task) -> Run:
    """Train one variant with one seed."""
    variant, seed = task
    run, _ = train_run(variant.training, path, variant.name, seed)
    return run


def main(arguments: list[str]) -> None:
    """`python -m stages.tune STUDY`, a study of params.yaml's `tune`."""
    studies = load_params().tune
    if len(arguments) != 1 or arguments[0] not in studies:
        raise StudyError(f"tune {' '.join(arguments)}: name one study of {', '.join(studies)}")
    name = arguments[0]
    train_study(f"tune {name}", one_run, PREPARED, own_tasks(studies, name), numpy_cost, REPORTS / name)


if __name__ == "__main__":
    exit_on_error(main)

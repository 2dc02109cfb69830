"""One sweep of the NumPy network: every variant, every seed, the three files of a study."""

from functools import partial
from pathlib import Path

from stages.common.errors import StudyError, exit_on_error
from stages.common.numpy_run import train_run
from stages.common.parallel import run_all
from stages.common.params import Variant, load_params
from stages.common.runs import Run, write_study

PREPARED = Path("data/prepared/fashion_mnist.npz")


def one_run(path: Path, task: tuple[Variant, int]) -> Run:
    """Train one variant with one seed."""
    variant, seed = task
    run, _ = train_run(variant.training, path, variant.name, seed)
    return run


def main(arguments: list[str]) -> None:
    """`python -m stages.tune STUDY`, a study of params.yaml's `tune`."""
    studies = load_params().tune
    if len(arguments) != 1 or arguments[0] not in studies:
        raise StudyError(f"tune {' '.join(arguments)}: name one study of {', '.join(studies)}")
    study = studies[arguments[0]]
    tasks = [(variant, seed) for variant in study.variants for seed in study.seeds]
    write_study(Path("reports/tune") / arguments[0], run_all(partial(one_run, PREPARED), tasks, f"tune {arguments[0]}"))


if __name__ == "__main__":
    exit_on_error(main)

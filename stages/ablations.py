"""One ablation of the PyTorch network: every variant, every seed, the three files of a study."""

from functools import partial
from pathlib import Path

from stages.common.errors import StudyError, exit_on_error
from stages.common.mlps import build_mlp
from stages.common.parallel import run_all
from stages.common.params import Variant, load_params
from stages.common.runs import Run, write_study
from stages.common.sharing import shared_variants
from stages.common.torch_params import MlpTraining
from stages.common.torch_run import train_run

PREPARED = Path("data/prepared")
REPORTS = Path("reports/ablations")


def one_run(path: Path, task: tuple[Variant[MlpTraining], int]) -> Run:
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
    shared = shared_variants(studies, name)
    tasks = [(variant, seed) for variant, seed in studies[name].tasks if variant.name not in shared]
    if not tasks:
        raise StudyError(f"ablations.{name}: all of its variants are those of the baseline; add one that differs")
    path = PREPARED / f"{params.train_torch.dataset}.npz"
    write_study(REPORTS / name, run_all(partial(one_run, path), tasks, f"ablations {name}"))


if __name__ == "__main__":
    exit_on_error(main)

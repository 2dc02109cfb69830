"""`make repro`: `dvc repro` on all cores, and a study that is complete even where no source has CIFAR-10.

    python -m tools.repro

`dvc repro` runs one stage after another. Here, what it would train is trained before: final models side by side, and
the runs of all studies from one queue. Results are the same bytes.

If every source answers that it does not have CIFAR-10, the PyTorch half of the study runs on Fashion-MNIST: `dataset`
changes in params.yaml, and a banner says so before and after. A source that does not answer, as without a network, ends
this with an error instead. `dvc repro` itself never replaces a data set.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dvc.repo import Repo
from dvc.utils.serialize import modify_yaml

from stages.errors import StudyError, exit_on_error
from stages.params import load_params
from stages.training.pool import jobs

PYTHON = [sys.executable, "-m"]
DVC_REPRO = [*PYTHON, "dvc", "--wait-for-lock", "repro"]
STUDIES = ("repeat_torch", "repeat_numpy", "ablations", "tune")  # stages that train several runs side by side
# How the error line of stages.download begins.
ABSENT, UNANSWERED = "error: no source has cifar10 ", "error: cannot download cifar10 "
WITHOUT = "or write fashion_mnist for each dataset: cifar10 in params.yaml, to run the study without CIFAR-10"
BANNER = """
========================================================================================================
The PyTorch half runs on Fashion-MNIST, not on CIFAR-10: torch_defaults.dataset in params.yaml says so.
{reason}To go back, as soon as CIFAR-10 can be downloaded: `git checkout params.yaml`, then `make repro`.
========================================================================================================
"""


def run(*command: str, hidden: tuple[str, ...] = ()) -> tuple[int, str]:
    """Run a command; return its exit status and the error line that ended it, else "".

    Its messages appear line by line, as several commands run at once, except those that begin with `hidden`.
    """
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8", errors="replace") as process:
        error = ""
        for line in process.stderr:
            if not line.startswith(hidden):
                print(line, end="", file=sys.stderr, flush=True)
            error = line if line.startswith("error: ") else error
    return process.returncode, error


def succeed(*command: str) -> None:
    """Run a command; end with its exit status if it fails."""
    if status := run(*command)[0]:
        sys.exit(status)


def train(stages: Sequence[str]) -> None:
    """Train the models and studies among `stages` on as many cores as STUDY_JOBS says.

    Models begin in descending order of their size, which is the reverse of params.yaml's. The studies use what cores
    the models leave, and all of them after that.
    """
    cores, threads = jobs(), load_params().threads
    models = [stage for stage in reversed(stages) if stage.startswith("train_")]
    studies = [stage for stage in stages if stage.partition("@")[0] in STUDIES]
    side_by_side = max(cores // threads, 1)
    groups = [[model] for model in models]
    if models and side_by_side == 1:
        groups = [models]  # a start of DVC takes two seconds
    with ThreadPoolExecutor(side_by_side) as pool:
        waiting = [pool.submit(succeed, *DVC_REPRO, "--single-item", *group) for group in groups]
        try:
            if studies and threads * min(len(models), side_by_side) < cores:
                train_studies(studies, "nice")
                studies = []
            for group in waiting:
                group.result()
        finally:
            pool.shutdown(cancel_futures=True)
    if studies:
        train_studies(studies)


def train_studies(stages: Sequence[str], *prefix: str) -> None:
    """Train studies, those of a module in one process, and record them in dvc.lock, which saves DVC a start of each."""
    before = dependencies(stages)
    for module in STUDIES:
        if names := [stage.partition("@")[2] for stage in stages if stage.partition("@")[0] == module]:
            succeed(*prefix, *PYTHON, f"stages.{module}", *filter(None, names))
    if dependencies(stages) == before:  # else a file was edited meanwhile: `dvc repro` runs them again
        succeed(*PYTHON, "dvc", "--wait-for-lock", "commit", "--force", *stages)


def dependencies(stages: Sequence[str]) -> list[str]:
    """The hashes of all that the stages depend on."""
    known = Repo().index.stages
    return [f"{dep} {dep.get_hash()}" for stage in known if stage.addressing in stages for dep in stage.deps]


def main(arguments: list[str]) -> None:
    """Run the pipeline; end with the exit status of what failed."""
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C also reaches DVC, which ends its stage and then itself
    wanted, reason = load_params().torch_dataset, ""
    if wanted == "cifar10" and not Path("data/raw/cifar10").exists():
        status, reason = run(*DVC_REPRO, "download@cifar10", hidden=(UNANSWERED,))  # said below
        if reason.startswith(UNANSWERED):
            raise StudyError(f"{reason.removeprefix('error: ').strip()}, {WITHOUT}")
        if status and not reason.startswith(ABSENT):
            sys.exit(status)
    if reason:
        with modify_yaml("params.yaml") as params:
            for section in (params["torch_defaults"], *params["train_torch"].values()):
                if section["dataset"] == "cifar10":
                    section["dataset"] = "fashion_mnist"
        wanted = "fashion_mnist"
    banner = BANNER.format(reason=reason) if wanted == "fashion_mnist" else ""
    print(banner, end="", flush=True)
    targets = ["report"] if banner else []
    if stale := list(Repo().status(targets, with_deps=True)):
        if data := [stage for stage in stale if stage.startswith(("download@", "preprocess@"))]:
            succeed(*DVC_REPRO, *data)
            stale = list(Repo().status(targets, with_deps=True))
        train(stale)
        succeed(*DVC_REPRO, *targets)
    print(banner, "Report: reports/report.md, reports/report.html\n", sep="", end="", flush=True)


if __name__ == "__main__":
    exit_on_error(main)

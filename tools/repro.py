"""`make repro`: `dvc repro`, and a study that is complete even where no source has CIFAR-10.

    python -m tools.repro [options of dvc repro]

If every source answers that it does not have CIFAR-10, the PyTorch half of the study runs on Fashion-MNIST: two lines
of params.yaml change, and a banner says so before and after. A source that does not answer, as without a network, ends
this with an error instead. `dvc repro` itself never replaces a data set.
"""

import signal
import subprocess
import sys
from pathlib import Path

from dvc.utils.serialize import modify_yaml

from stages.errors import StudyError, exit_on_error
from stages.params import load_params

DVC_REPRO = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro"]
# How the error line of stages.download begins.
ABSENT, UNANSWERED = "error: no source has cifar10 ", "error: cannot download cifar10 "
WITHOUT = (
    "or set torch_defaults.dataset to fashion_mnist in params.yaml, and train_torch.cnn_large.dataset as well, "
    "to run the study without CIFAR-10"
)
BANNER = """
========================================================================================================
The PyTorch half runs on Fashion-MNIST, not on CIFAR-10: torch_defaults.dataset in params.yaml says so.
{reason}To go back: set it and train_torch.cnn_large.dataset to cifar10 as soon as CIFAR-10 can be downloaded,
and run `make repro` again.
========================================================================================================
"""


def download_cifar10() -> tuple[int, str]:
    """Run the download; return the exit status and the error line that ended it, else ""."""
    with subprocess.Popen(
        [*DVC_REPRO, "download@cifar10"], stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
    ) as process:
        error = ""
        for line in process.stderr:
            if not line.startswith(UNANSWERED):  # which `main` says at the end
                print(line, end="", file=sys.stderr, flush=True)
            error = line if line.startswith("error: ") else error
    return process.returncode, error


def main(options: list[str]) -> None:
    """Run the pipeline; end with DVC's exit status."""
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C also reaches DVC, which ends its stage and then itself
    wanted, reason = load_params().torch_dataset, ""
    if wanted == "cifar10" and not Path("data/raw/cifar10").exists():
        status, reason = download_cifar10()
        if reason.startswith(UNANSWERED):
            raise StudyError(f"{reason.removeprefix('error: ').strip()}, {WITHOUT}")
        if status and not reason.startswith(ABSENT):
            sys.exit(status)
    if reason:
        with modify_yaml("params.yaml") as params:
            params["torch_defaults"]["dataset"] = wanted = "fashion_mnist"
            params["train_torch"]["cnn_large"]["dataset"] = wanted
    banner = BANNER.format(reason=reason) if wanted == "fashion_mnist" else ""
    print(banner, end="", flush=True)
    status = subprocess.call([*DVC_REPRO, *options, *(["report"] if banner else [])])
    print(banner, "" if status else "Report: reports/report.md, reports/report.html\n", sep="", end="", flush=True)
    sys.exit(status)


if __name__ == "__main__":
    exit_on_error(main)

"""`make repro`: `dvc repro`, and a study that is complete even where CIFAR-10 cannot be downloaded.

    python -m tools.repro [options of dvc repro]

If CIFAR-10 cannot be downloaded, the PyTorch half of the study runs on Fashion-MNIST: one line of params.yaml changes,
and a banner says so before and after. `dvc repro` itself never replaces a data set.
"""

import signal
import subprocess
import sys
from pathlib import Path

from dvc.utils.serialize import modify_yaml

from stages.errors import exit_on_error
from stages.params import load_params

DVC_REPRO = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro"]
NOT_SERVED = "error: no source served cifar10 "  # by stages.download
BANNER = """
========================================================================================================
The PyTorch half runs on Fashion-MNIST, not on CIFAR-10: torch_defaults.dataset in params.yaml says so.
{reason}To go back: set it to cifar10 as soon as CIFAR-10 can be downloaded, and run `make repro` again.
========================================================================================================
"""


def download_cifar10() -> tuple[int, str]:
    """Run the download; return the exit status and, if no source serves CIFAR-10, the line that says so, else ""."""
    with subprocess.Popen(
        [*DVC_REPRO, "download@cifar10"], stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
    ) as process:
        reason = ""
        for line in process.stderr:
            print(line, end="", file=sys.stderr, flush=True)
            reason = line if line.startswith(NOT_SERVED) else reason
    return process.returncode, reason


def main(options: list[str]) -> None:
    """Run the pipeline; end with DVC's exit status."""
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C also reaches DVC, which ends its stage and then itself
    wanted, reason = load_params().torch_dataset, ""
    if wanted == "cifar10" and not Path("data/raw/cifar10").exists():
        status, reason = download_cifar10()
        if status and not reason:
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

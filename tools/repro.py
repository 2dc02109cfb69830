"""`make repro`: `dvc repro`, and a study that still completes where CIFAR-10 can't be had.

    python -m tools.repro [options of dvc repro]

`dvc repro` never puts one data set in another's place. This does, for the PyTorch half alone, and openly: a banner
before and after, and a changed line in params.yaml. Ends with DVC's exit status.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path

import yaml

from stages.common.errors import StudyError
from stages.common.params import load_params
from tools.dvc_command import dvc, environment

PARAMS = Path("params.yaml")
WANTED, SUBSTITUTE = "cifar10", "fashion_mnist"
RAW = Path("data/raw") / WANTED
REPORT = Path("reports/report.md")
RESULTS = Path("reports")
TITLES = {"fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}
HEADLINE = ("test_accuracy", "validation_accuracy")
# What stages.download says of every place that failed, and in the end.
REASON, VERDICT = f"{WANTED} (", f"error: no place served {WANTED} "
RULE = "=" * 88

interruptions: list[int] = []


def main(options: list[str]) -> int:
    """Run the pipeline; return DVC's exit status."""
    try:
        load_params(PARAMS)  # what DVC says of some faults, before any stage could, is longer and names no key
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if data_set() == SUBSTITUTE:
        return reproduce_with_substitute(options, [])
    if data_set() != WANTED or RAW.exists():
        status = repro(options)
        # A download begins by removing what was there: still there means that something else went wrong.
        if status == 0 or data_set() != WANTED or RAW.exists():
            return finish(status)
    status, reasons = fetch(options)
    if status == 0:
        return finish(repro(options))
    if not reasons:
        return finish(status)
    substitute()
    return reproduce_with_substitute(options, reasons)


def data_set() -> str | None:
    """The PyTorch half's data set, or None where params.yaml doesn't say (DVC and the stages will complain better)."""
    try:
        return yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["train_torch"]["dataset"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return None


def repro(options: list[str], *targets: str) -> int:
    """`dvc repro`, its output untouched."""
    status = subprocess.run(dvc("repro", *options, *targets), env=environment(), check=False).returncode
    stop_if_interrupted()
    return status


def fetch(options: list[str]) -> tuple[int, list[str]]:
    """Fetch CIFAR-10 alone; return the exit status and, where no place had it, what each of them answered."""
    reasons, nowhere = [], False
    command = dvc("repro", *options, f"download@{WANTED}")
    with subprocess.Popen(
        command, env=environment(), stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
    ) as process:
        for line in process.stderr:
            print(line, end="", file=sys.stderr, flush=True)
            nowhere = nowhere or line.startswith(VERDICT)
            if line.startswith((REASON, VERDICT)):
                reasons.append(line.strip().removeprefix("error: "))
    stop_if_interrupted()
    return process.returncode, reasons if nowhere else []


def substitute() -> None:
    """Set the data set in params.yaml the way that `dvc exp run -S` does: one line changes."""
    from dvc.utils.serialize import modify_yaml  # a second's import, needed here alone

    with modify_yaml(PARAMS) as params:
        params["train_torch"]["dataset"] = SUBSTITUTE


def reproduce_with_substitute(options: list[str], reasons: list[str]) -> int:
    """Run all that the report rests on, which leaves CIFAR-10 out; say so before and after."""
    banner(reasons)
    status = repro(options, "report")
    banner(reasons)
    return finish(status)


def banner(reasons: list[str]) -> None:
    """What is not as published, why, and the way back."""
    lines = [f"The PyTorch half runs on Fashion-MNIST, not on CIFAR-10 (train_torch.dataset in {PARAMS})."]
    if reasons:
        lines = ["CIFAR-10 can't be had here:", *(f"  {reason}" for reason in reasons), "", *lines]
        lines.append(f"This run changed that line: see `git diff {PARAMS}`.")
    lines.append(f"To go back: set train_torch.dataset to {WANTED} once CIFAR-10 can be had, and `make repro` again.")
    print("\n".join(["", RULE, *lines, RULE, ""]), flush=True)


def finish(status: int) -> int:
    """Say where the report is and what it comes down to; hand the status on."""
    if status != 0:
        return status
    for title, folder in models_of_record():
        metrics = RESULTS / folder / "metrics.json"
        if metrics.exists():
            figures = json.loads(metrics.read_text(encoding="utf-8"))
            told = [f"{name.replace('_', ' ')} {figures[name]}" for name in HEADLINE if name in figures]
            print(f"{title}: {', '.join(told)}")
    if REPORT.exists():
        print(f"Report: {REPORT}")
    return status


def models_of_record() -> list[tuple[str, str]]:
    """Titles, and folders below reports/; only of the data sets asked for, as others may have left results too."""
    chosen = data_set()
    models = [("NumPy network", SUBSTITUTE, "train_numpy"), ("PyTorch perceptron", chosen, "train_torch/record")]
    models += [("Convolutional network", name, f"train_cnn/{name}") for name in TITLES if name in (SUBSTITUTE, chosen)]
    return [(f"{title}, {TITLES.get(name, name)}", folder) for title, name, folder in models]


def stop_if_interrupted() -> None:
    """Ctrl-C reaches DVC too, which must put its house in order first; killed, it would leave its stage running."""
    if interruptions:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, lambda number, frame: interruptions.append(number))
    sys.exit(main(sys.argv[1:]))

"""What the pipeline costs where no network is trained: preprocessing, and finding that nothing is to be done."""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tools.benchmark.children import LeftOutError, output_of
from tools.benchmark.plan import FASHION
from tools.dvc_command import dvc, environment

RAW = Path("data/raw") / FASHION
SETTINGS = ("params.yaml", "data/editions.yaml")
RUNNING = "Running stage"


def preprocess_seconds() -> float:
    """Wall seconds of the stage `preprocess fashion_mnist`, in a folder of its own: the project stays as it is."""
    if not RAW.exists():
        raise LeftOutError(f"{RAW} is missing")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / RAW.parent).mkdir(parents=True)
        (scratch / RAW).symlink_to(RAW.resolve(), target_is_directory=True)
        for name in SETTINGS:
            shutil.copy(name, scratch / name)
        start = time.perf_counter()
        environment_there = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        output_of([sys.executable, "-m", "stages.preprocess", FASHION], env=environment_there, cwd=scratch)
        seconds = time.perf_counter() - start
    return round(seconds, 2)


def no_op_seconds() -> float:
    """Wall seconds of `dvc repro` where every stage is up to date; asked first, so that nothing is run.

    Asked without `--allow-missing`, which calls a stage up to date whose outputs are missing; `dvc repro` would run it.
    """
    if would_run(output_of(dvc("repro", "--dry"), env=environment())):
        raise LeftOutError("the project is not up to date: dvc repro would run stages")
    start = time.perf_counter()
    output_of(dvc("repro"), env=environment())
    return round(time.perf_counter() - start, 2)


def would_run(dry: str) -> bool:
    """Whether `dvc repro` would run or check out anything, from what `dvc repro --dry` prints."""
    return RUNNING in dry

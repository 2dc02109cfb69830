"""The run cache: finished runs of all studies, so that no run is trained twice; `rm -r data/runs` empties it.

The key of a run covers all that its numbers depend on: configuration, seed, data, code, libraries, kernels. It has no
name: studies that contain the same run train it once.
"""

import hashlib
import json
import os
import platform
import sys
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.lib.introspect import opt_func_info
from pydantic import BaseModel
from threadpoolctl import threadpool_info

from stages.errors import StudyError
from stages.training.files import read_json, write_text
from stages.training.results import Run

ROOT = Path(__file__).parents[2]
FOLDER = Path("data/runs")
# Modules that do not affect results, or as `stages` only what `environment` names: a change in them invalidates no run.
NO_NUMBERS = {
    f"stages/{name}.py"
    for name in ("__init__", "errors", "params", "tune", "ablations", "repeat_numpy", "repeat_torch")
} | {
    f"stages/training/{name}.py"
    for name in ("dask_cluster", "files", "final_model", "live", "pool", "progress", "results", "run_cache", "sweep")
}


class Task(NamedTuple):
    """A run to be trained: its seed, its configuration, and the prepared data set."""

    seed: int
    training: BaseModel
    data: Path


class RunCache:
    """The finished runs, one file per run."""

    def __init__(self) -> None:
        self.environment = environment(loaded_files())
        self.file_hash = cache(file_hash)

    def path(self, task: Task) -> Path:
        """The file of a run."""
        basis = {"data": self.file_hash(task.data), **self.environment}
        key = [basis, task.seed, task.training.model_dump(mode="json")]
        return FOLDER / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()}.json"

    def get(self, task: Task) -> Run | None:
        """The run, if it is finished; a damaged file counts as absent."""
        try:
            return Run(**read_json(self.path(task)))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def put(self, task: Task, run: Run) -> None:
        """Write a finished run, in JSON with NaN and Infinity."""
        write_text(self.path(task), json.dumps(asdict(run)))


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise StudyError(f"{path} is missing; run `dvc repro preprocess`") from error


def loaded_files() -> tuple[str, ...]:
    """The project's modules that this process has loaded and that affect results, as paths below its root."""
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    paths = {Path(file).resolve() for file in files if file}
    names = {path.relative_to(ROOT).as_posix() for path in paths if path.is_relative_to(ROOT / "stages")}
    return tuple(sorted(names - NO_NUMBERS))


def environment(files: tuple[str, ...]) -> dict[str, str]:
    """What must be equal for equal numbers, by name; `files` are the project's modules that train."""
    code = "\n".join(f"{name} {_code_hash(ROOT / name)}" for name in files)
    found = {
        "code": hashlib.sha256(code.encode()).hexdigest(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "NumPy instructions": str(opt_func_info("^exp$", "float64")),
        "BLAS kernel": ", ".join(sorted({pool.get("architecture") or "" for pool in threadpool_info()} - {""})),
    }
    if torch := sys.modules.get("torch"):
        found |= {"torch": torch.__version__, "torch kernel": torch.backends.cpu.get_cpu_capability()}
        found["torch product"] = hashlib.sha256(product(torch)).hexdigest()
        gpu = os.environ.get("STUDY_DEVICE") != "cpu" and torch.accelerator.is_available()
        found["device"] = f"{torch.accelerator.current_accelerator()}" if gpu else "cpu"
        if gpu and torch.cuda.is_available():
            found["GPU"] = torch.cuda.get_device_name()
    return found


def product(torch: ModuleType) -> bytes:
    """A matrix product on one thread: MKL tells its choice of instructions by nothing but digits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    x = torch.from_numpy(np.random.default_rng(0).random((128, 3072), np.float32))
    found = (x @ x.T).numpy().tobytes()
    torch.set_num_threads(threads)
    return found


@cache  # called right after the file is loaded, so it is the hash of the code that runs, even if the file changes later
def _code_hash(path: Path) -> str:
    return file_hash(path) if path.exists() else "missing"

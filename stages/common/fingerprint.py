"""What a run's numbers rest on beside its configuration: the data, the code, the libraries, the processor's kernels.

Two processes with the same fingerprint give a run the same bytes. So a finished run is used again only under the
fingerprint that it was made with, and a cluster's workers must have that of whoever sends them runs.
"""

import hashlib
import os
import platform
import sys
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from threadpoolctl import threadpool_info

from stages.common.errors import StudyError

ROOT = Path(__file__).parents[2]


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise StudyError(f"{path} is missing; run `dvc repro preprocess`") from error


def modules_in_use() -> tuple[str, ...]:
    """The project's own files that are loaded, relative to its root."""
    stages = ROOT / "stages"
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    paths = {Path(file).resolve() for file in files if file}
    return tuple(sorted(path.relative_to(ROOT).as_posix() for path in paths if path.is_relative_to(stages)))


@lru_cache(maxsize=1)
def environment(modules: tuple[str, ...], with_torch: bool) -> dict[str, str]:
    """What must be equal for equal numbers, by name. `modules`: the files below the root that a run goes through.

    Remembered from a process's first call, when the code on the disk is what it has loaded.
    """
    code = hashlib.sha256()
    for name in modules:
        path = ROOT / name
        code.update(f"{name} {file_hash(path) if path.exists() else 'missing'}\n".encode())
    kernels = sorted({pool["architecture"] for pool in threadpool_info() if pool.get("architecture")})
    found = {
        "code": code.hexdigest(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "BLAS kernel": ", ".join(kernels),
    }
    if with_torch:
        import torch  # only where the runs have loaded it already

        found |= {"torch": torch.__version__, "torch kernel": torch.backends.cpu.get_cpu_capability()}
        found["device"] = os.environ.get("STUDY_DEVICE") or "auto"
        if torch.cuda.is_available():
            found["GPU"] = torch.cuda.get_device_name()
    return found


def own_environment() -> dict[str, str]:
    """That of this process."""
    return environment(modules_in_use(), "torch" in sys.modules)

"""DVC as a user would type it, run by the Python that runs this; the stages then find that Python as `python`."""

import os
import sys
from pathlib import Path


def dvc(*arguments: str) -> list[str]:
    """The command line of `dvc ARGUMENTS`."""
    return [sys.executable, "-m", "dvc", *arguments]


def environment() -> dict[str, str]:
    """The environment for it: stages say plain `python`, so this virtual environment comes first on PATH."""
    folder = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join([folder, os.environ.get("PATH", os.defpath)])}

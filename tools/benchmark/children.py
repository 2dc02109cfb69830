"""Processes of their own, for what must not share one with the rest."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class LeftOutError(Exception):
    """Something can't be measured here; the message says why."""


def output_of(command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """What a command prints; a LeftOutError with its last words where it fails."""
    child = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)
    if child.returncode:
        lines = child.stderr.strip().splitlines()
        raise LeftOutError(lines[-1] if lines else f"it ended with status {child.returncode}")
    return child.stdout

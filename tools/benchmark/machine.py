"""Which machine this is: times mean nothing without it."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

LIBRARIES = ("numpy", "torch", "scikit-learn", "scipy", "threadpoolctl")
CPU_INFO = Path("/proc/cpuinfo")


def version(library: str) -> str | None:
    """The installed version, or None."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """The processor's name, where the system tells it."""
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def load() -> float | None:
    """Processes that wanted a core over the last minute, the benchmark's own among them; None where unknown."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def about() -> dict[str, Any]:
    """Processor, cores, load at the start, versions."""
    versions = {"Python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}
    return {"processor": processor(), "cores": os.cpu_count(), "load": load(), "versions": versions}

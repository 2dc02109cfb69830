"""How long every node of the pipeline takes to start: Python, and all that the node imports."""

import sys
import time
from pathlib import Path
from typing import Any

from tools.benchmark.children import output_of
from tools.benchmark.timing import spread

REPEATS = 3
STAGES = Path("stages")


def nodes() -> list[str]:
    """The modules that dvc.yaml runs."""
    return sorted(path.stem for path in STAGES.glob("*.py") if not path.stem.startswith("_"))


def import_seconds(node: str) -> float:
    """Wall seconds of a process that imports a node and ends."""
    start = time.perf_counter()
    output_of([sys.executable, "-c", f"import stages.{node}"])
    return time.perf_counter() - start


def measure_startup() -> dict[str, Any]:
    """Seconds of each node, the nodes taking turns."""
    taken: dict[str, list[float]] = {node: [] for node in nodes()}
    for _ in range(REPEATS):
        for node, seconds in taken.items():
            seconds.append(import_seconds(node))
    return {node: spread(seconds) for node, seconds in taken.items()}

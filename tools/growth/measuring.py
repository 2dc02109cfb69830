"""What is measured, a few rows at a time: epochs and workers in processes of their own, then kinds of run in one."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict

from tools.benchmark.children import output_of
from tools.benchmark.memory import MEBI
from tools.growth.plan import RECORD, Epoch, hidden_epochs, images_epochs
from tools.growth.rows import MEASURED, ON_A_PART, Row

SECTIONS = ("tune", "ablations")
Key = tuple[str, float, str, str]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def child(*arguments: str) -> dict[str, float]:
    """Seconds and peak memory, in MiB, that a process of its own finds."""
    command = [sys.executable, "-m", "tools.growth.child", *arguments]
    return json.loads(output_of(command, env={**os.environ, **ONE_THREAD}))


def both(axis: str, value: float, series: str, found: dict[str, float], how: str) -> list[Row]:
    """The two rows that a child gives."""
    return [
        Row(axis, value, series, "time", "s", found["seconds"], how),
        Row(axis, value, series, "memory", "MiB", found["mib"], how),
    ]


def epoch_rows(axis: str, value: float, series: str, epoch: Epoch, known: set[Key]) -> Iterator[list[Row]]:
    """Seconds and memory of an epoch, unless they are known."""
    if (axis, value, series, "time") not in known:
        how = MEASURED if epoch.steps is None else ON_A_PART
        yield both(axis, value, series, child("epoch", json.dumps(asdict(epoch))), how)


def start_up_seconds(section: str) -> float:
    """Processor seconds that a new process takes to import a stage: those of an idle machine, whatever else runs."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", f"import stages.{section}"], check=True, env={**os.environ, **ONE_THREAD})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def machine_mebibytes() -> float:
    """The memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MEBI


def measure(known: set[Key]) -> Iterator[list[Row]]:
    """Rows as soon as they are measured, less those that are `known`."""
    from stages.common.params import load_params

    yield [Row("machine", 1, "this machine", "memory", "MiB", machine_mebibytes(), MEASURED)]
    yield [Row("record", 1, name, "time", "s", seconds, MEASURED) for name, seconds in RECORD.items()]
    for section in SECTIONS:
        if ("start-up", 1, section, "time") not in known:
            yield [Row("start-up", 1, section, "time", "s", start_up_seconds(section), MEASURED)]
        if ("worker", 1, section, "time") not in known:
            yield both("worker", 1, section, child("worker", section), MEASURED)
    for epoch in images_epochs():
        yield from epoch_rows("images", epoch.images, epoch.network, epoch, known)
    for epoch in hidden_epochs():
        series = epoch.network.replace(f"-{epoch.sizes[1]}-", "-H-")
        yield from epoch_rows("hidden units", epoch.sizes[1], series, epoch, known)
    from tools.growth.timing import time_kinds  # PyTorch, which the small processes above must not inherit

    yield from time_kinds(load_params(), {series for axis, _, series, _ in known if axis == "run"})

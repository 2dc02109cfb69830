"""Runs go side by side over the cores, and come back in the order they were given.

How many at once is no parameter of the study, since it changes no result: each run has generators of its own and one
BLAS thread. `STUDY_JOBS` sets it; without, there is one a core.
"""

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

from joblib import Parallel, cpu_count, delayed
from threadpoolctl import threadpool_limits

from stages.common.errors import StudyError
from stages.common.progress import Progress

Task = TypeVar("Task")
Result = TypeVar("Result")


def jobs() -> int:
    """How many runs go side by side."""
    asked = os.environ.get("STUDY_JOBS", "")
    if not asked:
        return cpu_count()
    if not asked.isdecimal() or int(asked) < 1:
        raise StudyError(f"STUDY_JOBS = {asked!r}: a whole number of at least 1 is needed")
    return int(asked)


def single_threaded(function: Callable[[Task], Result], task: Task) -> Result:
    """Call `function(task)` with one BLAS thread: sums come out the same however many cores there are."""
    with threadpool_limits(1):
        return function(task)


def run_all(function: Callable[[Task], Result], tasks: Sequence[Task], label: str) -> list[Result]:
    """Return `[function(task) for task in tasks]`, computed side by side, showing progress under `label`."""
    workers = min(jobs(), len(tasks))
    results = []
    with Progress(label, len(tasks), "runs") as progress:
        parallel = Parallel(n_jobs=workers, return_as="generator", pre_dispatch="all", batch_size=1)
        for result in parallel(delayed(single_threaded)(function, task) for task in tasks):
            results.append(result)
            progress.advance()
    return results

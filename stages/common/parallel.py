"""Runs go side by side, over the cores of this machine or over a cluster, and are handed back as each is done.

How many at once and where is no parameter of the study, since it changes no result: each run has generators of its own
and one BLAS thread. `STUDY_JOBS` sets how many; without, there is one a core. `STUDY_SCHEDULER` names a Dask cluster.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from joblib import cpu_count

from stages.common.errors import StudyError
from stages.common.threads import single_threaded
from stages.common.workers import as_done_by_workers, run_without_memory_named

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


def as_done(
    function: Callable[[Path, Task], Result], data: Path, tasks: Sequence[Task]
) -> Iterator[tuple[int, Result]]:
    """Begin `function(data, task)` for the tasks in their order; yield (number of the task, result) as each is done.

    A LostRunError says which task ended its worker.
    """
    if not tasks:
        return
    address = os.environ.get("STUDY_SCHEDULER", "")
    workers = min(jobs(), len(tasks))
    if address:
        from stages.common.cluster import as_done_there  # half a second's import, for who has a cluster alone

        yield from as_done_there(address, function, data, tasks)
    elif workers > 1:
        yield from as_done_by_workers(workers, partial(single_threaded, function), data, tasks)
    else:
        for number, task in enumerate(tasks):
            with run_without_memory_named(number):
                result = single_threaded(function, data, task)
            yield number, result

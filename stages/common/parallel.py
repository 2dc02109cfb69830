"""Runs go side by side, over the cores of this machine or over a cluster, and are handed back as each is done.

How many at once and where is no parameter of the study, since it changes no result: each run has generators of its own
and one BLAS thread. `STUDY_JOBS` sets how many; without, there is one a core. `STUDY_SCHEDULER` names a Dask cluster.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from joblib import Parallel, cpu_count, delayed

from stages.common.errors import StudyError
from stages.common.threads import single_threaded

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
    """Begin `function(data, task)` for the tasks in their order; yield (number of the task, result) as each is done."""
    if not tasks:
        return
    call, numbered_tasks = partial(one_of_many, function), list(enumerate(tasks))
    address = os.environ.get("STUDY_SCHEDULER", "")
    if address:
        from stages.common.cluster import as_done_there  # half a second's import, for who has a cluster alone

        yield from as_done_there(address, call, data, numbered_tasks)
    else:
        workers = min(jobs(), len(tasks))
        parallel = Parallel(n_jobs=workers, return_as="generator_unordered", pre_dispatch="all", batch_size=1)
        yield from parallel(delayed(call)(data, task) for task in numbered_tasks)


def one_of_many(function: Callable[[Path, Task], Result], data: Path, task: tuple[int, Task]) -> tuple[int, Result]:
    """The number of a task and its result, computed with one BLAS thread."""
    number, content = task
    return number, single_threaded(function, data, content)

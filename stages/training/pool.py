"""Runs side by side: on the cores of this machine, or on a Dask cluster where `STUDY_SCHEDULER` names one.

It changes no result how many run at once, or where: each run has its own random generators and one BLAS thread.
`STUDY_JOBS` sets how many; the default is one a core.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from pathlib import Path

from pebble import ProcessExpired, ProcessPool
from threadpoolctl import threadpool_limits

from stages.errors import StudyError, is_out_of_memory
from stages.training.results import Run
from stages.training.run_cache import Task

Train = Callable[[Path, Task], Run]


class RunFailed(Exception):  # noqa: N818
    """The run of the task number `index` ended its process or had not enough memory."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(index, reason)
        self.index, self.reason = index, reason


def train_all(train: Train, data: Path, tasks: Sequence[Task]) -> Iterator[tuple[int, Run]]:
    """Begin `train(data, task)` for the tasks in their order; yield (index, run) as each is done."""
    address = os.environ.get("STUDY_SCHEDULER")
    if address and tasks:
        from stages.training.dask_cluster import train_on_cluster  # half a second's import

        yield from train_on_cluster(address, train, data, tasks)
    elif min(jobs(), len(tasks)) > 1:
        yield from train_in_processes(train, data, tasks)
    else:
        for index, task in enumerate(tasks):
            with named_failures(index):
                run = single_threaded(train, data, task)
            yield index, run


def jobs() -> int:
    """How many runs go side by side."""
    asked = os.environ.get("STUDY_JOBS")
    if not asked:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not asked.isdecimal() or int(asked) < 1:
        raise StudyError(f"STUDY_JOBS = {asked!r}: a whole number of at least 1 is needed")
    return int(asked)


def single_threaded(train: Train, data: Path, task: Task) -> Run:
    """Train with one BLAS thread: more would add in another order, which shows in the last digits."""
    with threadpool_limits(1):
        return train(data, task)


@contextmanager
def named_failures(index: int) -> Iterator[None]:
    """Where a process ends or memory runs out, raise which run it was."""
    try:
        yield
    except ProcessExpired as error:
        raise RunFailed(index, describe_exit(error.exitcode)) from error
    except BrokenProcessPool as error:
        raise RunFailed(index, "lost its process before it began") from error
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise RunFailed(index, "had not enough memory") from error


def describe_exit(code: int) -> str:
    """The end of a process in words."""
    if code == -signal.SIGKILL:
        return "was killed, as the system does when memory runs out"
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended its process with exit status {code}"


def train_in_processes(train: Train, data: Path, tasks: Sequence[Task]) -> Iterator[tuple[int, Run]]:
    """`train_all` in processes of this machine: new interpreters, as a fork would copy locks and BLAS settings."""
    pool = ProcessPool(
        min(jobs(), len(tasks)), initializer=end_with_parent, context=multiprocessing.get_context("spawn")
    )
    try:
        with interrupts_blocked():
            futures = {pool.schedule(single_threaded, (train, data, task)): n for n, task in enumerate(tasks)}
        for future in as_completed(futures):
            with named_failures(futures[future]):
                run = future.result()
            yield futures[future], run
    finally:
        pool.stop()
        pool.join()


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Threads and processes started here never see Ctrl-C, which a terminal sends to all: this process ends them."""
    resource_tracker.ensure_running()  # on its start, multiprocessing would unblock them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """End this process as soon as its parent ends, in the middle of a run too."""
    parent = multiprocessing.parent_process().sentinel

    def watch() -> None:
        wait([parent])
        signal.raise_signal(signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()

"""Runs in parallel on the cores of this machine.

The number of parallel runs does not affect results: each run has its own random generators and one BLAS thread.
`STUDY_JOBS` sets the number; the default is one per core.
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

from joblib import cpu_count
from pebble import ProcessExpired, ProcessPool
from threadpoolctl import threadpool_limits

from stages.errors import StudyError, is_out_of_memory
from stages.training.results import Run
from stages.training.run_cache import Task

Train = Callable[[Task], Run]


class RunFailed(Exception):  # noqa: N818
    """The process of task number `index` ended, or memory ran out."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(index, reason)
        self.index, self.reason = index, reason


def train_here(train: Train, tasks: Sequence[Task]) -> Iterator[tuple[int, Run]]:
    """Begin `train(task)` for the tasks in their order; yield (index, run) as each is done."""
    if min(jobs(), len(tasks)) > 1:
        yield from train_in_processes(train, tasks)
    else:
        for index, task in enumerate(tasks):
            with named_failures(index):
                run = single_threaded(train, task)
            yield index, run


def jobs() -> int:
    """How many runs to train in parallel."""
    asked = os.environ.get("STUDY_JOBS")
    if not asked:
        return cpu_count()  # those that a container may use
    if not asked.isdecimal() or int(asked) < 1:
        raise StudyError(f"STUDY_JOBS = {asked!r}: a whole number of at least 1 is needed")
    return int(asked)


def single_threaded(train: Train, task: Task) -> Run:
    """Train with one BLAS thread: more would change the order of summation, and so the last digits."""
    with threadpool_limits(1):
        return train(task)


@contextmanager
def named_failures(index: int) -> Iterator[None]:
    """If a process ends or memory runs out, raise a RunFailed that names the run."""
    try:
        yield
    except ProcessExpired as error:
        raise RunFailed(index, describe_exit(error.exitcode)) from error
    except BrokenProcessPool as error:
        raise RunFailed(index, "lost its process before training began") from error
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise RunFailed(index, "ran out of memory") from error


def describe_exit(code: int) -> str:
    """The end of a process in words."""
    if code == -signal.SIGKILL:
        return "was killed, as the system does when memory runs out"
    if code < 0:
        return f"was terminated by {signal.Signals(-code).name}"
    return f"exited with status {code}"


def train_in_processes(train: Train, tasks: Sequence[Task]) -> Iterator[tuple[int, Run]]:
    """`train_here` in processes: new interpreters, as a fork would copy locks and BLAS settings."""
    pool = ProcessPool(
        min(jobs(), len(tasks)), initializer=end_with_parent, context=multiprocessing.get_context("spawn")
    )
    try:
        with interrupts_blocked():
            futures = {pool.schedule(single_threaded, (train, task)): n for n, task in enumerate(tasks)}
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

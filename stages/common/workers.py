"""Worker processes of which each has one run at a time, so that whoever loses a worker knows which run it had.

joblib's and the standard library's pools know only that one of several was lost. A run that is killed is most often one
that needed more memory than there is, and its name is what one must know to do better.
"""

import multiprocessing
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, TypeVar

import cloudpickle

from stages.common.errors import is_out_of_memory

Task = TypeVar("Task")
Result = TypeVar("Result")

# A new interpreter: a forked one would have the parent's locks, threads and BLAS settings.
CONTEXT = multiprocessing.get_context("spawn")


NO_MEMORY = "had not enough memory"


class LostRunError(Exception):
    """A run that ended its worker, or that had not enough memory: its number, and what happened."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(number, reason)
        self.number, self.reason = number, reason


@contextmanager
def run_without_memory_named(number: int) -> Iterator[None]:
    """Where memory runs out, say whose run it was."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise LostRunError(number, NO_MEMORY) from error


def as_done_by_workers(
    workers: int, function: Callable[[Path, Task], Result], data: Path, tasks: Sequence[Task]
) -> Iterator[tuple[int, Result]]:
    """Begin `function(data, task)` for the tasks in their order; yield (number of the task, result) as each is done."""
    waiting = list(enumerate(tasks))[::-1]
    team: list[Worker] = []
    try:
        while len(team) < min(workers, len(tasks)):
            team.append(Worker(function, data))
            team[-1].begin(*waiting.pop())
        busy = {worker.connection: worker for worker in team}
        while busy:
            for connection in wait(list(busy)):
                worker = busy[connection]
                number, result = worker.number, worker.result()
                if waiting:
                    worker.begin(*waiting.pop())
                else:
                    del busy[connection]
                yield number, result
    finally:
        for worker in team:
            worker.end()


class Worker:
    """A process that makes one call after another."""

    def __init__(self, function: Callable[[Path, Task], Result], data: Path) -> None:
        self.connection, there = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=serve, args=(there, function, data), daemon=True)
        with interrupts_blocked():
            self.process.start()
        there.close()  # or its end would not be noticed
        self.number = -1

    def begin(self, number: int, task: Any) -> None:
        """Have the call made for a task."""
        self.number = number
        with suppress(OSError):  # where the worker has ended meanwhile, `result` says so
            # Of pydantic's classes for one kind of training, plain pickle finds no name.
            self.connection.send_bytes(cloudpickle.dumps(task))

    def result(self) -> Any:
        """What the call returned; what it raised is raised here."""
        try:
            result, error = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            raise LostRunError(self.number, how_it_ended(self.process.exitcode)) from None
        if error is not None:
            with run_without_memory_named(self.number):
                raise error
        return result

    def end(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def how_it_ended(exit_code: int) -> str:
    """The end of a process in words."""
    if exit_code == -signal.SIGKILL:
        return "was killed, as the system does when memory runs out"
    if exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"ended its worker with exit status {exit_code}"


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Processes started here never see Ctrl-C, which the terminal sends to them too: their parent ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(connection: Connection, function: Callable[[Path, Task], Result], data: Path) -> None:
    """What a worker does: take a task, send back (result, error), and so on until nobody is there."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    while True:
        try:
            task = pickle.loads(connection.recv_bytes())
        except EOFError:
            return
        try:
            answer = (function(data, task), None)
        except Exception as error:
            error.add_note("".join(traceback.format_exception(error)))  # else the place of the error would be lost
            answer = (None, error)
        connection.send(answer)


def end_with_parent() -> None:
    """End with the process that started this one, in the middle of a run too."""
    wait([multiprocessing.parent_process().sentinel])
    signal.raise_signal(signal.SIGKILL)

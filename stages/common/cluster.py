"""The runs of a study on a Dask cluster, which shares nothing with this machine but the network.

Each worker has a copy of the project of its own, as it needs the libraries anyhow; the data set is sent to it, to those
too that join later. A worker whose numbers could differ from this machine's refuses, and says what differs.
"""

import logging
import pickle
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import cloudpickle
from distributed import CancelledError, Client, Future, KilledWorker, as_completed, get_worker
from distributed.diagnostics.plugin import UploadFile

from stages.common.errors import StudyError
from stages.common.fingerprint import environment, file_hash, modules_in_use, own_environment
from stages.common.threads import single_threaded
from stages.common.workers import LostRunError, run_without_memory_named

Task = TypeVar("Task")
Result = TypeVar("Result")
VARIABLE = "STUDY_SCHEDULER"
ADDRESS = r"(tcp|tls)://\S+:\d+"
PATIENCE = 15  # seconds to find the scheduler, and a first worker


def as_done_there(
    address: str, function: Callable[[Path, Task], Result], data: Path, tasks: Sequence[Task]
) -> Iterator[tuple[int, Result]]:
    """Call `function(data, task)` on the workers of the scheduler at `address`; yield as `parallel.as_done` does."""
    if not re.fullmatch(ADDRESS, address):
        raise StudyError(f"{VARIABLE} = {address!r}: an address such as tcp://HOST:8786 is needed")
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise StudyError(f"{VARIABLE} = {address!r}: no Dask scheduler answers there") from error
    with client:
        require_workers(client, address)
        where = send(client, data), own_environment(), modules_in_use()
        call = partial(single_threaded, function)
        payloads = [cloudpickle.dumps(Call(on_worker, (call, task, *where))) for task in tasks]
        # pickle.loads is known everywhere: the scheduler needs no copy of the project.
        numbers = {client.submit(pickle.loads, payload, pure=False): n for n, payload in enumerate(payloads)}
        for future in as_completed(list(numbers), loop=client.loop):
            number = numbers.pop(future)
            try:
                done = result(future, number)
            except CancelledError as error:
                # The client is still looking for it, and tells with a stack trace that it has to stop.
                logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
                raise StudyError(
                    f"{VARIABLE} = {address!r}: the scheduler was lost; finished runs are kept: run it again once it "
                    "and its workers are back"
                ) from error
            yield number, done


def result(future: Future, number: int) -> Any:
    """What the call for a task returned; what it raised, or what ended its workers, is raised here."""
    try:
        with run_without_memory_named(number):
            return future.result()
    except ModuleNotFoundError as error:
        raise StudyError(
            f"{VARIABLE}: a worker finds no {error.name}: start it in a copy of the project, by PYTHONPATH=. "
            "dask worker, with the libraries of requirements.txt"
        ) from error
    except KilledWorker as error:
        lost = error.allowed_failures + 1
        raise LostRunError(number, f"lost its worker {lost} times, the last one {error.last_worker.address}") from error


def require_workers(client: Client, address: str) -> None:
    """At least one, each with a single thread: threads of one process would share its settings."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as error:
        raise StudyError(
            f"{VARIABLE} = {address!r}: the scheduler has no workers; start some, see the README"
        ) from error
    for worker, threads in client.nthreads().items():
        if threads != 1:
            raise StudyError(f"the worker {worker} has {threads} threads: start workers with --nthreads 1")


def send(client: Client, data: Path) -> str:
    """Give every worker, now and later, a copy of the file; return its name there, which its contents decide."""
    name = f"{file_hash(data)}{data.suffix}"
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / name
        shutil.copyfile(data, named)
        client.register_plugin(UploadFile(str(named), load=False), name=name)
    return name


class Call:
    """A call that is made where its pickle is loaded."""

    def __init__(self, function: Callable, arguments: tuple) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable, tuple]:
        return self.function, self.arguments


def on_worker(
    function: Callable[[Path, Task], Result], task: Task, sent: str, wanted: dict[str, str], modules: tuple[str, ...]
) -> Result:
    """Call `function(data, task)` with the data that was `sent`, if equal numbers can be had here."""
    worker = get_worker()
    found = environment(modules, "torch" in wanted)
    for what, value in wanted.items():
        if found.get(what) != value:
            raise StudyError(
                f"the worker {worker.address} has another {what}, {found.get(what, 'none')} instead of {value}: "
                "make them equal and start it again"
            )
    return function(Path(worker.local_directory) / sent, task)

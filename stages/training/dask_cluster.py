"""Runs on a Dask cluster, which shares nothing with this machine but the network.

Each worker has its own copy of the project and its libraries; the data set is sent to it. A worker whose results could
differ from this machine's refuses to train, and names the difference.
"""

import logging
import pickle
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from distributed import CancelledError, Client, KilledWorker, as_completed, get_worker
from distributed.comm import CommClosedError
from distributed.diagnostics.plugin import UploadFile

from stages.errors import StudyError
from stages.training.pool import RunFailed, Train, named_failures, single_threaded
from stages.training.results import Run
from stages.training.run_cache import Task, environment, file_hash, loaded_files

VARIABLE = "STUDY_SCHEDULER"
COMMAND = "PYTHONPATH=. dask worker --preload-nanny stages"  # imported before the worker's own process loads NumPy
TIMEOUT = 15  # seconds to find the scheduler, and a first worker


def train_on_cluster(address: str, train: Train, tasks: Sequence[Task]) -> Iterator[tuple[int, Run]]:
    """`pool.train_here` on the workers of the scheduler at `address`."""
    files = loaded_files()
    wanted = environment(files)
    with connect(address) as client:
        sent = {data: send(client, data) for data in {task.data for task in tasks}}
        payloads = [pickle.dumps(Call(train_on_worker, train, sent[task.data], task, wanted, files)) for task in tasks]
        # The scheduler knows pickle.loads, and needs no copy of the project.
        futures = {client.submit(pickle.loads, payload, pure=False): n for n, payload in enumerate(payloads)}
        for future in as_completed(list(futures)):
            index = futures.pop(future)
            try:
                with named_failures(index):
                    run = future.result()
            except KilledWorker as error:
                count, last = error.allowed_failures + 1, error.last_worker.address
                raise RunFailed(index, f"lost its worker {count} times, the last one {last}") from error
            except (CancelledError, CommClosedError) as error:
                # The client still tries to reconnect, and would log a stack trace.
                logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
                raise StudyError(
                    f"{VARIABLE} = {address!r}: the scheduler was lost; finished runs are kept: "
                    "start it and its workers, and run this again"
                ) from error
            except ModuleNotFoundError as error:
                raise StudyError(
                    f"{VARIABLE}: a worker cannot import {error.name}: start it in a copy of the project, by "
                    f"{COMMAND}, with the libraries of requirements.txt"
                ) from error
            yield index, run


def connect(address: str) -> Client:
    """A client of the scheduler; its workers have one thread each, as threads would share settings of a process."""
    if not re.fullmatch(r"(tcp|tls)://\S+:\d+", address):
        raise StudyError(f"{VARIABLE} = {address!r}: an address such as tcp://HOST:8786 is needed")
    try:
        client = Client(address, timeout=TIMEOUT)
    except (OSError, TimeoutError) as error:
        raise StudyError(f"{VARIABLE} = {address!r}: no Dask scheduler answers there") from error
    try:
        client.wait_for_workers(1, timeout=TIMEOUT)
    except TimeoutError as error:
        client.close()
        raise StudyError(f"{VARIABLE} = {address!r}: the scheduler has no workers; start some, see README") from error
    for worker, threads in client.nthreads().items():
        if threads != 1:
            client.close()
            raise StudyError(f"the worker {worker} has {threads} threads: start workers with --nthreads 1")
    return client


def send(client: Client, data: Path) -> str:
    """Send the file to every worker, also to those that join later; return its name there, which is its hash."""
    plugin = UploadFile(str(data), load=False)
    plugin.filename = f"{file_hash(data)}{data.suffix}"
    client.register_plugin(plugin, name=plugin.filename)
    return plugin.filename


class Call:
    """A call that is made where its pickle is loaded."""

    def __init__(self, function: Callable, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable, tuple]:
        return self.function, self.arguments


def train_on_worker(train: Train, sent: str, task: Task, wanted: dict[str, str], files: tuple[str, ...]) -> Run:
    """Call `train(task)` with the data that was `sent`, if this worker can give equal numbers."""
    worker = get_worker()
    found = environment(files)
    for what, value in wanted.items():
        if found.get(what) != value:
            raise StudyError(
                f"the worker {worker.address} has another {what}, {found.get(what, 'none')} instead of {value}: "
                f"make them equal and start it again, by {COMMAND}"
            )
    return single_threaded(train, task._replace(data=Path(worker.local_directory) / sent))

"""What a killed process was writing is removed by the next one that writes to the same place.

Whoever writes holds a lock on its temporary file or folder, which ends with the process however that ends. So a lock
tells a leftover from what another process is writing at this moment.
"""

import fcntl
import glob
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def temporary_for(path: Path, make: Callable[[], Path]) -> Iterator[Path]:
    """Remove what was left over for `path`; yield a new temporary by `make`, locked, and remove it at the end.

    Its name must be `leftover_prefix(path)` and something more, in the folder of `path`.
    """
    for leftover in path.parent.glob(f"{glob.escape(leftover_prefix(path))}*"):
        remove_abandoned(leftover)
    temporary, handle = locked(make)
    try:
        yield temporary
    finally:
        remove(temporary)
        os.close(handle)


def leftover_prefix(path: Path) -> str:
    """How the names of all temporaries for `path` begin."""
    return f".{path.name}."


def locked(make: Callable[[], Path]) -> tuple[Path, int]:
    """A new file or folder by `make`, and the handle that holds its lock."""
    while True:
        path = make()
        # Before it is locked, another process may take it for a leftover; then it is gone, and another one is made.
        with suppress(FileNotFoundError):
            handle = os.open(path, os.O_RDONLY)
            with suppress(OSError):  # some network file systems have no locks: nothing is taken for a leftover there
                fcntl.flock(handle, fcntl.LOCK_EX)
            if path.exists():
                return path, handle
            os.close(handle)


def remove_abandoned(path: Path) -> None:
    """Remove a temporary that no living process has locked."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove(path)
    except OSError:
        pass  # somebody is writing it
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is still there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

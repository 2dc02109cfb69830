"""A directory of outputs appears whole or not at all, as `files.whole_file` does it for a file."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stages.common.leftovers import leftover_prefix, temporary_for


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary directory beside `path`; on success it takes `path`'s place, on failure it goes.

    What was at `path` before is given up only once the new contents stand in its place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_for(path, lambda: _scratch(path)) as scratch:
        new, old = scratch / "new", scratch / "old"
        # Made by mkdir rather than by mkdtemp, so that it gets the permissions of any new directory.
        new.mkdir()
        yield new
        _replace(path, new, old)


def _scratch(path: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=path.parent, prefix=leftover_prefix(path)))


def _replace(path: Path, new: Path, old: Path) -> None:
    with _one_at_a_time(path.parent):
        had_old = os.path.lexists(path)
        if had_old:
            path.rename(old)
        try:
            new.rename(path)
        except BaseException:
            if had_old:
                old.rename(path)
            raise


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Let nobody else replace a directory in `folder`: of two that do so at once, one would find its place taken."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)

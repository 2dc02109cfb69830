"""A directory of outputs appears whole or not at all, as `files.whole_file` does it for a file."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary directory beside `path`; on success it takes `path`'s place, on failure it goes.

    What was at `path` before is given up only once the new contents stand in its place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    new, old = scratch / "new", scratch / "old"
    try:
        # Made by mkdir rather than by mkdtemp, so that it gets the permissions of any new directory.
        new.mkdir()
        yield new
        _replace(path, new, old)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _replace(path: Path, new: Path, old: Path) -> None:
    had_old = os.path.lexists(path)
    if had_old:
        path.rename(old)
    try:
        new.rename(path)
    except BaseException:
        if had_old:
            old.rename(path)
        raise

"""Files appear whole or not at all: everything is written beside its place, then renamed into it."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.common.leftovers import leftover_prefix, temporary_for


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path in `path`'s folder; rename it to `path` on success, delete it on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_for(path, lambda: empty_file(path)) as temporary:
        yield temporary
        # mkstemp makes files that only their owner reads; outputs get what any new file would get.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)


def empty_file(path: Path) -> Path:
    """A new temporary file beside `path`, with its suffix, which some libraries go by."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=leftover_prefix(path), suffix=path.suffix)
    os.close(handle)
    return Path(name)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with Unix line ends, whatever the locale."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Write strict JSON (no NaN, no Infinity), keys in the order given."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))

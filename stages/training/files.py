"""Writing files: each appears complete or not at all, and the same content gives the same bytes on every machine."""

import io
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date of a zip file


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with its suffix; rename it to `path` on success, remove it on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 with Unix line ends, whatever the locale."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Write strict JSON (no NaN, no Infinity), keys in the order given."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table with six significant digits; NaN and infinities become empty cells."""
    finite = table.replace([np.inf, -np.inf], np.nan)
    write_text(path, finite.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays, uncompressed and in the order given, for `numpy.load` to read.

    `numpy.savez` streams its members, and the zip headers of streamed members differ between releases of Python.
    """
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
            header = zipfile.ZipInfo(f"{name}.npy", ZIP_EPOCH)
            header.create_system = 3  # Unix, on any system
            archive.writestr(header, member.getvalue())

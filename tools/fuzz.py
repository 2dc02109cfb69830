"""Throw spoilt files at a reader of what comes from outside: it must return or raise a StudyError, whatever the bytes.

    python -m tools.fuzz READER [SECONDS]

atheris (libFuzzer) spoils a valid file in ever new ways, keeping those that reach new lines of code. Any other
exception, a hang and too much memory end with a trace, the bytes in a file of the current folder, and a status not 0.
"""

import gzip
import inspect
import io
import os
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
from PIL import Image, JpegImagePlugin

from stages.common import archives, cifar_binary, datasets, idx, jpeg_tar
from stages.common.arrays import write_arrays
from stages.common.editions import Content, Edition, Upstream
from stages.common.errors import StudyError

SECONDS = 60
MEMORY_MIB = 1024
LONGEST_BYTES = 1 << 13  # of an input; what the formats can claim fits into far less
SECONDS_A_FILE = 5
WATCHED = (archives, cifar_binary, datasets, idx, jpeg_tar, gzip, tarfile, zipfile, JpegImagePlugin)
PIXELS = 8
EDITION = Edition(
    data_set="fuzzed",
    name="jpeg",
    format="jpeg",
    height=PIXELS,
    width=PIXELS,
    channels=3,
    class_names=("cat", "dog"),
    train_images=2,
    test_images=1,
    contents={"images.tar": Content(1 << 16, "0" * 64)},
    upstream=Upstream({}, ()),
)


class Reader(NamedTuple):
    """`read` what lies at a path; `valid` is a file that it takes; `prepare` makes that file's like of fuzzed bytes."""

    read: Callable[[Path], object]
    valid: Callable[[Path], bytes]
    prepare: Callable[[bytes], bytes] = bytes


def _read_prepared(path: Path) -> None:
    for read in (datasets.read_test, datasets.read_normalisation, datasets.read_class_names):
        read(path)
    for split in datasets.SPLITS:
        datasets.read_split(path, split)


def _idx(path: Path) -> bytes:
    return bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in (2, 3, 4)) + bytes(range(24))


def _cifar(path: Path) -> bytes:
    return bytes(2 * (1 + 3 * PIXELS * PIXELS))


def _jpeg(path: Path) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (PIXELS, PIXELS), "teal").save(file, "JPEG")
    return file.getvalue()


def _tar(path: Path) -> bytes:
    jpeg_tar.write_tar(path, {f"{part}/cat/0001.jpg": _jpeg(path) for part in ("train", "test")})
    return path.read_bytes()[: -12 * tarfile.BLOCKSIZE]  # most of the zeros at its end


def _prepared(path: Path) -> bytes:
    images, labels = np.zeros((3, 2, 2, 1), np.uint8), np.eye(3, dtype=np.uint8)
    arrays = {"train_images": images, "train_labels": labels, "test_images": images, "test_labels": labels}
    constants = {"validation_index": np.array([1]), "mean": np.zeros(1), "std": np.ones(1)}
    write_arrays(path, {**arrays, **constants, "class_names": np.array(["a", "b", "c"])})
    return path.read_bytes()


def _in_tar(data: bytes) -> bytes:
    """The bytes as an image of the edition."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo("train/cat/0001.jpg")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


def _with_checksums(data: bytes) -> bytes:
    """The bytes as a tar archive whose headers have the right checksums, or no spoilt one would get past them."""
    blocks = [data[start : start + tarfile.BLOCKSIZE] for start in range(0, len(data), tarfile.BLOCKSIZE)]
    for place, block in enumerate(blocks):
        if block[257:262] == b"ustar" and len(block) == tarfile.BLOCKSIZE:
            total = sum(block[:148]) + 8 * ord(" ") + sum(block[156:])
            blocks[place] = block[:148] + b"%06o\0 " % total + block[156:]
    return b"".join(blocks)


READERS = {
    "idx": Reader(lambda path: idx.read_idx(path, 3), _idx),
    "cifar": Reader(lambda path: cifar_binary.read_cifar_binary(path, EDITION.image_shape), _cifar),
    "jpeg": Reader(lambda path: jpeg_tar.read_tar(path, EDITION), _jpeg, _in_tar),
    "tar": Reader(lambda path: jpeg_tar.read_tar(path, EDITION), _tar, _with_checksums),
    "gzip": Reader(lambda path: archives.read_whole(path, 1 << 20), lambda path: gzip.compress(_idx(path), mtime=0)),
    "prepared": Reader(_read_prepared, _prepared),
}


def attempt(reader: Reader, data: bytes, path: Path) -> bool:
    """Let the reader read the bytes, by way of the file `path`; whether it took them. Other errors come through."""
    path.write_bytes(reader.prepare(data))
    try:
        reader.read(path)
    except StudyError:
        return False
    return True


def main(arguments: list[str]) -> int:
    """Fuzz one reader for some seconds; the exit status."""
    name, seconds = (*arguments, str(SECONDS))[:2] if arguments else ("", "")
    if len(arguments) > 2 or name not in READERS or not (seconds.isascii() and seconds.isdigit()):
        print(
            f"usage: python -m tools.fuzz READER [SECONDS], where READER is one of: {', '.join(READERS)}",
            file=sys.stderr,
        )
        return 2
    with tempfile.TemporaryDirectory() as folder:
        # libFuzzer ends its process without a word to Python; the parent removes what it leaves.
        child = os.fork()
        if not child:
            _fuzz(READERS[name], Path(folder), seconds)
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _fuzz(reader: Reader, folder: Path, seconds: str) -> None:
    import atheris

    for module in WATCHED:
        _instrument(module, atheris.instrument_func)
    corpus = folder / "corpus"
    corpus.mkdir()
    (corpus / "valid").write_bytes(reader.valid(folder / "valid"))
    limits = {
        "max_total_time": seconds,
        "max_len": LONGEST_BYTES,
        "rss_limit_mb": MEMORY_MIB,
        "timeout": SECONDS_A_FILE,
        "seed": 1,
    }
    flags = [f"-{key}={value}" for key, value in limits.items()]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], lambda data: attempt(reader, data, folder / "file"))
    atheris.Fuzz()


def _instrument(module: ModuleType, instrument: Callable) -> None:
    """Let the fuzzer see which lines of the module run."""
    for owner in (module, *filter(inspect.isclass, vars(module).values())):
        for value in vars(owner).values():
            function = getattr(value, "__func__", value)  # of class methods
            if inspect.isfunction(function) and function.__module__ == module.__name__:
                instrument(function)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

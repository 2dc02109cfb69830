"""Archives come from outside and are read with suspicion: as streams, regular files only, within an agreed size.

Nothing is ever unpacked to where an archive says: callers get each file's name and bytes and choose the path.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.common.errors import StudyError

GZIP_MAGIC = b"\x1f\x8b"
WEB_PAGE_STARTS = (b"<!doctype", b"<html", b"<?xml")


class _Bounded(io.RawIOBase):
    """A stream that ends in an error once more than `limit` bytes were read from it (a decompression bomb)."""

    def __init__(self, stream: io.BufferedIOBase, limit: int, name: str) -> None:
        self.stream, self.left, self.limit, self.name = stream, limit, limit, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        data = self.stream.read(min(len(buffer), self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise StudyError(f"{self.name} unpacks to more than the {self.limit:,} bytes expected at most")
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def open_unpacked(path: Path, limit: int) -> Iterator[io.BufferedReader]:
    """Open a file, gzipped or not (by its first bytes, not its name), as a stream of at most `limit` unpacked bytes."""
    try:
        with path.open("rb") as packed:
            start = packed.peek(512)[:512]
            if start.lstrip().lower().startswith(WEB_PAGE_STARTS):
                raise StudyError(f"{path.name} is a web page or XML, not data")
            stream = gzip.GzipFile(fileobj=packed) if start.startswith(GZIP_MAGIC) else packed
            with io.BufferedReader(_Bounded(stream, limit, path.name), 1 << 20) as bounded:
                yield bounded
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise StudyError(f"{path.name} is cut short or damaged") from error
    except OSError as error:
        raise StudyError(f"{path.name} cannot be read: {error.strerror or error}") from error


def read_whole(path: Path, limit: int) -> bytes:
    """All unpacked bytes of a file, gzipped or not; more than `limit` of them is an error."""
    with open_unpacked(path, limit) as stream:
        return stream.read()


def tar_files(path: Path, limit: int, wanted: Callable[[str, int], bool]) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the regular files in a tar archive, gzipped or not, for which `wanted(name, size)` holds.

    Links, devices, sparse files and folders are passed over; `limit` bounds the unpacked size of the whole archive.
    """
    with open_unpacked(path, limit) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    # isreg() would let sparse files in too, whose size is a mere claim of their header.
                    if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and wanted(member.name, member.size):
                        yield member.name, archive.extractfile(member).read()
                    # The stream never goes back, so what was passed need not be remembered.
                    archive.members = []
        except (tarfile.TarError, ValueError, OverflowError) as error:
            raise StudyError(f"{path.name} is cut short, damaged or not a tar archive") from error

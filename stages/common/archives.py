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

CHUNK_BYTES = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"
WEB_PAGE_STARTS = (b"<!doctype", b"<html", b"<?xml")
HEADERS_PER_FILE, SPARE_HEADERS = 4, 1000  # a file may have a few that extend its own; beside the files lies a README
MOST_HEADER_BYTES = 1 << 14  # of a header that extends the next one; no path is longer than 4,096
EXTENDS_NAME = (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
EXTENDS_OTHERS = (tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE)
WITHOUT_DATA = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)


class _Packed:
    """A file, gzipped or not, of which no more than `left` bytes may be read for a piece of its contents.

    Gzip allows any number of parts that hold nothing, and names of any length: they take time, and no bound on unpacked
    bytes would notice.
    """

    def __init__(self, file: io.BufferedReader) -> None:
        self.file, self.left = file, 0

    def read(self, size: int) -> bytes:
        data = self.file.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise EOFError("nothing comes of it")
        return data


class _Bounded(io.RawIOBase):
    """A stream that ends in an error once more than `limit` bytes were read from it (a decompression bomb)."""

    def __init__(self, packed: _Packed, stream: _Packed | gzip.GzipFile, limit: int, name: str) -> None:
        self.packed, self.stream, self.left, self.limit, self.name = packed, stream, limit, limit, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        self.packed.left = len(buffer) + CHUNK_BYTES  # packing makes nothing much larger
        data = self.stream.read(min(len(buffer), self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise _too_large(self.name, self.limit)
        buffer[: len(data)] = data
        return len(data)


def _too_large(name: str, limit: int) -> StudyError:
    return StudyError(f"{name} unpacks to more than the {limit:,} bytes expected at most")


@contextmanager
def open_unpacked(path: Path, limit: int) -> Iterator[io.BufferedReader]:
    """Open a file, gzipped or not (by its first bytes, not its name), as a stream of at most `limit` unpacked bytes."""
    try:
        with path.open("rb") as file:
            start = file.peek(512)[:512]
            if start.lstrip().lower().startswith(WEB_PAGE_STARTS):
                raise StudyError(f"{path.name} is a web page or XML, not data")
            packed = _Packed(file)
            stream = gzip.GzipFile(fileobj=packed) if start.startswith(GZIP_MAGIC) else packed
            with io.BufferedReader(_Bounded(packed, stream, limit, path.name), CHUNK_BYTES) as bounded:
                yield bounded
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise StudyError(f"{path.name} is cut short or damaged") from error
    except OSError as error:
        raise StudyError(f"{path.name} cannot be read: {error.strerror or error}") from error


def read_whole(path: Path, limit: int) -> bytes:
    """All unpacked bytes of a file, gzipped or not; more than `limit` of them is an error."""
    with open_unpacked(path, limit) as stream:
        return stream.read()


def tar_files(path: Path, limit: int, files: int, wanted: Callable[[str, int], bool]) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the regular files in a tar archive, gzipped or not, for which `wanted(name, size)` holds.

    Links, devices and folders are passed over; `limit` bounds the unpacked size of the whole archive. It is expected to
    hold about `files` files; many times as many members are refused, since even empty ones take time.
    """
    most = HEADERS_PER_FILE * files + SPARE_HEADERS
    with open_unpacked(path, limit) as stream:
        try:
            for number, member in enumerate(_members(stream)):
                if number == most:
                    raise StudyError(f"{path.name} has more than the {most:,} members expected at most")
                if member.size > limit:  # before memory is taken for a mere claim
                    raise _too_large(path.name, limit)
                if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and wanted(member.name, member.size):
                    yield member.name, _data(stream, member.size)
                elif member.type not in WITHOUT_DATA:
                    _pass_over(stream, member.size)
        except (tarfile.TarError, ValueError) as error:
            raise StudyError(f"{path.name} is cut short, damaged or not a tar archive") from error


def _members(stream: io.BufferedReader) -> Iterator[tarfile.TarInfo]:
    """Every header in turn; whoever takes one reads the data that follow it before taking the next.

    `tarfile.open` would do this too, but calls itself for every header that extends the next one, and reads such
    headers' data, and the maps of sparse files, into memory whatever size they claim.
    """
    long_name = None
    while any(block := stream.read(tarfile.BLOCKSIZE)):  # zeros end an archive, some end without
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if member.size < 0 or member.type == tarfile.GNUTYPE_SPARSE:
            raise ValueError("nobody packs a data set so")
        if member.type in EXTENDS_NAME:
            long_name = _long_name(member, stream) or long_name
            member.size = 0  # its data are read
        elif member.type not in EXTENDS_OTHERS:
            member.name, long_name = long_name or member.name, None
        yield member


def _long_name(header: tarfile.TarInfo, stream: io.BufferedReader) -> str | None:
    """The next member's name, from a header, of GNU's or POSIX's kind, for names too long for their own."""
    if header.size > MOST_HEADER_BYTES:
        raise ValueError("no name is that long")
    data = _data(stream, header.size)
    if header.type == tarfile.GNUTYPE_LONGNAME:
        return _text(data.split(b"\0", 1)[0])
    name, place = None, 0
    while place < len(data):  # records `length key=value`, each with a line end; the length is the whole record's
        length = int(data[place : data.index(b" ", place)])
        if length <= 0:
            raise ValueError("no record is that short")
        key, _, value = data[place : place + length].partition(b" ")[2].partition(b"=")
        if key == b"path":
            name = _text(value.removesuffix(b"\n"))
        place += length
    return name


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _data(stream: io.BufferedReader, size: int) -> bytes:
    """A member's bytes, which fill whole blocks."""
    data = stream.read(size)
    if len(data) < size:
        raise ValueError("cut short")
    stream.read(-size % tarfile.BLOCKSIZE)
    return data


def _pass_over(stream: io.BufferedReader, size: int) -> None:
    left = size + -size % tarfile.BLOCKSIZE
    while left:
        passed = len(stream.read(min(left, CHUNK_BYTES)))
        if not passed:
            raise ValueError("cut short")
        left -= passed

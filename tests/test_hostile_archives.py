"""Archives made to do harm: nothing lands outside the target, nothing is run, and no claim is believed."""

import ast
import gzip
import io
import pickle
import stat
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from stages.common import jpeg_tar
from stages.common.archives import MOST_HEADER_BYTES, open_unpacked, read_whole, tar_files
from stages.common.contents import write_contents
from stages.common.datasets import read_test
from stages.common.editions import Edition, load_edition
from stages.common.errors import StudyError
from tools.imports import dependencies

ROOT = Path(__file__).resolve().parents[1]
BLOCK = tarfile.BLOCKSIZE
MEBIBYTE = 1 << 20
ARCHIVE = "cifar-10-binary.tar.gz"
DAMAGED = f"^{ARCHIVE} is cut short, damaged or not a tar archive$"
CUT_SHORT = f"^{ARCHIVE} is cut short or damaged$"
TOO_LARGE = rf"^{ARCHIVE} unpacks to more than the [\d,]+ bytes expected at most$"
TOO_MANY = rf"^{ARCHIVE} has more than the [\d,]+ members expected at most$"


@pytest.fixture
def binary(made: Path) -> Edition:
    return load_edition("cifar10", "original", made / "editions.yaml")


@pytest.fixture
def jpeg(made: Path) -> Edition:
    return load_edition("cifar10", "jpeg", made / "editions.yaml")


@pytest.fixture(scope="module")
def good(made: Path) -> dict[str, bytes]:
    """The files of the binary edition."""
    with tarfile.open(made / "sets" / ARCHIVE) as archive:
        members = [member for member in archive if member.name.endswith(".bin")]
        return {Path(member.name).name: archive.extractfile(member).read() for member in members}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder, empty but for the folder to write into and the one the archive is put into."""
    (tmp_path / "deep/down/here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep/down/here")
    Path("target").mkdir()
    Path("place").mkdir()
    return Path("place") / ARCHIVE


def header(name: str = "x", size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """A member's header, whatever it claims."""
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = max(size, 0), kind, link
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    if size < 0:
        block[124:136] = b"\xff" * 4 + size.to_bytes(8, "big", signed=True)
        block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * ord(" ") + sum(block[156:]))
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE) -> bytes:
    return header(name, len(data), kind) + padded(data)


def extended(records: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    return member("extended", records, kind)


def record(key: str, value: str) -> bytes:
    length = next(n for n in range(len(key) + len(value) + 4, 1 << 30) if n == len(f"{n} {key}={value}\n"))
    return f"{length} {key}={value}\n".encode()


@contextmanager
def little_memory(most: int = 8 * MEBIBYTE, seconds: float = 5) -> Iterator[None]:
    """Neither much memory nor much time is taken within."""
    start = time.process_time()
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < most
    assert time.process_time() - start < seconds


def everything() -> set[Path]:
    return set(Path("../../..").rglob("*"))


# Members that climb out


@pytest.mark.parametrize("folder", ["../../../", "ABSOLUTE/", "a/../../", "..\\..\\", "./././", "target/../../"])
@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_members_path_decides_nothing(
    folder: str, kind: int, here: Path, binary: Edition, good: dict[str, bytes]
) -> None:
    folder = folder.replace("ABSOLUTE", str(Path("../../..").resolve()))
    with tarfile.open(here, "w:gz", format=kind) as archive:
        for name, data in good.items():
            for path, content in ((f"{folder}stranger-{name}", b"boo"), (f"{folder}x/{name}", data)):
                info = tarfile.TarInfo(path)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    before = everything()
    write_contents(here.parent, binary, Path("target"))
    assert everything() - before == {Path("../../../deep/down/here/target") / name for name in good}
    assert {name: (Path("target") / name).read_bytes() for name in good} == good


LINKS = [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]


@pytest.mark.parametrize("kind", [*LINKS, tarfile.CONTTYPE, b"V", b"?"])
def test_what_is_no_regular_file_is_passed_over(
    kind: bytes, here: Path, binary: Edition, good: dict[str, bytes]
) -> None:
    """Under the wanted names, with a link to what exists, and before the files that would go through it."""
    size = 0 if kind in LINKS else BLOCK
    odd = b"".join(
        header(name, size, kind, link) + bytes(size)
        for name in ("data_batch_1.bin", "folder", "target", "../target/test_batch.bin")
        for link in ("/etc/passwd", "../place", "target")
    )
    here.write_bytes(odd + b"".join(member(f"folder/{name}", data) for name, data in good.items()))
    before = everything()
    write_contents(here.parent, binary, Path("target"))
    assert everything() - before == {Path("../../../deep/down/here/target") / name for name in good}
    assert not any(path.is_symlink() or not path.is_file() for path in Path("target").iterdir())
    # Alone, it is not taken for a file.
    here.write_bytes(odd)
    with pytest.raises(StudyError, match=f"^{ARCHIVE} lacks data_batch_1.bin, "):
        write_contents(here.parent, binary, Path("target"))


@pytest.mark.parametrize("name", ["data_batch_1.bin", "../../escaped", "/tmp/escaped"])
def test_a_zip_archive_is_no_tar(name: str, here: Path, binary: Edition) -> None:
    with zipfile.ZipFile(here, "w") as archive:
        archive.writestr(name, b"boo")
    before = everything()
    with pytest.raises(StudyError, match=DAMAGED):
        write_contents(here.parent, binary, Path("target"))
    assert everything() == before


def test_what_else_lies_in_a_prepared_file_is_left_alone(here: Path) -> None:
    images, labels = np.ones((2, 2, 2, 1), np.uint8), np.eye(2, dtype=np.uint8)
    path = here.with_name("set.npz")
    np.savez(path, test_images=images, test_labels=labels)
    with zipfile.ZipFile(path, "a") as archive:
        for name in ("../../../escaped.npy", "/tmp/escaped.npy", "target/escaped.npy"):
            archive.writestr(name, b"boo")
        link = zipfile.ZipInfo("link.npy")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    before = everything()
    np.testing.assert_array_equal(read_test(path).images, images)
    assert everything() == before


# Archives that ask for too much

HEAVY: dict[str, tuple[Callable[[], bytes], str]] = {
    "a million empty members": (lambda: gzip.compress(header() * 10_000) * 100, TOO_MANY),
    "a million links": (lambda: gzip.compress(header(kind=tarfile.SYMTYPE, link="y") * 10_000) * 100, TOO_MANY),
    "a million long names": (lambda: gzip.compress(member("x", b"y", tarfile.GNUTYPE_LONGNAME) * 9999) * 100, TOO_MANY),
    "a million extended headers": (lambda: gzip.compress(extended(record("a", "b")) * 10_000) * 100, TOO_MANY),
    "a million global headers": (
        lambda: gzip.compress(extended(record("a", "b"), tarfile.XGLTYPE) * 10_000) * 100,
        TOO_MANY,
    ),
    "a gigabyte in a member": (lambda: gzip.compress(header(size=1 << 30)) + ZEROS * 1024, TOO_LARGE),
    "a gigabyte of an extended header": (
        lambda: gzip.compress(header(size=1 << 30, kind=tarfile.XHDTYPE)) + ZEROS * 1024,
        DAMAGED,
    ),
    "a gigabyte of a global header": (
        lambda: gzip.compress(header(size=1 << 30, kind=tarfile.XGLTYPE)) + ZEROS * 1024,
        TOO_LARGE,
    ),
    "30 MiB of a global header, which is passed over": (
        lambda: gzip.compress(header(size=30 << 20, kind=tarfile.XGLTYPE)) + ZEROS * 30,
        f"^{ARCHIVE} lacks ",
    ),
    "a gigabyte of a name": (
        lambda: gzip.compress(header(size=1 << 30, kind=tarfile.GNUTYPE_LONGNAME)) + ZEROS * 1024,
        DAMAGED,
    ),
    "a gigabyte of a link's name": (
        lambda: gzip.compress(header(size=1 << 30, kind=tarfile.GNUTYPE_LONGLINK)) + ZEROS * 1024,
        TOO_LARGE,
    ),
    "a claim of more than memory": (lambda: header("data_batch_1.bin", (1 << 62) + 5), TOO_LARGE),
    "a claim of more than an address": (lambda: header("data_batch_1.bin", 1 << 80), TOO_LARGE),
    "less than nothing": (lambda: header("data_batch_1.bin", -BLOCK), DAMAGED),
    "less than nothing of a name": (lambda: header("x", -BLOCK, tarfile.GNUTYPE_LONGNAME), DAMAGED),
    "a sparse file of a petabyte": (lambda: header("data_batch_1.bin", 1 << 50, tarfile.GNUTYPE_SPARSE), DAMAGED),
    "many digits": (lambda: extended(b"9" * MOST_HEADER_BYTES), DAMAGED),
    "a record of 5,000 digits": (lambda: extended(b"9" * 5000 + b" a=b\n"), DAMAGED),
    "a record of no length": (lambda: extended(b"0 path=x\n"), DAMAGED),
    "a record of negative length": (lambda: extended(b"-9 path=x\n"), DAMAGED),
    "a header too short": (lambda: header()[:200], DAMAGED),
    "a wrong checksum": (lambda: header().replace(b"ustar", b"ustax"), DAMAGED),
    "less than it promises": (lambda: header("stranger", 4096) + bytes(1024), DAMAGED),
    "a wanted file cut short": (lambda: header("data_batch_1.bin", 122_920) + bytes(1024), DAMAGED),
    "a million packed parts that hold nothing": (lambda: gzip.compress(b"") * 1_000_000, CUT_SHORT),
    "a packed part with a name of 64 MiB": (lambda: b"\x1f\x8b\x08\x08" + bytes(6) + b"x" * (64 << 20), CUT_SHORT),
    "nothing": (lambda: b"", f"^{ARCHIVE} lacks "),
}
ZEROS = gzip.compress(bytes(MEBIBYTE), 9, mtime=0)


@pytest.mark.parametrize("case", HEAVY)
def test_what_asks_for_too_much_is_refused_early(case: str, here: Path, binary: Edition) -> None:
    make, reason = HEAVY[case]
    here.write_bytes(make())
    with little_memory(), pytest.raises(StudyError, match=reason) as caught:
        write_contents(here.parent, binary, Path("target"))
    assert "\n" not in str(caught.value)
    assert not list(Path("target").iterdir())


@pytest.mark.parametrize(
    "records",
    [
        record("GNU.sparse.realsize", str(1 << 50)) + record("GNU.sparse.map", f"0,1,{1 << 50},0"),
        record("GNU.sparse.size", str(1 << 50)) + record("GNU.sparse.name", "train/cat/0001.jpg"),
        record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") + record("GNU.sparse.realsize", str(1 << 50)),
        record("size", str(1 << 50)),
        record("size", "-512"),
        record("hdrcharset", "\0"),
    ],
)
@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_sizes_in_extended_headers_are_not_believed(records: bytes, kind: bytes, tmp_path: Path, jpeg: Edition) -> None:
    """The reader of images has no size to expect of one: a claim would be all that bounds its memory."""
    (tmp_path / "images.tar").write_bytes(extended(records, kind) + member("train/cat/0001.jpg", b"99999\n0\n1\n"))
    with little_memory(), pytest.raises(StudyError, match=r"train/cat/0001\.jpg is not a whole JPEG image"):
        jpeg_tar.read_tar(tmp_path / "images.tar", jpeg)


def test_headers_that_extend_others_do_not_pile_up(tmp_path: Path) -> None:
    """`tarfile` calls itself for each of them."""
    chain = extended(record("a", "b")) * 900 + member("name", b"data")
    (tmp_path / "chain.tar").write_bytes(chain)
    assert list(tar_files(tmp_path / "chain.tar", MEBIBYTE, 1, lambda name, size: True)) == [("name", b"data")]


@pytest.mark.parametrize(
    "pack",
    [
        lambda folder, path: write_tar(folder, path, tarfile.GNU_FORMAT),
        lambda folder, path: write_tar(folder, path, tarfile.PAX_FORMAT, {"comment": "é", "mtime": "1.5"}),
        lambda folder, path: write_tar(folder, path, tarfile.USTAR_FORMAT),
    ],
)
@pytest.mark.parametrize("depth", [1, 30])
def test_every_usual_kind_of_tar_is_read(pack: Callable, depth: int, tmp_path: Path) -> None:
    """With paths too long for the old header's field, in folders, with times that need more than it has."""
    folder = "/".join(["folder"] * depth)
    names = [f"{folder}/{number}.bin" for number in range(5)]
    pack(names, tmp_path / "x.tar")
    found = dict(tar_files(tmp_path / "x.tar", MEBIBYTE, 5, lambda name, size: True))
    assert found == {name: name.encode() * 9 for name in names}
    # Without the zeros at the end.
    data = (tmp_path / "x.tar").read_bytes()
    end = data.rindex(names[-1].encode()) // BLOCK * BLOCK + BLOCK
    (tmp_path / "x.tar").write_bytes(data[:end])
    assert dict(tar_files(tmp_path / "x.tar", MEBIBYTE, 5, lambda name, size: True)) == found


def write_tar(names: list[str], path: Path, kind: int, headers: dict[str, str] | None = None) -> None:
    with tarfile.open(path, "w", format=kind, pax_headers=headers) as archive:
        archive.addfile(directory("folder"))
        for name in names:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(name) * 9, 1e9 + (0.25 if kind == tarfile.PAX_FORMAT else 0)
            archive.addfile(info, io.BytesIO(name.encode() * 9))


def directory(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE
    return info


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(bytes(range(256)) * 4096, 0),  # in which packing saves nothing
        b"".join(gzip.compress(bytes([number % 251]) * 99) for number in range(5000)),
        gzip.compress(b"x" * 5000) + bytes(512),  # filled up, as on a tape
    ],
)
def test_every_usual_kind_of_gzip_is_read(packed: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(packed)
    assert read_whole(tmp_path / "x.gz", MEBIBYTE) == gzip.decompress(packed)


@pytest.mark.parametrize("levels", [1, 2])
def test_a_bomb_ends_at_the_limit(levels: int, tmp_path: Path) -> None:
    """A gigabyte in a megabyte; a bomb within a bomb stays packed."""
    data = ZEROS * 1024
    for _ in range(levels - 1):
        data = gzip.compress(data)
    (tmp_path / "bomb").write_bytes(data)
    with little_memory(), open_unpacked(tmp_path / "bomb", MEBIBYTE) as stream:
        if levels == 2:
            stream.read(64 * 1024)
        else:
            with pytest.raises(StudyError, match=r"^bomb unpacks to more than the 1,048,576 bytes expected at most$"):
                stream.read()


# Pickles


class Trap:
    """Leaves a file behind when its pickle is read."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("sprung"),)


@pytest.mark.parametrize("name", ["data_batch_1.bin", "data_batch_1", "batches.meta", "data.pkl"])
def test_pickles_are_never_loaded(name: str, here: Path, binary: Edition, good: dict[str, bytes]) -> None:
    trap = pickle.dumps(Trap(), 0)
    pickle.loads(trap)
    Path("sprung").unlink()  # it works
    if name in good:
        trap = trap.ljust(len(good[name]), b"\0")
    here.write_bytes(member(f"x/{name}", trap) + b"".join(member(f"x/{key}", good[key]) for key in good if key != name))
    if name in good:
        with pytest.raises(StudyError, match=f"^SHA-256 of {name} in {ARCHIVE} is "):
            write_contents(here.parent, binary, Path("target"))
    else:
        write_contents(here.parent, binary, Path("target"))
    assert not Path("sprung").exists()


@pytest.mark.parametrize("node", ["download", "preprocess"])
def test_no_node_that_reads_what_comes_from_outside_has_the_means_to_load_pickles(node: str) -> None:
    for name in dependencies(ROOT, ROOT / f"stages/{node}.py"):
        for part in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
            imported = [alias.name for alias in part.names] if isinstance(part, ast.Import | ast.ImportFrom) else []
            imported += [part.module or ""] if isinstance(part, ast.ImportFrom) else []
            assert not {"pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib", "torch"} & set(imported), name
            if isinstance(part, ast.keyword) and part.arg == "allow_pickle":
                assert not ast.literal_eval(part.value), name
            if isinstance(part, ast.Attribute):
                assert part.attr not in ("unsafe_load", "full_load", "extractall"), name

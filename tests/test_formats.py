"""The readers take what the formats allow and refuse the rest in one line."""

import dataclasses
import io
import re
import struct
import tarfile
import time
import tracemalloc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from stages.common import jpeg_tar
from stages.common.cifar_binary import read_cifar_binary
from stages.common.contents import write_contents
from stages.common.editions import Edition, load_edition
from stages.common.errors import StudyError
from stages.common.formats import read_raw
from stages.common.idx import read_idx
from tests.miniature import cifar_records, idx_bytes, jpeg_bytes, write_miniature

EDITIONS = [("fashion_mnist", "original"), ("cifar10", "original"), ("cifar10", "jpeg")]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def editions(tmp_path: Path, rng: np.random.Generator) -> Path:
    write_miniature(tmp_path / "sets", tmp_path / "editions.yaml", rng)
    return tmp_path / "editions.yaml"


def raw(tmp_path: Path, edition: Edition) -> Path:
    folder = tmp_path / f"raw-{edition.name}"
    folder.mkdir()
    write_contents(tmp_path / "sets", edition, folder)
    return folder


@pytest.mark.parametrize("array", [np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.zeros((0, 3, 4), np.uint8)])
def test_idx_comes_back(tmp_path: Path, array: np.ndarray) -> None:
    (tmp_path / "images").write_bytes(idx_bytes(array))
    np.testing.assert_array_equal(read_idx(tmp_path / "images", 3), array)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "begins with nothing"),
        (b"\0\0\x08", "not as an IDX file"),
        (bytes([0, 0, 0x0D, 1, 0, 0, 0, 1, 5]), "begins with 00000d01"),
        (idx_bytes(np.zeros((2, 2, 2), np.uint8)), "1 dimension"),
        (idx_bytes(np.zeros(9, np.uint8))[:-1], "has 16 bytes, but its header .* asks for 17"),
        (idx_bytes(np.zeros(9, np.uint8)) + b"x", "has 18 bytes"),
        (bytes([0, 0, 8, 1]) + b"\xff" * 4, "asks for 4,294,967,303"),
    ],
)
def test_idx_refuses(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "labels").write_bytes(data)
    with pytest.raises(StudyError, match=reason):
        read_idx(tmp_path / "labels", 1)


MOST = 2**32 - 1


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((MOST, MOST, MOST), "asks for 79,228,162,458,924,105,385,300,197,391"),
        ((2**16, 2**16, 2**31), "asks for 9,223,372,036,854,775,824"),
        ((2**16, 2**16, 2**32 // 4), "asks for 4,611,686,018,427,387,920"),  # wraps around in 32 bits
        ((2**31, 2**31, 4), "asks for 18,446,744,073,709,551,632"),  # and this in 64, to nothing
        ((0, MOST, MOST), "asks for an impossible array"),
        ((MOST, MOST, 0), "asks for an impossible array"),
    ],
)
def test_idx_dimensions_that_overflow(tmp_path: Path, shape: tuple[int, ...], reason: str) -> None:
    header = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in shape)
    (tmp_path / "images").write_bytes(header)
    with pytest.raises(StudyError, match=rf"images: .*its header \[.*\] {reason}$"):
        read_idx(tmp_path / "images", 3)


@contextmanager
def little_memory(*most: int) -> Iterator[None]:
    """Within, no more memory is taken than a few of the miniature's files fill, or `most` together."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < sum(most or (4 << 20,))
    finally:
        tracemalloc.stop()


def enlarge(path: Path) -> None:
    """Make a terabyte of a file, nearly all of it a hole."""
    with path.open("ab") as file:
        file.truncate(1 << 40)


def test_idx_reads_no_more_than_its_header_asks_for(tmp_path: Path) -> None:
    (tmp_path / "labels").write_bytes(idx_bytes(np.zeros(9, np.uint8)))
    enlarge(tmp_path / "labels")
    with (
        little_memory(),
        pytest.raises(StudyError, match=r"has 1,099,511,627,776 bytes, but its header .* asks for 17"),
    ):
        read_idx(tmp_path / "labels", 1)


@pytest.mark.parametrize(
    ("data_set", "name", "file", "reason"),
    [
        ("fashion_mnist", "original", "t10k-images-idx3-ubyte", "has 1,099,511,627,776 bytes, not 78,416: not the"),
        ("cifar10", "original", "data_batch_3.bin", "has 1,099,511,627,776 bytes, not 122,920: not the"),
        ("cifar10", "jpeg", "images.tar", "unpacks to more than"),
    ],
)
def test_a_file_far_too_large_is_not_read(
    tmp_path: Path, editions: Path, data_set: str, name: str, file: str, reason: str
) -> None:
    edition = load_edition(data_set, name, editions)
    folder = raw(tmp_path, edition)
    if name == "jpeg":  # whose reader stops at the zeros that end the archive
        with tarfile.open(folder / file, "w", format=tarfile.GNU_FORMAT) as archive:
            member = tarfile.TarInfo("train/cat/0000.jpg")
            member.size = 1 << 40
            archive.addfile(member)
    enlarge(folder / file)
    with little_memory(), pytest.raises(StudyError, match=reason):
        read_raw(folder, edition)


def test_cifar_records_come_back(tmp_path: Path, rng: np.random.Generator) -> None:
    images, labels = rng.integers(0, 256, (6, 32, 32, 3), np.uint8), np.arange(6, dtype=np.uint8)
    (tmp_path / "batch.bin").write_bytes(cifar_records(images, labels).tobytes())
    found_images, found_labels = read_cifar_binary(tmp_path / "batch.bin", (32, 32, 3))
    np.testing.assert_array_equal(found_images, images)
    np.testing.assert_array_equal(found_labels, labels)


def test_cifar_channels_are_planes(tmp_path: Path) -> None:
    # Upstream's description: label, then 1,024 red, 1,024 green and 1,024 blue bytes, each row by row.
    record = bytes([3]) + bytes([10]) * 32 + bytes([11]) * 992 + bytes([20]) * 1024 + bytes([30]) * 1024
    (tmp_path / "batch.bin").write_bytes(record)
    images, labels = read_cifar_binary(tmp_path / "batch.bin", (32, 32, 3))
    assert labels.tolist() == [3]
    assert images[0, 0, 31].tolist() == [10, 20, 30]
    assert images[0, 1, 0].tolist() == [11, 20, 30]


@pytest.mark.parametrize("size", [0, 3072, 3074])
def test_cifar_refuses_broken_records(tmp_path: Path, size: int) -> None:
    (tmp_path / "batch.bin").write_bytes(bytes(size))
    with pytest.raises(StudyError, match="no whole number of records of 3,073 bytes"):
        read_cifar_binary(tmp_path / "batch.bin", (32, 32, 3))


@pytest.mark.parametrize(("data_set", "name"), EDITIONS)
def test_every_edition_is_read(tmp_path: Path, editions: Path, data_set: str, name: str) -> None:
    edition = load_edition(data_set, name, editions)
    train, test = read_raw(raw(tmp_path, edition), edition)
    for part, count in ((train, edition.train_images), (test, edition.test_images)):
        assert part.images.shape == (count, *edition.image_shape)
        assert part.images.dtype == part.labels.dtype == np.uint8
        assert np.bincount(part.labels).tolist() == [count // 10] * 10


def test_jpeg_and_binary_editions_agree(tmp_path: Path, editions: Path) -> None:
    binary, jpeg = load_edition("cifar10", "original", editions), load_edition("cifar10", "jpeg", editions)
    exact, _ = read_raw(raw(tmp_path, binary), binary)
    lossy, _ = read_raw(raw(tmp_path, jpeg), jpeg)
    # The miniature draws the classes in turn, which is the order that the JPEG reader promises.
    np.testing.assert_array_equal(exact.labels, lossy.labels)
    assert np.abs(exact.images.astype(int) - lossy.images).mean() < 25


@pytest.mark.parametrize(("data_set", "name"), EDITIONS)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"train_images": 390}, "not 390 of each"),
        ({"test_images": 7}, "not 7 of each"),
        ({"class_names": tuple("abcdefghi")}, "out of range|is no image of"),
        ({"height": 8, "width": 8}, "images of shape|no whole number|not 8x8"),
        ({"format": "arrow"}, "format 'arrow' is unknown; known: idx, cifar_binary, jpeg"),
    ],
)
def test_broken_promises_are_named(
    tmp_path: Path, editions: Path, data_set: str, name: str, change: dict, reason: str
) -> None:
    edition = load_edition(data_set, name, editions)
    folder = raw(tmp_path, edition)
    with pytest.raises(StudyError, match=reason):
        read_raw(folder, dataclasses.replace(edition, **change))


def relabel(folder: Path, edition: Edition, part: str, label: int) -> None:
    """Give the first image of a part, whose class is the first one, another class."""
    prefix = {"train": "train", "test": "t10k"}[part]
    path, place = {
        "idx": (folder / f"{prefix}-labels-idx1-ubyte", 8),
        "cifar_binary": (folder / {"train": "data_batch_1.bin", "test": "test_batch.bin"}[part], 0),
        "jpeg": (folder / "images.tar", 0),
    }[edition.format]
    if edition.format == "jpeg":
        with tarfile.open(path) as archive:
            images = {member.name: archive.extractfile(member).read() for member in archive}
        images[f"{part}/{edition.class_names[label]}/9999.jpg"] = images.pop(f"{part}/airplane/0000.jpg")
        jpeg_tar.write_tar(path, images)
        return
    data = bytearray(path.read_bytes())
    assert data[place] == 0
    data[place] = label
    path.write_bytes(data)


@pytest.mark.parametrize(("data_set", "name"), EDITIONS)
@pytest.mark.parametrize(("part", "where"), [("train", "training"), ("test", "test")])
def test_a_class_with_too_few_images_is_named(
    tmp_path: Path, editions: Path, data_set: str, name: str, part: str, where: str
) -> None:
    """An image too many of one class and too few of another: the number of all is right."""
    edition = load_edition(data_set, name, editions)
    folder = raw(tmp_path, edition)
    relabel(folder, edition, part, 9)
    expected = {"train": edition.train_images, "test": edition.test_images}[part] // 10
    reason = f"{folder}: {where}: {expected - 1} images of the class {edition.class_names[0]}, not {expected}"
    with pytest.raises(StudyError, match=f"^{re.escape(reason)}$"):
        read_raw(folder, edition)


@pytest.mark.parametrize(("data_set", "name"), [("fashion_mnist", "original"), ("cifar10", "original")])
@pytest.mark.parametrize(("part", "where"), [("train", "training"), ("test", "test")])
@pytest.mark.parametrize("label", [10, 255])
def test_a_label_out_of_range_is_named(
    tmp_path: Path, editions: Path, data_set: str, name: str, part: str, where: str, label: int
) -> None:
    edition = load_edition(data_set, name, editions)
    folder = raw(tmp_path, edition)
    relabel(folder, edition, part, label)
    with pytest.raises(StudyError, match=f"{where}: label {label} is out of range; the 10 classes are 0 to 9$"):
        read_raw(folder, edition)


@pytest.mark.parametrize(("data_set", "name"), EDITIONS)
def test_the_real_editions_divide_evenly_among_their_classes(data_set: str, name: str) -> None:
    edition = load_edition(data_set, name, Path(__file__).resolve().parents[1] / "data/editions.yaml")
    assert edition.train_images % len(edition.class_names) == edition.test_images % len(edition.class_names) == 0


def test_contents_of_another_edition(tmp_path: Path, editions: Path) -> None:
    folder = raw(tmp_path, load_edition("cifar10", "jpeg", editions))
    with pytest.raises(StudyError, match=r"data_batch_1\.bin is missing.*run `dvc repro download`"):
        read_raw(folder, load_edition("cifar10", "original", editions))


def jpeg_of(mode: str) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (32, 32)).save(file, "JPEG")
    return file.getvalue()


def claiming(width: int, height: int) -> bytes:
    """A small JPEG file whose header claims a large image."""
    data = jpeg_of("RGB")
    start = data.index(b"\xff\xc0") + 5
    return data[:start] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[start + 4 :]


def as_png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 32)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no image", "not a whole JPEG image"),
        (jpeg_bytes(np.zeros((32, 32, 3), np.uint8))[:-80], "not a whole JPEG image"),
        (jpeg_bytes(np.zeros((16, 32, 3), np.uint8)), "is 32x16 RGB, not 32x32 RGB"),
        (jpeg_of("L"), "is 32x32 L, not 32x32 RGB"),
        (jpeg_of("CMYK"), "is 32x32 CMYK, not 32x32 RGB"),
        (claiming(65_000, 65_000), "not a whole JPEG image"),  # more than Pillow takes
        (claiming(10_000, 10_000), "not a whole JPEG image"),  # as much as Pillow warns of
        (claiming(5000, 5000), "is 5000x5000 RGB"),
        (claiming(32, 0), "not a whole JPEG image|is 32x0"),
        (as_png(), "not a whole JPEG image"),  # no other of Pillow's many parsers is let loose on it
        (b"", "not a whole JPEG image"),
    ],
)
def test_jpeg_refuses(tmp_path: Path, editions: Path, content: bytes, reason: str) -> None:
    jpeg_tar.write_tar(tmp_path / "images.tar", {"train/cat/0001.jpg": content})
    with pytest.raises(StudyError, match=f"train/cat/0001.jpg.*{reason}"):
        jpeg_tar.read_tar(tmp_path / "images.tar", load_edition("cifar10", "jpeg", editions))


SLOPE = (np.arange(32 * 32 * 3) // 13).astype(np.uint8).reshape(32, 32, 3)


def with_segment(marker: int, content: bytes, times: int = 1) -> bytes:
    """A good JPEG file with further segments at its head."""
    data = jpeg_bytes(SLOPE)
    segment = bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content
    return data[:2] + segment * times + data[2:]


def progressive(scans: int = 1) -> bytes:
    """A progressive JPEG file, whose first scan comes again and again."""
    file = io.BytesIO()
    Image.fromarray(SLOPE).save(file, "JPEG", quality=90, progressive=True)
    data = file.getvalue()
    start = data.index(b"\xff\xda")
    end = data.index(b"\xff\xc4", start)  # the next scan's table
    return data[:start] + data[start:end] * scans + data[end:]


TIFF = b"MM\0*\0\0\0\x08"
FOUR_BILLION = b"\xff" * 4
LAYERS_OF_TAGS = TIFF + b"\0\x01" + b"\x87\x69\0\x04\0\0\0\x01\0\0\0\x08" + bytes(4)  # Exif at its own beginning
ODD_IMAGES = {
    "progressive": progressive(),
    "a thousand scans": progressive(1000),
    "comments": with_segment(0xFE, b"x" * 65_000, 200),
    "turned on its side": with_segment(
        0xE1, b"Exif\0\0" + TIFF + b"\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + bytes(4)
    ),
    "tags by the thousand": with_segment(0xE1, b"Exif\0\0" + TIFF + b"\xff\xff" + b"\x01\x1a\0\x05" * 9999, 50),
    "a tag of four gigabytes": with_segment(
        0xE1, b"Exif\0\0" + TIFF + b"\0\x01\x01\x1a\0\x05" + FOUR_BILLION + FOUR_BILLION + bytes(4)
    ),
    "tags within themselves": with_segment(0xE1, b"Exif\0\0" + LAYERS_OF_TAGS),
    "four billion images": with_segment(
        0xE2, b"MPF\0" + TIFF + b"\0\x01\xb0\x01\0\x04\0\0\0\x01" + FOUR_BILLION + bytes(4)
    ),
    "a colour profile in 255 parts": with_segment(0xE2, b"ICC_PROFILE\0\x01\xff" + bytes(60_000), 255),
}


@pytest.mark.parametrize("case", ODD_IMAGES)
def test_what_else_stands_in_a_jpeg_file_takes_little_and_turns_nothing(
    case: str, tmp_path: Path, editions: Path
) -> None:
    """The images' own bytes are known by their checksums, so this is for a file that was exchanged afterwards."""
    edition = load_edition("cifar10", "jpeg", editions)
    content = ODD_IMAGES[case]
    jpeg_tar.write_tar(tmp_path / "images.tar", {"train/cat/0001.jpg": content, "test/cat/0001.jpg": jpeg_bytes(SLOPE)})
    start = time.process_time()
    with little_memory(4 << 20, 5 * len(content)):
        try:
            splits = jpeg_tar.read_tar(tmp_path / "images.tar", edition)
        except StudyError:
            pass  # may as well be
        else:
            np.testing.assert_array_equal(splits["train"][0], splits["test"][0])
    assert time.process_time() - start < 5


class OwnError(Exception):
    """One that no list of exceptions holds."""


@pytest.mark.parametrize(
    "error",
    [
        *(struct.error, ValueError, TypeError, IndexError, KeyError, ZeroDivisionError, OverflowError, AttributeError),
        *(MemoryError, RecursionError, SyntaxError, EOFError, OSError, AssertionError, UnidentifiedImageError),
        *(Image.DecompressionBombError, Image.DecompressionBombWarning, UnicodeDecodeError, OwnError),
    ],
)
@pytest.mark.parametrize("where", ["open", "asarray"])
def test_whatever_pillow_stumbles_over_names_the_image(
    error: type[Exception], where: str, tmp_path: Path, editions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*unused: object, **unused_too: object) -> None:
        raise error("utf-8", b"", 0, 1, "") if error is UnicodeDecodeError else error("of Pillow's")

    jpeg_tar.write_tar(tmp_path / "images.tar", {"train/cat/0001.jpg": jpeg_of("RGB")})
    monkeypatch.setattr({"open": jpeg_tar.Image, "asarray": jpeg_tar.np}[where], where, fail)
    with pytest.raises(StudyError, match=r"train/cat/0001\.jpg is not a whole JPEG image$"):
        jpeg_tar.read_tar(tmp_path / "images.tar", load_edition("cifar10", "jpeg", editions))


@pytest.mark.parametrize("content", [claiming(10_000, 10_000), ODD_IMAGES["four billion images"]])
def test_an_image_that_pillow_warns_of_gives_no_line_but_the_error(
    content: bytes, tmp_path: Path, editions: Path
) -> None:
    jpeg_tar.write_tar(tmp_path / "images.tar", {"train/cat/0001.jpg": content})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with pytest.raises(StudyError, match="not a whole JPEG image"):
            jpeg_tar.read_tar(tmp_path / "images.tar", load_edition("cifar10", "jpeg", editions))
    assert not said


@pytest.mark.parametrize("name", ["cat/0001.jpg", "valid/cat/0001.jpg", "train/cow/0001.jpg", "x/train/cat/0001.jpg"])
def test_a_stranger_in_the_canonical_tar_is_named(tmp_path: Path, editions: Path, name: str) -> None:
    jpeg_tar.write_tar(tmp_path / "images.tar", {name: jpeg_of("RGB")})
    with pytest.raises(StudyError, match=f"'{name}' is no image of cifar10"):
        jpeg_tar.read_tar(tmp_path / "images.tar", load_edition("cifar10", "jpeg", editions))


def test_jpeg_order_is_by_number_then_class(tmp_path: Path, editions: Path) -> None:
    image = jpeg_bytes(np.zeros((32, 32, 3), np.uint8))
    names = ["train/cat/0010.jpg", "train/truck/0002.jpg", "test/dog/0000.jpg", "train/airplane/0002.jpg"]
    jpeg_tar.write_tar(tmp_path / "images.tar", dict.fromkeys(names, image))
    splits = jpeg_tar.read_tar(tmp_path / "images.tar", load_edition("cifar10", "jpeg", editions))
    assert splits["train"][1].tolist() == [0, 9, 3]
    assert splits["test"][1].tolist() == [5]


def test_canonical_tar_has_no_traces(tmp_path: Path) -> None:
    jpeg_tar.write_tar(tmp_path / "one.tar", {"b": b"2", "a": b"1"})
    jpeg_tar.write_tar(tmp_path / "two.tar", {"a": b"1", "b": b"2"})
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as archive:
        assert [(m.name, m.mtime, m.uid, m.uname) for m in archive] == [("a", 0, 0, ""), ("b", 0, 0, "")]

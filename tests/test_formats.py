"""The readers take what the formats allow and refuse the rest in one line."""

import dataclasses
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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


def test_contents_of_another_edition(tmp_path: Path, editions: Path) -> None:
    folder = raw(tmp_path, load_edition("cifar10", "jpeg", editions))
    with pytest.raises(StudyError, match=r"data_batch_1\.bin is missing.*run `dvc repro download`"):
        read_raw(folder, load_edition("cifar10", "original", editions))


def grey_jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("L", (32, 32)).save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no image", "not a whole JPEG image"),
        (jpeg_bytes(np.zeros((32, 32, 3), np.uint8))[:-80], "not a whole JPEG image"),
        (jpeg_bytes(np.zeros((16, 32, 3), np.uint8)), "is 32x16 RGB, not 32x32 RGB"),
        (grey_jpeg(), "is 32x32 L, not 32x32 RGB"),
    ],
)
def test_jpeg_refuses(tmp_path: Path, editions: Path, content: bytes, reason: str) -> None:
    jpeg_tar.write_tar(tmp_path / "images.tar", {"train/cat/0001.jpg": content})
    with pytest.raises(StudyError, match=f"train/cat/0001.jpg.*{reason}"):
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

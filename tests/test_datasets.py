"""What training reads: the right images in each split, scaled as stated, or one line that says what to run."""

from pathlib import Path

import numpy as np
import pytest

from stages.common.datasets import SPLITS, read_class_names, read_normalisation, read_split, scale
from stages.common.errors import StudyError

VALIDATION = [1, 4, 5]


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    return {
        "train_images": rng.integers(0, 256, (8, 4, 5, 3), np.uint8),
        "train_labels": np.eye(4, dtype=np.uint8)[rng.integers(0, 4, 8)],
        "test_images": rng.integers(0, 256, (3, 4, 5, 3), np.uint8),
        "test_labels": np.eye(4, dtype=np.uint8)[rng.integers(0, 4, 3)],
        "validation_index": np.array(VALIDATION),
        "mean": np.array([0.1, 0.2, 0.3]),
        "std": np.array([0.5, 0.6, 0.7]),
        "class_names": np.array(["a", "b", "c", "dress"]),
    }


@pytest.fixture
def path(tmp_path: Path, arrays: dict[str, np.ndarray]) -> Path:
    np.savez(tmp_path / "set.npz", **arrays)
    return tmp_path / "set.npz"


def test_splits(path: Path, arrays: dict[str, np.ndarray]) -> None:
    everything = list(range(8))
    training = [index for index in everything if index not in VALIDATION]
    for name, index in (("training", training), ("validation", VALIDATION), ("all_training", everything)):
        split = read_split(path, name)
        np.testing.assert_array_equal(split.images, arrays["train_images"][index])
        np.testing.assert_array_equal(split.labels, arrays["train_labels"][index])
    np.testing.assert_array_equal(read_split(path, "test").images, arrays["test_images"])
    np.testing.assert_array_equal(read_split(path, "test").labels, arrays["test_labels"])


@pytest.mark.parametrize("name", SPLITS)
def test_types(path: Path, name: str) -> None:
    for array in read_split(path, name):
        assert array.dtype == np.uint8
        assert array.flags.c_contiguous


def test_only_what_is_needed_is_read(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    for name in ("train_images", "train_labels", "mean"):
        del arrays[name]
    np.savez(tmp_path / "part.npz", **arrays)
    assert len(read_split(tmp_path / "part.npz", "test").labels) == 3
    assert read_class_names(tmp_path / "part.npz") == ("a", "b", "c", "dress")
    with pytest.raises(StudyError, match=r"part\.npz is damaged or not a prepared data set"):
        read_split(tmp_path / "part.npz", "training")


def test_constants_and_names(path: Path) -> None:
    mean, std = read_normalisation(path)
    assert (mean.tolist(), std.tolist()) == ([0.1, 0.2, 0.3], [0.5, 0.6, 0.7])
    assert all(type(name) is str for name in read_class_names(path))


def test_a_bad_name_is_answered_with_the_valid_ones(path: Path) -> None:
    with pytest.raises(StudyError, match="split 'train' is unknown; known: training, validation, all_training, test"):
        read_split(path, "train")


def pickled(path: Path) -> None:
    np.savez(path, test_images=np.array([{}], object), test_labels=np.array([{}], object), class_names=np.array([{}]))


def lone_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    # Inside every array's bytes, past the headers: caught by the checksums of the zip file.
    for place in range(0, len(data) - 600, 7):
        data[place] ^= 0x55
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (Path.unlink, "is missing"),
        (lambda path: path.write_bytes(b""), "is damaged"),
        (lambda path: path.write_bytes(b"PK\x03\x04 and no more"), "is damaged"),
        (lambda path: path.write_text("<html>"), "is damaged"),
        (cut, "is damaged"),
        (flipped, "is damaged"),
        (pickled, "is damaged"),
        (lone_array, "is damaged"),
    ],
)
def test_a_spoilt_file_says_what_to_run(path: Path, spoil, reason: str) -> None:
    spoil(path)
    for read in (lambda: read_split(path, "test"), lambda: read_class_names(path)):
        with pytest.raises(StudyError, match=f"{path} {reason}.*run `dvc repro preprocess`"):
            read()


@pytest.mark.parametrize("order", ["C", "F"])
def test_scale(arrays: dict[str, np.ndarray], order: str) -> None:
    images = np.asarray(arrays["train_images"], order=order)
    plain = scale(images)
    assert plain.dtype == np.float32
    assert plain.flags.c_contiguous
    np.testing.assert_array_equal(plain, images.reshape(8, -1).astype(np.float32) / np.float32(255))
    assert scale(np.array([[[[0], [255]]]], np.uint8)).tolist() == [[0.0, 1.0]]


def test_scale_standardises_each_channel(arrays: dict[str, np.ndarray]) -> None:
    images = arrays["train_images"]
    exact = (images / 255 - arrays["mean"]) / arrays["std"]
    scaled = scale(images, mean=arrays["mean"], std=arrays["std"])
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, exact.reshape(8, -1), atol=1e-6)
    before = images.copy()
    np.testing.assert_array_equal(images, before)


def test_scale_wants_both_constants(arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="give both or neither"):
        scale(arrays["train_images"], mean=arrays["mean"])
    with pytest.raises(ValueError, match="give both or neither"):
        scale(arrays["train_images"], std=arrays["std"])

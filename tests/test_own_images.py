"""Images of one's own: every format, any sizes and classes, and one line for what is wrong."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.datasets.own import read_own
from stages.datasets.split import draw
from stages.errors import StudyError
from tests.miniature import idx_bytes

RNG = np.random.default_rng(3)


def write_idx(folder: Path, train: int = 60, test: int = 20) -> dict[str, np.ndarray]:
    """Random images in KMNIST's files, half of them gzipped, with the labels 1, 2 and 7."""
    folder.mkdir()
    arrays = {}
    for split, count in (("train", train), ("t10k", test)):
        arrays[f"{split}-images-idx3-ubyte"] = RNG.integers(0, 256, (count, 12, 10), dtype=np.uint8)
        arrays[f"{split}-labels-idx1-ubyte"] = np.resize(np.array([1, 2, 7, 7], np.uint8), count)
    for name, array in arrays.items():
        data = idx_bytes(array)
        if "images" in name:
            (folder / f"{name}.gz").write_bytes(gzip.compress(data))
        else:
            (folder / name).write_bytes(data)
    return arrays


def write_pictures(folder: Path, sizes: tuple[tuple[int, int], ...] = ((9, 7),)) -> None:
    """20 pictures in colour, in three classes of 12, 5 and 3."""
    for name, count in (("daisy", 12), ("rose", 5), ("tulip", 3)):
        (folder / "train" / name).mkdir(parents=True)
        for place in range(count):
            pixels = RNG.integers(0, 256, (*sizes[place % len(sizes)], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "train" / name / f"{place}.png")


def test_idx_files_of_any_names_are_read_and_labels_become_classes(tmp_path):
    arrays = write_idx(tmp_path / "kmnist")
    train, test, class_names = read_own(tmp_path / "kmnist", None, None, 0)
    assert class_names == ("1", "2", "7")
    np.testing.assert_array_equal(train.images[..., 0], arrays["train-images-idx3-ubyte"])
    np.testing.assert_array_equal(np.array([1, 2, 7])[test.labels], arrays["t10k-labels-idx1-ubyte"])


def test_pictures_are_read_class_by_class_and_divided_by_seed(tmp_path):
    write_pictures(tmp_path)
    train, test, class_names = read_own(tmp_path, None, 0.3, 1)
    assert class_names == ("daisy", "rose", "tulip")
    assert np.bincount(test.labels).tolist() == [4, 1, 1]  # 30 % of 12, 5 and 3, at least one
    assert np.bincount(train.labels).tolist() == [8, 4, 2]
    everything = {image.tobytes() for part in (train, test) for image in part.images}
    assert len(everything) == 20
    picture = np.asarray(Image.open(tmp_path / "train/rose/3.png"))
    assert picture.tobytes() in everything
    again, other = (read_own(tmp_path, None, 0.3, seed).test.images for seed in (1, 2))
    np.testing.assert_array_equal(again, test.images)
    assert (other.shape, np.array_equal(other, again)) == (again.shape, False)


def test_sizes_that_differ_are_brought_to_one_and_grey_pictures_have_one_channel(tmp_path):
    write_pictures(tmp_path, sizes=((9, 7), (14, 14)))
    with pytest.raises(StudyError, match=r"1.png has 14 × 14 pixels, .*0.png has 9 × 7; set size$"):
        read_own(tmp_path, None, 0.3, 0)
    assert read_own(tmp_path, (8, 6), 0.3, 0).train.images.shape[1:] == (8, 6, 3)
    for path in tmp_path.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    assert read_own(tmp_path, (8, 6), 0.3, 0).train.images.shape[1:] == (8, 6, 1)


@pytest.mark.parametrize("names", [("train_images", "train_labels"), ("x_train", "y_train")])
def test_arrays_are_read(tmp_path, names):
    images, labels = RNG.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8), np.arange(30) % 4
    np.savez(tmp_path / "own.npz", **dict(zip(names, (images, labels), strict=True)))
    train, test, class_names = read_own(tmp_path / "own.npz", (4, 4), 0.2, 0)
    assert (len(train.labels), len(test.labels), class_names) == (24, 6, ("0", "1", "2", "3"))
    assert train.images.shape[1:] == (4, 4, 3)


def break_header(folder: Path) -> None:
    data = bytearray((folder / "train-labels-idx1-ubyte").read_bytes())
    data[7] += 1
    (folder / "train-labels-idx1-ubyte").write_bytes(data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (break_header, r"train-labels-idx1-ubyte has 68 bytes, but its header \[61\] needs 69"),
        (lambda folder: (folder / "t10k-labels-idx1-ubyte").unlink(), "has no IDX file of test labels"),
        (lambda folder: (folder / "b-idx").write_bytes(idx_bytes(np.zeros(3, np.uint8))), "two files of train labels"),
        (
            lambda folder: (folder / "train-images-idx3-ubyte.gz").write_bytes(b"none"),
            "gz cannot be read: Not a gzipped",
        ),
    ],
)
def test_what_is_wrong_with_idx_files_is_named(tmp_path, change, words):
    write_idx(tmp_path / "own")
    change(tmp_path / "own")
    with pytest.raises(StudyError, match=words):
        read_own(tmp_path / "own", None, None, 0)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"train_images": np.zeros((4, 5, 5)), "train_labels": [0, 1, 0, 1]}, "train images are float64"),
        ({"train_images": np.zeros((4, 5, 5), np.uint8), "train_labels": [0, 1]}, "4 whole numbers, one for each"),
        ({"train_images": np.zeros((4, 5, 5), np.uint8), "train_labels": [3, 3, 3, 3]}, "has 1 classes: 2 to 256"),
        ({"pixels": [1]}, "has pixels: train_images and train_labels are needed"),
    ],
)
def test_what_is_wrong_with_arrays_is_named(tmp_path, arrays, words):
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(StudyError, match=words):
        read_own(tmp_path / "own.npz", None, 0.5, 0)


def test_what_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(StudyError, match=r"nowhere does not exist: give an .npz file, a folder of IDX files, or"):
        read_own(tmp_path / "nowhere", None, None, 0)
    write_pictures(tmp_path / "flowers")
    with pytest.raises(StudyError, match=r"has no test images: give test_share, such as 0.2"):
        read_own(tmp_path / "flowers", None, None, 0)
    (tmp_path / "flowers/test/lily").mkdir(parents=True)
    with pytest.raises(StudyError, match="lily: there is no such class in"):
        read_own(tmp_path / "flowers", None, None, 0)
    (tmp_path / "flowers/test/lily").rmdir()
    (tmp_path / "flowers/train/rose/0.png").write_bytes(b"nothing")
    with pytest.raises(StudyError, match=r"0.png is not a whole picture"):
        read_own(tmp_path / "flowers", None, 0.2, 0)


def test_a_draw_is_as_large_a_share_of_every_class():
    labels = np.repeat([0, 1, 2], [700, 250, 50]).astype(np.uint8)
    for count, expected in ((100, [70, 25, 5]), (10, [7, 2, 1]), (3, [1, 1, 1]), (997, [699, 249, 49])):
        drawn = draw(labels, 3, count, 0, "validation_images")
        assert np.bincount(labels[drawn]).tolist() == expected
        assert (len(np.unique(drawn)), drawn.dtype) == (count, np.int64)
    for count in (0, 2, 998):
        with pytest.raises(StudyError, match=f"^validation_images: {count} of 1000 images of 3 classes is not allowed"):
            draw(labels, 3, count, 0, "validation_images")

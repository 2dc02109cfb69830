"""What training reads: the right images in each split, scaled as stated, or one line that says what to run."""

import io
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.common.datasets import SPLITS, read_class_names, read_normalisation, read_split, read_test, scale
from stages.common.errors import StudyError

VALIDATION = [1, 4, 5]


def made() -> dict[str, np.ndarray]:
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


MADE = made()


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    return made()


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
    np.testing.assert_array_equal(read_test(path).images, arrays["test_images"])
    np.testing.assert_array_equal(read_test(path).labels, arrays["test_labels"])


@pytest.mark.parametrize("name", SPLITS)
def test_types(path: Path, name: str) -> None:
    for array in read_split(path, name):
        assert array.dtype == np.uint8
        assert array.flags.c_contiguous


def test_only_what_is_needed_is_read(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    for name in ("train_images", "train_labels", "mean"):
        del arrays[name]
    np.savez(tmp_path / "part.npz", **arrays)
    assert len(read_test(tmp_path / "part.npz").labels) == 3
    assert read_class_names(tmp_path / "part.npz") == ("a", "b", "c", "dress")
    with pytest.raises(StudyError, match=r"part\.npz is damaged or not a prepared data set"):
        read_split(tmp_path / "part.npz", "training")


def test_constants_and_names(path: Path) -> None:
    mean, std = read_normalisation(path)
    assert (mean.tolist(), std.tolist()) == ([0.1, 0.2, 0.3], [0.5, 0.6, 0.7])
    assert all(type(name) is str for name in read_class_names(path))


def test_a_bad_name_is_answered_with_the_valid_ones(path: Path) -> None:
    with pytest.raises(StudyError, match="split 'train' is unknown; known: training, validation, all_training"):
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
    for read in (lambda: read_test(path), lambda: read_class_names(path)):
        with pytest.raises(StudyError, match=f"{path} {reason}.*run `dvc repro preprocess`"):
            read()


# What somebody may have made on purpose

MAGIC = b"\x93NUMPY"
GOOD = b"{'descr': '|u1', 'fortran_order': False, 'shape': (8, 4, 5, 3), }"
PIXELS = bytes(8 * 4 * 5 * 3)


def npy(header: bytes, content: bytes = PIXELS, version: bytes = b"\x01\x00") -> bytes:
    """An .npy file of whatever header."""
    length = len(header).to_bytes(2 if version == b"\x01\x00" else 4, "little")
    return MAGIC + version + length + header + content


def with_member(path: Path, content: bytes, **options: int) -> None:
    """Put another file in the place of the training images."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["train_images.npy"] = content
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def lying_size(path: Path) -> None:
    """The header and both places where the archive has the size of the member promise half a gigabyte that isn't."""
    claimed = 1 << 29
    header = GOOD.replace(b"(8, 4, 5, 3)", b"(%d,)" % (claimed - 10 - len(GOOD))).ljust(len(GOOD))
    with_member(path, npy(header))
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("train_images.npy")
    size = member.file_size.to_bytes(4, "little")
    content = path.read_bytes()
    assert content.count(2 * size) == 2  # packed and unpacked
    path.write_bytes(content.replace(2 * size, 2 * claimed.to_bytes(4, "little")))


class Trap:
    """Leaves a file behind when its pickle is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


def trapped(path: Path) -> bytes:
    """An object array as NumPy writes it, and as long as its header says."""
    pickled = pickle.dumps(np.array([Trap(path.parent / "sprung")], object))
    pickled += bytes(-len(pickled) % 8)
    return npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (%d,), }" % (len(pickled) // 8), pickled)


HOSTILE = {
    "the file that is there": lambda path: with_member(path, npy(GOOD)),
    "a pickle": lambda path: with_member(path, trapped(path)),
    "more promised than there is": lambda path: with_member(path, npy(GOOD, PIXELS[1:])),
    "more there than promised": lambda path: with_member(path, npy(GOOD, PIXELS + b"x")),
    "a terabyte promised": lambda path: with_member(path, npy(GOOD.replace(b"(8,", b"(999999999,"))),
    "more than there are numbers for": lambda path: with_member(
        path, npy(GOOD.replace(b"(8,", b"(" + b"9" * 99 + b","))
    ),
    "nothing, of an impossible shape": lambda path: with_member(
        path, npy(GOOD.replace(b"(8,", b"(0, %d," % 10**99), b"")
    ),
    "negative sides": lambda path: with_member(path, npy(GOOD.replace(b"(8, 4", b"(-8, -4"))),
    "a shape that is none": lambda path: with_member(path, npy(GOOD.replace(b"(8, 4, 5, 3)", b"'8453'"))),
    "sixty megabytes of zeros in sixty kilobytes": lambda path: with_member(
        path, npy(GOOD.replace(b"(8,", b"(1000000,"), bytes(60_000_000)), compression=zipfile.ZIP_DEFLATED
    ),
    "packed, but as it should be": lambda path: with_member(path, npy(GOOD), compression=zipfile.ZIP_DEFLATED),
    "a size that is a lie": lying_size,
    "no array": lambda path: with_member(path, b"MZ" + PIXELS),
    "nothing": lambda path: with_member(path, b""),
    "half a header": lambda path: with_member(path, npy(GOOD)[:30]),
    "a header that is no text": lambda path: with_member(path, npy(b"\xff" * 64)),
    "a header that is no dictionary": lambda path: with_member(path, npy(b"[1, 2]")),
    "a header that is code": lambda path: with_member(path, npy(b"__import__('os').getcwd()")),
    "a header without end": lambda path: with_member(path, npy(b"{'descr': '|u1'")),
    "a header of two lines": lambda path: with_member(path, npy(b"{\n\t1:\n  2")),
    "brackets": lambda path: with_member(path, npy(b"(" * 9000)),
    "signs": lambda path: with_member(path, npy(b"-" * 9000 + b"1")),
    "a sum": lambda path: with_member(path, npy(b"+".join([b"1"] * 4500))),
    "a header of Python 2": lambda path: with_member(path, npy(GOOD.replace(b"(8,", b"(8L,"))),
    "a number that runs into a word": lambda path: with_member(path, npy(GOOD.replace(b"(8,", b"(8if 1else 1,"))),
    "a type that is none": lambda path: with_member(path, npy(GOOD.replace(b"'|u1'", b"'hello'"))),
    "a type of nothing": lambda path: with_member(path, npy(GOOD.replace(b"'|u1'", b"'|V0'"), b"")),
    "a type that contains itself": lambda path: with_member(
        path, npy(GOOD.replace(b"'|u1'", b"[('a', " * 40 + b"'|u1'" + b")]" * 40))
    ),
    "another version": lambda path: with_member(path, npy(GOOD, version=b"\x02\x00")),
    "a version of the future": lambda path: with_member(path, npy(GOOD, version=b"\x09\x00")),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_no_file_gets_more_memory_than_it_has_bytes_or_anything_run(path: Path, make) -> None:
    make(path)
    tracemalloc.start()
    try:
        if make is HOSTILE["the file that is there"]:
            assert not read_split(path, "all_training").images.any()
        else:
            with pytest.raises(StudyError, match="is damaged or not a prepared data set"):
                read_split(path, "all_training")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000 + 3 * path.stat().st_size
    assert not (path.parent / "sprung").exists()


def test_the_trap_would_have_been_sprung(path: Path) -> None:
    np.load(io.BytesIO(trapped(path)), allow_pickle=True)
    assert (path.parent / "sprung").exists()


@settings(derandomize=True, deadline=None, max_examples=150)
@given(data=st.data())
def test_whatever_happens_to_the_bytes_the_arrays_are_right_or_there_are_none(data, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    spoilt = Path(folder / "set.npz")
    np.savez(spoilt, **MADE)
    content = bytearray(spoilt.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["change", "remove", "insert", "cut"])):
            case "change":
                content[start] ^= data.draw(st.integers(1, 255))
            case "remove":
                del content[start : start + data.draw(st.integers(1, 40))]
            case "insert":
                content[start:start] = data.draw(st.binary(min_size=1, max_size=40))
            case "cut":
                del content[max(start, 1) :]
    spoilt.write_bytes(content)
    for read, names in (
        (lambda: read_split(spoilt, "all_training"), ("train_images", "train_labels")),
        (lambda: read_test(spoilt), ("test_images", "test_labels")),
        (lambda: read_normalisation(spoilt), ("mean", "std")),
    ):
        try:
            found = read()
        except StudyError:
            continue
        for array, name in zip(found, names, strict=True):
            assert (array.dtype, array.shape, array.tobytes()) == facts(MADE[name])


@pytest.mark.parametrize("place", [0, 100_000, -1])
def test_a_single_pixel_that_differs_from_what_was_written_is_noticed(place: int, tmp_path: Path) -> None:
    """In an array that is read piece by piece: the checksum stands at the end."""
    pixels = np.random.default_rng(0).integers(0, 256, (300, 32, 32, 1), np.uint8)
    path = tmp_path / "set.npz"
    np.savez(path, test_images=pixels, test_labels=np.eye(4, dtype=np.uint8)[np.arange(300) % 4])
    content = bytearray(path.read_bytes())
    start = content.find(pixels.tobytes())
    content[start + place % pixels.size] ^= 1
    path.write_bytes(content)
    with pytest.raises(StudyError, match="is damaged or not a prepared data set"):
        read_test(path)


def facts(array: np.ndarray) -> tuple:
    return array.dtype, array.shape, array.tobytes()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("train_images", np.zeros((8, 4, 5, 3))),
        ("train_images", np.zeros((8, 4, 5), np.uint8)),
        ("train_images", np.zeros((7, 4, 5, 3), np.uint8)),
        ("train_labels", np.zeros((8, 4), np.uint8)),
        ("train_labels", np.ones((8, 4), np.uint8)),
        ("train_labels", 2 * np.eye(8, dtype=np.uint8)),
        ("train_labels", np.eye(8)),
        ("train_labels", np.zeros((8, 0), np.uint8)),
        ("train_labels", np.zeros(8, np.uint8)),
        ("validation_index", np.array([1, 8])),
        ("validation_index", np.array([-1, 4])),
        ("validation_index", np.array([4, 4])),
        ("validation_index", np.array([4, 1])),
        ("validation_index", np.array([1.0, 4.0])),
        ("validation_index", np.array([[1, 4]])),
    ],
)
def test_arrays_that_are_no_split_are_refused(name: str, value: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", **{**MADE, name: value})
    with pytest.raises(StudyError, match="is damaged or not a prepared data set"):
        read_split(tmp_path / "set.npz", "training")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean", np.array([0.1, np.nan, 0.3])),
        ("std", np.array([0.1, np.inf, 0.3])),
        ("std", np.array([0.1, 0.0, 0.3])),
        ("std", np.array([0.1, -0.2, 0.3])),
        ("std", np.array([0.1, 0.3])),
        ("mean", np.array([[0.1, 0.2, 0.3]])),
        ("mean", np.array([1, 2, 3])),
    ],
)
def test_constants_that_cannot_be_divided_by_are_refused(name: str, value: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", **{**MADE, name: value})
    with pytest.raises(StudyError, match="is damaged or not a prepared data set"):
        read_normalisation(tmp_path / "set.npz")


@pytest.mark.parametrize("names", [np.array([b"a", b"b"]), np.array([["a", "b"]]), np.array([1, 2])])
def test_class_names_that_are_none_are_refused(names: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", **{**MADE, "class_names": names})
    with pytest.raises(StudyError, match="is damaged or not a prepared data set"):
        read_class_names(tmp_path / "set.npz")


@pytest.mark.parametrize(
    ("changes", "split"),
    [
        ({"validation_index": np.array([], int)}, "validation"),
        ({"validation_index": np.arange(8)}, "training"),
        (
            {"train_images": np.zeros((0, 4, 5, 3), np.uint8), "train_labels": np.zeros((0, 4), np.uint8)},
            "all_training",
        ),
        ({"test_images": np.zeros((0, 4, 5, 3), np.uint8), "test_labels": np.zeros((0, 4), np.uint8)}, "test"),
    ],
)
def test_a_split_without_images_says_so(changes: dict[str, np.ndarray], split: str, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, **{**MADE, **changes})
    with pytest.raises(StudyError, match=f"the split {split} has no images; run `dvc repro preprocess`"):
        read_test(path) if split == "test" else read_split(path, split)


def test_an_honest_file_too_large_for_the_memory_is_not_called_damaged(path: Path, monkeypatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np.lib.format, "read_array", full)
    with pytest.raises(MemoryError):
        read_split(path, "training")


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

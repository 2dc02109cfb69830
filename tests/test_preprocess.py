"""The prepared file: deterministic to the byte, split fairly, and normalised by the training part alone."""

import shutil
import subprocess
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from stages import preprocess as node
from stages.common.contents import write_contents
from stages.common.datasets import read_split
from stages.common.editions import load_edition
from stages.common.errors import StudyError
from stages.common.files import read_json
from stages.common.formats import Images
from stages.common.pixels import copies_of, image_digests, normalisation, surplus_copies
from stages.common.stratified import validation_index
from tests.miniature import write_miniature

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {"edition": "jpeg", "validation_images": 40, "split_seed": 5}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_miniature(folder / "sets", folder / "data/editions.yaml", np.random.default_rng(3))
    for data_set, name in (("fashion_mnist", "original"), ("cifar10", "jpeg")):
        (folder / "data/raw" / data_set).mkdir(parents=True)
        edition = load_edition(data_set, name, folder / "data/editions.yaml")
        write_contents(folder / "sets", edition, folder / "data/raw" / data_set)
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepare(monkeypatch: pytest.MonkeyPatch, name: str = "cifar10", **changes: object) -> dict[str, np.ndarray]:
    """Run the node with the given settings; returns the arrays of its file."""
    data = {name: SimpleNamespace(**{**SETTINGS, **changes})}
    monkeypatch.setattr(node, "load_params", lambda path: SimpleNamespace(data=data))
    node.main([name])
    with np.load(f"data/prepared/{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.mark.parametrize(
    ("name", "edition", "shape", "train", "test"),
    [("fashion_mnist", "original", (28, 28, 1), 400, 100), ("cifar10", "jpeg", (32, 32, 3), 200, 50)],
)
def test_what_is_written(
    project: Path,
    name: str,
    edition: str,
    shape: tuple[int, ...],
    train: int,
    test: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arrays = prepare(monkeypatch, name, edition=edition)
    assert {key: (array.shape, array.dtype.str) for key, array in arrays.items() if key != "class_names"} == {
        "train_images": ((train, *shape), "|u1"),
        "train_labels": ((train, 10), "|u1"),
        "test_images": ((test, *shape), "|u1"),
        "test_labels": ((test, 10), "|u1"),
        "validation_index": ((40,), "<i8"),
        "mean": ((shape[-1],), "<f8"),
        "std": ((shape[-1],), "<f8"),
    }
    for labels in (arrays["train_labels"], arrays["test_labels"]):
        assert (labels.sum(axis=1) == 1).all()
        assert len(set(labels.sum(axis=0).tolist())) == 1
    assert arrays["class_names"].dtype.kind == "U"

    inside = np.delete(arrays["train_images"], arrays["validation_index"], axis=0) / 255
    np.testing.assert_allclose(arrays["mean"], inside.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(arrays["std"], inside.std(axis=(0, 1, 2)), rtol=1e-12)

    report = read_json(Path(f"reports/data/{name}.json"))
    assert report["edition"] == edition
    assert report["images"] == {"training": train - 40, "validation": 40, "test": test}
    assert report["image_shape"] == list(shape)
    assert report["mean"] == np.round(arrays["mean"], 6).tolist()
    assert set(report["class_balance"]["validation"].values()) == {4}
    assert report["class_balance"]["validation"].keys() == set(arrays["class_names"].tolist())
    assert report["duplicates"]["within"] == {"training": 0, "validation": 0, "test": 0}


def test_a_second_run_gives_the_same_bytes(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def outputs() -> list[bytes]:
        prepare(monkeypatch)
        return [Path(path).read_bytes() for path in ("data/prepared/cifar10.npz", "reports/data/cifar10.json")]

    first = outputs()
    # Years later: no clock shows in the file.
    monkeypatch.setattr(time, "localtime", lambda *unused: (2031, 1, 1, 0, 0, 0, 0, 1, 0))
    monkeypatch.setattr(time, "time", lambda: 1.9e9)
    assert outputs() == first
    with zipfile.ZipFile("data/prepared/cifar10.npz") as archive:
        assert {(member.date_time, member.compress_type) for member in archive.infolist()} == {
            ((1980, 1, 1, 0, 0, 0), 0)
        }
    assert not list(Path().rglob(".*"))


def writable(images: Images) -> Images:
    """A copy, to be changed."""
    return Images(images.images.copy(), images.labels)


SETS = pytest.mark.parametrize(("name", "edition"), [("fashion_mnist", "original"), ("cifar10", "jpeg")])


@SETS
def test_only_training_pixels_enter_the_normalisation(
    project: Path, name: str, edition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = prepare(monkeypatch, name, edition=edition)
    read_raw = node.read_raw
    validation = before["validation_index"]

    def changed(part: str) -> dict[str, np.ndarray]:
        def read(*arguments: object) -> tuple[Images, Images]:
            train, test = map(writable, read_raw(*arguments))
            outside = np.isin(np.arange(len(train.labels)), validation)
            images = {"training": train.images, "validation": train.images, "test": test.images}[part]
            chosen = {"training": ~outside, "validation": outside, "test": slice(None)}[part]
            images[chosen] //= 2
            return train, test

        monkeypatch.setattr(node, "read_raw", read)
        return prepare(monkeypatch, name, edition=edition)

    for part in ("validation", "test"):
        after = changed(part)
        for key in ("mean", "std"):
            assert after[key].tobytes() == before[key].tobytes()
        assert any((after[key] != before[key]).any() for key in ("train_images", "test_images"))
    inside = changed("training")
    assert all((inside[key] != before[key]).all() for key in ("mean", "std"))


@SETS
def test_every_image_is_in_one_split_and_those_that_occur_twice_are_reported(
    project: Path, name: str, edition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: one training image a second time there and three times in validation, others among the test images."""
    usual = prepare(monkeypatch, name, edition=edition)
    validation = usual["validation_index"]
    training = np.delete(np.arange(len(usual["train_labels"])), validation)
    assert read_json(Path(f"reports/data/{name}.json"))["images"] == {
        "training": len(training),
        "validation": len(validation),
        "test": len(usual["test_labels"]),
    }
    read_raw = node.read_raw

    def read(*arguments: object) -> tuple[Images, Images]:
        train, test = map(writable, read_raw(*arguments))
        train.images[[training[1], *validation[:3]]] = train.images[training[0]]
        test.images[:2] = train.images[training[5]]
        test.images[2] = train.images[validation[7]]
        return train, test

    monkeypatch.setattr(node, "read_raw", read)
    prepare(monkeypatch, name, edition=edition)
    assert read_json(Path(f"reports/data/{name}.json"))["duplicates"] == {
        "within": {"training": 1, "validation": 2, "test": 1},
        "validation_images_in_training": 3,
        "test_images_in_training": 2,
        "test_images_in_validation": 1,
    }
    path = Path(f"data/prepared/{name}.npz")
    parts = [read_split(path, split) for split in ("training", "validation")]
    together = read_split(path, "all_training")
    order = np.argsort([*training, *validation])
    for number in range(2):  # images, labels
        np.testing.assert_array_equal(np.concatenate([part[number] for part in parts])[order], together[number])


def test_a_failure_keeps_what_was_there(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(monkeypatch)
    before = Path("data/prepared/cifar10.npz").read_bytes()
    with pytest.raises(StudyError, match=r"data_batch_1\.bin is missing"):
        prepare(monkeypatch, edition="original")
    with pytest.raises(StudyError, match="validation_images: 45 is not allowed; give a positive multiple of the 10"):
        prepare(monkeypatch, validation_images=45)
    assert Path("data/prepared/cifar10.npz").read_bytes() == before
    assert [path.name for path in Path("data/prepared").iterdir()] == ["cifar10.npz"]


# The validation split


LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(10, dtype=np.uint8), 30))


def test_split_is_stratified_sorted_and_repeatable() -> None:
    drawn = validation_index(LABELS, 10, 50, seed=1)
    assert drawn.dtype == np.int64
    assert np.bincount(LABELS[drawn]).tolist() == [5] * 10
    assert (np.diff(drawn) > 0).all()
    np.testing.assert_array_equal(drawn, validation_index(LABELS, 10, 50, seed=1))
    assert set(drawn.tolist()) != set(validation_index(LABELS, 10, 50, seed=2).tolist())


def test_split_is_fair_within_a_class() -> None:
    drawn = Counter(index for seed in range(300) for index in validation_index(LABELS, 10, 100, seed).tolist())
    # Each image is drawn with probability 1/3: 100 times of 300, give or take five standard deviations.
    assert len(drawn) == len(LABELS)
    assert all(59 <= count <= 141 for count in drawn.values())


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        (0, "positive multiple"),
        (-10, "positive multiple"),
        (55, "55 is not allowed"),
        (300, "at most 290"),
        (5000, "at most 290"),
    ],
)
def test_impossible_splits(count: int, reason: str) -> None:
    with pytest.raises(StudyError, match=f"validation_images: .*{reason}"):
        validation_index(LABELS, 10, count, seed=1)


# Pixels


def test_normalisation_does_not_depend_on_order() -> None:
    images = np.random.default_rng(1).integers(0, 256, (2100, 5, 4, 3), np.uint8)
    for found, other in zip(normalisation(images), normalisation(images[::-1]), strict=True):
        np.testing.assert_array_equal(found, other)


def test_a_constant_channel_is_refused() -> None:
    with pytest.raises(StudyError, match="all pixels are the same"):
        normalisation(np.full((3, 2, 2, 1), 7, np.uint8))


def test_duplicates_are_counted() -> None:
    one, two, three = np.random.default_rng(1).integers(0, 256, (3, 4, 4, 3), np.uint8)
    left, right = image_digests(np.stack([one, one, two, one])), image_digests(np.stack([one, three, one]))
    assert (surplus_copies(left), surplus_copies(right)) == (2, 1)
    assert (copies_of(left, right), copies_of(right, left)) == (3, 2)


def test_the_command(project: Path) -> None:
    shutil.copytree(ROOT / "stages", "stages", ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "params.yaml").read_text()
    for count in (10000, 5000):
        assert f"validation_images: {count}\n" in text
        text = text.replace(f"validation_images: {count}\n", "validation_images: 100\n")
    Path("params.yaml").write_text(text)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stages.preprocess", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run("fashion_mnist")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "fashion_mnist (original edition): 300 training, 100 validation, 100 test images\n"
    done = run("mnist")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    Path("data/raw/fashion_mnist/t10k-labels-idx1-ubyte").write_bytes(b"")
    done = run("fashion_mnist")
    assert done.returncode == 1
    assert done.stderr.startswith("error: data/raw/fashion_mnist/t10k-labels-idx1-ubyte: begins with nothing")

"""Images of one's own: IDX files, a folder of pictures for each class, or arrays in an .npz file.

    IDX        a folder of IDX files, gzipped or not, under any names: those with `test` or `t10k` in their name are the
               test images and labels
    pictures   a folder train/<class>/ of PNG, JPEG, BMP, GIF or WebP files, and test/<class>/ if there are test images
    arrays     an .npz file of train_images and train_labels, and test_images and test_labels if there are any, or of
               x_train, y_train, x_test, y_test

Images without test images are divided by seed. All must have one size, or are brought to one.
"""

import gzip
import hashlib
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from stages.datasets.formats import Images, parse_idx
from stages.datasets.split import draw
from stages.errors import StudyError

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
NAMES = {"train": ("train_images", "train_labels"), "test": ("test_images", "test_labels")}
OTHER_NAMES = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}
MOST_CLASSES = 256


class OwnImages(NamedTuple):
    """Images and labels, which index `class_names`."""

    train: Images
    test: Images
    class_names: tuple[str, ...]


def read_own(source: Path, size: Sequence[int] | None, test_share: float | None, seed: int) -> OwnImages:
    """Read the images at `source`; `size` (height, width) is what they are brought to, if given.

    `test_share`: which part of each class becomes test images, where there are none.
    """
    read = _reader(source)
    parts, class_names = read(source, tuple(size) if size else None)
    if not 2 <= len(class_names) <= MOST_CLASSES:
        raise StudyError(f"{source} has {len(class_names)} classes: 2 to {MOST_CLASSES} are needed")
    shapes = {split: part.images.shape[1:] for split, part in parts.items()}
    if len(set(shapes.values())) > 1:
        raise StudyError(f"{source}: training images are {shapes['train']}, test images {shapes['test']}; set size")
    train = parts["train"]
    if "test" in parts:
        if test_share is not None:
            raise StudyError(f"{source} has test images: leave test_share out")
        missing = np.setdiff1d(parts["test"].labels, train.labels)
        if len(missing):
            raise StudyError(f"{source}: class {class_names[missing[0]]} has test images, and none for training")
        return OwnImages(train, parts["test"], class_names)
    if test_share is None:
        raise StudyError(f"{source} has no test images: give test_share, such as 0.2")
    in_test = draw(train.labels, len(class_names), round(test_share * len(train.labels)), seed, "test_share")
    kept = np.setdiff1d(np.arange(len(train.labels)), in_test)
    test = Images(train.images[in_test], train.labels[in_test])
    return OwnImages(Images(train.images[kept], train.labels[kept]), test, class_names)


def digest(source: Path) -> str:
    """SHA-256 of the files at `source`, with their names."""
    found = hashlib.sha256()
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    if not files:
        raise StudyError(f"{source} does not exist, or is empty")
    for path in files:
        found.update(f"{path.relative_to(source)}\0{path.stat().st_size}\0".encode())
        found.update(path.read_bytes())
    return found.hexdigest()


Reader = Callable[[Path, tuple[int, int] | None], tuple[dict[str, Images], tuple[str, ...]]]


def _reader(source: Path) -> Reader:
    """The reader of what is at `source`."""
    if source.is_file() and source.suffix == ".npz":
        return _read_arrays
    if (source / "train").is_dir():
        return _read_pictures
    if source.is_dir() and any("idx" in path.name.lower() for path in source.iterdir()):
        return _read_idx
    reason = "does not exist" if not source.exists() else "is none of them"
    raise StudyError(
        f"{source} {reason}: give an .npz file, a folder of IDX files, or a folder with pictures in train/<class>/"
    )


def _read_arrays(source: Path, size: tuple[int, int] | None) -> tuple[dict[str, Images], tuple[str, ...]]:
    try:
        with np.load(source, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise StudyError(f"{source} is not an .npz file of numbers") from error
    names = NAMES if "train_images" in arrays else OTHER_NAMES
    found = {}
    for split, (images, labels) in names.items():
        if {images, labels} <= set(arrays):
            found[split] = arrays[images], arrays[labels]
        elif split == "train":
            raise StudyError(
                f"{source} has {', '.join(arrays) or 'no arrays'}: train_images and train_labels are needed"
            )
    class_names = tuple(map(str, arrays["class_names"])) if "class_names" in arrays else None
    return _from_arrays(source, found, size, class_names)


def _read_idx(source: Path, size: tuple[int, int] | None) -> tuple[dict[str, Images], tuple[str, ...]]:
    found: dict[str, dict[str, np.ndarray]] = {}
    for path in sorted(source.iterdir()):
        if "idx" not in path.name.lower():
            continue
        array = parse_idx(_unpacked(path), str(path))
        split = "test" if re.search("test|t10k", path.name.lower()) else "train"
        kind = "labels" if array.ndim == 1 else "images"
        if kind in found.setdefault(split, {}):
            raise StudyError(f"{source} has two files of {split} {kind}; {path.name} is one of them")
        found[split][kind] = array
    for split in ("train", *found):
        if missing := {"images", "labels"} - set(found.get(split, {})):
            raise StudyError(f"{source} has no IDX file of {split} {' and '.join(sorted(missing))}")
    pairs = {split: (arrays["images"], arrays["labels"]) for split, arrays in found.items()}
    return _from_arrays(source, pairs, size, None)


def _unpacked(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise StudyError(f"{path} cannot be read: {error}") from error


def _from_arrays(
    source: Path,
    pairs: dict[str, tuple[np.ndarray, np.ndarray]],
    size: tuple[int, int] | None,
    class_names: tuple[str, ...] | None,
) -> tuple[dict[str, Images], tuple[str, ...]]:
    """Check images and labels; classes are the different labels, in ascending order."""
    for split, (images, labels) in pairs.items():
        if (
            images.dtype != np.uint8
            or images.ndim not in (3, 4)
            or (images.ndim == 4 and images.shape[3] not in (1, 3))
        ):
            raise StudyError(
                f"{source}: {split} images are {images.dtype} {images.shape}; uint8 (n, height, width), or with 1 or 3 "
                "channels, is needed"
            )
        if labels.shape not in ((len(images),), (len(images), 1)) or labels.dtype.kind not in "iu":
            raise StudyError(
                f"{source}: {split} labels are {labels.dtype} {labels.shape}; {len(images):,} whole numbers, one for "
                "each image, are needed"
            )
    values = np.unique(np.concatenate([labels.ravel() for _, labels in pairs.values()]))
    if class_names is None:
        class_names = tuple(map(str, values))
    elif len(values) and (values[0] < 0 or values[-1] >= len(class_names)):
        raise StudyError(f"{source}: label {values[-1]}, but there are {len(class_names)} class names")
    else:
        values = np.arange(len(class_names))
    parts = {}
    for split, (images, labels) in pairs.items():
        pixels = images if images.ndim == 4 else images[..., np.newaxis]
        if size and pixels.shape[1:3] != size:
            pixels = np.stack([_resized(Image.fromarray(each.squeeze()), size) for each in pixels])
        parts[split] = Images(pixels, np.searchsorted(values, labels.ravel()).astype(np.uint8))
    return parts, class_names


def _read_pictures(source: Path, size: tuple[int, int] | None) -> tuple[dict[str, Images], tuple[str, ...]]:
    """Greyscale if all pictures are, else in colour."""
    class_names = tuple(sorted(path.name for path in (source / "train").iterdir() if path.is_dir()))
    splits = [split for split in ("train", "test") if (source / split).is_dir()]
    found = {split: list(_pictures(source / split, class_names)) for split in splits}
    mode = "L" if all(picture.mode in ("1", "L") for each in found.values() for _, picture, _ in each) else "RGB"
    parts = {}
    for split, pictures in found.items():
        if not pictures:
            raise StudyError(f"{source / split} holds no pictures")
        pixels = [_resized(picture.convert(mode), size) for _, picture, _ in pictures]
        for (path, *_), image in zip(pictures, pixels, strict=True):
            if image.shape != pixels[0].shape:
                one, other = (" × ".join(map(str, each.shape[:2])) for each in (image, pixels[0]))
                raise StudyError(f"{path} has {one} pixels, {pictures[0][0]} has {other}; set size")
        parts[split] = Images(np.stack(pixels), np.array([label for *_, label in pictures], np.uint8))
    return parts, class_names


def _pictures(folder: Path, class_names: Sequence[str]) -> Iterator[tuple[Path, Image.Image, int]]:
    """Every picture with its label, in the order of the names."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name not in class_names:
            raise StudyError(f"{path}: there is no such class in {folder.parent / 'train'}")
    for label, name in enumerate(class_names):
        for path in sorted((folder / name).rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                if path.suffix.lower() not in PICTURES:
                    raise StudyError(f"{path} is no picture; they end in {', '.join(PICTURES)}")
                try:
                    with Image.open(path) as picture:
                        picture.load()
                except Exception as error:  # Pillow raises many kinds
                    raise StudyError(f"{path} is not a whole picture") from error
                yield path, picture, label


def _resized(picture: Image.Image, size: tuple[int, int] | None) -> np.ndarray:
    """The pixels, uint8 (height, width, channels), brought to `size` if it is given."""
    if size and (picture.height, picture.width) != size:
        picture = picture.resize(size[::-1], Image.Resampling.BILINEAR, reducing_gap=None)
    pixels = np.asarray(picture, np.uint8)
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]

"""The canonical form of an edition made of JPEG files: one uncompressed tar, the same bytes however they were packed.

One file rather than 60,000, because DVC hashes, links and uploads file by file. Image names are
`split/class/number.jpg`, with split `train` or `test`.
"""

import hashlib
import io
import re
import tarfile
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from stages.common.archives import tar_files
from stages.common.editions import Edition
from stages.common.errors import StudyError

IMAGE_NAME = re.compile(r"(?:^|/)((train|test)/([^/]+)/([0-9]{1,8})\.jpg)$")
TAR_HEADER_BYTES = 512
SLACK_BYTES = 32 << 20


def canonical_name(path: str, class_names: Iterable[str]) -> str | None:
    """`split/class/number.jpg` where `path` ends in it and the class is known, else None."""
    found = IMAGE_NAME.search(path)
    return found[1] if found and found[3] in class_names else None


def size_limit(edition: Edition) -> int:
    """Bytes that a tar of the edition may unpack to: contents, a header and padding for each, and room for a README."""
    (content,) = edition.contents.values()
    images = edition.train_images + edition.test_images
    return content.bytes + 4 * TAR_HEADER_BYTES * images + SLACK_BYTES


def digest(images: Mapping[str, bytes]) -> str:
    """SHA-256 over names, sizes and bytes of the files sorted by name, as data/editions.yaml defines it."""
    sha256 = hashlib.sha256()
    for name in sorted(images):
        sha256.update(name.encode("ascii", "backslashreplace") + b"\0" + len(images[name]).to_bytes(8, "big"))
        sha256.update(images[name])
    return sha256.hexdigest()


def write_tar(path: Path, images: Mapping[str, bytes]) -> None:
    """Write the files sorted by name, without times and owners, in the plain ustar format."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(images):
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(images[name]), 0o644, 0
            archive.addfile(member, io.BytesIO(images[name]))


def read_tar(path: Path, edition: Edition) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Decode the images of both splits: name of split -> images uint8 (n, height, width, channels), labels uint8 (n,).

    Images are ordered by number, then class, so that the classes take turns and any stretch of images is balanced.
    """
    labels = {name: label for label, name in enumerate(edition.class_names)}
    found: dict[str, list[tuple[str, int, bytes]]] = {"train": [], "test": []}
    expected = edition.train_images + edition.test_images
    for name, content in tar_files(path, size_limit(edition), expected, lambda name, size: True):
        parts = IMAGE_NAME.fullmatch(name)
        if parts is None or parts[3] not in labels:
            raise StudyError(f"{path}: {name!r} is no image of {edition.label}")
        found[parts[2]].append((parts[4], labels[parts[3]], content))
    return {split: _decode(sorted(files, key=_order), edition, f"{path}: {split}") for split, files in found.items()}


def _order(file: tuple[str, int, bytes]) -> tuple[int, int, str]:
    number, label, _ = file
    return int(number), label, number


def _decode(files: list[tuple[str, int, bytes]], edition: Edition, where: str) -> tuple[np.ndarray, np.ndarray]:
    images = np.empty((len(files), *edition.image_shape), np.uint8)
    for place, (number, label, content) in enumerate(files):
        images[place] = _pixels(content, edition, f"{where}/{edition.class_names[label]}/{number}.jpg")
    return images, np.array([label for _, label, _ in files], np.uint8)


def _pixels(content: bytes, edition: Edition, where: str) -> np.ndarray:
    """The pixels of one JPEG file, uint8 (height, width, channels)."""
    mode = {1: "L", 3: "RGB"}[edition.channels]
    try:
        with warnings.catch_warnings():
            for kind in (Image.DecompressionBombWarning, UserWarning):  # which would be lines of their own
                warnings.simplefilter("error", kind)
            image = Image.open(io.BytesIO(content), formats=["JPEG"])
        with image:
            if image.size != (edition.width, edition.height) or image.mode != mode:
                found = f"{image.size[0]}x{image.size[1]} {image.mode}"
                raise StudyError(f"{where} is {found}, not {edition.width}x{edition.height} {mode}")
            return np.asarray(image, np.uint8).reshape(edition.image_shape)
    except StudyError:
        raise
    # Pillow answers broken files with whatever its parsers stumble over.
    except Exception as error:
        raise StudyError(f"{where} is not a whole JPEG image") from error

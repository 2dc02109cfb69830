"""Miniature data sets in the real formats, so that the whole pipeline can be run in seconds and without network.

Set DATASETS_DIR to the folder and put the editions file in the place of data/editions.yaml; nothing else differs from
the real data. Every class has a pattern of its own under noise, so that networks learn something from a few hundred
images.
"""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

CLASSES = {
    "fashion_mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}
FASHION_COUNTS = {"train": 400, "test": 100}
CIFAR_COUNTS = {"train": 200, "test": 50}
BATCHES = 5


def write_miniature(folder: Path, editions: Path, rng: np.random.Generator) -> None:
    """Write all data sets' files into `folder` and what is known of them, as in data/editions.yaml, to `editions`."""
    folder.mkdir(parents=True, exist_ok=True)
    cifar = draw_images(rng, (32, 32, 3), CIFAR_COUNTS)
    facts = {
        "fashion_mnist": {"original": write_idx(folder, draw_images(rng, (28, 28, 1), FASHION_COUNTS))},
        "cifar10": {"original": write_cifar_binary(folder, cifar), "jpeg": write_jpeg(folder, cifar)},
    }
    editions.parent.mkdir(parents=True, exist_ok=True)
    editions.write_text(yaml.safe_dump(facts, sort_keys=False), encoding="utf-8")


def draw_images(
    rng: np.random.Generator, shape: tuple[int, int, int], counts: Mapping[str, int]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each split, images uint8 (n, height, width, channels) and labels uint8 (n,), the classes taking turns."""
    height, width, channels = shape
    coarse = rng.uniform(40, 215, (10, height // 4, width // 4, channels))
    patterns = coarse.repeat(4, axis=1).repeat(4, axis=2)  # (10, height, width, channels)
    splits = {}
    for split, count in counts.items():
        labels = (np.arange(count) % 10).astype(np.uint8)
        noisy = patterns[labels] + rng.normal(0, 30, (count, *shape))
        splits[split] = noisy.clip(0, 255).round().astype(np.uint8), labels
    return splits


def write_idx(folder: Path, splits: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """The four gzipped IDX files of Fashion-MNIST; returns the edition's facts."""
    contents = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = splits[split]
        contents[f"{prefix}-images-idx3-ubyte"] = idx_bytes(images[..., 0])
        contents[f"{prefix}-labels-idx1-ubyte"] = idx_bytes(labels)
    for name, data in contents.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(data, mtime=0))
    return facts("idx", "fashion_mnist", splits, {name: file_facts(data) for name, data in contents.items()})


def idx_bytes(array: np.ndarray) -> bytes:
    """An array of unsigned bytes in the IDX format."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def write_cifar_binary(folder: Path, splits: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """The archive of CIFAR-10's binary edition; returns the edition's facts."""
    train, test = cifar_records(*splits["train"]), cifar_records(*splits["test"])
    contents = {f"data_batch_{i + 1}.bin": part.tobytes() for i, part in enumerate(np.split(train, BATCHES))}
    contents["test_batch.bin"] = test.tobytes()
    members = {f"cifar-10-batches-bin/{name}": data for name, data in contents.items()}
    write_tar_gz(folder / "cifar-10-binary.tar.gz", {**members, "cifar-10-batches-bin/readme.html": b"<html>"})
    known = {name: file_facts(data) for name, data in contents.items()}
    return facts("cifar_binary", "cifar10", splits, known, ["cifar-10-binary.tar.gz"])


def cifar_records(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Records uint8 (n, 1 + channels * height * width): the label, then channel after channel."""
    return np.concatenate([labels[:, np.newaxis], images.transpose(0, 3, 1, 2).reshape(len(images), -1)], axis=1)


def write_jpeg(folder: Path, splits: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """The archive of CIFAR-10's JPEG edition; returns the edition's facts."""
    files = {}
    for split, (images, labels) in splits.items():
        for place, (image, label) in enumerate(zip(images, labels, strict=True)):
            files[f"{split}/{CLASSES['cifar10'][label]}/{place // 10:04d}.jpg"] = jpeg_bytes(image)
    write_tar_gz(folder / "cifar10-jpeg.tar.gz", files)
    over_all = hashlib.sha256()
    for name in sorted(files):
        over_all.update(name.encode() + b"\0" + len(files[name]).to_bytes(8, "big") + files[name])
    known = {"images.tar": {"bytes": sum(map(len, files.values())), "sha256": over_all.hexdigest()}}
    return facts("jpeg", "cifar10", splits, known, ["cifar10-jpeg.tar.gz", "images.tar"])


def jpeg_bytes(image: np.ndarray) -> bytes:
    """One image, uint8 (height, width, 3), as a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=90)
    return file.getvalue()


def write_tar_gz(path: Path, members: Mapping[str, bytes]) -> None:
    """A gzipped tar archive of regular files, in the order given."""
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def file_facts(data: bytes) -> dict[str, Any]:
    """Size and SHA-256 of one canonical file."""
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def facts(
    format_name: str,
    data_set: str,
    splits: Mapping[str, tuple[np.ndarray, np.ndarray]],
    contents: dict[str, Any],
    archives: list[str] | None = None,
) -> dict[str, Any]:
    """An entry of data/editions.yaml, with no upstream: a miniature comes from its folder or from nowhere."""
    height, width, channels = splits["train"][0].shape[1:]
    return {
        "format": format_name,
        "height": height,
        "width": width,
        "channels": channels,
        "class_names": list(CLASSES[data_set]),
        "train_images": len(splits["train"][1]),
        "test_images": len(splits["test"][1]),
        "contents": contents,
        "archives": archives or [],
        "upstream": {"files": {}, "mirrors": []},
    }

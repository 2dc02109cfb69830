"""Miniature data sets in the real formats, so that the whole pipeline can be run in seconds and without network.

Set DATASETS_DIR to the folder and replace stages/datasets/editions.yaml by the editions file; nothing else differs
from the real data. Every class has its own pattern under noise, so that networks learn something from a
few hundred images.
"""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
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

Splits = Mapping[str, tuple[np.ndarray, np.ndarray]]  # images uint8 (n, height, width, channels), labels uint8 (n,)


def write_miniature(folder: Path, editions: Path, rng: np.random.Generator) -> None:
    """Write all data sets' files into `folder`, and an editions file (JSON, which is YAML) that describes them."""
    cifar = draw_images(rng, (32, 32, 3), CIFAR_COUNTS)
    facts = {
        "fashion_mnist": {"original": write_idx(folder, draw_images(rng, (28, 28, 1), FASHION_COUNTS))},
        "cifar10": {"original": write_cifar_binary(folder, cifar), "jpeg": write_jpeg(folder, cifar)},
    }
    withdrawn = write_idx(folder / "fashion_mnist/withdrawn", draw_images(rng, (28, 28, 1), FASHION_COUNTS))
    facts["fashion_mnist"]["withdrawn"] = know_images_by_blob(withdrawn, folder / "fashion_mnist/withdrawn")
    editions.parent.mkdir(parents=True, exist_ok=True)
    editions.write_text(json.dumps(facts, indent=1), encoding="utf-8")


def draw_images(rng: np.random.Generator, shape: tuple[int, int, int], counts: Mapping[str, int]) -> Splits:
    """Random images of each split, the classes taking turns."""
    height, width, channels = shape
    coarse = rng.uniform(40, 215, (10, height // 4, width // 4, channels))
    patterns = coarse.repeat(4, axis=1).repeat(4, axis=2)  # (10, height, width, channels)
    splits = {}
    for split, count in counts.items():
        labels = (np.arange(count) % 10).astype(np.uint8)
        noisy = patterns[labels] + rng.normal(0, 30, (count, *shape))
        splits[split] = noisy.clip(0, 255).round().astype(np.uint8), labels
    return splits


def write_idx(folder: Path, splits: Splits) -> dict[str, Any]:
    """The four gzipped IDX files of Fashion-MNIST; returns the edition's facts."""
    contents = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = splits[split]
        contents[f"{prefix}-images-idx3-ubyte"] = idx_bytes(images[..., 0])
        contents[f"{prefix}-labels-idx1-ubyte"] = idx_bytes(labels)
    write_files({f"{name}.gz": gzip.compress(data, mtime=0) for name, data in contents.items()}, folder)
    return facts("idx", "fashion_mnist", splits, {name: file_facts(data) for name, data in contents.items()})


def know_images_by_blob(facts: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The facts with the images as upstream packed them, known by what git calls them."""
    contents = {}
    for name, known in facts["contents"].items():
        if "images" in name:
            hashing = ["git", "hash-object", folder / f"{name}.gz"]
            blob = subprocess.run(hashing, capture_output=True, text=True, check=True).stdout.strip()
            contents[f"{name}.gz"] = {"bytes": known["bytes"], "git_blob": blob}
        else:
            contents[name] = known
    return {**facts, "contents": contents}


def idx_bytes(array: np.ndarray) -> bytes:
    """An array of unsigned bytes in the IDX format."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def write_cifar_binary(folder: Path, splits: Splits) -> dict[str, Any]:
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


def write_jpeg(folder: Path, splits: Splits) -> dict[str, Any]:
    """The archive of CIFAR-10's JPEG edition; returns the edition's facts."""
    files = {}
    for split, (images, labels) in splits.items():
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            files[f"{split}/{CLASSES['cifar10'][label]}/{i // 10:04d}.jpg"] = jpeg_bytes(image)
    # As GitHub packs it: below a folder, with other files; the order of members does not matter.
    members = {f"CIFAR-10-images/{name}": files[name] for name in reversed(files)}
    write_tar_gz(folder / "cifar10-jpeg.tar.gz", {"CIFAR-10-images/README.md": b"Images", **members})
    sha256 = hashlib.sha256()
    for name in sorted(files):
        sha256.update(name.encode() + b"\0" + len(files[name]).to_bytes(8, "big") + files[name])
    known = {"images.tar": {"bytes": sum(map(len, files.values())), "sha256": sha256.hexdigest()}}
    return facts("jpeg", "cifar10", splits, known, ["cifar10-jpeg.tar.gz", "images.tar"])


def jpeg_bytes(image: np.ndarray, kind: str = "JPEG") -> bytes:
    """One image, uint8 (height, width, 3) or (height, width), as a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, quality=90)
    return file.getvalue()


def write_tar_gz(path: Path, members: Mapping[str, bytes]) -> None:
    """A gzipped tar archive of regular files, in the order given."""
    path.write_bytes(gzip.compress(b"".join(tar_member(name, data) for name, data in members.items()), mtime=0))


def tar_member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, size: int | None = None) -> bytes:
    """A tar header, which may claim any type and size (a link is one to /etc/passwd), and the data."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data) if size is None else size, kind, "/etc/passwd"
    return info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


def write_files(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files below a folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def read_files(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def file_facts(data: bytes) -> dict[str, Any]:
    """Size and SHA-256 of one canonical file."""
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def facts(
    format_name: str, data_set: str, splits: Splits, contents: dict[str, Any], archives: list[str] | None = None
) -> dict[str, Any]:
    """An entry of editions.yaml, with no mirrors: a miniature comes from its folder only."""
    return {
        "format": format_name,
        "image_shape": list(splits["train"][0].shape[1:]),
        "class_names": list(CLASSES[data_set]),
        "train_images": len(splits["train"][1]),
        "test_images": len(splits["test"][1]),
        "contents": contents,
        "archives": archives or [],
        "upstream": {"files": {}, "mirrors": []},
    }

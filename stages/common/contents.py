"""From a folder in whatever packing to an edition's canonical contents, proved by their SHA-256."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.common import jpeg_tar
from stages.common.archives import read_whole, tar_files
from stages.common.editions import Edition
from stages.common.errors import StudyError

MEBIBYTE = 1 << 20


def write_contents(folder: Path, edition: Edition, target: Path) -> None:
    """Find the edition in `folder`, plain, gzipped or in an archive, and write its canonical files into `target`."""
    with _reading(folder):
        packings = _packings(folder, edition)
    if not packings:
        raise StudyError(f"holds none of: {_wanted(edition)}")
    reasons = []
    for packing in packings:
        try:
            _write_files(packing, edition, target)
            return
        except StudyError as reason:
            reasons.append(str(reason))
    raise StudyError("; ".join(reasons))


def _wanted(edition: Edition) -> str:
    plain = ["train/ and test/"] if edition.format == "jpeg" else [f"{name}[.gz]" for name in edition.contents]
    return ", ".join([*plain, *edition.archives])


def _packings(folder: Path, edition: Edition) -> list[Path]:
    """Archives, and folders with unpacked contents, in `folder` and the subfolders an edition may lie in."""
    places = [folder, *(folder / name for name in (edition.data_set, *edition.folders))]
    unpacked = [place for place in places if _is_unpacked(place, edition)]
    archives = [place / name for place in places for name in edition.archives if (place / name).is_file()]
    return unpacked + archives


def _is_unpacked(folder: Path, edition: Edition) -> bool:
    if edition.format == "jpeg":
        return (folder / "train").is_dir() and (folder / "test").is_dir()
    return any((folder / f"{name}{suffix}").is_file() for name in edition.contents for suffix in ("", ".gz"))


def _write_files(packing: Path, edition: Edition, target: Path) -> None:
    if edition.format == "jpeg":
        _write_jpeg_tar(packing, edition, target)
    elif packing.is_dir():
        _write_from_folder(packing, edition, target)
    else:
        _write_from_tar(packing, edition, target)


def _write_from_folder(folder: Path, edition: Edition, target: Path) -> None:
    for name, content in edition.contents.items():
        source = folder / name
        if not source.is_file():
            source = folder / f"{name}.gz"
        if not source.is_file():
            raise StudyError(f"{name} is missing beside the others")
        _write_verified(source.name, name, read_whole(source, content.bytes), edition, target)


def _write_from_tar(path: Path, edition: Edition, target: Path) -> None:
    limit = 2 * sum(content.bytes for content in edition.contents.values()) + 32 * MEBIBYTE

    def wanted(member: str, size: int) -> bool:
        name = _last_part(member)
        if name in edition.contents:
            _check_size(f"{name} in {path.name}", size, edition.contents[name].bytes)
        return name in edition.contents

    missing = set(edition.contents)
    for member, data in tar_files(path, limit, len(edition.contents), wanted):
        name = _last_part(member)
        if name not in missing:
            raise StudyError(f"{path.name} holds {name} twice")
        missing.remove(name)
        _write_verified(f"{name} in {path.name}", name, data, edition, target)
    if missing:
        raise StudyError(f"{path.name} lacks {', '.join(sorted(missing))}")


def _last_part(member: str) -> str:
    return member.rsplit("/", 1)[-1]


def _write_verified(source: str, name: str, data: bytes, edition: Edition, target: Path) -> None:
    _check_size(source, len(data), edition.contents[name].bytes)
    _check_digest(source, hashlib.sha256(data).hexdigest(), edition.contents[name].sha256)
    (target / name).write_bytes(data)


def _write_jpeg_tar(packing: Path, edition: Edition, target: Path) -> None:
    ((tar_name, content),) = edition.contents.items()
    images: dict[str, bytes] = {}
    for path, data in _jpeg_files(packing, edition, content.bytes):
        name = jpeg_tar.canonical_name(path, edition.class_names)
        if name in images:
            raise StudyError(f"{packing.name} holds {name} twice")
        images[name] = data
    expected = edition.train_images + edition.test_images
    if len(images) != expected:
        raise StudyError(
            f"{packing.name} holds {len(images):,} images, not {expected:,}: incomplete or another data set"
        )
    _check_digest(f"the images in {packing.name}", jpeg_tar.digest(images), content.sha256)
    jpeg_tar.write_tar(target / tar_name, images)


def _jpeg_files(packing: Path, edition: Edition, left: int) -> Iterator[tuple[str, bytes]]:
    """Paths and bytes of the images in a folder or an archive, at most `left` bytes together."""

    def wanted(path: str, size: int) -> bool:
        nonlocal left
        if jpeg_tar.canonical_name(path, edition.class_names) is None:
            return False
        left -= size
        if left < 0:
            raise StudyError(f"the images in {packing.name} are larger than those of the {edition.label}")
        return True

    if packing.is_dir():
        return _files_below(packing, edition, wanted)
    return tar_files(packing, jpeg_tar.size_limit(edition), edition.train_images + edition.test_images, wanted)


def _files_below(folder: Path, edition: Edition, wanted: Callable[[str, int], bool]) -> Iterator[tuple[str, bytes]]:
    for split in ("train", "test"):
        for class_name in edition.class_names:
            for path in sorted((folder / split / class_name).glob("*.jpg")):
                with _reading(path):
                    if not (path.is_file() and wanted(path.as_posix(), path.stat().st_size)):
                        continue
                    data = path.read_bytes()
                yield path.as_posix(), data


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Errors of reading become the place's; those that are left are errors of writing, the same for every place."""
    try:
        yield
    except OSError as error:
        raise StudyError(f"{error.filename or path} cannot be read: {error.strerror or error}") from error


def _check_size(source: str, found: int, expected: int) -> None:
    if found != expected:
        raise StudyError(f"{source} has {found:,} bytes, not {expected:,}: cut short or another data set")


def _check_digest(source: str, found: str, expected: str) -> None:
    if found != expected:
        raise StudyError(
            f"SHA-256 of {source} is {found[:12]}..., not {expected[:12]}...: damaged, or another data set or edition"
        )

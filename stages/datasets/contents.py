"""Find an edition's files in a folder, however packed, verify them by digest, and write them to data/raw.

Archives are read by name within bounds on members and bytes; their paths never decide where anything is written.
"""

import gzip
import hashlib
import io
import re
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stages.datasets.editions import Content, Edition
from stages.errors import StudyError

IMAGE_NAME = re.compile(r"(?:^|/)((?:train|test)/([^/]+)/[0-9]{1,8}\.jpg)$")
SLACK_BYTES, SLACK_MEMBERS = 32 << 20, 1000  # of archives: a README, folders


def read_contents(folder: Path, edition: Edition) -> dict[str, bytes]:
    """Find the edition in `folder` or its known subfolders, plain, gzipped or in a tar archive.

    Returns the bytes of the files that editions.yaml names, or for JPEG of every image `split/class/number.jpg`.
    """
    with _one_line(str(folder)):
        if not folder.is_dir():
            raise StudyError("no such folder")
        packings = _packings(folder, edition)
    reasons = []
    for packing in packings:
        try:
            files = _read_folder(packing, edition) if packing.is_dir() else _read_tar(packing, edition)
            _verify(files, edition, packing.name)
        except StudyError as reason:
            reasons.append(str(reason))
        else:
            return files
    raise StudyError("; ".join(reasons) or "holds none of its files")


def write_contents(files: Mapping[str, bytes], edition: Edition, target: Path) -> None:
    """Write the files into the folder `target`, which is replaced at the end.

    The images of a JPEG edition become one uncompressed tar, as DVC hashes and links file by file; its bytes depend on
    the images alone.
    """
    new = target.with_name(f".{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        if edition.format == "jpeg":
            (name,) = edition.contents
            _write_tar(files, new / name)
        else:
            for name, data in files.items():
                (new / name).write_bytes(data)
        if target.exists():
            shutil.rmtree(target)
        new.rename(target)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def images_digest(images: Mapping[str, bytes]) -> str:
    """SHA-256 over names, sizes and bytes of the files sorted by name, as editions.yaml defines it."""
    sha256 = hashlib.sha256()
    for name in sorted(images):
        sha256.update(name.encode() + b"\0" + len(images[name]).to_bytes(8, "big") + images[name])
    return sha256.hexdigest()


def _write_tar(files: Mapping[str, bytes], path: Path) -> None:
    """Sorted by name, without times and owners, in the plain ustar format."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            archive.addfile(member, io.BytesIO(files[name]))


def _packings(folder: Path, edition: Edition) -> list[Path]:
    """Folders with unpacked files, and archives."""
    below = (edition.data_set, f"{edition.data_set}/{edition.name}", *edition.folders)
    folders = [folder, *(folder / name for name in below)]
    names = ["train"] if edition.format == "jpeg" else [n + suffix for n in edition.contents for suffix in ("", ".gz")]
    unpacked = [place for place in folders if any((place / name).exists() for name in names)]
    return unpacked + [place / name for place in folders for name in edition.archives if (place / name).is_file()]


def _read_folder(folder: Path, edition: Edition) -> dict[str, bytes]:
    if edition.format == "jpeg":
        with _one_line(folder.name):
            paths = {path.relative_to(folder).as_posix(): path for path in folder.glob("t*/*/*.jpg")}
            paths = {name: path for name, path in paths.items() if _wanted_name(name, edition)}
            left = _total_bytes(edition) - sum(path.stat().st_size for path in paths.values())
            if left < 0:
                raise StudyError(f"the images in {folder.name} have more bytes than expected")
            return {name: path.read_bytes() for name, path in paths.items()}
    files = {}
    for name, content in edition.contents.items():
        path = folder / name
        plain = path.is_file() or path.suffix == ".gz"
        with _one_line(name), path.open("rb") if plain else gzip.open(f"{path}.gz") as file:
            files[name] = file.read(content.bytes + 1)
    return files


def _read_tar(path: Path, edition: Edition) -> dict[str, bytes]:
    most_members = edition.train_images + edition.test_images + SLACK_MEMBERS
    left = _total_bytes(edition) + SLACK_BYTES
    files: dict[str, bytes] = {}
    with _one_line(path.name), tarfile.open(path) as archive:
        for number, member in enumerate(archive):
            if number == most_members or not 0 <= member.size <= left:
                raise StudyError(f"{path.name} holds more members or bytes than expected")
            left -= member.size
            name = _wanted_name(member.name, edition) if member.isreg() else None
            if name in files:
                raise StudyError(f"{path.name} holds {name} twice")
            if name:
                files[name] = archive.extractfile(member).read()
    return files


def _wanted_name(path: str, edition: Edition) -> str | None:
    """The canonical name of a member at `path`, None where it is not one of the edition's files."""
    if edition.format == "jpeg":
        found = IMAGE_NAME.search(path)
        return found[1] if found and found[2] in edition.class_names else None
    name = path.rsplit("/", 1)[-1]
    return name if name in edition.contents else None


def _total_bytes(edition: Edition) -> int:
    return sum(content.bytes for content in edition.contents.values())


def _verify(files: Mapping[str, bytes], edition: Edition, where: str) -> None:
    if edition.format == "jpeg":
        expected = edition.train_images + edition.test_images
        if len(files) != expected:
            raise StudyError(f"{where} holds {len(files):,} images, not {expected:,}: incomplete or another data set")
        (content,) = edition.contents.values()
        _check(f"the images in {where}", sum(map(len, files.values())), images_digest(files), content)
        return
    for name, content in edition.contents.items():
        if name not in files:
            raise StudyError(f"{where} lacks {name}")
        data = files[name]
        if content.git_blob:
            digest = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False)
        else:
            digest = hashlib.sha256(data)
        _check(f"{name} in {where}", len(data), digest.hexdigest(), content)


def _check(what: str, size: int, digest: str, content: Content) -> None:
    kind, known = ("git blob", content.git_blob) if content.git_blob else ("SHA-256", content.sha256)
    if not content.git_blob and size != content.bytes:
        raise StudyError(f"{what}: {'more' if size > content.bytes else 'fewer'} bytes than {content.bytes:,}")
    if digest != known:
        different = f"{kind} {digest[:12]}..., not {known[:12]}..."
        raise StudyError(f"{what}: {different}: damaged, or another data set or edition")


@contextmanager
def _one_line(name: str) -> Iterator[None]:
    """Convert the errors of tarfile, gzip, zlib and the system for a damaged file, which share no base, to one line."""
    try:
        yield
    except (StudyError, MemoryError):
        raise
    except tarfile.TarError as error:
        raise StudyError(f"{name} is not a tar archive, or a damaged one") from error
    except Exception as error:
        raise StudyError(f"{name} cannot be read: {error}") from error

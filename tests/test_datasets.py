"""Formats are read correctly, damaged and hostile files give one error line, splits and statistics are correct."""

import errno
import gzip
import http.server
import json
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import DEFAULT, Mock

import numpy as np
import pytest
import torchvision

from stages import download, preprocess
from stages.datasets import sources
from stages.datasets.contents import read_contents, write_contents
from stages.datasets.editions import EDITIONS, Edition, Upstream, load_edition
from stages.datasets.formats import Images, decode, decode_jpeg, parse_cifar, parse_idx
from stages.datasets.split import draw
from stages.datasets.statistics import describe, normalisation
from stages.errors import StudyError
from stages.params import EditionData
from tests.miniature import idx_bytes, jpeg_bytes, read_files, tar_member, write_files, write_tar_gz

ROOT = Path(__file__).resolve().parents[1]
NAMES = [("fashion_mnist", "original"), ("cifar10", "original"), ("cifar10", "jpeg"), ("fashion_mnist", "withdrawn")]
all_editions = pytest.mark.parametrize(("data_set", "name"), NAMES)
CIFAR_TAR, JPEG_TAR, IDX = "cifar-10-binary.tar.gz", "cifar10-jpeg.tar.gz", "train-images-idx3-ubyte.gz"
WITHDRAWN = f"fashion_mnist/withdrawn/{IDX}"


@pytest.fixture(autouse=True)
def project(made, tmp_path, monkeypatch) -> Path:
    """The current folder, with the miniature in `sets`; no source but those that a test sets up."""
    shutil.copytree(made, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.delenv("DATASETS_DIR", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(sources, "PAUSES", (0, 0))
    return tmp_path / "project"


def edition_of(data_set: str = "fashion_mnist", name: str = "original", **changes: object) -> Edition:
    return load_edition(data_set, name, Path("editions.yaml")).model_copy(update=changes)


def contents_of(data_set: str = "fashion_mnist", name: str = "original") -> dict[str, bytes]:
    return read_contents(Path("sets"), edition_of(data_set, name))


def test_idx_worked_example_and_torchvision() -> None:
    data = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255])
    np.testing.assert_array_equal(parse_idx(data, "x"), [[1, 2, 3], [4, 5, 255]])
    edition, files = edition_of(), contents_of()
    write_contents(files, edition, Path("raw"))
    for part, prefix in zip(decode(files, edition), ("train", "t10k"), strict=True):
        images = torchvision.datasets.mnist.read_image_file(f"raw/{prefix}-images-idx3-ubyte")
        labels = torchvision.datasets.mnist.read_label_file(f"raw/{prefix}-labels-idx1-ubyte")
        np.testing.assert_array_equal(part.images, images.numpy()[..., np.newaxis])
        np.testing.assert_array_equal(part.labels, labels.numpy())


def test_cifar_binary_worked_example() -> None:
    # Upstream's description: label, then 1,024 red, 1,024 green and 1,024 blue bytes, each row by row.
    record = bytes([3]) + bytes([10]) * 32 + bytes([11]) * 992 + bytes([20]) * 1024 + bytes([30]) * 1024
    images, labels = parse_cifar(record, (32, 32, 3), "x")
    assert labels.tolist() == [3]
    assert [images[0, 0, 31].tolist(), images[0, 1, 0].tolist()] == [[10, 20, 30], [11, 20, 30]]


def test_jpeg_as_torchvision_reads_a_folder_of_images() -> None:
    edition, files = edition_of("cifar10", "jpeg"), contents_of("cifar10", "jpeg")
    write_files(files, Path())
    for part, split in zip(decode(files, edition), ("train", "test"), strict=True):
        folder = torchvision.datasets.ImageFolder(split)
        # torchvision goes class by class; here images are ordered by number, then class, so the classes take turns.
        samples = sorted(folder.samples, key=lambda sample: (Path(sample[0]).name, sample[1]))
        assert part.labels.tolist() == [label for _, label in samples] == [i % 10 for i in range(len(samples))]
        np.testing.assert_array_equal(part.images, np.stack([np.asarray(folder.loader(path)) for path, _ in samples]))


PIXELS = np.zeros((32, 32, 3), np.uint8)
HUGE = jpeg_bytes(PIXELS).replace(bytes([0, 32, 0, 32]), bytes([39, 16, 39, 16]), 1)  # claims 10,000 x 10,000


@pytest.mark.parametrize(
    ("parse", "data", "reason"),
    [
        (parse_idx, b"", "does not begin as an IDX file"),
        (parse_idx, bytes([0, 0, 0x0D, 1, 0, 0, 0, 1, 5]), "does not begin as an IDX file of unsigned bytes"),
        (parse_idx, bytes([0, 0, 8, 3, 0, 0]), "has 6 bytes, but its header"),
        (parse_idx, idx_bytes(np.zeros(9, np.uint8))[:-1], r"has 16 bytes, but its header \[9\] needs 17"),
        (parse_idx, bytes([0, 0, 8, 3]) + b"\xff" * 12, "has 16 bytes, .* needs 79,228,162,458,924,105,385,300"),
        (parse_cifar, bytes(3072), "has 3,072 bytes, no multiple of the 3,073 of a record"),
        (decode_jpeg, jpeg_bytes(PIXELS)[:-80], "is not a whole JPEG image"),
        (decode_jpeg, jpeg_bytes(PIXELS, "PNG"), "is not a whole JPEG image"),
        (decode_jpeg, HUGE, "is not a whole JPEG image"),
        (decode_jpeg, jpeg_bytes(PIXELS[:16]), r"has the shape \(16, 32, 3\), not \(32, 32, 3\)"),
        (decode_jpeg, jpeg_bytes(PIXELS[..., 0]), r"has the shape \(32, 32, 1\), not"),
    ],
)
def test_broken_bytes_are_refused(parse: Callable, data: bytes, reason: str) -> None:
    with pytest.raises(StudyError, match=f"^the file {reason}"):
        parse(data, name="the file", **({} if parse is parse_idx else {"shape": (32, 32, 3)}))


def test_files_that_do_not_match_the_edition() -> None:
    with pytest.raises(StudyError, match=r"train: images \(400, 28, 28, 1\) and labels \(400,\), not \(390, "):
        decode(contents_of(), edition_of(train_images=390))
    with pytest.raises(StudyError, match="train: label 9, but there are 9 classes"):
        decode(contents_of(), edition_of(class_names=tuple("abcdefghi")))


@pytest.mark.parametrize(
    ("data_set", "name", "pack"),
    [
        *((*names, write_files) for names in NAMES),
        ("fashion_mnist", "original", lambda files, folder: write_files(files, folder / "FashionMNIST/raw")),
        ("cifar10", "jpeg", lambda files, folder: write_contents(files, edition_of("cifar10", "jpeg"), folder)),
    ],
)
def test_every_packing_gives_the_same_bytes(data_set: str, name: str, pack: Callable) -> None:
    files, edition = contents_of(data_set, name), edition_of(data_set, name, folders=("FashionMNIST/raw",))
    pack(files, Path("other"))
    found = read_contents(Path("other"), edition)
    assert found == files
    write_contents(files, edition, Path("one"))
    write_contents(dict(reversed(found.items())), edition, Path("two"))
    assert read_files(Path("one")) == read_files(Path("two"))
    assert read_files(Path("one")).keys() == edition.contents.keys()


def test_a_failure_to_write_keeps_the_previous_files(monkeypatch) -> None:
    write_files({"earlier": b""}, Path("data/raw"))
    monkeypatch.setattr(tarfile.TarFile, "addfile", Mock(side_effect=OSError(errno.ENOSPC, "No space left")))
    with pytest.raises(OSError, match="No space left"):
        write_contents(contents_of("cifar10", "jpeg"), edition_of("cifar10", "jpeg"), Path("data/raw"))
    assert read_files(Path("data")) == {"raw/earlier": b""}


def flip(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 0xFF]) + data[len(data) // 2 + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) // 2],
    "flip": flip,
    "web page": lambda data: b"<!DOCTYPE html><html><body>Please log in",
    "other pixels": lambda data: gzip.compress(flip(gzip.decompress(data))),
    "other data": lambda data: gzip.compress(idx_bytes(np.zeros((2, 28, 28), np.uint8))),
    "longer": lambda data: gzip.compress(gzip.decompress(data) + b"x"),
}


@pytest.mark.parametrize(
    ("file", "damage", "reason"),
    [
        (IDX, "cut", "cannot be read: Compressed file ended"),
        (IDX, "web page", "cannot be read: Not a gzipped file"),
        (IDX, "other pixels", r"SHA-256 [0-9a-f]{12}\.\.\., not [0-9a-f]{12}\.\.\.: damaged, or another"),
        (IDX, "other data", "fewer bytes than 313,616"),
        (IDX, "longer", "more bytes than 313,616"),
        (CIFAR_TAR, "cut", "cannot be read: Compressed file ended"),
        (CIFAR_TAR, "web page", "is not a tar archive"),
        (JPEG_TAR, "cut", "cannot be read: Compressed file ended"),
        (JPEG_TAR, "flip", "cannot be read: |SHA-256|holds .* images, not 250"),
        (JPEG_TAR, "other data", "is not a tar archive"),
        (WITHDRAWN, "flip", "in withdrawn: git blob [0-9a-f]{12}"),
        (WITHDRAWN, "web page", "in withdrawn: git blob [0-9a-f]{12}"),  # and not "not a gzipped file"
        (WITHDRAWN, "other pixels", "in withdrawn: git blob [0-9a-f]{12}"),
    ],
)
def test_damaged_files_are_refused_in_one_line(file: str, damage: str, reason: str, monkeypatch, capsys) -> None:
    edition = edition_of(*dict(zip((IDX, CIFAR_TAR, JPEG_TAR, WITHDRAWN), NAMES, strict=True))[file])
    path, file = Path("sets", file), Path(file).name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    monkeypatch.setenv("DATASETS_DIR", "sets")
    with pytest.raises(StudyError, match=rf"^no source has {re.escape(edition.label)}; put .*{file}.* DATASETS_DIR"):
        sources.fetch(edition)
    first, second = capsys.readouterr().err.splitlines()
    assert re.match(rf"{re.escape(edition.label)}: DATASETS_DIR=sets: .*{file.removesuffix('.gz')}.*({reason})", first)
    assert second == f"{edition.label}: data/archives/: no such folder"


def test_a_missing_or_renamed_image_is_noticed() -> None:
    files = contents_of("cifar10", "jpeg")
    cat, dog = "train/cat/0000.jpg", "train/dog/0000.jpg"
    renamed = {**files, cat: files[dog], dog: files[cat]}, f"the images in {JPEG_TAR}: SHA-256"
    missing = {name: files[name] for name in files if name != cat}, f"{JPEG_TAR} holds 249 images, not 250"
    for changed, reason in (renamed, missing):
        write_tar_gz(Path("sets", JPEG_TAR), changed)
        with pytest.raises(StudyError, match=f"^{reason}"):
            contents_of("cifar10", "jpeg")


BATCH = "data_batch_1.bin"
PICKLE = b"cposix\nsystem\n(S'touch loaded'\ntR."  # creates a file when it is loaded
STRANGERS = (
    *(tar_member(name, b"boo") for name in ("../../escaped", "a/../../../escaped", "/tmp/escaped-member")),
    *(tar_member(BATCH, kind=kind) for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE)),
)
TOO_LARGE = "holds more members or bytes than expected"
HOSTILE = {
    "a copy": (lambda good: tar_member(f"x/{BATCH}", good) + tar_member(BATCH, good), f"holds {BATCH} twice"),
    "a pickle": (lambda good: tar_member(BATCH, PICKLE.ljust(len(good))), f"{BATCH} in .*: SHA-256"),
    "a large batch": (lambda good: tar_member(BATCH, good + b"x"), f"{BATCH} in .*: more bytes than"),
    "a link": (lambda good: tar_member(BATCH, kind=tarfile.SYMTYPE), f"lacks {BATCH}"),
    "a large member": (lambda good: tar_member("zeros", bytes(40 << 20)), TOO_LARGE),
    "a petabyte": (lambda good: tar_member("x", size=1 << 50), TOO_LARGE),
    "less than nothing": (lambda good: tar_member("x", size=-512), f"{TOO_LARGE}|is not a tar archive"),
    "many members": (lambda good: tar_member("x") * 2000, TOO_LARGE),
}


def test_unexpected_members_are_ignored_and_nothing_is_extracted_outside(project: Path) -> None:
    good, edition = contents_of("cifar10", "original"), edition_of("cifar10", "original")
    members = (*STRANGERS, *(tar_member(f"../../{name}", data) for name, data in good.items()))
    Path("sets", CIFAR_TAR).write_bytes(b"".join(members))
    before = read_files(project.parent)
    write_contents(read_contents(Path("sets"), edition), edition, Path("raw"))
    assert read_files(project.parent) == before | {f"project/raw/{name}": data for name, data in good.items()}
    assert not any(path.is_symlink() for path in Path("raw").iterdir())
    assert not Path("/tmp/escaped-member").exists()


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archives_are_refused(case: str, project: Path) -> None:
    make, reason = HOSTILE[case]
    Path("sets", CIFAR_TAR).write_bytes(make(contents_of("cifar10", "original")[BATCH]))
    before = read_files(project.parent)
    with pytest.raises(StudyError, match=f"^[^\n]*({reason})[^\n]*$"):
        contents_of("cifar10", "original")
    assert read_files(project.parent) == before


CUT = b"the connection ends here"


@contextmanager
def server(answers: list[tuple[int, bytes]] = ()) -> Iterator[tuple[str, list[str]]]:
    """A mirror of `sets`: its address and the names asked for. The first requests for IDX get the `answers`."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            asked.append(name)
            changed = answers[asked.count(IDX) - 1 :] if name == IDX else []
            status, body = changed[0] if changed else (200, Path("sets", name).read_bytes())
            with suppress(OSError):  # the client may stop
                self.send_response(status)
                if body == CUT:
                    self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(body)

        log_message = Mock()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as mirror:
        thread = threading.Thread(target=mirror.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{mirror.server_port}/", asked
        finally:
            mirror.shutdown()
            thread.join()


def with_mirrors(edition: Edition, *mirrors: str, checksum: str | None = None) -> Edition:
    names = edition.archives[:1] or [f"{name.removesuffix('.gz')}.gz" for name in edition.contents]
    return edition.model_copy(update={"upstream": Upstream(files=dict.fromkeys(names, checksum), mirrors=mirrors)})


@all_editions
def test_a_mirror_gives_the_same_files_as_a_folder(data_set: str, name: str, monkeypatch, capsys) -> None:
    edition, files = edition_of(data_set, name), contents_of(data_set, name)
    with server() as (address, _):
        address += "fashion_mnist/withdrawn/" if name == "withdrawn" else ""
        assert sources.fetch(with_mirrors(edition, address)) == (address, files)
    monkeypatch.setenv("DATASETS_DIR", "sets")
    assert sources.fetch(edition) == ("DATASETS_DIR=sets", files)
    monkeypatch.setenv("DATASETS_DIR", "~no-such-user/sets")
    Path("data").mkdir()
    Path("sets").rename("data/archives")
    capsys.readouterr()
    assert sources.fetch(edition) == ("data/archives/", files)
    assert capsys.readouterr().err == f"{edition.label}: DATASETS_DIR=~no-such-user/sets: no such folder\n"


@pytest.mark.parametrize(
    ("answers", "reason", "requests"),
    [
        ([(404, b"")], "the server answered 404", 1),
        ([(503, b"")] * 3, "the server answered 503", 3),
        ([(200, b"<html>Welcome")], "train-images-idx3-ubyte cannot be read: Not a gzipped file", 1),
        ([(200, bytes(40 << 20))], "is larger than the .* bytes expected at most", 1),
        ([(503, b"")], None, 2),
        ([(200, CUT)], None, 2),
    ],
)
def test_mirrors_are_tried_in_order(answers: list, reason: str | None, requests: int, capsys) -> None:
    with server(answers) as (first, asked), server() as (second, _):
        edition = with_mirrors(edition_of(), "http://127.0.0.1:9/", first, second)
        assert sources.fetch(edition)[0] == (second if reason else first)
    assert asked.count(IDX) == requests
    lines = "" if reason is None else rf"fashion_mnist \(original edition\): {first}: .*{reason}.*\n"
    assert re.search(rf": http://127.0.0.1:9/: no connection \(ConnectionError\)\n{lines}$", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([(404, b"")], StudyError),
        ([(200, b"another file")], StudyError),
        ([(403, b"")], sources.UnansweredError),  # a proxy's, for example
        ([(503, b"")] * 3, sources.UnansweredError),
        ([(200, CUT)] * 3, sources.UnansweredError),
    ],
)
def test_a_mirror_without_the_edition_differs_from_one_that_does_not_answer(answers: list, kind: type) -> None:
    with server(answers) as (address, _), server([(404, b"")]) as (other, _), pytest.raises(StudyError) as failure:
        sources.fetch(with_mirrors(edition_of(), address, other))
    assert failure.type is kind
    beginning = "cannot download" if kind is sources.UnansweredError else "no source has"
    assert str(failure.value).startswith(f"{beginning} fashion_mnist (original edition)")
    assert (address in str(failure.value)) == (kind is sources.UnansweredError)
    assert other not in str(failure.value)


@pytest.mark.parametrize("failures", [2, 3])
def test_a_failing_name_lookup_is_repeated(failures: int, monkeypatch) -> None:
    outcomes = [socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")] * failures + [DEFAULT] * 9
    with server() as (address, _):
        monkeypatch.setattr(socket, "getaddrinfo", Mock(wraps=socket.getaddrinfo, side_effect=outcomes))
        if failures == 2:
            assert sources.fetch(with_mirrors(edition_of(), address))[0] == address
        else:
            with pytest.raises(sources.UnansweredError, match=r"try again, or put .* data/archives/.* DATASETS_DIR"):
                sources.fetch(with_mirrors(edition_of(), address))


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_that_do_not_exist_are_named_and_the_next_source_is_asked(variable, monkeypatch, capsys) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, "/none.pem")
    edition = with_mirrors(edition_of(), "https://127.0.0.1:9/")
    with pytest.raises(sources.UnansweredError):
        sources.fetch(edition)
    assert f": {variable}=/none.pem names no file: correct or unset it\n" in capsys.readouterr().err
    with server() as (address, _):
        assert sources.fetch(with_mirrors(edition_of(), "https://127.0.0.1:9/", address))[0] == address


def test_a_packed_file_with_the_wrong_checksum_is_not_opened(monkeypatch, capsys) -> None:
    checksum = "sha256:" + "0" * 64
    monkeypatch.setattr(tarfile, "open", None)
    with server() as (address, asked), pytest.raises(StudyError, match="no source has"):
        sources.fetch(with_mirrors(edition_of("cifar10", "original"), address, checksum=checksum))
    assert asked == [CIFAR_TAR]
    assert f": {address}: {CIFAR_TAR} does not have the checksum {checksum}\n" in capsys.readouterr().err


def test_debians_package(monkeypatch, capsys) -> None:
    """With an apt-get that knows no packages until it is updated, and a dpkg that unpacks a tar archive."""
    here, files, folder = Path.cwd(), contents_of(), "usr/share/datasets/fashion-mnist"
    write_tar_gz(Path("package"), {f"{folder}/{path.name}": path.read_bytes() for path in Path("sets").glob("*.gz")})
    apt = f"""case "$*" in
    *update) touch {here}/updated ;;
    *) test -e {here}/updated || {{ echo "E: Unable to locate package" >&2; exit 100; }}; cp {here}/package x.deb ;;
    esac"""
    write_files({"apt-get": f"#!/bin/sh\n{apt}".encode(), "dpkg": b'#!/bin/sh\ntar xf "$2" -C "$3"'}, Path("bin"))
    for tool in Path("bin").iterdir():
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{here}/bin:/usr/bin:/bin")
    edition = edition_of(debian_package="dataset-fashion-mnist", folders=("fashion-mnist",))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(StudyError, match="no source has"):
        sources.fetch(edition)
    assert ": Debian's package dataset-fashion-mnist: apt-get failed: E: Unable to locate" in capsys.readouterr().err
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert sources.fetch(edition) == ("Debian's package dataset-fashion-mnist", files)


def test_the_real_editions_agree_with_torchvision() -> None:
    for edition in (load_edition(*names) for names in NAMES):
        packed = {f"{name.removesuffix('.gz')}.gz" for name in edition.contents}
        assert set(edition.upstream.files) <= {*edition.archives, *packed}
    fashion, published = load_edition("fashion_mnist", "original"), torchvision.datasets.FashionMNIST
    assert fashion.upstream.files == {name: f"md5:{checksum}" for name, checksum in published.resources}
    assert set(published.mirrors) <= set(fashion.upstream.mirrors)
    assert list(fashion.class_names) == published.classes
    cifar = load_edition("cifar10", "original")
    (archive,) = cifar.upstream.files
    assert cifar.upstream.mirrors[0] + archive == torchvision.datasets.CIFAR10.url.replace("-python", "-binary")
    assert {content.bytes for content in cifar.contents.values()} == {10000 * (1 + 3 * 32 * 32)}


def test_a_broken_editions_file_is_named() -> None:
    for text, reason in (
        ("cifar10: [", "cannot be read"),
        ("cifar10: {original: {}}", "has no edition 'jpeg' of 'cifar10'"),
        ("cifar10: {jpeg: {format: png}}", "cifar10.jpeg.format: Input should be 'idx', 'cifar_binary' or 'jpeg'"),
    ):
        Path("editions.yaml").write_text(text)
        with pytest.raises(StudyError, match=f"^editions.yaml:? {reason}[^\n]*$"):
            edition_of("cifar10", "jpeg")


def test_the_split_is_stratified_sorted_reproducible_uniform_and_within_limits() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10, dtype=np.uint8), 30))
    drawn = draw(labels, 10, 50, 1, "validation_images")
    assert drawn.dtype == np.int64
    assert np.bincount(labels[drawn]).tolist() == [5] * 10
    assert (np.diff(drawn) > 0).all()
    np.testing.assert_array_equal(drawn, draw(labels, 10, 50, 1, "validation_images"))
    # Each image is drawn with probability 1/3: 100 times in 300, within five standard deviations.
    counts = Counter(
        index for seed in range(300) for index in draw(labels, 10, 100, seed, "validation_images").tolist()
    )
    assert len(counts) == len(labels)
    assert all(59 <= count <= 141 for count in counts.values())
    for count in (0, -10, 295):
        with pytest.raises(StudyError, match=f"validation_images: {count} of 300 images of 10 classes is not allowed"):
            draw(labels, 10, count, 1, "validation_images")


def test_normalisation_is_independent_of_order_and_refuses_constant_pixels() -> None:
    images = np.random.default_rng(1).integers(0, 256, (2100, 5, 4, 3), np.uint8)
    np.testing.assert_array_equal(normalisation(images[::-1]), normalisation(images))
    with pytest.raises(StudyError, match="all pixels are the same"):
        normalisation(np.full((3, 2, 2, 1), 7, np.uint8))


def test_duplicates_are_counted() -> None:
    a, b, c = np.random.default_rng(1).integers(0, 256, (3, 28, 28, 1), np.uint8)
    images = {"training": [a, a, b, a], "validation": [a, c, a], "test": [c, b, b]}
    splits = {split: Images(np.stack(part), np.zeros(len(part), np.uint8)) for split, part in images.items()}
    assert describe("a", "b", ("c",), splits, np.array([0.5]), np.array([0.25]))["duplicates"] == {
        "within": {"training": 2, "validation": 1, "test": 1},
        "validation_images_in_training": 2,
        "test_images_in_training": 2,
        "test_images_in_validation": 1,
    }


def run_stages(monkeypatch, data_set: str, name: str) -> dict[str, bytes]:
    """Run both stages on the miniature; returns the files they write."""
    settings = EditionData(source="editions.yaml", edition=name, validation_images=40, split_seed=5)
    monkeypatch.setenv("DATASETS_DIR", "sets")
    for stage in (download, preprocess):
        monkeypatch.setattr(stage, "load_params", lambda: SimpleNamespace(data={data_set: settings}))
        monkeypatch.setattr(stage, "load_edition", edition_of)
        stage.main([data_set])
        with pytest.raises(StudyError, match=f"give one of {data_set}$"):
            stage.main(["mnist"])
    return read_files(Path("data")) | read_files(Path("reports"))


@all_editions
def test_what_the_stages_write(data_set: str, name: str, monkeypatch, capsys) -> None:
    files, edition = run_stages(monkeypatch, data_set, name), edition_of(data_set, name)
    assert capsys.readouterr().out.startswith(f"{edition.label}: served by DATASETS_DIR=sets\n{data_set}: ")
    arrays = np.load(f"data/prepared/{data_set}.npz", allow_pickle=False)
    for split, part in zip(("train", "test"), decode(contents_of(data_set, name), edition), strict=True):
        np.testing.assert_array_equal(arrays[f"{split}_images"], part.images, strict=True)
        np.testing.assert_array_equal(arrays[f"{split}_labels"], np.eye(10, dtype=np.uint8)[part.labels], strict=True)
    # The constants are those of the training part alone.
    inside = np.delete(arrays["train_images"], arrays["validation_index"], axis=0) / 255
    np.testing.assert_allclose(arrays["mean"], inside.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(arrays["std"], inside.std(axis=(0, 1, 2)), rtol=1e-12)
    assert arrays["class_names"].tolist() == list(edition.class_names)
    report = json.loads(files[f"data/{data_set}.json"])
    assert report["images"] == {"training": edition.train_images - 40, "validation": 40, "test": edition.test_images}
    assert report["class_balance"]["validation"] == dict.fromkeys(edition.class_names, 4)
    # Years later: the same bytes, and nothing else.
    monkeypatch.setattr(time, "time", lambda: 1.9e9)
    assert run_stages(monkeypatch, data_set, name) == files


def test_the_commands_end_with_one_line_and_keep_the_previous_files() -> None:
    shutil.copytree(ROOT / "stages", "stages", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "params.yaml", ".")
    shutil.copy("editions.yaml", EDITIONS.relative_to(ROOT))
    write_files(contents_of() | {"t10k-labels-idx1-ubyte": b""}, Path("data/raw/fashion_mnist"))
    before = read_files(Path("data"))

    def run(stage: str) -> tuple[int, list[str]]:
        command = [sys.executable, "-m", f"stages.{stage}", "fashion_mnist"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr.splitlines()

    status, (_, line) = run("download")
    assert status == 1
    assert line.startswith("error: no source has fashion_mnist (original edition); put ")
    reason = "t10k-labels-idx1-ubyte in fashion_mnist: fewer bytes than 108; run `dvc repro download`"
    assert run("preprocess") == (1, [f"error: data/raw/fashion_mnist: {reason}"])
    assert read_files(Path("data")) == before

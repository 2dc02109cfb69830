"""Whichever place serves, the same bytes arrive whole; whatever goes wrong ends in one line and loses nothing."""

import errno
import gzip
import http.server
import io
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torchvision
import yaml

from stages import download as node
from stages.common import debian, fetching
from stages.common.archives import open_unpacked
from stages.common.directories import whole_directory
from stages.common.editions import Edition, Upstream, load_edition
from stages.common.errors import StudyError
from stages.common.places import Place, places
from tests.miniature import write_tar_gz

ROOT = Path(__file__).resolve().parents[1]
REAL_EDITIONS = ROOT / "data/editions.yaml"
EDITIONS = [("fashion_mnist", "original"), ("cifar10", "original"), ("cifar10", "jpeg")]
TRAIN_IMAGES = "train-images-idx3-ubyte"


@pytest.fixture
def sets(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "sets", tmp_path / "sets"))


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No place but those a test sets up, no proxy between, no pauses between attempts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATASETS_DIR", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(fetching, "PAUSES", (0.0, 0.0))


def edition_of(made: Path, data_set: str = "fashion_mnist", name: str = "original") -> Edition:
    return load_edition(data_set, name, made / "editions.yaml")


def fetch_from(folder: Path, edition: Edition, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    monkeypatch.setenv("DATASETS_DIR", str(folder))
    node.download(edition, Path("data/raw/out"), places(edition))
    return contents(Path("data/raw/out"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refusal(edition: Edition, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Download must fail; returns the lines it printed, the last one being the error's."""
    capsys.readouterr()
    with pytest.raises(StudyError) as caught:
        node.download(edition, Path("data/raw/out"), places(edition))
    assert not Path("data/raw").exists() or [path.name for path in Path("data/raw").iterdir()] in ([], ["out"])
    lines = [*capsys.readouterr().err.splitlines(), str(caught.value)]
    assert all("\n" not in line and "Traceback" not in line for line in lines)
    return lines


# Folders


@pytest.mark.parametrize(("data_set", "name"), EDITIONS)
def test_canonical_contents(made: Path, sets: Path, data_set: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    edition = edition_of(made, data_set, name)
    found = fetch_from(sets, edition, monkeypatch)
    assert sorted(found) == sorted(edition.contents)
    assert stat.S_IMODE(Path("data/raw/out").stat().st_mode) == 0o777 & ~current_umask()
    assert [path.name for path in Path("data/raw").iterdir()] == ["out"]


def current_umask() -> int:
    Path("umask-probe").mkdir()
    return 0o777 & ~stat.S_IMODE(Path("umask-probe").stat().st_mode)


def test_plain_gzipped_and_torchvision_layout_give_the_same_bytes(
    made: Path, sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edition = edition_of(made)
    edition = replace(edition, folders=("FashionMNIST/raw",))
    gzipped = fetch_from(sets, edition, monkeypatch)
    plain = Path("torchvision/FashionMNIST/raw")
    plain.mkdir(parents=True)
    for name, data in gzipped.items():
        (plain / name).write_bytes(data)
    assert fetch_from(Path("torchvision"), edition, monkeypatch) == gzipped
    assert fetch_from(plain, edition, monkeypatch) == gzipped


def test_jpeg_packings_give_the_same_bytes(made: Path, sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edition = edition_of(made, "cifar10", "jpeg")
    first = fetch_from(sets, edition, monkeypatch)
    with tarfile.open(sets / "cifar10-jpeg.tar.gz") as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive}
    # As GitHub packs it: below a folder, in another order, with other files.
    other = {f"CIFAR-10-images-d7d0561/{name}": members[name] for name in sorted(members, reverse=True)}
    Path("other").mkdir()
    write_tar_gz(Path("other/cifar10-jpeg.tar.gz"), {"CIFAR-10-images-d7d0561/README.md": b"hello", **other})
    assert fetch_from(Path("other"), edition, monkeypatch) == first
    # As a clone.
    for name, data in members.items():
        (Path("clone") / name).parent.mkdir(parents=True, exist_ok=True)
        (Path("clone") / name).write_bytes(data)
    assert fetch_from(Path("clone"), edition, monkeypatch) == first
    # As the canonical file itself.
    assert fetch_from(Path("data/raw/out"), edition, monkeypatch) == first


def test_project_folder_serves_where_the_variable_is_not_set(made: Path, sets: Path) -> None:
    Path("data").mkdir()
    sets.rename("data/archives")
    edition = edition_of(made)
    assert node.download(edition, Path("data/raw/out"), places(edition)) == "data/archives/"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def other_content(path: Path) -> None:
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[-1] ^= 0xFF
    path.write_bytes(gzip.compress(data))


def longer(path: Path) -> None:
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + bytes(9)))


def shorter(path: Path) -> None:
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-9]))


def web_page(path: Path) -> None:
    path.write_bytes(b"<!DOCTYPE html><html><body>Please log in</body></html>")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut, "cut short or damaged"),
        (flip, "cut short or damaged|SHA-256 of"),
        (other_content, r"SHA-256 of train-images-idx3-ubyte\.gz is [0-9a-f]{12}\.\.\., not"),
        (longer, "unpacks to more than"),
        (shorter, "has 313,607 bytes, not 313,616"),
        (web_page, "is a web page"),
        (Path.unlink, "train-images-idx3-ubyte is missing beside the others"),
    ],
)
def test_a_damaged_file_is_named(
    made: Path,
    sets: Path,
    damage: Callable[[Path], None],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    edition = edition_of(made)
    before = fetch_from(sets, edition, monkeypatch)
    damage(sets / f"{TRAIN_IMAGES}.gz")
    first, *_, last = refusal(edition, capsys)
    assert re.search(f"fashion_mnist.*DATASETS_DIR=.*{TRAIN_IMAGES}.*", first)
    assert re.search(reason, first)
    assert re.search(r"no place served fashion_mnist.*train-images-idx3-ubyte\.gz.*data/archives/.*DATASETS_DIR", last)
    assert contents(Path("data/raw/out")) == before


@pytest.mark.parametrize("name", ["original", "jpeg"])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [(cut, "cut short|damaged"), (web_page, "is a web page"), (flip, "damaged|SHA-256|lacks|incomplete")],
)
def test_a_damaged_archive_is_named(
    made: Path,
    sets: Path,
    name: str,
    damage: Callable[[Path], None],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    edition = edition_of(made, "cifar10", name)
    damage(sets / edition.archives[0])
    monkeypatch.setenv("DATASETS_DIR", str(sets))
    first, *_ = refusal(edition, capsys)
    assert edition.archives[0] in first
    assert re.search(reason, first)


def test_a_good_archive_serves_beside_a_damaged_file(made: Path, sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (sets / "test_batch.bin").write_bytes(b"broken")
    assert len(fetch_from(sets, edition_of(made, "cifar10", "original"), monkeypatch)) == 6


def test_missing_and_empty_folders(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATASETS_DIR", "nowhere")
    Path("data/archives").mkdir(parents=True)
    named, project, last = refusal(edition_of(made, "cifar10", "jpeg"), capsys)
    assert named.endswith("DATASETS_DIR=nowhere: no such folder")
    assert "data/archives/: holds none of: train/ and test/, cifar10-jpeg.tar.gz" in project
    assert "put cifar10-jpeg.tar.gz into data/archives/" in last


# Hostile archives


def hostile(change: Callable[[tarfile.TarFile, dict[str, bytes]], None], path: Path) -> None:
    """Write a good CIFAR archive anew after `change` had its way with it."""
    with tarfile.open(path) as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive if member.isreg()}
    with tarfile.open(path, "w:gz") as archive:
        change(archive, members)
        for name, data in members.items():
            add(archive, name, data)


def add(archive: tarfile.TarFile, name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = len(data), kind, link
    archive.addfile(member, io.BytesIO(data))


def with_strangers(archive: tarfile.TarFile, members: dict[str, bytes]) -> None:
    add(archive, "../../escaped.txt", b"boo")
    add(archive, "/tmp/absolute.bin", b"boo")
    add(archive, "data_batch_1.bin", kind=tarfile.SYMTYPE, link="/etc/passwd")
    add(archive, "x/test_batch.bin", kind=tarfile.LNKTYPE, link="/etc/passwd")
    add(archive, "x/data_batch_2.bin", kind=tarfile.FIFOTYPE)


def with_twin(archive: tarfile.TarFile, members: dict[str, bytes]) -> None:
    add(archive, "twin/test_batch.bin", members["cifar-10-batches-bin/test_batch.bin"])


def with_link_only(archive: tarfile.TarFile, members: dict[str, bytes]) -> None:
    del members["cifar-10-batches-bin/test_batch.bin"]
    add(archive, "cifar-10-batches-bin/test_batch.bin", kind=tarfile.SYMTYPE, link="data_batch_1.bin")


def with_bomb(archive: tarfile.TarFile, members: dict[str, bytes]) -> None:
    add(archive, "zeros", bytes(80 << 20))


def with_other_size(archive: tarfile.TarFile, members: dict[str, bytes]) -> None:
    members["cifar-10-batches-bin/test_batch.bin"] += b"x"


def test_strangers_in_an_archive_are_passed_over(made: Path, sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edition = edition_of(made, "cifar10", "original")
    good = fetch_from(sets, edition, monkeypatch)
    hostile(with_strangers, sets / "cifar-10-binary.tar.gz")
    before = sorted(Path().rglob("*"))
    assert fetch_from(sets, edition, monkeypatch) == good
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_twin, "holds test_batch.bin twice"),
        (with_link_only, "lacks test_batch.bin"),
        (with_bomb, "unpacks to more than"),
        (with_other_size, "has 153,651 bytes, not 153,650"),
    ],
)
def test_hostile_archives_are_refused(
    made: Path,
    sets: Path,
    change: Callable[[tarfile.TarFile, dict[str, bytes]], None],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hostile(change, sets / "cifar-10-binary.tar.gz")
    monkeypatch.setenv("DATASETS_DIR", str(sets))
    assert reason in refusal(edition_of(made, "cifar10", "original"), capsys)[0]


def test_a_jpeg_renamed_or_missing_is_noticed(
    made: Path, sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, edition = sets / "cifar10-jpeg.tar.gz", edition_of(made, "cifar10", "jpeg")
    monkeypatch.setenv("DATASETS_DIR", str(sets))

    def swap(archive: tarfile.TarFile, members: dict[str, bytes]) -> None:
        one, two = "train/cat/0000.jpg", "train/dog/0000.jpg"
        members[one], members[two] = members[two], members[one]

    def drop(archive: tarfile.TarFile, members: dict[str, bytes]) -> None:
        del members["test/cat/0000.jpg"]

    hostile(swap, path)
    assert "SHA-256 of the images" in refusal(edition, capsys)[0]
    hostile(drop, path)
    assert "holds 249 images, not 250" in refusal(edition, capsys)[0]


def test_binary_data_that_looks_like_markup_is_data(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"\t<<<")
    with open_unpacked(tmp_path / "data", 4) as stream:
        assert stream.read() == b"\t<<<"


# The directory appears whole


def test_a_directory_is_replaced_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(IsADirectoryError), whole_directory(target) as temporary:
        temporary.write_text("no file, but a directory")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "old"]
    with whole_directory(target) as temporary:
        (temporary / "new").touch()
        assert (target / "old").exists()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "new"]


def test_what_was_there_comes_back_if_the_renaming_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").touch()
    rename = Path.rename

    def fail_for_new(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError("no space left")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_new)
    with pytest.raises(OSError, match="no space left"), whole_directory(tmp_path / "out") as temporary:
        (temporary / "new").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "old"]


# Mirrors

Answers = dict[str, list[tuple[int, bytes]]]


@contextmanager
def mirror(answers: Answers, before_first: Callable[[], object] = list) -> Iterator[tuple[str, list[str]]]:
    """A server on this machine: its address, and the names asked for. The last answer for a name is repeated.

    Whoever asks for the training images, the first of all files, has to wait until `before_first` returns.
    """
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            asked.append(name)
            if name.startswith(TRAIN_IMAGES):
                before_first()
            waiting = answers.get(name, [(404, b"")])
            status, body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *unused: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answers_of(sets: Path) -> Answers:
    return {path.name: [(200, path.read_bytes())] for path in sets.glob("*.gz")}


def with_mirrors(edition: Edition, *mirrors: str) -> Edition:
    names = edition.archives[:1] or [f"{name}.gz" for name in edition.contents]
    return replace(edition, upstream=Upstream(dict.fromkeys(names), mirrors))


@pytest.mark.parametrize(("data_set", "name"), EDITIONS)
def test_a_mirror_serves(
    made: Path,
    sets: Path,
    data_set: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edition = edition_of(made, data_set, name)
    expected = fetch_from(sets, edition, monkeypatch)
    monkeypatch.delenv("DATASETS_DIR")
    shutil.rmtree("data")
    with mirror(answers_of(sets)) as (address, _):
        edition = with_mirrors(edition, address)
        assert node.download(edition, Path("data/raw/out"), places(edition)) == address
    assert contents(Path("data/raw/out")) == expected


def test_a_busy_server_is_asked_again(made: Path, sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = answers_of(sets)
    answers[f"{TRAIN_IMAGES}.gz"] = [(503, b""), (429, b""), *answers[f"{TRAIN_IMAGES}.gz"]]
    with mirror(answers) as (address, asked):
        edition = with_mirrors(edition_of(made), address)
        node.download(edition, Path("data/raw/out"), places(edition))
    assert asked.count(f"{TRAIN_IMAGES}.gz") == 3
    assert "the server answered 503 Service Unavailable; trying again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "reason", "attempts"),
    [
        ((503, b""), "the server answered 503", 3),
        ((404, b""), "the server answered 404", 1),
        ((403, b""), "the server answered 403", 1),
        ((200, b"<html>Welcome to the hotel</html>"), "is a web page", 1),
        ((200, bytes(40 << 20)), "larger than the", 1),
    ],
)
def test_a_bad_mirror_is_named_and_the_next_one_asked(
    made: Path,
    sets: Path,
    answer: tuple[int, bytes],
    reason: str,
    attempts: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = {**answers_of(sets), f"{TRAIN_IMAGES}.gz": [answer]}
    with mirror(bad) as (first, asked), mirror(answers_of(sets)) as (second, _):
        edition = with_mirrors(edition_of(made), first, second)
        assert node.download(edition, Path("data/raw/out"), places(edition)) == second
    assert asked.count(f"{TRAIN_IMAGES}.gz") == attempts
    assert re.search(f"{first}: .*{reason}", capsys.readouterr().err)


def test_a_wrong_checksum_of_the_packing_is_refused(made: Path, sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with mirror(answers_of(sets)) as (address, asked):
        edition = edition_of(made, "cifar10", "original")
        upstream = Upstream({"cifar-10-binary.tar.gz": "sha256:" + "0" * 64}, (address,))
        lines = refusal(replace(edition, upstream=upstream), capsys)
    assert "cifar-10-binary.tar.gz does not have the checksum sha256:000" in lines[-2]
    assert len(asked) == 1


def test_a_broken_connection_is_tried_again(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that announces more than it sends, twice."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(3):
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")

    thread = threading.Thread(target=serve)
    thread.start()
    edition = with_mirrors(edition_of(made), f"http://127.0.0.1:{listener.getsockname()[1]}/")
    lines = refusal(edition, capsys)
    thread.join()
    listener.close()
    assert lines[-2].endswith("the connection broke off")
    assert sum("trying again" in line for line in lines) == 2


def test_a_refused_connection(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert (
        "no connection to the server"
        in refusal(with_mirrors(edition_of(made), f"http://127.0.0.1:{port}/"), capsys)[-2]
    )


def test_a_host_that_cannot_be_resolved_costs_little(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # A resolver that never answers, which is what a firewall makes of it.
    asleep = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *unused: asleep.wait(20))
    start = time.monotonic()
    lines = refusal(with_mirrors(edition_of(made), "http://nowhere.invalid/"), capsys)
    elapsed = time.monotonic() - start
    asleep.set()
    assert elapsed < 0.9
    assert lines[-2].endswith("http://nowhere.invalid/: the host nowhere.invalid cannot be resolved (no network?)")


# Debian's package


def fake_tools(folder: Path, apt_get: str) -> str:
    """A PATH whose apt-get runs a shell script and whose dpkg unpacks a tar archive instead of a package."""
    folder.mkdir()
    for name, script in (("apt-get", apt_get), ("dpkg", 'mkdir -p usr && tar xf "$2" -C "$3"')):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_debians_package_serves(made: Path, sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = {f"usr/share/datasets/fashion-mnist/{path.name}": path.read_bytes() for path in sets.glob("*ubyte.gz")}
    write_tar_gz(Path("package"), package)
    # The lists are missing at first: apt-get update mends it.
    script = f"""case "$*" in
    *update) touch {Path.cwd()}/updated ;;
    *) test -e {Path.cwd()}/updated || {{ echo "E: Unable to locate package" >&2; exit 100; }}
       cp {Path.cwd()}/package dataset-fashion-mnist_1_all.deb ;;
    esac"""
    monkeypatch.setenv("PATH", fake_tools(Path("bin").resolve(), script))
    monkeypatch.setattr(debian.os, "geteuid", lambda: 0)
    edition = replace(edition_of(made), debian_package="dataset-fashion-mnist", folders=("fashion-mnist",))
    assert node.download(edition, Path("data/raw/out"), places(edition)) == "Debian's package dataset-fashion-mnist"
    assert sorted(contents(Path("data/raw/out"))) == sorted(edition.contents)


def test_apt_that_fails_or_is_not_there(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    edition = replace(edition_of(made), debian_package="dataset-fashion-mnist")
    script = (
        'case "$*" in *update) exit 9 ;; esac; echo "W: hm" >&2; echo "E: Unable to locate package x" >&2; exit 100'
    )
    monkeypatch.setenv("PATH", fake_tools(Path("bin").resolve(), script))
    monkeypatch.setattr(debian.os, "geteuid", lambda: 1000)
    assert refusal(edition, capsys)[-2].endswith("apt-get download failed: Unable to locate package x")
    monkeypatch.setenv("PATH", str(Path("nowhere").resolve()))
    assert "needs apt-get and dpkg" in refusal(edition, capsys)[-2]


def test_apt_that_does_not_end_is_left(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    edition = replace(edition_of(made), debian_package="dataset-fashion-mnist")
    monkeypatch.setattr(debian, "SECONDS", 0.2)
    monkeypatch.setenv("PATH", fake_tools(Path("bin").resolve(), "exec sleep 20"))
    start = time.monotonic()
    assert refusal(edition, capsys)[-2].endswith("apt-get download failed: not done within 0.2 s")
    assert time.monotonic() - start < 10


# What data/editions.yaml says


@pytest.mark.parametrize(("data_set", "name"), EDITIONS)
def test_real_editions_are_complete(data_set: str, name: str) -> None:
    edition = load_edition(data_set, name, REAL_EDITIONS)
    assert len(edition.class_names) == len(set(edition.class_names)) == 10
    assert all(re.fullmatch("[0-9a-f]{64}", content.sha256) for content in edition.contents.values())
    assert all(address.endswith("/") for address in edition.upstream.mirrors)
    accepted = {*edition.archives, *(f"{name}.gz" for name in edition.contents)}
    assert set(edition.upstream.files) <= accepted


def test_fashion_mnist_agrees_with_torchvision() -> None:
    edition = load_edition("fashion_mnist", "original", REAL_EDITIONS)
    published = torchvision.datasets.FashionMNIST
    assert edition.upstream.files == {name: f"md5:{checksum}" for name, checksum in published.resources}
    assert set(published.mirrors) <= set(edition.upstream.mirrors)
    assert list(edition.class_names) == published.classes
    assert edition.contents["train-images-idx3-ubyte"].bytes == 16 + 28 * 28 * edition.train_images
    assert edition.contents["t10k-images-idx3-ubyte"].bytes == 16 + 28 * 28 * edition.test_images
    assert edition.contents["train-labels-idx1-ubyte"].bytes == 8 + edition.train_images
    assert edition.contents["t10k-labels-idx1-ubyte"].bytes == 8 + edition.test_images


def test_cifar10_is_the_binary_edition_beside_torchvisions() -> None:
    edition = load_edition("cifar10", "original", REAL_EDITIONS)
    address = edition.upstream.mirrors[0] + next(iter(edition.upstream.files))
    assert address == torchvision.datasets.CIFAR10.url.replace("-python", "-binary")
    assert {content.bytes for content in edition.contents.values()} == {10000 * (1 + 3 * 32 * 32)}


@pytest.mark.parametrize(
    ("data_set", "name", "reason"),
    [
        ("cifar100", "original", "data set: 'cifar100' is unknown; known: fashion_mnist, cifar10"),
        ("cifar10", "png", "edition of cifar10: 'png' is unknown; known: original, jpeg"),
    ],
)
def test_unknown_editions_are_answered_with_the_known(data_set: str, name: str, reason: str) -> None:
    with pytest.raises(StudyError, match=re.escape(reason)):
        load_edition(data_set, name, REAL_EDITIONS)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "cannot be read"),
        ("a: [", "not valid YAML"),
        ("", "unknown; known: none"),
        ("cifar10: {jpeg: {format: jpeg}}", "cifar10/jpeg is not as the others are"),
        ("cifar10: {jpeg: 5}", "cifar10/jpeg is not as the others are"),
    ],
)
def test_a_broken_editions_file_is_named(tmp_path: Path, text: str | None, reason: str) -> None:
    if text is not None:
        (tmp_path / "editions.yaml").write_text(text)
    with pytest.raises(StudyError, match=reason) as caught:
        load_edition("cifar10", "jpeg", tmp_path / "editions.yaml")
    assert str(tmp_path / "editions.yaml") in str(caught.value)


# The command


@pytest.fixture
def project(made: Path, sets: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder with what the command needs, and the miniature sets to serve."""
    shutil.copytree(ROOT / "stages", "stages", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    Path("data").mkdir()
    shutil.copy(made / "editions.yaml", "data/editions.yaml")
    monkeypatch.setenv("DATASETS_DIR", str(sets))
    return Path.cwd()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stages.download", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_where_no_place_serves(project: Path, sets: Path) -> None:
    flip(sets / f"{TRAIN_IMAGES}.gz")
    done = run("fashion_mnist")
    first, second, last = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert first.startswith(f"fashion_mnist (original edition): DATASETS_DIR={sets}: ")
    assert second == "fashion_mnist (original edition): data/archives/: no such folder"
    assert last.startswith("error: no place served fashion_mnist (original edition); put ")
    assert not list(Path("data/raw").iterdir())


def test_the_command(project: Path, sets: Path) -> None:
    done = run("fashion_mnist")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"fashion_mnist (original edition): served by DATASETS_DIR={sets}\n"
    for arguments in ((), ("mnist",), ("fashion_mnist", "cifar10")):
        done = run(*arguments)
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            "error: usage: python -m stages.download NAME, where NAME is one of: fashion_mnist, cifar10"
        ]


# A disk that is full or read-only


def may_mount() -> bool:
    """Whether this user may mount a file system of their own, in a name space of its own that ends with the command."""
    try:
        return not subprocess.run(
            [*OWN_MOUNTS, "mount -t tmpfs none /mnt"], capture_output=True, check=False
        ).returncode
    except OSError:
        return False


OWN_MOUNTS = ("unshare", "--mount", "--map-root-user", "sh", "-c")


@pytest.mark.parametrize(
    ("refusal", "reason"), [("size=200k", "No space left on device"), ("ro", "Read-only file system")]
)
@pytest.mark.parametrize("data_set", ["fashion_mnist", "cifar10"])
def test_a_disk_that_takes_no_more_ends_the_command_with_one_line(
    data_set: str, refusal: str, reason: str, project: Path
) -> None:
    if not may_mount():
        pytest.skip("needs the right to mount a small file system")
    script = f"""
        mkdir data/raw && mount -t tmpfs -o size=4m none data/raw || exit 99
        mkdir data/raw/{data_set} && echo earlier > data/raw/{data_set}/before
        mount -o remount,{refusal} data/raw || exit 99
        "{sys.executable}" -m stages.download {data_set}
        echo $?
        find data/raw | sort
        cat data/raw/{data_set}/before
    """
    done = subprocess.run([*OWN_MOUNTS, script], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "1",
        *("data/raw", f"data/raw/{data_set}", f"data/raw/{data_set}/before"),
        "earlier",
    ]
    (line,) = done.stderr.splitlines()
    assert re.fullmatch(
        rf"error: {data_set} \(\w+ edition\): data/raw/\S*{data_set}\S* cannot be written: {reason}; "
        "free some space there or make it writable",
        line,
    )


ERRORS = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO]


def failing(number: int) -> Callable[..., None]:
    def fail(*unused: object, **unused_too: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", ERRORS)
@pytest.mark.parametrize(
    ("name", "what"), [("fashion_mnist", "write_bytes"), ("cifar10", "addfile"), ("cifar10", "mkdir")]
)
def test_no_other_place_is_asked_where_nothing_can_be_written(
    name: str,
    what: str,
    number: int,
    made: Path,
    sets: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    edition = edition_of(made, name, "jpeg" if name == "cifar10" else "original")
    before = fetch_from(sets, edition, monkeypatch)
    Path("data/raw/out/before").touch()
    owner = {"write_bytes": Path, "addfile": tarfile.TarFile, "mkdir": tempfile}[what]
    monkeypatch.setattr(owner, "mkdtemp" if what == "mkdir" else what, failing(number))
    first, *others = refusal(edition, capsys)
    assert not others
    advice = "free some space there or make it writable"
    assert first == f"{edition.label}: data/raw/out cannot be written: {os.strerror(number)}; {advice}"
    assert contents(Path("data/raw/out")) == {**before, "before": b""}


def test_a_full_folder_for_temporary_files_is_named(
    made: Path, sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(Path.cwd()))
    open_file = Path.open

    def open_full(self: Path, mode: str = "r", *arguments: object, **options: object) -> object:
        return open_file(Path("/dev/full"), mode) if "b" in mode and "w" in mode else open_file(self, mode)

    with mirror(answers_of(sets)) as (first, _), mirror(answers_of(sets)) as (second, asked):
        edition = with_mirrors(edition_of(made), first, second)
        monkeypatch.setattr(Path, "open", open_full)
        line = refusal(edition, capsys)[-1]
    assert re.fullmatch(
        rf".*: {Path.cwd()}/tmp\w+ cannot be written: No space left on device; free some space .*", line
    )
    assert not asked
    assert not list(Path("data/raw").iterdir())
    assert sorted(path.name for path in Path().iterdir()) == ["data", "sets"]


@pytest.mark.parametrize("name", ["nowhere/", "~nobody-of-this-name/sets", "x" * 300, "data/archives/file"])
def test_a_place_that_cannot_be_entered_is_passed_over(
    name: str, made: Path, sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("data").mkdir()
    sets.rename("data/archives")
    Path("data/archives/file").touch()
    monkeypatch.setenv("DATASETS_DIR", name)
    edition = edition_of(made)
    assert node.download(edition, Path("data/raw/out"), places(edition)) == "data/archives/"


@pytest.mark.parametrize(("data_set", "name"), EDITIONS)
def test_a_place_that_cannot_be_read_is_passed_over(
    data_set: str,
    name: str,
    made: Path,
    sets: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Root may read everything, so the refusals are put on."""
    Path("data").mkdir()
    shutil.copytree(sets, "data/archives")
    monkeypatch.setenv("DATASETS_DIR", str(sets))
    edition = edition_of(made, data_set, name)
    is_file = Path.is_file

    def refuse(self: Path) -> bool:
        if self.is_relative_to(sets):
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return is_file(self)

    monkeypatch.setattr(Path, "is_file", refuse)
    assert node.download(edition, Path("data/raw/out"), places(edition)) == "data/archives/"
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(rf"DATASETS_DIR={sets}: {sets}/\S+ cannot be read: Permission denied$", line)


def test_an_image_that_cannot_be_read_is_no_error_of_writing(
    made: Path, sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with tarfile.open(sets / "cifar10-jpeg.tar.gz") as archive:
        archive.extractall("clone", filter="data")
    monkeypatch.setenv("DATASETS_DIR", "clone")
    monkeypatch.setattr(Path, "read_bytes", failing(errno.EIO))
    first, *_, last = refusal(edition_of(made, "cifar10", "jpeg"), capsys)
    assert re.search(r"DATASETS_DIR=clone: clone/train/airplane/\d+\.jpg cannot be read: Input/output error", first)
    assert last.startswith("no place served cifar10")


# Two at once


def test_two_downloads_at_once_both_end_in_the_right_bytes(made: Path, sets: Path) -> None:
    edition = edition_of(made)
    together = threading.Barrier(2, timeout=20)

    @contextmanager
    def open_together() -> Iterator[Path]:
        together.wait()  # both have begun to write
        yield sets
        together.wait()  # both are done writing, and replace the target at the same moment

    place = Place("together", open_together)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            both = [pool.submit(node.download, edition, Path("data/raw/out"), [place]) for _ in range(2)]
            assert [one.result(timeout=60) for one in both] == ["together"] * 2
            assert [path.name for path in Path("data/raw").iterdir()] == ["out"]
            assert sorted(contents(Path("data/raw/out"))) == sorted(edition.contents)


def test_two_commands_at_once(made: Path, sets: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their mirror answers only once both have asked, so that neither is done before the other begins."""
    monkeypatch.delenv("DATASETS_DIR")
    answers, together = answers_of(sets), threading.Barrier(2, timeout=20)
    with mirror(answers, before_first=together.wait) as (address, asked):
        facts = yaml.safe_load(Path("data/editions.yaml").read_text())
        files = {f"{name}.gz": None for name in edition_of(made).contents}
        facts["fashion_mnist"]["original"]["upstream"] = {"files": files, "mirrors": [address]}
        Path("data/editions.yaml").write_text(yaml.safe_dump(facts))
        command = [sys.executable, "-m", "stages.download", "fashion_mnist"]
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        ends = [one.communicate(timeout=60) for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert [out for out, _ in ends] == [f"fashion_mnist (original edition): served by {address}\n"] * 2
    assert [path.name for path in Path("data/raw").iterdir()] == ["fashion_mnist"]
    expected = {name: gzip.decompress((sets / f"{name}.gz").read_bytes()) for name in edition_of(made).contents}
    assert contents(Path("data/raw/fashion_mnist")) == expected
    assert len(asked) == 2 * len(expected)

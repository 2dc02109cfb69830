"""A server may do anything: the right bytes come all the same, from it or the next one, or one clear line says why."""

import gzip
import re
import resource
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages import download as node
from stages.common import fetching
from stages.common.editions import Edition, Upstream, load_edition
from stages.common.errors import StudyError
from stages.common.places import places

FILE = "train-images-idx3-ubyte.gz"
TARGET = Path("data/raw/fashion_mnist")
MEBIBYTE = 1 << 20

# What a server does with one request: it writes to the connection, given the good bytes, until the event is set.
Play = Callable[[BinaryIO, bytes, threading.Event], None]


@pytest.fixture
def edition(made: Path) -> Edition:
    return load_edition("fashion_mnist", "original", made / "editions.yaml")


@pytest.fixture(autouse=True)
def impatient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No place but those a test sets up, no proxy between, and all waiting cut short."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATASETS_DIR", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(fetching, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(fetching, "READ_SECONDS", 0.3)
    monkeypatch.setattr(fetching, "WATCH_SECONDS", 1.0)


@contextmanager
def server(sets: Path, *plays: Play, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    """A server on this machine: its address and the names asked for; requests for FILE meet the plays in turn."""
    asked: list[str] = []
    waiting, ended = list(plays), threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            name = self.rfile.readline().split(b" ")[1].decode().lstrip("/")
            while self.rfile.readline().strip():
                pass
            asked.append(name)
            is_played = name.startswith(FILE) and waiting
            play = (waiting.pop(0) if len(waiting) > 1 else waiting[0]) if is_played else good
            with suppress(OSError):  # the client has gone
                play(self.wfile, (sets / name.split("?")[0]).read_bytes(), ended)

        def finish(self) -> None:
            with suppress(OSError):
                super().finish()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def finish_request(self, request: socket.socket, client: tuple[str, int]) -> None:
            with suppress(OSError):  # of TLS, where the client trusts nobody
                super().finish_request(tls.wrap_socket(request, server_side=True) if tls else request, client)

    with Server(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.server_address[1]}/", asked
        finally:
            ended.set()
            listener.shutdown()
            thread.join()


def answer(status: str, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    """A whole answer; `length` is what it claims where that is not the truth."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin1") + body


def good(connection: BinaryIO, body: bytes, ended: threading.Event) -> None:
    connection.write(answer("200 OK", body))


def with_mirrors(edition: Edition, *mirrors: str) -> Edition:
    return replace(edition, upstream=Upstream({f"{name}.gz": None for name in edition.contents}, mirrors))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


def sends(make: Callable[[bytes], bytes]) -> Play:
    """One answer, made from the good bytes, and the connection is closed."""
    return lambda connection, body, ended: connection.write(make(body)) and None


def falls_silent(make: Callable[[bytes], bytes]) -> Play:
    """The beginning of an answer, and then nothing, on an open connection."""

    def play(connection: BinaryIO, body: bytes, ended: threading.Event) -> None:
        connection.write(make(body))
        ended.wait(20)

    return play


def drips(start: bytes, drop: bytes) -> Play:
    """Something comes all the time, and no end within the time of a test."""

    def play(connection: BinaryIO, body: bytes, ended: threading.Event) -> None:
        connection.write(start)
        for _ in range(200):
            if ended.wait(0.05):
                return
            connection.write(drop)

    return play


def floods(start: bytes) -> Play:
    """Far more than anything needs, as fast as it can be taken."""

    def play(connection: BinaryIO, body: bytes, ended: threading.Event) -> None:
        connection.write(start)
        for _ in range(300):
            connection.write(bytes(MEBIBYTE))

    return play


BOMB = gzip.compress(bytes(MEBIBYTE), 1) * 64
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
FAULTS: dict[str, tuple[Play, str, int]] = {  # what is said of it, and how often the file is asked for
    "announces more than it sends": (
        sends(lambda body: answer("200 OK", body[:-99], length=len(body))),
        "the connection broke off",
        3,
    ),
    "announces nothing and closes early": (
        sends(lambda body: b"HTTP/1.0 200 OK\r\n\r\n" + body[:-99]),
        f"{FILE} is cut short or damaged",
        1,
    ),
    "announces less than it sends": (
        sends(lambda body: answer("200 OK", body, length=len(body) - 99)),
        f"{FILE} is cut short or damaged",
        1,
    ),
    "closes without an answer": (sends(lambda body: b""), "the connection broke off", 3),
    "closes within the headers": (sends(lambda body: b"HTTP/1.1 200 OK\r\nContent-"), f"{FILE} has 0 bytes", 1),
    "sends headers without end": (
        sends(lambda body: b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 9999),
        "the connection broke off",
        3,
    ),
    "speaks no HTTP": (sends(lambda body: b"220 ftp ready\r\n\r\n"), "the connection broke off", 3),
    "breaks the chunks": (sends(lambda body: CHUNKED + b"zz\r\n" + body), "the connection broke off", 3),
    "claims gzip that is none": (
        sends(lambda body: answer("200 OK", b"x" + body, "Content-Encoding: gzip")),
        "the connection broke off",
        3,
    ),
    "has a length that is no number": (
        sends(lambda body: b"HTTP/1.0 200 OK\r\nContent-Length: some\r\n\r\n" + body),
        "the server's answer makes no sense",
        1,
    ),
    "flips a bit": (
        sends(lambda body: answer("200 OK", flipped(body))),
        f"{FILE} is cut short or damaged|SHA-256 of {FILE}",
        1,
    ),
    "serves another file": (
        sends(lambda body: answer("200 OK", gzip.compress(b"another"))),
        f"{FILE} has 7 bytes, not 313,616",
        1,
    ),
    "serves other bytes of the right number": (
        sends(lambda body: answer("200 OK", gzip.compress(flipped(gzip.decompress(body))))),
        f"SHA-256 of {FILE} is",
        1,
    ),
    "serves a page instead": (
        sends(lambda body: answer("200 OK", b"<!DOCTYPE html><title>Sorry</title>", "Content-Type: text/html")),
        f"{FILE} is a web page",
        1,
    ),
    "serves nothing": (sends(lambda body: answer("204 No Content")), f"{FILE} has 0 bytes", 1),
    "never answers": (falls_silent(lambda body: b""), "the server did not answer in time", 3),
    "stalls in the middle": (
        falls_silent(lambda body: answer("200 OK", body[:999], length=len(body))),
        "the server did not answer in time",
        3,
    ),
    "drips headers": (drips(b"HTTP/1.1 200 OK\r\n", b"x"), "the server sends less than .* KiB a second", 1),
    "drips the body": (
        drips(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b"x"),
        "the server sends less than .* KiB a second",
        1,
    ),
    "never ends": (floods(b"HTTP/1.0 200 OK\r\n\r\n"), f"{FILE} is larger than the .* bytes expected at most", 1),
    "sends a bomb": (
        sends(lambda body: answer("200 OK", BOMB, "Content-Encoding: gzip")),
        f"{FILE} is larger than the .* bytes expected at most",
        1,
    ),
    "sends a bomb within a bomb": (
        sends(lambda body: answer("200 OK", gzip.compress(BOMB), "Content-Encoding: gzip, gzip")),
        f"{FILE} is larger than the .* bytes expected at most",
        1,
    ),
    "redirects in a loop": (
        sends(lambda body: answer("302 Found", b"", f"Location: /{FILE}?again")),
        "the server redirects without end",
        31,
    ),
    "redirects to a file of this machine": (
        sends(lambda body: answer("302 Found", b"", "Location: file:///etc/passwd")),
        "the request failed",
        1,
    ),
    "redirects to no address": (
        sends(lambda body: answer("302 Found", b"", "Location: http://[/\xff")),
        "the server's answer makes no sense",
        1,
    ),
    "does not have it": (sends(lambda body: answer("404 Not Found")), "the server answered 404 Not Found", 1),
    "refuses": (sends(lambda body: answer("403 Forbidden")), "the server answered 403 Forbidden", 1),
    "is busy": (sends(lambda body: answer("429 Slow down")), "the server answered 429 Slow down", 3),
    "is out of order": (sends(lambda body: answer("503 Not now")), "the server answered 503 Not now", 3),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_server_loses_nothing_and_the_next_one_serves(
    fault: str, made: Path, edition: Edition, capsys: pytest.CaptureFixture[str]
) -> None:
    play, reason, attempts = FAULTS[fault]
    TARGET.mkdir(parents=True)
    (TARGET / "before").write_bytes(b"of an earlier run")
    with server(made / "sets", play) as (bad, asked), server(made / "sets") as (next_one, _):
        faulty = with_mirrors(edition, bad)
        with pytest.raises(StudyError, match=r"^no place served fashion_mnist .*; put .* into data/archives/, or set "):
            node.download(faulty, TARGET, places(faulty))
        lines = [line for line in capsys.readouterr().err.splitlines() if "trying again" not in line]
        assert len(lines) == 2  # of data/archives/, and of the server
        assert re.fullmatch(rf"fashion_mnist \(original edition\): {bad}: ({reason}).*", lines[-1])
        assert sum(name.startswith(FILE) for name in asked) == attempts
        assert contents(TARGET) == {"before": b"of an earlier run"}
        assert [path.name for path in Path("data").rglob("*")] == ["raw", "fashion_mnist", "before"]
        both = with_mirrors(edition, bad, next_one)
        assert node.download(both, TARGET, places(both)) == next_one
    assert contents(TARGET) == {
        name: gzip.decompress((made / f"sets/{name}.gz").read_bytes()) for name in edition.contents
    }
    assert [path.name for path in Path("data/raw").iterdir()] == ["fashion_mnist"]


RECOVERING: dict[str, Play] = {
    "is busy": sends(lambda body: answer("429 Slow down", b"wait", "Retry-After: 0")),
    "is out of order": sends(lambda body: answer("503 Not now")),
    "announces more than it sends": sends(lambda body: answer("200 OK", body[:-99], length=len(body))),
    "closes without an answer": sends(lambda body: b""),
    "stalls in the middle": falls_silent(lambda body: answer("200 OK", body[:999], length=len(body))),
}


@pytest.mark.parametrize("first", RECOVERING)
def test_a_server_that_recovers_serves(first: str, made: Path, edition: Edition) -> None:
    with server(made / "sets", RECOVERING[first], good) as (address, asked):
        recovering = with_mirrors(edition, address)
        assert node.download(recovering, TARGET, places(recovering)) == address
    assert asked.count(FILE) == 2
    assert sorted(contents(TARGET)) == sorted(edition.contents)


def test_a_redirects_own_body_is_left_alone(made: Path, tmp_path: Path) -> None:
    """It may be endless, and requests would take it into memory before it follows."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    endless = floods(f"HTTP/1.0 302 Found\r\nLocation: /{FILE}\r\n\r\n".encode())
    with server(made / "sets", endless, good) as (address, _):
        fetching.fetch(address + FILE, tmp_path / FILE, None, MEBIBYTE)
    assert (tmp_path / FILE).read_bytes() == (made / "sets" / FILE).read_bytes()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


def test_a_bomb_takes_no_memory(made: Path, tmp_path: Path) -> None:
    bomb = answer("200 OK", gzip.compress(BOMB * 16), "Content-Encoding: gzip, gzip")
    with server(made / "sets", sends(lambda body: bomb)) as (address, _):
        tracemalloc.start()
        try:
            with pytest.raises(StudyError, match=f"{FILE} is larger than the 1,048,576 bytes expected at most"):
                fetching.fetch(address + FILE, tmp_path / FILE, None, MEBIBYTE)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 32 * MEBIBYTE
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("Not here", "the server answered 404 Not here"),
        ("", "the server answered 404"),
        ("\x1b[2J\x07\x85\x0bgone\r", "the server answered 404 [2Jgone"),
        ("x" * 30_000, f"the server answered 404 {'x' * 80}"),
    ],
)
def test_a_servers_own_words_stay_on_the_line(words: str, line: str, made: Path, tmp_path: Path) -> None:
    with (
        server(made / "sets", sends(lambda body: answer(f"404 {words}"))) as (address, _),
        pytest.raises(StudyError) as caught,
    ):
        fetching.fetch(address + FILE, tmp_path / FILE, None, MEBIBYTE)
    assert str(caught.value) == line


def test_a_server_that_cannot_prove_who_it_is_serves_nothing(made: Path, tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl, to make a certificate that nobody vouches for")
    made_by = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -subj /CN=localhost"
    subprocess.run([*made_by.split(), "-addext", "subjectAltName=IP:127.0.0.1"], capture_output=True, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("cert", "key")
    with (
        server(made / "sets", good, tls=context) as (address, asked),
        pytest.raises(StudyError, match=r"^no trusted connection \(TLS\)$"),
    ):
        fetching.fetch(address.replace("http:", "https:") + FILE, tmp_path / FILE, None, MEBIBYTE)
    assert not asked
    assert not (tmp_path / FILE).exists()


ANSWERS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome data",
        CHUNKED + b"9\r\nsome data\r\n0\r\n\r\n",
        answer("200 OK", gzip.compress(b"some data"), "Content-Encoding: gzip", "Set-Cookie: a=b; Max-Age=9"),
        answer("503 Not now", b"", "Retry-After: 0", "Content-Type: text/html; charset=utf-8"),
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=x\r\n\r\n",
    ]
)


@settings(
    max_examples=200,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_answer_is_taken_or_refused(data: st.DataObject, any_answer: tuple[str, list[bytes]], path: Path) -> None:
    """Whatever becomes of a good answer on its way, fetching ends with a file or a StudyError."""
    address, sent = any_answer
    whole = data.draw(ANSWERS)
    for _ in range(data.draw(st.integers(0, 3))):
        start, length = data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, 8))
        whole = whole[:start] + data.draw(st.binary(max_size=8)) + whole[start + length :]
    sent[:] = [whole]
    with suppress(StudyError):
        fetching.fetch(address + FILE, path, None, MEBIBYTE)
        assert path.stat().st_size < MEBIBYTE


@pytest.fixture
def any_answer(made: Path) -> Iterator[tuple[str, list[bytes]]]:
    """The address of a server, and a list with the bytes that it is to send."""
    sent: list[bytes] = []
    with server(made / "sets", sends(lambda body: sent[0])) as (address, _):
        yield address, sent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE


def test_slow_but_steady_is_waited_for(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "WATCH_SECONDS", 0.3)
    monkeypatch.setattr(fetching, "LEAST_BYTES", 1 << 15)

    def steady(connection: BinaryIO, body: bytes, ended: threading.Event) -> None:
        connection.write(answer("200 OK", length=10 << 16))
        for _ in range(10):
            time.sleep(0.1)
            connection.write(bytes(1 << 16))

    with server(made / "sets", steady) as (address, asked):
        fetching.fetch(address + FILE, tmp_path / FILE, None, MEBIBYTE)
    assert (tmp_path / FILE).stat().st_size == 10 << 16
    assert len(asked) == 1


def test_a_server_too_slow_is_given_up_in_time(made: Path, tmp_path: Path) -> None:
    start = time.monotonic()
    with (
        server(made / "sets", drips(b"HTTP/1.1 200 OK\r\n\r\n", b"x")) as (address, _),
        pytest.raises(StudyError, match="sends less than"),
    ):
        fetching.fetch(address + FILE, tmp_path / FILE, None, MEBIBYTE)
    assert time.monotonic() - start < 5  # and not the ten that the server goes on
    assert not (tmp_path / FILE).exists()


def test_a_download_given_up_takes_no_more(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread cannot be ended while it waits; it ends itself when something comes."""
    given_up = threading.Event()

    def slow_then_fast(connection: BinaryIO, body: bytes, ended: threading.Event) -> None:
        connection.write(b"HTTP/1.0 200 OK\r\n\r\n")
        given_up.wait(10)
        while not ended.wait(0.01):
            connection.write(bytes(1 << 16))

    monkeypatch.setattr(fetching, "READ_SECONDS", 10)
    before = set(threading.enumerate())
    with server(made / "sets", slow_then_fast) as (address, _):
        with pytest.raises(StudyError, match="sends less than"):
            fetching.fetch(address + FILE, tmp_path / FILE, None, 64 * MEBIBYTE)
        (receiver,) = (one for one in set(threading.enumerate()) - before if "(work)" in one.name)
        given_up.set()
        receiver.join(4)
        assert not receiver.is_alive()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("7", 7),
        ("0", 0.5),
        ("100000", 30),
        ("9" * 5000, 30),
        ("-7", 0.5),
        ("soon", 0.5),
        ("²", 0.5),
        ("", 0.5),
        (formatdate(0, usegmt=True), 0.5),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 30),
        ("Fri, 31 Dec 99999 23:59:59 GMT", 0.5),
    ],
)
@pytest.mark.parametrize("status", ["429 Slow down", "503 Not now"])
def test_a_busy_server_may_ask_for_a_pause(
    asked: str, seconds: float, status: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(fetching, "PAUSES", (0.5,))
    monkeypatch.setattr(fetching.time, "sleep", pauses.append)
    busy = sends(lambda body: answer(status, b"", f"Retry-After: {asked}"))
    with server(made / "sets", busy, good) as (address, _):
        fetching.fetch(address + FILE, tmp_path / FILE, None, MEBIBYTE)
    assert pauses == [seconds]


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_the_checksum_of_the_packing_is_held_to(algorithm: str, made: Path, tmp_path: Path) -> None:
    with (
        server(made / "sets") as (address, asked),
        pytest.raises(StudyError, match=f"^{FILE} does not have the checksum {algorithm}:00: damaged, or a web page$"),
    ):
        fetching.fetch(address + FILE, tmp_path / FILE, f"{algorithm}:00", MEBIBYTE)
    assert len(asked) == 1


def test_what_was_fetched_leaves_no_trace(made: Path, edition: Edition, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a file kept nor one given up on stays in the folder for temporary files."""
    Path("temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(Path("temporary").resolve()))
    with (
        server(made / "sets", drips(b"HTTP/1.1 200 OK\r\n\r\n", b"x")) as (bad, _),
        server(made / "sets") as (other, _),
    ):
        both = with_mirrors(edition, bad, other)
        node.download(both, TARGET, places(both))
    assert not list(Path("temporary").iterdir())

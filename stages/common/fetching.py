"""Files come over HTTP through pooch; this adds what a pipeline needs: quick refusals, patience, a meter and bounds.

A host that cannot be resolved costs half a second at most, a busy server is asked again, any other failure is final.
No server can hold a download up for ever: a file has a largest size, and a least part of it must come every minute.
"""

import logging
import socket
import sys
import threading
import time
from concurrent.futures import Future, wait
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests
from tqdm import tqdm
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from stages.common.errors import StudyError
from stages.common.progress import SECONDS_BETWEEN_LINES

RESOLVE_SECONDS = 0.5
CONNECT_SECONDS, READ_SECONDS = 4.0, 30.0
PAUSES = (1.0, 4.0, 10.0)  # seconds before the second, third and fourth attempt
LONGEST_PAUSE = 30.0  # however long a busy server asks to be left alone
WATCH_SECONDS, LEAST_BYTES = 60.0, 1 << 20  # a file must be complete, or grow by so much, within each such time
LONGEST_WORDS = 80
TRANSIENT_STATUSES = (429, 500, 502, 503, 504)
MEBIBYTE = 1 << 20


def fetch(url: str, path: Path, checksum: str | None, limit: int) -> None:
    """Download `url` to `path`, at most `limit` bytes; `checksum` is `algorithm:hexadecimal`, or None for no check."""
    check_host(url)
    # pooch announces every file in a log of its own, with paths in a temporary folder that tell the user nothing.
    pooch.get_logger().setLevel(logging.ERROR)
    for pause in (*PAUSES, None):
        try:
            _attempt(url, path, limit)
            break
        except requests.RequestException as error:
            reason = describe(error)
            if pause is None or not is_transient(error):
                raise StudyError(reason) from error
            pause = max(pause, asked_pause(error))
        except ValueError as error:
            raise StudyError("the server's answer makes no sense") from error
        except OSError as error:
            # Of the disk, and the error of a full one names no file.
            raise OSError(error.errno, error.strerror, str(path.parent)) from error
        print(f"{path.name}: {reason}; trying again in {pause:.3g} s", file=sys.stderr, flush=True)
        time.sleep(pause)
    if checksum and pooch.file_hash(path, checksum.partition(":")[0]) != checksum.partition(":")[2]:
        raise StudyError(f"{path.name} does not have the checksum {checksum}: damaged, or a web page")


def _attempt(url: str, path: Path, limit: int) -> None:
    """Fetch once, in a thread: the time limits of reading begin anew at every byte, so only somebody beside can watch.

    A server found too slow is left at that, as the next place may be quicker; the thread ends at its next bytes.
    """
    outcome: Future[None] = Future()

    def work() -> None:
        try:
            # Checked afterwards: pooch's complaint of a wrong checksum is a ValueError as others are.
            pooch.retrieve(url, known_hash=None, fname=path.name, path=path.parent, downloader=meter.receive)
        except BaseException as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    with Meter(path.name, limit) as meter:
        threading.Thread(target=work, daemon=True).start()
        before = 0
        while not wait([outcome], WATCH_SECONDS).done:
            if meter.done - before < LEAST_BYTES:
                raise StudyError(f"the server sends less than {LEAST_BYTES / WATCH_SECONDS / 1024:.3g} KiB a second")
            before = meter.done
    outcome.result()


def check_host(url: str) -> None:
    """Refuse at once a host whose name cannot be resolved, as on a machine without network.

    The resolver's own time limit is many seconds and cannot be set, hence the thread. A proxy resolves for itself.
    """
    host = urlsplit(url).hostname or ""
    if requests.utils.get_environ_proxies(url):
        return
    answers: list[bool] = []

    def resolve() -> None:
        try:
            socket.getaddrinfo(host, None)
            answers.append(True)
        except (OSError, UnicodeError):
            answers.append(False)

    thread = threading.Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(RESOLVE_SECONDS)
    if not any(answers):
        raise StudyError(f"the host {host} cannot be resolved (no network?)")


def is_transient(error: requests.RequestException) -> bool:
    """Whether asking again may help: a busy server, or a connection lost on the way, but not one never made."""
    if isinstance(error, requests.HTTPError):
        return error.response is not None and error.response.status_code in TRANSIENT_STATUSES
    # A connection that could not be made within the time is left at that: the next place may be quicker.
    return _fell_silent(error) or _broke_off(error)


def asked_pause(error: requests.RequestException) -> float:
    """Seconds for which a busy server asks to be left alone, as a number or a date; at most `LONGEST_PAUSE`."""
    asked = "" if error.response is None else error.response.headers.get("Retry-After", "")
    if asked.isascii() and asked.isdigit():
        seconds = float(asked)  # of any number of digits
    else:
        try:
            seconds = parsedate_to_datetime(asked).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0
    return min(max(seconds, 0), LONGEST_PAUSE)


def _fell_silent(error: requests.RequestException) -> bool:
    return isinstance(error, requests.ReadTimeout) or isinstance(_cause(error), ReadTimeoutError)


def _broke_off(error: requests.RequestException) -> bool:
    broken = requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError
    return isinstance(error, broken) or isinstance(_cause(error), ProtocolError)


def _cause(error: requests.RequestException) -> object:
    """What requests took for a connection error, of which it has one kind: urllib3 has several."""
    return error.args[0] if isinstance(error, requests.ConnectionError) and error.args else None


def describe(error: requests.RequestException) -> str:
    """The failure in a few words; requests' own messages show its inner objects."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        # A server's own words: they may be of any length, and move the cursor or break the line.
        words = "".join(filter(str.isprintable, error.response.reason or ""))[:LONGEST_WORDS]
        return f"the server answered {error.response.status_code} {words}".rstrip()
    if isinstance(error, requests.TooManyRedirects):
        return "the server redirects without end"
    if isinstance(error, requests.Timeout) or _fell_silent(error):
        return "the server did not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "no trusted connection (TLS)"
    if _broke_off(error):
        return "the connection broke off"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the server"
    return f"the request failed ({type(error).__name__})"


class Meter:
    """Receives a file and counts: a bar on a terminal, a line now and then in a log, an end at `limit` bytes."""

    CHUNK_BYTES = 1 << 16

    def __init__(self, label: str, limit: int) -> None:
        self.label, self.limit, self.done, self.total = label, limit, 0, 0
        self.last_line = time.monotonic()
        self.bar: tqdm | None = None
        self.closed = False

    def receive(self, url: str, path: str, pooch: object) -> None:
        """Write what `url` serves to `path`; pooch calls this."""
        with requests.get(
            url, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS), hooks={"response": _drop_redirect}
        ) as response:
            response.raise_for_status()
            self.total = int(response.headers.get("Content-Length", 0))
            with Path(path).open("wb") as file:
                for chunk in response.iter_content(self.CHUNK_BYTES):
                    file.write(chunk)
                    self.update(len(chunk))

    def update(self, count: int) -> None:
        """`count` more bytes have arrived."""
        if self.closed:
            raise StudyError(f"{self.label} is no longer waited for")
        self.done += count
        if self.done > self.limit:
            raise StudyError(f"{self.label} is larger than the {self.limit:,} bytes expected at most")
        if sys.stderr.isatty():
            if self.bar is None:
                self.bar = tqdm(total=self.total or None, desc=self.label, unit="B", unit_scale=True, leave=False)
            self.bar.update(count)
        elif time.monotonic() - self.last_line >= SECONDS_BETWEEN_LINES:
            of_total = f" of {self.total // MEBIBYTE}" if self.total else ""
            print(f"{self.label}: {self.done // MEBIBYTE}{of_total} MiB", file=sys.stderr, flush=True)
            self.last_line = time.monotonic()

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, *unused: object) -> None:
        self.closed = True
        if self.bar is not None:
            self.bar.close()


def _drop_redirect(response: requests.Response, **unused: object) -> None:
    """Leave the body of a redirect where it is: requests would read it into memory, however long it is."""
    if response.is_redirect:
        response.close()

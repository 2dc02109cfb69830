"""Files come over HTTP through pooch; this adds what a pipeline needs: quick refusals, patience, a meter and a bound.

A host that cannot be resolved costs half a second at most, a busy server is asked again, any other failure is final.
"""

import logging
import socket
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests
from tqdm import tqdm

from stages.common.errors import StudyError
from stages.common.progress import SECONDS_BETWEEN_LINES

RESOLVE_SECONDS = 0.5
CONNECT_SECONDS, READ_SECONDS = 4.0, 30.0
PAUSES = (1.0, 4.0, 10.0)  # seconds before the second, third and fourth attempt
TRANSIENT_STATUSES = (429, 500, 502, 503, 504)
MEBIBYTE = 1 << 20


def fetch(url: str, path: Path, checksum: str | None, limit: int) -> None:
    """Download `url` to `path`, at most `limit` bytes; `checksum` is `algorithm:hexadecimal`, or None for no check."""
    check_host(url)
    # pooch announces every file in a log of its own, with paths in a temporary folder that tell the user nothing.
    pooch.get_logger().setLevel(logging.ERROR)
    for pause in (*PAUSES, None):
        try:
            _attempt(url, path, checksum, limit)
            return
        except requests.RequestException as error:
            reason = describe(error)
            if pause is None or not is_transient(error):
                raise StudyError(reason) from error
        except ValueError as error:
            raise StudyError(f"{path.name} does not have the checksum {checksum}: damaged, or a web page") from error
        print(f"{path.name}: {reason}; trying again in {pause:g} s", file=sys.stderr, flush=True)
        time.sleep(pause)


def _attempt(url: str, path: Path, checksum: str | None, limit: int) -> None:
    with Meter(path.name, limit) as meter:
        downloader = pooch.HTTPDownloader(
            progressbar=meter, chunk_size=Meter.CHUNK_BYTES, timeout=(CONNECT_SECONDS, READ_SECONDS)
        )
        pooch.retrieve(url, known_hash=checksum, fname=path.name, path=path.parent, downloader=downloader)


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
    return isinstance(error, requests.ReadTimeout | requests.exceptions.ChunkedEncodingError)


def describe(error: requests.RequestException) -> str:
    """The failure in a few words; requests' own messages show its inner objects."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "no trusted connection (TLS)"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the server"
    return f"the request failed ({type(error).__name__})"


class Meter:
    """What pooch calls as chunks arrive: a bar on a terminal, a line now and then in a log, an end at `limit` bytes."""

    CHUNK_BYTES = 1 << 16

    def __init__(self, label: str, limit: int) -> None:
        self.label, self.limit, self.done, self.total = label, limit, 0, 0
        self.last_line = time.monotonic()
        self.bar: tqdm | None = None

    def update(self, count: int) -> None:
        """`count` more bytes have arrived (the last chunk counts as a full one)."""
        self.done += count
        if self.done > self.limit + self.CHUNK_BYTES:
            raise StudyError(f"{self.label} is larger than the {self.limit:,} bytes expected at most")
        if sys.stderr.isatty():
            if self.bar is None:
                self.bar = tqdm(total=self.total or None, desc=self.label, unit="B", unit_scale=True, leave=False)
            self.bar.update(count)
        elif time.monotonic() - self.last_line >= SECONDS_BETWEEN_LINES:
            of_total = f" of {self.total // MEBIBYTE}" if self.total else ""
            print(f"{self.label}: {self.done // MEBIBYTE}{of_total} MiB", file=sys.stderr, flush=True)
            self.last_line = time.monotonic()

    def reset(self) -> None:
        """Begin to count anew; pooch does so at the end, to count the exact total."""
        self.done = 0

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self.bar is not None:
            self.bar.close()

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

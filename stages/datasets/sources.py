"""The sources of a data set, tried in turn; which one is used does not affect results.

Every source yields a folder in which `contents` finds and verifies the edition's files.
"""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pooch
import requests
from tqdm import tqdm

from stages.datasets.contents import SLACK_BYTES, read_contents
from stages.datasets.editions import Edition
from stages.errors import StudyError

ARCHIVES = "data/archives/"
FOLDER_VARIABLE = "DATASETS_DIR"
TIMEOUT = (4, 30)  # seconds to connect, and without a byte
PAUSES = (1, 3)  # seconds before the second and the third attempt
BUSY = (429, 500, 502, 503, 504)
GONE = (404, 410)
CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # as requests reads them


class UnansweredError(StudyError):
    """A source could not be asked, or did not answer: it may have the edition all the same."""


def fetch(edition: Edition) -> tuple[str, dict[str, bytes]]:
    """Read the edition's files from the first source that has them; return the source's label and the files.

    Why a source fails is printed on standard error. If any gave no answer, the error at the end is an UnansweredError.
    """
    unanswered = []
    for label, make_available in sources(edition):
        try:
            with tempfile.TemporaryDirectory() as temporary:
                return label, read_contents(make_available(Path(temporary)), edition)
        except StudyError as reason:
            print(f"{edition.label}: {label}: {reason}", file=sys.stderr, flush=True)
            if isinstance(reason, UnansweredError):
                unanswered.append(f"{label}: {reason}")
    files = ", ".join(edition.archives[:1] or [f"{name.removesuffix('.gz')}.gz" for name in edition.contents])
    folder = f"{ARCHIVES}{edition.data_set}/{edition.name}/"  # editions have files of the same names
    place = f"put {files} into {folder}, or into a folder that {FOLDER_VARIABLE} names"
    if unanswered:
        raise UnansweredError(f"cannot download {edition.label} now: {unanswered[0]}; try again, or {place}")
    raise StudyError(f"no source has {edition.label}; {place}")


def sources(edition: Edition) -> Iterator[tuple[str, Callable[[Path], Path]]]:
    """For each source its label and a function that, given an empty temporary folder, returns the folder to search."""
    if named := os.environ.get(FOLDER_VARIABLE):
        yield f"{FOLDER_VARIABLE}={named}", lambda _: Path(os.path.expanduser(named))  # noqa: PTH111 (never fails)
    yield ARCHIVES, lambda _: Path(ARCHIVES)
    for mirror in edition.upstream.mirrors:
        yield mirror, partial(_download, mirror, edition)
    if edition.debian_package:
        yield f"Debian's package {edition.debian_package}", partial(_unpack_package, edition.debian_package)


def _download(mirror: str, edition: Edition, folder: Path) -> Path:
    """Download the packed files; those with a fixed checksum are verified before they are opened."""
    pooch.get_logger().setLevel(logging.WARNING)
    # No packing is much larger than the data.
    limit = sum(content.bytes for content in edition.contents.values()) + SLACK_BYTES
    for name, checksum in edition.upstream.files.items():
        for pause in (*PAUSES, None):
            try:
                pooch.retrieve(mirror + name, checksum, name, folder, downloader=partial(_receive, limit=limit))
                break
            except requests.RequestException as error:
                status = error.response.status_code if error.response is not None else None
                if pause is None or (status is not None and status not in BUSY):
                    reason = f"the server answered {status}" if status else f"no connection ({type(error).__name__})"
                    raise (StudyError if status in GONE else UnansweredError)(reason) from error
                time.sleep(pause)
            except ValueError as error:
                raise StudyError(f"{name} does not have the checksum {checksum}") from error
            except OSError as error:  # requests', of certificates that do not exist, has no number
                if error.errno:
                    raise
                wrong = next(f"{name}={os.environ[name]}" for name in CERTIFICATES if os.environ.get(name))
                raise UnansweredError(f"{wrong} names no file: correct or unset it") from error
    return folder


def _receive(url: str, path: str, _: object, limit: int) -> None:
    """Write what `url` serves to `path`; pooch calls this. The progress bar is for terminals."""
    with requests.get(url, stream=True, timeout=TIMEOUT) as response, Path(path).open("wb") as file:
        response.raise_for_status()
        size = response.headers.get("Content-Length", "")
        total = int(size) if size.isdecimal() else None
        with tqdm(desc=url, total=total, unit="B", unit_scale=True, leave=False, disable=None) as bar:
            for chunk in response.iter_content(1 << 16):
                bar.update(file.write(chunk))
                if file.tell() > limit:
                    raise StudyError(f"{url} is larger than the {limit:,} bytes expected at most")


def _unpack_package(package: str, folder: Path) -> Path:
    """Download a package through apt and unpack it; needs no root unless apt's lists must be fetched."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise StudyError("needs apt-get and dpkg")
    download = ("apt-get", "-qq", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=10", "download", package)
    try:
        _run(*download, folder=folder)
    except StudyError:
        if os.geteuid() != 0:
            raise
        _run("apt-get", "-qq", "update", folder=folder)  # a fresh container has no package lists
        _run(*download, folder=folder)
    for path in folder.glob("*.deb"):
        _run("dpkg", "-x", path.name, ".", folder=folder)
    return folder / "usr/share/datasets"


def _run(*command: str, folder: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        *_, last = done.stderr.splitlines() or [f"exit status {done.returncode}"]
        raise StudyError(f"{command[0]} failed: {last}")

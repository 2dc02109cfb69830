"""The places a data set may be had from, tried in turn; which one serves is no part of a result.

Every place comes down to a folder, for as long as it is needed: one that is there already, or a temporary one filled
from a mirror or from a Debian package. What lies in it is then looked for and verified in the same way.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from stages.common.debian import unpack_package
from stages.common.editions import Edition
from stages.common.errors import StudyError
from stages.common.fetching import fetch

ARCHIVES = Path("data/archives")
FOLDER_VARIABLE = "DATASETS_DIR"
SLACK_BYTES = 32 << 20


class Place(NamedTuple):
    """A name to report, and a function that makes the place's folder available."""

    label: str
    open: Callable[[], AbstractContextManager[Path]]


def places(edition: Edition) -> Iterator[Place]:
    """All places for an edition: the user's folder, the project's, the upstream mirrors, Debian's package."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        yield Place(f"{FOLDER_VARIABLE}={named}", lambda: _existing_folder(named))
    yield Place(f"{ARCHIVES}/", lambda: _existing_folder(str(ARCHIVES)))
    for mirror in edition.upstream.mirrors:
        yield Place(mirror, lambda mirror=mirror: _mirror(mirror, edition))
    if edition.debian_package:
        yield Place(f"Debian's package {edition.debian_package}", lambda: _package(edition.debian_package))


@contextmanager
def _existing_folder(name: str) -> Iterator[Path]:
    # Not by Path's own methods, which raise an error for a user that doesn't exist or a folder that cannot be entered.
    folder = os.path.expanduser(name)  # noqa: PTH111
    if not os.path.isdir(folder):  # noqa: PTH112
        raise StudyError("no such folder")
    yield Path(folder)


@contextmanager
def _mirror(address: str, edition: Edition) -> Iterator[Path]:
    # No packing of the data is larger than the data, give or take an archive's headers.
    limit = 2 * sum(content.bytes for content in edition.contents.values()) + SLACK_BYTES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, checksum in edition.upstream.files.items():
            fetch(address + file, folder / file, checksum, limit)
        yield folder


@contextmanager
def _package(package: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        unpack_package(package, Path(name))
        yield Path(name) / "usr/share/datasets"

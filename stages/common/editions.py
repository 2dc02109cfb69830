"""What is known of a data set's edition before a byte of it is read: shapes, classes, counts, checksums, addresses.

An edition is part of a result, the place it came from is not: an edition is known by the SHA-256 of its contents, so
that any place may serve it. The facts stand in data/editions.yaml, so that adding an edition changes no code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from stages.common.errors import StudyError

EDITIONS = Path("data/editions.yaml")


@dataclass(frozen=True)
class Content:
    """Size in bytes and SHA-256 (hexadecimal) of one canonical file; for JPEG as data/editions.yaml defines it."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Upstream:
    """Addresses that each serve all `files`; a file's value is `algorithm:checksum`, or None where none is fixed."""

    files: Mapping[str, str | None]
    mirrors: tuple[str, ...]


@dataclass(frozen=True)
class Edition:
    """One edition of one data set, as data/editions.yaml describes it."""

    data_set: str
    name: str
    format: str
    height: int
    width: int
    channels: int
    class_names: tuple[str, ...]
    train_images: int
    test_images: int
    contents: Mapping[str, Content]
    upstream: Upstream
    archives: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    debian_package: str | None = None
    label: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", f"{self.data_set} ({self.name} edition)")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels


def load_edition(data_set: str, name: str, path: Path = EDITIONS) -> Edition:
    """Read one edition's facts; an unknown data set or edition is answered with the known ones."""
    try:
        known = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}); restore it with `git checkout {path}`") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: not valid YAML; restore it with `git checkout {path}`") from error
    editions = _choose(known, data_set, f"{path}: data set")
    return _edition(data_set, name, _choose(editions, name, f"{path}: edition of {data_set}"), path)


def _choose(known: Any, key: str, what: str) -> Any:
    if not isinstance(known, dict) or key not in known:
        valid = ", ".join(map(str, known)) if isinstance(known, dict) else "none"
        raise StudyError(f"{what}: {key!r} is unknown; known: {valid}")
    return known[key]


def _edition(data_set: str, name: str, facts: Any, path: Path) -> Edition:
    try:
        return Edition(
            **{
                **facts,
                "data_set": data_set,
                "name": name,
                "class_names": tuple(facts["class_names"]),
                "contents": {file: Content(**content) for file, content in facts["contents"].items()},
                "upstream": Upstream(dict(facts["upstream"]["files"]), tuple(facts["upstream"]["mirrors"])),
                "archives": tuple(facts.get("archives", ())),
                "folders": tuple(facts.get("folders", ())),
            }
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise StudyError(f"{path}: the entry {data_set}/{name} is not as the others are: {error}") from error

"""What is known of an edition before it is downloaded: shapes, classes, counts, checksums, addresses.

An edition is part of a result, its source is not: an edition is known by digests of its contents, so any source may
serve it.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML, YAMLError

from stages.errors import StudyError

EDITIONS = Path(__file__).with_name("editions.yaml")


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Content(_Facts):
    """Size in bytes of one canonical file, and either its SHA-256 or its git blob; editions.yaml defines all three."""

    bytes: int
    sha256: str | None = None
    git_blob: str | None = None


class Upstream(_Facts):
    """Addresses that each serve all `files`; a file's value is `algorithm:checksum`, or None where none is fixed."""

    files: dict[str, str | None]
    mirrors: tuple[str, ...]


class Edition(_Facts):
    """One edition of one data set; image_shape is (height, width, channels)."""

    data_set: str
    name: str
    format: Literal["idx", "cifar_binary", "jpeg"]
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    train_images: int
    test_images: int
    contents: dict[str, Content]
    archives: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    upstream: Upstream
    debian_package: str | None = None

    @property
    def label(self) -> str:
        """The name in messages."""
        return f"{self.data_set} ({self.name} edition)"


def load_edition(data_set: str, name: str, path: Path = EDITIONS) -> Edition:
    """Read one edition's facts."""
    try:
        facts = YAML(typ="safe", pure=True).load(path)[data_set][name]
        return Edition.model_validate({"data_set": data_set, "name": name, **facts})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, (data_set, name, *first["loc"])))
        raise StudyError(f"{path}: {key}: {first['msg']}") from error
    except (KeyError, TypeError) as error:
        raise StudyError(f"{path} has no edition {name!r} of {data_set!r}") from error
    except (OSError, YAMLError) as error:
        raise StudyError(f"{path} cannot be read: {' '.join(str(error).split())}") from error

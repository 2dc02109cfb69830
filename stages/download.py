"""Fetch one data set, whichever place has it, and prove that it is the edition asked for.

    python -m stages.download NAME

Writes the canonical contents to data/raw/NAME, the same bytes whichever place served; the directory appears whole at
the end, and what was there before stays until then.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from stages.common.contents import write_contents
from stages.common.directories import whole_directory
from stages.common.editions import Edition, load_edition
from stages.common.errors import StudyError, exit_on_error
from stages.common.params import load_params
from stages.common.places import ARCHIVES, FOLDER_VARIABLE, Place, places

RAW = Path("data/raw")


def main(arguments: list[str]) -> None:
    """`python -m stages.download NAME`: NAME is a data set of params.yaml."""
    data = load_params(Path("params.yaml")).data
    if len(arguments) != 1 or arguments[0] not in data:
        raise StudyError(f"usage: python -m stages.download NAME, where NAME is one of: {', '.join(data)}")
    edition = load_edition(arguments[0], data[arguments[0]].edition)
    served = download(edition, RAW / edition.data_set, places(edition))
    print(f"{edition.label}: served by {served}")


def download(edition: Edition, target: Path, candidates: Iterable[Place]) -> str:
    """Write the edition's canonical contents to the directory `target`; return the label of the place that served."""
    for place in candidates:
        try:
            # The target first: where it cannot be written, nothing need be fetched.
            with whole_directory(target) as temporary, place.open() as folder:
                write_contents(folder, edition, temporary)
        except StudyError as reason:
            print(f"{edition.label}: {place.label}: {reason}", file=sys.stderr, flush=True)
        except OSError as error:
            # Places answer for their own errors. This one is of writing, and every other place would meet it too.
            raise StudyError(
                f"{edition.label}: {error.filename or target} cannot be written: {error.strerror or error}; "
                "free some space there or make it writable"
            ) from error
        else:
            return place.label
    raise StudyError(f"no place served {edition.label}; {_advice(edition)}")


def _advice(edition: Edition) -> str:
    files = edition.archives[:1] or [f"{name}.gz" for name in edition.contents]
    them = "it" if len(files) == 1 else "them"
    return f"put {', '.join(files)} into {ARCHIVES}/, or set {FOLDER_VARIABLE} to the folder that holds {them}"


if __name__ == "__main__":
    exit_on_error(main)

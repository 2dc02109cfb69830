"""Fetch one data set from the first source that has it, and verify that it is the edition asked for.

    python -m stages.download NAME

Writes the canonical files to data/raw/NAME, the same bytes from any source; a failed download leaves the previous
files. Images of one's own stay where they are; their digest is written there, so that a change shows.
"""

from pathlib import Path

from stages.datasets.contents import write_contents
from stages.datasets.editions import load_edition
from stages.datasets.own import digest
from stages.datasets.sources import fetch
from stages.errors import choose_name, exit_on_error
from stages.params import OwnData, load_params

RAW = Path("data/raw")


def main(arguments: list[str]) -> None:
    """`NAME` is a data set of params.yaml."""
    data = load_params().data
    name = choose_name(arguments, data)
    settings = data[name]
    if isinstance(settings, OwnData):
        (RAW / name).mkdir(parents=True, exist_ok=True)
        (RAW / name / "sha256.txt").write_text(f"{digest(Path(settings.source))}\n", encoding="utf-8")
        print(f"{name}: {settings.source}, whose digest is recorded")
        return
    edition = load_edition(name, settings.edition)
    source, files = fetch(edition)
    write_contents(files, edition, RAW / name)
    print(f"{edition.label}: served by {source}")


if __name__ == "__main__":
    exit_on_error(main)

"""Fetch one data set from the first source that has it, and verify that it is the edition asked for.

    python -m stages.download NAME

Writes the canonical files to data/raw/NAME, the same bytes from any source; a failed download leaves the previous
files.
"""

from pathlib import Path

from stages.datasets.contents import write_contents
from stages.datasets.editions import load_edition
from stages.datasets.sources import fetch
from stages.errors import choose_name, exit_on_error
from stages.params import load_params

RAW = Path("data/raw")


def main(arguments: list[str]) -> None:
    """`NAME` is a data set of params.yaml."""
    data = load_params().data
    name = choose_name(arguments, data)
    edition = load_edition(name, data[name].edition)
    source, files = fetch(edition)
    write_contents(files, edition, RAW / name)
    print(f"{edition.label}: served by {source}")


if __name__ == "__main__":
    exit_on_error(main)

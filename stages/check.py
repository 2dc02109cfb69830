"""Refuse a params.yaml with a mistake before anything is computed or deleted.

DVC deletes a stage's outputs before it runs the stage, so the stage itself would complain too late. This one comes
before all others whenever params.yaml has changed; its own output never changes, so nothing reruns because of it.
"""

from pathlib import Path

from stages.errors import exit_on_error
from stages.params import load_params

CHECKED = Path("data/checked.txt")


def main(arguments: list[str]) -> None:
    """`python -m stages.check`."""
    load_params()
    CHECKED.write_text("params.yaml is valid.\n", encoding="utf-8")


if __name__ == "__main__":
    exit_on_error(main)

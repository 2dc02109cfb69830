"""Refuse a params.yaml with a fault before anything is computed or deleted.

DVC deletes a stage's outputs before it runs the stage, so that the stage itself complains too late. This one comes
before all others, whenever params.yaml has changed. Its own output never does, so that nothing reruns because of it.

    python -m stages.check
"""

from pathlib import Path

from stages.common.errors import StudyError, exit_on_error
from stages.common.files import write_text
from stages.common.params import load_params

CHECKED = Path("data/checked.txt")


def main(arguments: list[str]) -> None:
    """`python -m stages.check`."""
    if arguments:
        raise StudyError(f"check takes no arguments, not {' '.join(arguments)}")
    load_params()
    write_text(CHECKED, "params.yaml has no fault.\n")


if __name__ == "__main__":
    exit_on_error(main)

"""Check params.yaml before anything is computed or deleted.

DVC deletes a stage's outputs before it runs the stage, so the stage itself would report an error too late. This stage
runs before all others whenever params.yaml has changed; its output never changes, so it makes no other stage stale.
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

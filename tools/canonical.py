"""params.yaml in the one form that DVC gives it back in, so that `dvc exp run -S lr=0.01` changes a single line.

    python -m tools.canonical      rewrites params.yaml in that form

DVC rewrites the file with every override, and loses quotes, comments on list items, and flow style inside lists. What
it would change is better changed once than by every experiment.
"""

import shutil
import tempfile
from itertools import zip_longest
from pathlib import Path

from dvc.utils.hydra import apply_overrides

PARAMS = Path("params.yaml")
COLUMNS = 80  # DVC folds longer lines


def rewritten(path: Path) -> str:
    """The file's text after an override of nothing, which goes the way of any other."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(path, folder))
        apply_overrides(copy, [])
        return copy.read_text(encoding="utf-8")


def first_difference(path: Path) -> tuple[int, str, str] | None:
    """Line number, line, and what an override makes of it; None where nothing changes."""
    before, after = path.read_text(encoding="utf-8").splitlines(), rewritten(path).splitlines()
    for number, (old, new) in enumerate(zip_longest(before, after, fillvalue=""), start=1):
        if old != new:
            return number, old, new
    return None


if __name__ == "__main__":
    PARAMS.write_text(rewritten(PARAMS), encoding="utf-8")

"""What a study that was broken off has finished: its runs are kept until all are done, so that none is trained twice.

A run is found again by a key made of its configuration, its seed, the data and the code that trained it: whatever has
changed since, its old result is not found.
"""

import hashlib
import json
import shutil
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from stages.common.files import write_text
from stages.common.fingerprint import file_hash, own_environment
from stages.common.params import Variant
from stages.common.runs import Run

FOLDER = Path("data/unfinished")
RECORD = TypeAdapter(Run)


class Unfinished:
    """The finished runs of the study `label`, a file each."""

    def __init__(self, label: str, data: Path) -> None:
        self.folder = FOLDER / label.replace(" ", "-")
        self.ground = {"data": file_hash(data), **own_environment()}

    def place(self, variant: Variant, seed: int) -> Path:
        """Where a run is kept."""
        facts = [self.ground, variant.name, seed, variant.training.model_dump(mode="json")]
        return self.folder / f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()}.json"

    def find(self, variant: Variant, seed: int) -> Run | None:
        """The run, if it was finished; a file that is damaged counts as none."""
        try:
            return RECORD.validate_json(self.place(variant, seed).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def keep(self, variant: Variant, seed: int, run: Run) -> None:
        """Write a finished run down."""
        write_text(self.place(variant, seed), RECORD.dump_json(run).decode())

    def forget(self) -> None:
        """The study is complete: remove its folder, with what older code or other parameters may have left in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):  # another study has runs there, or there are none at all
            FOLDER.rmdir()

"""Progress of long work: a bar on a terminal, plain lines in a log."""

import sys
import time

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """A context manager that counts `total` steps: tqdm's bar, or off a terminal a line at most every ten seconds."""

    def __init__(self, label: str, total: int, unit: str) -> None:
        self.label, self.total, self.unit, self.done = label, total, unit, 0
        self.last_line = time.monotonic()
        self.bar = tqdm(desc=label, total=total, unit=unit, leave=False, disable=None)  # None: off a terminal

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count `count` more steps; `note` is shown beside them."""
        self.done += count
        self.bar.set_postfix_str(note, refresh=False)
        self.bar.update(count)
        if self.bar.disable and (self.done >= self.total or time.monotonic() - self.last_line >= SECONDS_BETWEEN_LINES):
            print(f"{self.label}: {self.done}/{self.total} {self.unit} {note}".rstrip(), file=sys.stderr, flush=True)
            self.last_line = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

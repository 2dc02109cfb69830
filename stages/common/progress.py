"""Long work shows a bar on a terminal and plain lines in a log."""

import sys
import time
from types import TracebackType

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Count `total` pieces of work; use as a context manager and call `advance`.

    On a terminal this is tqdm's bar. Elsewhere it prints a line at most every ten seconds and one at the end.
    """

    def __init__(self, label: str, total: int, unit: str = "it", *, scale: bool = False) -> None:
        self.label, self.total, self.unit, self.done = label, total, unit, 0
        self.last_line = time.monotonic()
        terminal = sys.stderr.isatty()
        self.bar = tqdm(total=total, desc=label, unit=unit, unit_scale=scale, leave=False) if terminal else None

    def advance(self, count: int = 1, note: str = "") -> None:
        """`count` more pieces are done; `note` says which."""
        if not count:
            return
        self.done += count
        if self.bar is not None:
            self.bar.set_postfix_str(note, refresh=False)
            self.bar.update(count)
        elif self.done >= self.total or time.monotonic() - self.last_line >= SECONDS_BETWEEN_LINES:
            print(f"{self.label}: {self.done}/{self.total} {self.unit} {note}".rstrip(), file=sys.stderr, flush=True)
            self.last_line = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.close()

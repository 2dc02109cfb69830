"""The numbers of how the study grows, a row each, as docs/growth.csv holds them."""

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from stages.common.files import write_text

TABLE = Path("docs/growth.csv")
MEASURED, ON_A_PART, SIMULATED = "measured", "measured on a part", "simulated"


@dataclass(frozen=True)
class Row:
    """One number: at `value` of `axis`, the `quantity` of `series` is `amount` in `unit`; `how` it was come by.

    Axes that are drawn: images, hidden units, seeds, jobs. Those that the simulation starts from: run (value: the
    mini-batch), worker (value: the workers), start-up, record and machine.
    """

    axis: str
    value: float
    series: str
    quantity: str
    unit: str
    amount: float
    how: str

    @property
    def key(self) -> tuple[str, float, str, str]:
        """What the number is of; two rows of one table that have it in common were come by in two ways."""
        return self.axis, self.value, self.series, self.quantity


def text_of(rows: Iterable[Row]) -> str:
    """The rows as CSV, numbers with five significant digits (a count with all of its own)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([field.name for field in fields(Row)])
    for row in rows:
        writer.writerow(
            [f"{cell:.{digits}g}" if digits else cell for cell, digits in zip(astuple(row), DIGITS, strict=True)]
        )
    return out.getvalue()


DIGITS = (0, 9, 0, 0, 0, 5, 0)  # significant digits of each column, 0 for text


def write(rows: Iterable[Row], path: Path) -> None:
    """Write the table, whole or not at all."""
    write_text(path, text_of(rows))


def read(path: Path) -> list[Row]:
    """Read the table; without a file there are no rows."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Row(**{**line, "value": float(line["value"]), "amount": float(line["amount"])})
            for line in csv.DictReader(file)
        ]

"""Plain tables: columns as wide as what is in them, numbers to three digits."""

from collections.abc import Sequence
from typing import Any

NOTHING = "-"
GAP = "  "


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines of text, the first column to the left, the others to the right."""
    lines = [list(headings), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    return "\n".join(aligned(line, widths) for line in lines)


def aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    """One line of a table."""
    first, *others = [
        text.rjust(width) if column else text.ljust(width)
        for column, (text, width) in enumerate(zip(line, widths, strict=True))
    ]
    return GAP.join([first, *others]).rstrip()


def number(value: float | None) -> str:
    """Three significant digits, or a dash where there is no number."""
    if value is None:
        return NOTHING
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def percent(values: dict[str, Any] | None) -> str:
    """Median, least and most of what `spread` gives, for shares of a whole."""
    if values is None:
        return NOTHING
    median, least, most = (f"{number(100 * values[key])}%" for key in ("median", "least", "most"))
    return f"{median} ({least} to {most})"


def median(values: dict[str, Any] | None) -> str:
    """The median of what `spread` gives."""
    return NOTHING if values is None else number(values["median"])


def with_range(values: dict[str, Any] | None) -> str:
    """Median, least and most of what `spread` gives."""
    if values is None:
        return NOTHING
    return f"{number(values['median'])} ({number(values['least'])} to {number(values['most'])})"

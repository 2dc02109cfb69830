"""How the report writes numbers and tables, so that every section writes them alike."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

NOTHING = "–"


def number(value: float | None, digits: int = 4) -> str:
    """A fixed count of decimals; a dash for what is missing or not finite."""
    return NOTHING if value is None or not np.isfinite(value) else f"{value:.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 4) -> str:
    """A number with its sign, for differences; zero has none."""
    if value is None or not np.isfinite(value):
        return NOTHING
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}".replace("-", "−") if rounded else f"{0:.{digits}f}"


def mean_and_sd(values: Iterable[float], digits: int = 4) -> str:
    """`mean ± sd` of the finite values; from one value alone there is no deviation to state."""
    finite = np.array([value for value in values if np.isfinite(value)])
    if len(finite) == 0:
        return NOTHING
    mean = number(finite.mean(), digits)
    return mean if len(finite) == 1 else f"{mean} ± {number(finite.std(ddof=1), digits)}"


def interval(low: float, high: float, digits: int = 4, *, sign: bool = False) -> str:
    """`[low, high]`; a dash where there is none."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return NOTHING
    write = signed if sign else number
    return f"[{write(low, digits)}, {write(high, digits)}]"


def csv_text(table: pd.DataFrame) -> str:
    """A table as CSV, six significant digits; what is no number is an empty cell."""
    finite = table.replace([np.inf, -np.inf], np.nan)
    return finite.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def listed(words: Sequence[object]) -> str:
    """Words as a sentence lists them: `1, 2 and 3`."""
    texts = [str(word) for word in words]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def markdown(table: pd.DataFrame, left: int = 1) -> str:
    """A Markdown table of ready-made strings: the first `left` columns flush left, the others right."""
    align = ["left" if place < left else "right" for place in range(table.shape[1])]
    cells = table.astype(str).map(lambda cell: cell.replace("|", "\\|"))
    return cells.to_markdown(index=False, disable_numparse=True, colalign=align)

"""How numbers, rules and verdicts are written, in files and in the report."""

from collections.abc import Iterable, Sequence

import numpy as np

from stages.verdicts.rules import Comparison
from stages.verdicts.statistics import Estimate

NOTHING = "–"
DIGITS = {"settled_at": 1, "epochs_to": 1, "drops": 1}  # of other quantities: 4
FEW = 4  # of more variants, only the first and the last are named


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
    """`mean ± sd` of the finite values; of a single value, the value."""
    finite = np.array([value for value in values if np.isfinite(value)])
    if len(finite) == 0:
        return NOTHING
    mean = number(finite.mean(), digits)
    return mean if len(finite) == 1 else f"{mean} ± {number(finite.std(ddof=1), digits)}"


def interval(low: float, high: float, digits: int = 4, *, sign: bool = False) -> str:
    """`[low, high]`; a dash where either is not finite."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return NOTHING
    write = signed if sign else number
    return f"[{write(low, digits)}, {write(high, digits)}]"


def span(values: Iterable[int]) -> str:
    """`4–7`, or `4` for equal values; a dash for none."""
    ends = sorted(values)
    return "–".join(str(value) for value in sorted({ends[0], ends[-1]})) if ends else NOTHING


def p_text(p: float) -> str:
    """A p-value to two digits; a very small one as a bound."""
    if not np.isfinite(p):
        return NOTHING
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def listed(words: Iterable[object]) -> str:
    """Words as a sentence lists them: `1, 2 and 3`."""
    texts = [str(word) for word in words]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def quantity_name(quantity: str, at: float | None = None) -> str:
    """A quantity in words."""
    name = quantity.replace("_", " ")
    return name if at is None else f"{name} {at:g}"


def variants_text(names: Sequence[str]) -> str:
    """`0.15`, or `8 to 4096` for many."""
    texts = [name.replace("_", " ").replace("/", " ") for name in names]
    return listed(texts) if len(texts) <= FEW else f"{texts[0]} to {texts[-1]}"


def left_text(comparison: Comparison) -> str:
    """The left side of a comparison."""
    if comparison.slope:
        return f"the change per doubling of the batch size over {variants_text(comparison.slope)}"
    if comparison.some:
        return f"one of {variants_text(comparison.some)}, with every seed,"
    return variants_text([comparison.left or comparison.model])


def right_text(comparison: Comparison) -> str:
    """The right side of a comparison, with its sense: `below 0.2`."""
    right = variants_text([comparison.right]) if comparison.right else f"{comparison.bound:g}"
    return f"{comparison.sense} {right}"


def comparison_text(comparison: Comparison) -> str:
    """A comparison as a phrase: `final accuracy: 2 below 1 by more than 0.05`."""
    quantity = quantity_name(comparison.quantity, comparison.at)
    text = f"{quantity}: {left_text(comparison)} {right_text(comparison)}"
    if comparison.sense == "within":
        return f"{text} ± {comparison.margin:g}"
    if comparison.by < 0:  # a difference of up to -by is allowed the other way
        other = {"above": "below", "below": "above"}[comparison.sense]
        return text.replace(f" {comparison.sense} ", f" not {other} ", 1) + f" by more than {-comparison.by:g}"
    return f"{text} by more than {comparison.by:g}" if comparison.by else text


def estimate_text(comparison: Comparison, estimate: Estimate, level: float) -> str:
    """An estimate with its interval at a look's level: `+0.0123 [−0.0371, +0.0239]`."""
    digits = DIGITS.get(comparison.quantity, 4) + (1 if comparison.slope else 0)
    sign = comparison.right is not None or comparison.slope is not None
    value = (signed if sign else number)(estimate.value, digits)
    return f"{value} {interval(*estimate.interval(1 - level), digits, sign=sign)}"


def counts_text(counts: dict[str, int]) -> str:
    """The number of each verdict: `7 supported, 3 contradicted and 1 undecided`."""
    return listed([f"{count} {verdict}" for verdict, count in counts.items() if count])

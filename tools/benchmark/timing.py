"""Contestants take turns, and a ratio is taken within each turn: a machine that is busy for a while slows all alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tools.benchmark.threads import pinned

# Fewer repeats than this have no spread worth the name.
FEWEST_REPEATS = 3
DIGITS = 5


class Contestant(NamedTuple):
    """`timer` prepares, does the work once, and returns the seconds of the work alone, on `threads` threads."""

    timer: Callable[[], float]
    threads: int = 1


def take_turns(contestants: Mapping[str, Contestant], repeats: int, seconds: float) -> dict[str, list[float]]:
    """Seconds of each contestant, one number a repeat.

    Repeats stop early, but not before `FEWEST_REPEATS`, when `seconds` have passed: a slow machine then gets fewer.
    """
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    start = time.perf_counter()
    for repeat in range(repeats):
        if repeat >= FEWEST_REPEATS and time.perf_counter() - start > seconds:
            break
        for name, contestant in contestants.items():
            with pinned(contestant.threads):
                taken[name].append(contestant.timer())
    return taken


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """One ratio a repeat."""
    return [above / below for above, below in zip(numerators, denominators, strict=True)]


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, least and most over the repeats, and each repeat's value."""
    return {
        "median": rounded(statistics.median(values)),
        "least": rounded(min(values)),
        "most": rounded(max(values)),
        "repeats": [rounded(value) for value in values],
    }


def rounded(value: float) -> float:
    """To `DIGITS` significant digits: no clock tells more."""
    return float(f"{value:.{DIGITS}g}")

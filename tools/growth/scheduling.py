"""How long runs of known length take side by side: the study's own way of handing them out, without training."""

import heapq
from collections.abc import Iterable, Sequence


def makespan(lengths: Iterable[float], jobs: int) -> float:
    """Seconds until all are done, when each, in the order given, goes to the first of `jobs` workers that is free."""
    free_at = [0.0] * jobs
    for length in lengths:
        heapq.heapreplace(free_at, free_at[0] + length)
    return max(free_at)


def one_after_another(stages: Iterable[Sequence[float]], jobs: int, start_ups: Iterable[float]) -> float:
    """Seconds of stages of which each begins when the one before has ended, as under `dvc repro`.

    `stages`: for each, the lengths of its runs in the order in which they begin; `start_ups`: what each takes before.
    """
    return sum(start + makespan(lengths, jobs) for lengths, start in zip(stages, start_ups, strict=True))

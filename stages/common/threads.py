"""One BLAS thread a run: its sums come out the same however many cores there are."""

from collections.abc import Callable
from typing import TypeVar

from threadpoolctl import threadpool_limits

Result = TypeVar("Result")


def single_threaded(function: Callable[..., Result], *arguments: object) -> Result:
    """Call `function(*arguments)` with one BLAS thread."""
    with threadpool_limits(1):
        return function(*arguments)

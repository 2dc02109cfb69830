"""How many threads may compute: NumPy's and SciPy's BLAS, OpenMP, and PyTorch."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

CORES = os.cpu_count() or 1


@contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Allow exactly `threads` threads to whatever computes inside; what was allowed before is put back."""
    before = torch.get_num_threads()
    with threadpool_limits(threads):
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)

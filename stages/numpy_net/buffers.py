"""Arrays that are allocated once and written again at every step.

A training step that allocates spends more time in the allocator than in arithmetic when mini-batches are small.
"""

import numpy as np


class Buffers:
    """Named two-dimensional work arrays of one dtype, one for each number of rows asked for, kept for good."""

    def __init__(self, dtype: np.dtype | type) -> None:
        self.dtype = dtype
        self.arrays: dict[tuple[str, int], np.ndarray] = {}

    def get(self, name: str, rows: int, columns: int, dtype: np.dtype | type | None = None) -> np.ndarray:
        """Return the array `name` as it was left, or uninitialised the first time: (rows, columns)."""
        array = self.arrays.get((name, rows))
        if array is None:
            array = self.arrays[name, rows] = np.empty((rows, columns), dtype or self.dtype)
        return array

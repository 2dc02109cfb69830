"""Arrays that are allocated once and written again at every step.

A training step that allocates spends more time in the allocator than in arithmetic when mini-batches are small.
"""

import numpy as np


class Buffers:
    """Named two-dimensional work arrays of one dtype, grown to the largest batch asked for and then reused."""

    def __init__(self, dtype: np.dtype | type) -> None:
        self.dtype = dtype
        self.arrays: dict[str, np.ndarray] = {}

    def get(self, name: str, rows: int, columns: int, dtype: np.dtype | type | None = None) -> np.ndarray:
        """Return the first `rows` rows of the array `name`, uninitialised: (rows, columns)."""
        array = self.arrays.get(name)
        if array is None or len(array) < rows:
            array = self.arrays[name] = np.empty((rows, columns), dtype or self.dtype)
        return array[:rows]

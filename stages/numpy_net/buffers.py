"""Work arrays, allocated once and overwritten at every step.

With small mini-batches, a training step that allocates spends more time in the allocator than in arithmetic.
"""

import numpy as np


class Buffers:
    """Named two-dimensional work arrays, one for each number of rows."""

    def __init__(self, dtype: np.dtype | type) -> None:
        self.dtype = dtype
        self.arrays: dict[tuple[str, int], np.ndarray] = {}

    def get(self, name: str, rows: int, columns: int, dtype: np.dtype | type | None = None) -> np.ndarray:
        """Return the array `name` (rows, columns) with its last content; uninitialised the first time."""
        array = self.arrays.get((name, rows))
        if array is None:
            array = self.arrays[name, rows] = np.empty((rows, columns), dtype or self.dtype)
        return array

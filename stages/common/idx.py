"""The IDX format of MNIST and its successors: a header with type and dimensions, then the bytes in row-major order."""

import math
from pathlib import Path

import numpy as np

from stages.common.errors import StudyError

UNSIGNED_BYTE = 0x08


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes with the given number of dimensions; uint8, the shape its header states."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}); run `dvc repro download`") from error
    header = 4 + 4 * dimensions
    if len(data) < header or data[:4] != bytes([0, 0, UNSIGNED_BYTE, dimensions]):
        raise StudyError(
            f"{path}: begins with {data[:4].hex() or 'nothing'}, "
            f"not as an IDX file of unsigned bytes with {dimensions} dimension(s)"
        )
    # Python's integers: a product of absurd 32-bit sizes would wrap around in NumPy's.
    shape = [int.from_bytes(data[start : start + 4], "big") for start in range(4, header, 4)]
    expected = header + math.prod(shape)
    if len(data) != expected:
        raise StudyError(f"{path}: has {len(data):,} bytes, but its header {shape} asks for {expected:,}")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)

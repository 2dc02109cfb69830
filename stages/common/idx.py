"""The IDX format of MNIST and its successors: a header with type and dimensions, then the bytes in row-major order."""

import math
from pathlib import Path

import numpy as np

from stages.common.errors import StudyError

UNSIGNED_BYTE = 0x08


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes with the given number of dimensions; uint8, the shape its header states."""
    try:
        with path.open("rb") as file:
            shape = _shape(file.read(4 + 4 * dimensions), dimensions, path)
            # Python's integers: a product of absurd 32-bit sizes would wrap around in NumPy's.
            found, expected = path.stat().st_size, 4 + 4 * dimensions + math.prod(shape)
            if found != expected:
                raise StudyError(f"{path}: has {found:,} bytes, but its header {shape} asks for {expected:,}")
            return np.frombuffer(file.read(), np.uint8).reshape(shape)
    except ValueError as error:
        # One side is 0, hence no byte is missing, but the others are more than NumPy can count.
        raise StudyError(f"{path}: its header {shape} asks for an impossible array") from error
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}); run `dvc repro download`") from error


def _shape(header: bytes, dimensions: int, path: Path) -> list[int]:
    if len(header) < 4 + 4 * dimensions or header[:4] != bytes([0, 0, UNSIGNED_BYTE, dimensions]):
        raise StudyError(
            f"{path}: begins with {header[:4].hex() or 'nothing'}, "
            f"not as an IDX file of unsigned bytes with {dimensions} dimension(s)"
        )
    return [int.from_bytes(header[start : start + 4], "big") for start in range(4, len(header), 4)]

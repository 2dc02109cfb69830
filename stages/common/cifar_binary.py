"""CIFAR's binary format: records of one label byte and the image, channel after channel, each in row-major order."""

from pathlib import Path

import numpy as np

from stages.common.errors import StudyError


def read_cifar_binary(path: Path, image_shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Read one file of records: images uint8 (n, height, width, channels) and labels uint8 (n,)."""
    height, width, channels = image_shape
    record = 1 + height * width * channels
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}); run `dvc repro download`") from error
    if data.size == 0 or data.size % record:
        raise StudyError(f"{path}: {data.size:,} bytes are no whole number of records of {record:,} bytes")
    records = data.reshape(-1, record)  # (n, 1 + channels * height * width)
    planes = records[:, 1:].reshape(-1, channels, height, width)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0].copy()

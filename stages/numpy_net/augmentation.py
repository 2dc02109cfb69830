"""Random crops and flips, drawn for every batch.

A crop of the padded image is a shift of the image. Each combination of shift and flip is a fixed rearrangement of
pixels, so a table of pixel indices, one row per rearrangement, augments a batch in one look-up.
"""

import numpy as np


class Augmentation:
    """Shifts each image by up to `shift` pixels each way; with `flip`, mirrors it left to right with probability 1/2.

    `shape`: (height, width, channels). `background`: the value of a black pixel after scaling, (channels,).
    """

    def __init__(
        self, shape: tuple[int, int, int], shift: int, flip: bool, background: np.ndarray, rng: np.random.Generator
    ) -> None:
        self.table = rearrangements(shape, shift, flip)  # (kinds, pixels)
        self.background = background
        self.rng = rng

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """(batch, pixels) -> augmented (batch, pixels)."""
        background = np.tile(self.background, (len(images), 1)).astype(images.dtype)  # (batch, channels)
        padded = np.concatenate([images, background], axis=1)  # (batch, pixels + channels)
        kinds = self.rng.integers(len(self.table), size=len(images))  # (batch,)
        sources = self.table.take(kinds, axis=0)  # (batch, pixels)
        sources += np.arange(0, padded.size, padded.shape[1])[:, None]  # where each image starts in `padded`
        return padded.take(sources)


def rearrangements(shape: tuple[int, int, int], shift: int, flip: bool) -> np.ndarray:
    """Pixel indices after each shift and flip: (kinds, pixels).

    The index height · width · channels + c stands for channel c's padding.
    """
    height, width, channels = shape
    pixels = height * width * channels
    padded = np.tile(pixels + np.arange(channels), (height + 2 * shift, width + 2 * shift, 1))
    padded[shift : shift + height, shift : shift + width] = np.arange(pixels).reshape(shape)
    offsets = range(2 * shift + 1)
    crops = [padded[top : top + height, left : left + width] for top in offsets for left in offsets]
    if flip:
        crops += [crop[:, ::-1] for crop in crops]
    return np.stack([crop.ravel() for crop in crops])

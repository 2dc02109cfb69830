"""Random crops and flips, drawn for every batch.

A crop of the padded image is a shift of the image. Each combination of shift and flip is a fixed rearrangement of
pixels, so a table of pixel indices, one row per rearrangement, augments a batch in one look-up.
"""

import numpy as np

from stages.numpy_net.buffers import Buffers


class Augmentation:
    """Shifts of up to `shift` pixels each way and, with `flip`, a left-right flip with probability 1/2.

    `background`: the value of a black pixel after scaling, (channels,).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        shift: int,
        flip: bool,
        background: np.ndarray,
        generator: np.random.Generator,
    ) -> None:
        self.generator = generator
        self.background = np.asarray(background)
        self.table = rearrangements(shape, shift, flip)  # (kinds, pixels)
        self.pixels = int(np.prod(shape))
        self.buffers = Buffers(np.float32)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """(batch, pixels) -> augmented (batch, pixels), in an array that the next call overwrites."""
        batch, width = len(images), self.pixels + len(self.background)
        padded = self.buffers.get("padded", batch, width, images.dtype)
        padded[:, : self.pixels] = images
        padded[:, self.pixels :] = self.background
        kinds = self.generator.integers(len(self.table), size=batch)  # (batch,)
        sources = self.buffers.get("sources", batch, self.pixels, np.intp)
        self.table.take(kinds, axis=0, out=sources, mode="clip")
        sources += np.arange(0, batch * width, width)[:, None]  # the index of each image's first pixel
        return padded.ravel().take(sources, out=self.buffers.get("views", *images.shape, images.dtype), mode="clip")


def rearrangements(shape: tuple[int, int, int], shift: int, flip: bool) -> np.ndarray:
    """Pixel indices after each shift and flip: (kinds, pixels).

    The index height · width · channels + c stands for channel c's padding.
    """
    height, width, channels = shape
    numbers = np.arange(height * width * channels).reshape(shape)
    padded = np.empty((height + 2 * shift, width + 2 * shift, channels), int)
    padded[:] = height * width * channels + np.arange(channels)
    padded[shift : shift + height, shift : shift + width] = numbers
    crops = [
        padded[top : top + height, left : left + width] for top in range(2 * shift + 1) for left in range(2 * shift + 1)
    ]
    if flip:
        crops += [crop[:, ::-1] for crop in crops]
    return np.stack([crop.ravel() for crop in crops])

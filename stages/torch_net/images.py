"""Normalisation, augmentation and mini-batches.

Images are normalised once, stay in the device's memory, and need no data loader. A crop and a flip are one look-up of
pixels for the whole batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

PIECE = 100  # images: small enough for a processor's cache


@dataclass(frozen=True)
class Normalisation:
    """(pixel / 255 - mean) / std; `mean`, `std`: float32 (channels,), 0 and 1 for pixels in [0, 1]."""

    mean: Tensor
    std: Tensor

    def __call__(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Images uint8 -> `dtype`, both (n, height, width, channels); by pieces, as memory has no room for copies."""
        ready = torch.empty(images.shape, dtype=dtype, device=images.device)
        for piece, target in zip(images.split(PIECE), ready.split(PIECE), strict=True):
            target.copy_(piece * (1 / (255 * self.std)) - self.mean / self.std)
        return ready


class Augmentation:
    """Crops of reflected images (shifts of up to `shift` pixels each way), left-right flips, and cutout.

    With `flip`, each image is flipped with probability 1/2. `cutout`: the side in pixels of a square that is set to the
    mean (DeVries & Taylor 2017), its centre anywhere. All draws come from `generator`, on the images' device.
    """

    def __init__(self, shift: int, flip: bool, cutout: int, generator: torch.Generator) -> None:
        self.shift, self.flip, self.cutout, self.generator = shift, flip, cutout, generator

    def pad(self, images: Tensor) -> Tensor:
        """Images (n, height, width, channels) -> reflected at their borders, `shift` pixels wider on each side."""
        if not self.shift:
            return images
        size = self.shift
        rows = torch.cat([images[:, 1 : size + 1].flip(1), images, images[:, -size - 1 : -1].flip(1)], dim=1)
        return torch.cat([rows[:, :, 1 : size + 1].flip(2), rows, rows[:, :, -size - 1 : -1].flip(2)], dim=2)

    def crop(self, padded: Tensor, chosen: Tensor, size: float = 1.0) -> Tensor:
        """A random view of each image `chosen` (batch,) of `padded` (n, ...): (batch, height, width, channels).

        `size`: height and width as a share of those of the images before `pad`.
        """
        if not (self.shift or self.flip or size < 1):
            return padded[chosen]
        _, tall, wide, channels = padded.shape
        height, width = (round(size * (side - 2 * self.shift)) for side in (tall, wide))
        batch, device = len(chosen), padded.device
        rows = torch.arange(height, device=device).expand(batch, -1)  # (batch, height)
        columns = torch.arange(width, device=device).expand(batch, -1)  # (batch, width)
        if self.flip:
            flipped = self.draw(2, batch).bool()
            columns = torch.where(flipped, columns.flip(1), columns)
        if tall > height:
            rows = rows + self.draw(tall - height + 1, batch)
            columns = columns + self.draw(wide - width + 1, batch)
        first = chosen[:, None, None] * (tall * wide)  # the index of each image's first pixel
        pixels = first + rows[:, :, None] * wide + columns[:, None, :]  # (batch, height, width)
        return padded.reshape(-1, channels)[pixels]

    def blank(self, images: Tensor) -> Tensor:
        """Normalised images with a square set to 0, the mean: (batch, height, width, channels)."""
        if not self.cutout:
            return images
        batch, height, width, _ = images.shape
        inside = []
        for size in (height, width):
            start = self.draw(size, batch) - self.cutout // 2  # (batch, 1)
            place = torch.arange(size, device=images.device)  # (size,)
            inside.append((place >= start) & (place < start + self.cutout))  # (batch, size)
        square = inside[0][:, :, None] & inside[1][:, None, :]  # (batch, height, width)
        return images.masked_fill(square[..., None], 0)

    def draw(self, high: int, batch: int) -> Tensor:
        """Integers below `high`, one per image: (batch, 1)."""
        device = self.generator.device
        return torch.randint(high, (batch, 1), generator=self.generator, device=device)


class Batches:
    """Augmented mini-batches of a training split, in an order drawn from `generator`.

    `padded`: images normalised after `augment.pad`; `labels`: class numbers (n,). The last batch may be smaller.
    Crops of the first `early_epochs` have only `early_size` of an image's height and width, which saves time.
    """

    def __init__(
        self,
        padded: Tensor,
        labels: Tensor,
        batch_size: int,
        augment: Augmentation,
        generator: torch.Generator,
        *,
        early_size: float = 1.0,
        early_epochs: int = 0,
    ) -> None:
        self.padded, self.labels, self.batch_size = padded, labels, batch_size
        self.augment, self.generator = augment, generator
        self.early_size, self.early_epochs = early_size, early_epochs

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images (batch, height, width, channels) and class numbers (batch,) of an epoch; the first is 1."""
        size = self.early_size if number <= self.early_epochs else 1.0
        order = torch.randperm(len(self.labels), generator=self.generator, device=self.labels.device)
        for chosen in order.split(self.batch_size):
            yield self.augment.blank(self.augment.crop(self.padded, chosen, size)), self.labels[chosen]

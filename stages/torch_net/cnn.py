"""A small residual network after airbench94 (Keller Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU").

From there: the 2x2 stem of 24 filters, pooling before normalisation, GELU, scaled logits, and logits averaged over an
image and its mirror image (in `prediction`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stages.torch_net.convolution import Convolution
from stages.torch_net.layers import ACTIVATIONS, draw_weights


class Block(nn.Module):
    """A convolution and a pooling that halve the image, then a residual convolution.

    (batch, before, height, width) -> (batch, after, height / 2, width / 2). Pooling before normalisation and
    activation leaves them a quarter of the work.
    """

    def __init__(self, before: int, after: int, activation: str) -> None:
        super().__init__()
        self.down = Convolution(before, after)
        self.pool = nn.MaxPool2d(2)
        self.norm = nn.BatchNorm2d(after)
        self.same = Convolution(after, after)
        self.same_norm = nn.BatchNorm2d(after)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, before, height, width) -> (batch, after, height / 2, width / 2)."""
        x = self.activation(self.norm(self.pool(self.down(x))))
        return x + self.activation(self.same_norm(self.same(x)))


class CNN(nn.Module):
    """A stem of 2x2 filters, blocks that halve the image, global max pooling, a linear layer.

    `stem`: filters of the first layer; `widths`: channels of each block; `logit_scale` multiplies the logits, which
    slows the last layer's learning.
    """

    def __init__(
        self,
        channels: int,
        stem: int,
        widths: Sequence[int],
        outputs: int,
        *,
        generator: torch.Generator,
        activation: str = "relu",
        logit_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, stem, 2)
        self.activation = ACTIVATIONS[activation]()
        self.blocks = nn.Sequential(
            *(Block(before, after, activation) for before, after in zip([stem, *widths], widths, strict=False))
        )
        self.output = nn.Linear(widths[-1], outputs, bias=False)
        self.logit_scale = logit_scale
        draw_weights(self, generator)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Images (batch, height, width, channels) -> logits (batch, outputs)."""
        x = self.activation(self.stem(images.permute(0, 3, 1, 2)))  # stays channels last in memory
        x = self.blocks(x).amax(dim=(2, 3))  # (batch, widths[-1])
        return self.output(x) * self.logit_scale

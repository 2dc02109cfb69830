"""A small residual network: what the report left for later."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stages.torch_net.layers import ACTIVATIONS, draw_weights


class Block(nn.Module):
    """A convolution and a pooling that halve the image, and a residual convolution on what is left.

    (batch, before, height, width) -> (batch, after, height / 2, width / 2). Pooling comes before normalisation and
    activation, which have a quarter to do then.
    """

    def __init__(self, before: int, after: int, activation: str) -> None:
        super().__init__()
        self.down = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.pool = nn.MaxPool2d(2)
        self.norm = nn.BatchNorm2d(after)
        self.same = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.same_norm = nn.BatchNorm2d(after)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = self.activation(self.norm(self.pool(self.down(x))))
        return x + self.activation(self.same_norm(self.same(x)))


class CNN(nn.Module):
    """A stem of 2x2 filters, blocks that halve the image, the maximum over what is left, a linear layer.

    `stem`: filters of the first layer; `widths`: channels of each block; `logit_scale` multiplies the outputs, which
    keeps the last layer's steps small.
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
        x = self.activation(self.stem(images.permute(0, 3, 1, 2)))  # channels last in memory, as they came
        x = self.blocks(x).amax(dim=(2, 3))  # (batch, widths[-1])
        return self.output(x) * self.logit_scale

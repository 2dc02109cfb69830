"""3x3 convolutions, with a faster weight gradient for narrow images on a processor.

PyTorch's bfloat16 kernel for weight gradients works along a row of pixels: on images of 3 x 3 it takes ten times as
long as the convolution itself. With the images of a batch side by side, the rows are long.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d
from torch.nn.grad import conv2d_input, conv2d_weight

NARROW = 8  # pixels: wider images are faster as they are
SIDE_BY_SIDE = 16  # images, at most


class Convolution(nn.Conv2d):
    """3x3 filters without biases, and a border of zeros that preserves the size."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, before, height, width) -> (batch, after, height, width)."""
        if x.dtype == torch.bfloat16 and x.device.type == "cpu" and x.shape[-1] <= NARROW:
            return NarrowConvolution.apply(x, self.weight.to(x.dtype))
        return super().forward(x)


class NarrowConvolution(torch.autograd.Function):
    """The same function, with the weight gradient of images side by side: the same sum in another order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        """(batch, before, height, width), (after, before, 3, 3) -> (batch, after, height, width)."""
        ctx.save_for_backward(x, weight)
        return conv2d(x, weight, padding=1)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient of the output (batch, after, height, width) -> those of `x` and `weight`."""
        x, weight = ctx.saved_tensors
        weight_gradient = conv2d_weight(side_by_side(x), weight.shape, side_by_side(error), padding=1)
        return conv2d_input(x.shape, weight, error, padding=1), weight_gradient


def side_by_side(images: Tensor) -> Tensor:
    """(n k, channels, height, width) -> (n, channels, height, k (width + 1)), a column of zeros after each image."""
    batch, channels, height, width = images.shape
    k = math.gcd(batch, SIDE_BY_SIDE)
    rows = images.new_zeros(batch // k, height, k, width + 1, channels)
    rows[..., :width, :] = images.permute(0, 2, 3, 1).unflatten(0, (-1, k)).transpose(1, 2)
    return rows.flatten(2, 3).permute(0, 3, 1, 2)  # channels last in memory

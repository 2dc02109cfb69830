"""Layers and initial weights that draw from the caller's generator; PyTorch's own use a global one."""

import math

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
}


class Dropout(nn.Module):
    """Training zeroes each unit with probability `rate` and scales the others by 1 / (1 - rate).

    After Srivastava et al. 2014. `generator` must be on the device of the inputs.
    """

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        super().__init__()
        self.rate, self.generator = rate, generator

    def forward(self, x: Tensor) -> Tensor:
        """(batch, units) -> (batch, units); the identity unless training."""
        if not self.training:
            return x
        keep = torch.rand(x.shape, generator=self.generator, device=x.device) >= self.rate  # (batch, units)
        return x * (keep.to(x.dtype) / (1 - self.rate))


@torch.no_grad()
def draw_weights(model: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights and biases of linear and convolutional layers, from PyTorch's default distribution.

    Both are uniform within ±1 / sqrt(fan-in); for weights that is Kaiming initialisation (He et al. 2015) with
    a = sqrt(5).
    """
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            layer.weight.uniform_(-bound, bound, generator=generator)
            if layer.bias is not None:
                layer.bias.uniform_(-bound, bound, generator=generator)

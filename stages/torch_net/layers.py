"""Layers and initial weights that draw from the caller's generator; PyTorch's own use a global one."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

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
    """nn.Dropout (Srivastava et al. 2014), which takes no generator: training zeroes each unit with probability `rate`.

    The others are scaled by 1 / (1 - rate). `generator` must be on the device of the inputs.
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


@contextmanager
def active_dropout(model: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Dropout as in training, drawing from `generator`; the other layers, and later draws in training, stay as are."""
    layers = [layer for layer in model.modules() if isinstance(layer, Dropout)]
    before = [(layer.generator, layer.training) for layer in layers]
    for layer in layers:
        layer.generator, layer.training = generator, True
    yield
    for layer, state in zip(layers, before, strict=True):
        layer.generator, layer.training = state


def draw_weights(model: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights and biases of linear and convolutional layers as PyTorch does (their `reset_parameters`).

    Both are uniform within ±1 / sqrt(fan-in); for weights that is Kaiming initialisation (He et al. 2015) with
    a = sqrt(5).
    """
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
            if layer.bias is not None:
                bound = 1 / math.sqrt(layer.weight[0].numel())
                with torch.no_grad():
                    layer.bias.uniform_(-bound, bound, generator=generator)

"""The multi-layer perceptron of the published report, with optional dropout and batch normalisation."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from stages.torch_net.layers import ACTIVATIONS, Dropout, draw_weights


class MLP(nn.Module):
    """Linear layers with an activation after each but the last; the outputs are the logits of a softmax.

    `hidden`: units of each hidden layer. `dropout` acts on the last hidden layer (as in the report) or, with
    `dropout_everywhere`, on all. With `batch_norm`, each hidden layer is normalised before its activation (Ioffe &
    Szegedy 2015) and has no bias.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        outputs: int,
        *,
        generator: torch.Generator,
        activation: str = "relu",
        dropout: float = 0.0,
        dropout_everywhere: bool = False,
        dropout_generator: torch.Generator | None = None,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(pairwise([inputs, *hidden]), start=1):
            layers.append(nn.Linear(before, after, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm1d(after))
            layers.append(ACTIVATIONS[activation]())
            if dropout and (dropout_everywhere or number == len(hidden)):
                layers.append(Dropout(dropout, dropout_generator))
        layers.append(nn.Linear([inputs, *hidden][-1], outputs))
        self.layers = nn.Sequential(*layers)
        draw_weights(self, generator)

    def forward(self, images: Tensor) -> Tensor:
        """Images (batch, height, width, channels) -> logits (batch, outputs)."""
        return self.layers(images.flatten(start_dim=1))

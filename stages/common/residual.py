"""From the parameters of a convolutional network to the network."""

import torch

from stages.common.torch_params import CnnTraining
from stages.torch_net.cnn import CNN


def build_cnn(
    training: CnnTraining, shape: tuple[int, ...], classes: int, weights: torch.Generator, drop: torch.Generator
) -> CNN:
    """The configured network, given what `stages.common.torch_run.Build` is given; it has no dropout."""
    return CNN(
        shape[-1],
        training.stem,
        training.widths,
        classes,
        generator=weights,
        activation=training.activation,
        logit_scale=training.logit_scale,
    )

"""From the parameters of a multi-layer perceptron to the network."""

import math

import torch

from stages.common.errors import StudyError
from stages.common.torch_params import MlpTraining
from stages.torch_net.mlp import MLP


def build_mlp(
    training: MlpTraining, shape: tuple[int, ...], classes: int, weights: torch.Generator, drop: torch.Generator
) -> MLP:
    """The configured network, given what `stages.common.torch_run.Build` is given."""
    if training.outputs < classes:
        raise StudyError(f"outputs = {training.outputs}: the data set has {classes} classes, so that many are needed")
    return MLP(
        math.prod(shape),
        training.hidden,
        training.outputs,
        generator=weights,
        activation=training.activation,
        dropout=training.dropout,
        dropout_everywhere=training.dropout_everywhere,
        dropout_generator=drop,
        batch_norm=training.batch_norm,
    )

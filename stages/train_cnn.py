"""The convolutional network that the report left for later, on one data set."""

from functools import partial
from pathlib import Path

import torch

from stages.common.errors import StudyError, exit_on_error
from stages.common.params import load_params
from stages.common.torch_params import CnnTraining
from stages.common.torch_record import train_record
from stages.torch_net.cnn import CNN

PREPARED = Path("data/prepared")
MODELS = Path("data/models")
REPORTS = Path("reports/train_cnn")


def build(
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


def main(arguments: list[str]) -> None:
    """`python -m stages.train_cnn NAME`: NAME is a data set of params.yaml's `train_cnn`."""
    networks = load_params().train_cnn
    if len(arguments) != 1 or arguments[0] not in networks:
        raise StudyError(f"train_cnn {' '.join(arguments)}: name one data set of {', '.join(networks)}")
    name = arguments[0]
    training, model = networks[name], MODELS / f"cnn_{name}.safetensors"
    prepared, builder = PREPARED / f"{name}.npz", partial(build, training)
    train_record(f"train_cnn {name}", builder, training, prepared, training.seed, model, REPORTS / name)


if __name__ == "__main__":
    exit_on_error(main)

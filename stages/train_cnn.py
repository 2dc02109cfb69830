"""The convolutional network that the report left for later, on one data set."""

from functools import partial
from pathlib import Path

from stages.common.errors import StudyError, exit_on_error
from stages.common.params import load_params
from stages.common.residual import build_cnn
from stages.common.torch_record import train_record

PREPARED = Path("data/prepared")
MODELS = Path("data/models")
REPORTS = Path("reports/train_cnn")


def main(arguments: list[str]) -> None:
    """`python -m stages.train_cnn NAME`: NAME is a data set of params.yaml's `train_cnn`."""
    params = load_params()
    networks = params.train_cnn
    if len(arguments) != 1 or arguments[0] not in networks:
        raise StudyError(f"train_cnn {' '.join(arguments)}: name one data set of {', '.join(networks)}")
    name = arguments[0]
    training, model = networks[name], MODELS / f"cnn_{name}.safetensors"
    prepared, builder, reports = PREPARED / f"{name}.npz", partial(build_cnn, training), REPORTS / name
    train_record(f"train_cnn {name}", builder, training, prepared, training.seed, model, reports, params.threads)


if __name__ == "__main__":
    exit_on_error(main)

"""The PyTorch half's perceptrons: the report's final model, and its successor, the model of record."""

from functools import partial
from pathlib import Path

from stages.common.errors import StudyError, exit_on_error
from stages.common.mlps import build_mlp
from stages.common.params import load_params
from stages.common.torch_record import train_record

PREPARED = Path("data/prepared")
MODELS = Path("data/models")
REPORTS = Path("reports/train_torch")


def main(arguments: list[str]) -> None:
    """`python -m stages.train_torch`."""
    if arguments:
        raise StudyError(f"train_torch takes no arguments, not {' '.join(arguments)}")
    params = load_params()
    prepared = PREPARED / f"{params.train_torch.dataset}.npz"
    for name in ("final", "record"):
        training = getattr(params.train_torch, name)
        model = MODELS / f"torch_{name}.safetensors"
        builder = partial(build_mlp, training)
        label, reports = f"train_torch {name}", REPORTS / name
        train_record(label, builder, training, prepared, params.seed, model, reports, params.threads)


if __name__ == "__main__":
    exit_on_error(main)

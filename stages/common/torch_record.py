"""A PyTorch model of record: trained on all cores, scored on the test images once, kept with its configuration."""

from pathlib import Path

from stages.common.datasets import read_class_names, read_split
from stages.common.files import write_json
from stages.common.progress import Progress
from stages.common.records import write_record
from stages.common.torch_params import TorchTraining
from stages.common.torch_run import Build, save_weights, train_run


def train_record(
    label: str, build: Build, training: TorchTraining, prepared: Path, seed: int, model: Path, reports: Path
) -> None:
    """Train on `prepared`; write `model` (.safetensors, a .json beside it) and the record's files in `reports`."""
    epochs = sum(phase.epochs for phase in training.stretches)
    with Progress(label, epochs, "epochs") as progress:

        def show(row: dict[str, float]) -> None:
            progress.advance(note=f"loss {row['loss']:.4f} accuracy {row['accuracy']:.4f}")

        run, network, probabilities = train_run(build, training, prepared, label, seed, show)
    save_weights(network, model)
    write_json(model.with_suffix(".json"), {**training.model_dump(), "dataset": prepared.stem, "seed": seed})
    write_record(reports, run, read_split(prepared, "test").labels, probabilities, read_class_names(prepared))

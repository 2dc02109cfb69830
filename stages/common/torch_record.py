"""A PyTorch model of record: trained by itself, scored on the test images once, kept with its configuration."""

from pathlib import Path

import torch

from stages.common.datasets import read_class_names, read_test
from stages.common.errors import StudyError
from stages.common.files import write_json
from stages.common.progress import Progress
from stages.common.records import write_record
from stages.common.torch_params import TorchTraining
from stages.common.torch_run import Build, save_weights, train_run


def train_record(
    label: str,
    build: Build,
    training: TorchTraining,
    prepared: Path,
    seed: int,
    model: Path,
    reports: Path,
    threads: int,
) -> None:
    """Train on `prepared`; write `model` (.safetensors, a .json beside it) and the record's files in `reports`."""
    names = read_class_names(prepared)
    outputs = getattr(training, "outputs", len(names))
    if outputs != len(names):
        raise StudyError(f"{label}: outputs = {outputs}: a model of record has one a class, {len(names)}")
    # Each thread adds up a part, so that their number shows in the last digits: it must not be the environment's.
    torch.set_num_threads(threads)
    epochs = sum(phase.epochs for phase in training.stretches)
    with Progress(label, epochs, "epochs") as progress:

        def show(row: dict[str, float]) -> None:
            progress.advance(note=f"loss {row['loss']:.4f} accuracy {row['accuracy']:.4f}")

        run, network, probabilities = train_run(build, training, prepared, label, seed, show)
    save_weights(network, model)
    write_json(model.with_suffix(".json"), {**training.model_dump(), "dataset": prepared.stem, "seed": seed})
    write_record(reports, run, read_test(prepared).labels, probabilities, names)

"""Train a final PyTorch model, score it once on the test images, and write what the report needs.

`train_run` goes from parameters to a trained network; stages/ablations.py and stages/repeat_torch.py use it too.
"""

import math
import os
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from stages.errors import StudyError, choose_name, exit_on_error
from stages.params import CnnTraining, MlpTraining, TorchTraining, load_params
from stages.torch_net.cnn import CNN
from stages.torch_net.devices import DEVICES, has_bfloat16, keep_memory, make_deterministic, make_native
from stages.torch_net.images import Augmentation, Batches, Normalisation
from stages.torch_net.mlp import MLP
from stages.torch_net.prediction import predict, score
from stages.torch_net.training import Phase, train
from stages.training.checkpoint import Checkpoint
from stages.training.files import atomic_write, write_json
from stages.training.final_model import write_final_model
from stages.training.fitting import Fit, fit
from stages.training.live import epoch_display
from stages.training.prepared import Split, read_class_names, read_normalisation, read_split, read_test, scored_index
from stages.training.randomness import generator
from stages.training.results import Run, run_of
from stages.training.run_cache import FOLDER, RunCache, Task
from stages.training.schedules import learning_rates

PREPARED = Path("data/prepared")
MODELS = Path("data/models")
REPORTS = Path("reports/train_torch")
PURPOSES = ("order", "augmentation", "dropout", "dropout in validation")  # of random numbers drawn on the device


def train_run(
    training: MlpTraining | CnnTraining,
    data: Path,
    seed: int,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
    threads: int = 1,
    checkpoint: Path | None = None,
) -> tuple[Run, nn.Module, np.ndarray]:
    """Train one network on the prepared data set `data`, then score the test images.

    `checkpoint`: a file in which its state is kept after every epoch; if it exists, training goes on from there.
    Returns the run, the network, and its class probabilities of the test images: float32 (n, outputs).
    """
    set_threads(threads)
    make_deterministic()
    keep_memory()
    where, dtype = device(), compute_type(training)
    normalise = partial(normalisation(training, data, where), dtype=dtype)
    images, validation = tensors(data, "training", where), tensors(data, "validation", where)
    classes = len(read_class_names(data))
    state = Checkpoint(checkpoint)
    model, result = fit_network(training, images, validation, normalise, classes, seed, on_epoch, state)
    test_images, test_labels = test_tensors(data, where)
    logits = predict(model, normalise(test_images), flip=training.test_time_flip, dtype=dtype)  # (n, outputs)
    test_loss, test_accuracy = score(logits, test_labels)
    run = run_of(result, split="validation", test_loss=test_loss, test_accuracy=test_accuracy)
    return run, model, logits.softmax(dim=1).cpu().numpy()


def train_task(task: Task) -> Run:
    """Train one run of a study."""
    return train_run(task.training, task.data, task.seed)[0]


def cost(training: MlpTraining | CnnTraining) -> float:
    """Roughly how long a training takes, so that a study starts the longest first: multiplications and steps."""
    if isinstance(training, CnnTraining):
        layers = enumerate(pairwise([training.stem, *training.widths]))
        return training.all_epochs * sum(
            (before + after / 4) * after * 9 * 1024 / 4**block for block, (before, after) in layers
        )
    weights = sum(before * after for before, after in pairwise([3072, *training.hidden, training.outputs]))
    return training.all_epochs * (weights + (5_000_000 + 10 * weights) / training.batch_size)


def set_threads(threads: int) -> None:
    """Set the number of threads, which affects the last digits; refuse an environment that allows fewer."""
    limit = os.environ.get("OMP_THREAD_LIMIT", "")
    if limit.isdecimal() and int(limit) < threads:
        raise StudyError(f"OMP_THREAD_LIMIT = {limit}: {threads} threads are needed; unset it, or change `threads`")
    if threads > 1 and os.environ.get("OMP_DYNAMIC", "").lower() in ("true", "1"):
        raise StudyError(f"OMP_DYNAMIC = {os.environ['OMP_DYNAMIC']}: {threads} threads are needed; unset it")
    torch.set_num_threads(threads)


def device() -> torch.device:
    """Where to compute: `STUDY_DEVICE`, or the best there is."""
    asked = os.environ.get("STUDY_DEVICE") or "auto"
    found = DEVICES[asked]() if asked in DEVICES else None
    if found is None:
        raise StudyError(f"STUDY_DEVICE = {asked!r}: not available here; choose from {', '.join(DEVICES)}")
    return found


def compute_type(training: TorchTraining) -> torch.dtype:
    """The dtype of the arithmetic: bfloat16 where that is asked for and the device has it, else float32."""
    return torch.bfloat16 if training.precision == "bfloat16" and has_bfloat16(device()) else torch.float32


def torch_generator(seed: int, purpose: str, where: torch.device | str = "cpu") -> torch.Generator:
    """PyTorch's generator for one purpose."""
    return torch.Generator(where).manual_seed(int(generator(seed, purpose).integers(2**63)))


# A worker trains many runs on the same data, so it caches what it has read.
@lru_cache(maxsize=4)
def tensors(data: Path, split: str, where: torch.device) -> tuple[Tensor, Tensor]:
    """A split on a device, for training or model selection."""
    return as_tensors(read_split(data, split), where)


@lru_cache(maxsize=1)
def test_tensors(data: Path, where: torch.device) -> tuple[Tensor, Tensor]:
    """The test images on a device, to be scored."""
    return as_tensors(read_test(data), where)


def as_tensors(split: Split, where: torch.device) -> tuple[Tensor, Tensor]:
    """Images uint8 (n, height, width, channels) and class numbers int64 (n,)."""
    return torch.from_numpy(split.images).to(where), torch.from_numpy(split.labels.argmax(axis=1)).to(where)


def normalisation(training: TorchTraining, data: Path, where: torch.device) -> Normalisation:
    """To [0, 1], or to mean 0 and standard deviation 1 over the training split."""
    mean, std = read_normalisation(data)  # (channels,), (channels,)
    if training.pixels == "unit":
        mean, std = np.zeros_like(mean), np.ones_like(std)
    return Normalisation(*(torch.tensor(values, dtype=torch.float32, device=where) for values in (mean, std)))


def fit_network(
    training: MlpTraining | CnnTraining,
    training_split: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    normalise: Callable[[Tensor], Tensor],
    classes: int,
    seed: int,
    on_epoch: Callable[[dict[str, float]], None],
    state: Checkpoint,
) -> tuple[nn.Module, Fit]:
    """Train a network, scored after every epoch on some training images and on the validation images."""
    images, labels = training_split  # uint8 (n, height, width, channels), (n,)
    rngs = {purpose: torch_generator(seed, purpose, images.device) for purpose in PURPOSES}
    model = build_network(training, tuple(images.shape[1:]), classes, torch_generator(seed, "weights"), rngs["dropout"])
    model.to(images.device)
    check_last_batch(model, len(labels), training.batch_size)
    augment = Augmentation(training.shift, training.flip, training.cutout, rngs["augmentation"])
    early = {}
    if isinstance(training, CnnTraining):
        early = {"early_size": training.early_size, "early_epochs": int(training.early_share * training.all_epochs)}
    batches = Batches(normalise(augment.pad(images)), labels, training.batch_size, augment, rngs["order"], **early)
    sample = torch.from_numpy(scored_index(len(labels))).to(images.device)
    scored = normalise(images[sample]), labels[sample]
    evaluated = normalise(validation[0]), validation[1]
    with_dropout = isinstance(training, MlpTraining) and training.dropout_in_validation
    dropout = rngs["dropout in validation"] if with_dropout else None
    dtype = compute_type(training)
    prediction = partial(predict, model, flip=training.test_time_flip, dtype=dtype)
    state.attach(model, rngs)

    def rows() -> Iterator[dict[str, float]]:
        yield from list(state.history)
        state.replayed = True
        steps, smoothing = phases(training, len(labels)), training.label_smoothing
        resumed = {"done": len(state.history), "restore": state.restore}
        for epoch, step in train(model, batches, steps, label_smoothing=smoothing, dtype=dtype, **resumed):
            train_loss, train_accuracy = score(prediction(scored[0]), scored[1])
            loss, accuracy = score(prediction(evaluated[0], dropout=dropout), evaluated[1])
            row = {
                "epoch": epoch,
                "train_loss": train_loss,
                "train_accuracy": train_accuracy,
                "loss": loss,
                "accuracy": accuracy,
            }
            yield row
            state.write(row, step)

    return model, fit(
        rows(),
        classes,
        snapshot=state.snapshot,
        restore=model.load_state_dict,
        patience=training.patience,
        on_epoch=on_epoch,
    )


def build_network(
    training: MlpTraining | CnnTraining,
    shape: tuple[int, ...],
    classes: int,
    weights_rng: torch.Generator,
    dropout_rng: torch.Generator,
) -> nn.Module:
    """The configured network for images of `shape` (height, width, channels)."""
    if isinstance(training, CnnTraining):
        return CNN(
            shape[-1],
            training.stem,
            training.widths,
            classes,
            generator=weights_rng,
            activation=training.activation,
            logit_scale=training.logit_scale,
        )
    return MLP(
        math.prod(shape),
        training.hidden,
        training.outputs,
        generator=weights_rng,
        activation=training.activation,
        dropout=training.dropout,
        dropout_everywhere=training.dropout_everywhere,
        dropout_generator=dropout_rng,
        batch_norm=training.batch_norm,
    )


def phases(training: TorchTraining, images: int) -> list[Phase]:
    """The configured phases with a learning rate for every step."""
    steps = -(-images // training.batch_size)
    return [
        Phase(
            training.optimiser,
            learning_rates(training.schedule, phase.lr, phase.epochs, steps, training.warmup).tolist(),
            phase.momentum,
            phase.weight_decay,
        )
        for phase in training.resolved_phases
    ]


def check_last_batch(model: nn.Module, images: int, batch_size: int) -> None:
    """Batch norm of a perceptron measures the spread within a mini-batch, which a single image does not have."""
    normed = any(isinstance(layer, nn.BatchNorm1d) for layer in model.modules())
    if normed and 1 in (batch_size, images % batch_size):
        raise StudyError(
            f"batch_size = {batch_size}: the last mini-batch of {images:,} training images would have one image, "
            "which batch_norm cannot normalise; choose another, or batch_norm: false"
        )


def main(arguments: list[str]) -> None:
    """`python -m stages.train_torch MODEL`, a model of params.yaml's `train_torch`."""
    make_native()
    params = load_params()
    name = choose_name(arguments, params.train_torch)
    model = params.train_torch[name]
    data, training, weights = PREPARED / f"{model.dataset}.npz", model.training, MODELS / f"{name}.safetensors"
    key = RunCache().path(Task(params.seed, training, data)).stem
    checkpoint = FOLDER / f"{key}-{params.threads}.safetensors"
    with epoch_display(f"train_torch {name}", training.all_epochs, REPORTS / name, "validation") as show_epoch:
        run, network, probabilities = train_run(training, data, params.seed, show_epoch, params.threads, checkpoint)
    with atomic_write(weights) as temporary:
        save_file({key: value.cpu().contiguous() for key, value in network.state_dict().items()}, temporary)
    write_json(weights.with_suffix(".json"), {**training.model_dump(), "dataset": model.dataset, "seed": params.seed})
    used = {"precision": str(compute_type(training)).removeprefix("torch."), "device": device().type}
    labels, names = read_test(data).labels, read_class_names(data)
    write_final_model(REPORTS / name, run, labels, probabilities, names, **used, threads=params.threads)
    checkpoint.unlink(missing_ok=True)


if __name__ == "__main__":
    exit_on_error(main)

"""What studies, variants, data sets and networks are called in the report."""

from collections.abc import Sequence

from stages.common.numpy_params import Layer, NumpyTraining
from stages.common.torch_params import TorchTraining
from stages.reporting.tables import listed

AS_PUBLISHED = "as published"
BASELINE = "baseline"  # the PyTorch study that the others depart from
AS_RUN = "_as_run"  # what a variant's name ends on that does what the published code did, not what the report says
DATA_SETS = {"fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}
TITLES = {"final": "Final models"}  # where the name of a study doesn't do as a heading
# Trained models, by the first part of the names that their figures have.
RECORDS = {
    "numpy": "network in NumPy",
    "final": "report's final model",
    "torch": "multi-layer perceptron",
    "cnn": "convolutional network",
}


def title(study: str) -> str:
    """A study's name as a heading."""
    return TITLES.get(study, study.replace("_", " ").capitalize())


def record_title(record: str) -> str:
    """What kind of network a model is."""
    return RECORDS[record.partition("_")[0]]


def model_title(record: str, dataset: str) -> str:
    """The same, with what it was trained on."""
    return f"{record_title(record)}, {DATA_SETS[dataset]}"


def seeds_name(lists: Sequence[Sequence[int]]) -> str:
    """The seeds of a study, or the several lists of seeds that its variants have."""
    return "; or ".join(map(listed, lists))


def label(variant: str) -> str:
    """A variant's name in a figure: words apart, a number in a short form (1 for 1.0, 1e-5 for 1e-05)."""
    return variant.removesuffix(".0").replace("e-0", "e-") if is_number(variant) else variant.replace("_", " ")


def is_number(text: str) -> bool:
    """Whether a name is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def as_run_name(variant: str, differs: bool) -> str:
    """Which of our variants did what a published run did: one of its own where that differs from the report."""
    return f"{variant}{AS_RUN}" if differs else variant


def layers_name(architecture: Sequence[Layer]) -> str:
    """Layer sizes and the hidden activations: `784-64-10, relu`."""
    sizes = "-".join(str(layer.input_nodes) for layer in architecture)
    hidden = dict.fromkeys(layer.activation for layer in architecture[1:-1])
    return ", ".join([sizes, *hidden])


def regularisation_name(training: NumpyTraining | TorchTraining) -> str:
    """Every kind of regularisation that is switched on."""
    kinds = [
        f"{name.replace('_', ' ')} {value:g}"
        for name in ("l2", "weight_decay", "dropout", "label_smoothing")
        if (value := getattr(training, name, 0))
    ]
    if training.shift:
        kinds.append(f"shifts of up to {training.shift} px")
    if training.flip:
        kinds.append("flips")
    if side := getattr(training, "cutout", 0):
        kinds.append(f"cutout of {side} px")
    return ", ".join(kinds) or "none"


def change_name(training: NumpyTraining) -> str:
    """What a training of the published network changes: how gradients are clipped, or the objective."""
    kinds = [
        f"{what} to {value:g}"
        for what, value in (("norm", training.clip_norm), ("value", training.clip_value))
        if value is not None
    ]
    if training.objective != "published":
        kinds.append(training.objective.replace("_", "-"))
    return " and ".join(kinds) or AS_PUBLISHED

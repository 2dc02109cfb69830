"""What variants, layers and settings are called in the report."""

from collections.abc import Sequence

from stages.common.params import Layer, NumpyTraining, Study

NOT_CLIPPED = "not clipped"


def layers_name(architecture: Sequence[Layer]) -> str:
    """Layer sizes and the hidden activations: `784-64-10, relu`."""
    sizes = "-".join(str(layer.input_nodes) for layer in architecture)
    hidden = dict.fromkeys(layer.activation for layer in architecture[1:-1])
    return ", ".join([sizes, *hidden])


def regularisation_name(training: NumpyTraining) -> str:
    """Every kind of regularisation that is switched on."""
    kinds = [
        f"{name.replace('_', ' ')} {value:g}"
        for name in ("l2", "weight_decay", "dropout", "label_smoothing")
        if (value := getattr(training, name))
    ]
    if training.shift:
        kinds.append(f"shifts of up to {training.shift} px")
    if training.flip:
        kinds.append("flips")
    return ", ".join(kinds) or "none"


def clipping_name(training: NumpyTraining) -> str:
    """How gradients are clipped."""
    kinds = [
        f"{what} to {value:g}"
        for what, value in (("norm", training.clip_norm), ("value", training.clip_value))
        if value is not None
    ]
    return " and ".join(kinds) or NOT_CLIPPED


def title(study: str) -> str:
    """A study's name as a heading."""
    return study.replace("_", " ").capitalize()


def common_settings(study: Study) -> str:
    """What a study's variants have in common, of the settings that a reader compares sweeps by."""
    told = {
        "architecture": lambda training: layers_name(training.architecture),
        "objective": lambda training: training.objective.replace("_", " "),
        "learning rate": lambda training: f"{training.lr:g}",
        "batch size": lambda training: str(training.batch_size),
        "epochs": lambda training: str(training.epochs),
    }
    values = {name: {tell(variant.training) for variant in study.variants} for name, tell in told.items()}
    return "; ".join(f"{name} {value}" for name, found in values.items() if len(found) == 1 for value in found)

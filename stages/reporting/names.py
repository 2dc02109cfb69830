"""What studies, variants, models and settings are called in the report."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from stages.params import NumpyTraining, Params
from stages.verdicts.reading import Training, data_set_name
from stages.verdicts.text import NOTHING, listed

# Final models, by the first part of their names.
MODELS = {
    "numpy": "network in NumPy",
    "published": "report's final model",
    "mlp": "multi-layer perceptron",
    "cnn": "convolutional network",
}
# The settings that readers compare studies by, in the order of the report.
COMPARED = (
    *("architecture", "hidden", "activation", "dropout", "objective", "optimiser"),
    *("lr", "phases", "batch_size", "epochs", "division"),
)
SETTINGS = {"lr": "learning rate", "hidden": "hidden layers"}


def title(study: str) -> str:
    """A study's name as a heading."""
    return "Final models" if study == "final" else study.replace("_", " ").capitalize()


def model_name(model: str, dataset: str = "") -> str:
    """What kind of network a model is and, where named, the data set that it was trained on."""
    name = MODELS[model.partition("_")[0]]
    return f"{name}, {data_set_name(dataset)}" if dataset else name


def device_name(metrics: Mapping[str, Any]) -> str:
    """Where a model was trained: `2 threads of a CPU`."""
    if metrics["device"] != "cpu":
        return metrics["device"].upper()
    return f"{metrics['threads']} thread{'s' * (metrics['threads'] > 1)} of a CPU"


def training_of(params: Params, model: str) -> Training:
    """The settings of a final model."""
    return params.train_numpy if model == "numpy" else params.train_torch[model].training


def label(variant: str) -> str:
    """A variant's name in a figure: with spaces, a number in a short form (1 for 1.0, 1e-5 for 1e-05)."""
    try:
        float(variant)
    except ValueError:
        return spaced(variant)
    return variant.removesuffix(".0").replace("e-0", "e-")


def spaced(name: str) -> str:
    """A name with spaces."""
    return name.replace("_", " ")


def layers_name(training: NumpyTraining) -> str:
    """Layer sizes and the hidden activations: `784-64-10, relu`."""
    sizes = "-".join(str(layer.input_nodes) for layer in training.architecture)
    hidden = dict.fromkeys(layer.activation for layer in training.architecture[1:-1])
    return ", ".join([sizes, *hidden])


def regularisation_name(training: Training) -> str:
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


def setting_texts(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings in words."""
    return {SETTINGS.get(key, key.replace("_", " ")): value_text(value) for key, value in settings.items()}


def value_text(value: Any) -> str:
    """A value of params.yaml, or of a published configuration, in words."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        phases = bool(value) and isinstance(value[0], Mapping)
        return ", then ".join(map(phase_text, value)) if phases else "-".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")


def phase_text(phase: Mapping[str, Any]) -> str:
    """A phase of a training: `0.01 for 10 epochs with weight decay 0.0001`."""
    others = {key: value for key, value in phase.items() if key not in ("lr", "epochs") and value is not None}
    text = f"{phase['lr']:g} for {phase['epochs']} epochs"
    return f"{text} with {listed(map(' '.join, setting_texts(others).items()))}" if others else text


def all_settings(training: Training) -> dict[str, Any]:
    """Every setting of a training, an architecture in words."""
    settings = training.model_dump()
    return settings | {"architecture": layers_name(training)} if "architecture" in settings else settings


def common_settings(trainings: Iterable[Training]) -> str:
    """The settings in `COMPARED` that all trainings have in common, if switched on."""
    first, *others = (
        setting_texts({key: settings[key] for key in COMPARED if settings.get(key)})
        for settings in map(all_settings, trainings)
    )
    shared = {name: text for name, text in first.items() if all(other.get(name) == text for other in others)}
    return "; ".join(map(" ".join, shared.items()))


def differences(runs: pd.DataFrame) -> list[str]:
    """In which settings published code differs from the report: for all runs of a study if equal, else run by run."""
    texts = {
        run.variant: ", ".join(map(" ".join, setting_texts(run.as_run).items()))
        for run in runs.itertuples()
        if run.as_run is not None
    }
    if len(texts) > 1 and len(texts) == len(runs) and len(set(texts.values())) == 1:
        return [f"all of them: {next(iter(texts.values()))}"]
    return [f"`{variant}`: {text}" for variant, text in texts.items()]

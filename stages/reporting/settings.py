"""Settings in words: of one model, of all variants of a study, and what published code did otherwise than reported."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from stages.common.numpy_params import NumpyTraining
from stages.common.params import Params
from stages.common.torch_params import CnnTraining, MlpTraining, TorchTraining
from stages.reporting.naming import layers_name
from stages.reporting.tables import NOTHING, listed

Training = NumpyTraining | MlpTraining | CnnTraining
# What a reader compares studies by, in the order told.
TOLD = (
    *("architecture", "hidden", "activation", "dropout", "objective", "optimiser"),
    *("lr", "phases", "batch_size", "epochs"),
)
NAMES = {"lr": "learning rate", "hidden": "hidden layers"}


def training_of(params: Params, record: str) -> Training:
    """The settings of a model of record, by the name that its figures have."""
    if record == "numpy":
        return params.train_numpy
    return params.train_torch.record if record == "torch" else params.train_cnn[record.removeprefix("cnn_")]


def phases_of(training: TorchTraining) -> list[dict[str, Any]]:
    """The phases with only what each of them sets."""
    return [phase.model_dump(exclude_none=True) for phase in training.phases]


def setting_name(key: str) -> str:
    """A key of params.yaml in words."""
    return NAMES.get(key, key.replace("_", " "))


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
    others = {key: value for key, value in phase.items() if key not in ("lr", "epochs")}
    text = f"{phase['lr']:g} for {phase['epochs']} epochs"
    return f"{text} with {listed(setting_texts(others))}" if others else text


def setting_texts(settings: Mapping[str, Any]) -> list[str]:
    """Each setting with its value: `batch size 256`."""
    return [f"{setting_name(key)} {value_text(value)}" for key, value in settings.items()]


def told(training: Training) -> dict[str, str]:
    """The settings of `TOLD` in words, without those that a training doesn't have or has switched off."""
    values = {key: getattr(training, key, None) for key in TOLD}
    if values["architecture"]:
        values["architecture"] = layers_name(training.architecture)
    if values["phases"]:
        values["phases"] = phases_of(training)
    return {setting_name(key): value_text(value) for key, value in values.items() if value}


def common_settings(trainings: Iterable[Training]) -> str:
    """What trainings have in common, of the settings that a reader compares studies by."""
    first, *others = map(told, trainings)
    return "; ".join(
        f"{name} {text}" for name, text in first.items() if all(other.get(name) == text for other in others)
    )


def otherwise(runs: pd.DataFrame) -> list[str]:
    """What published code did otherwise than reported: for all runs of a study where it is the same, or run by run."""
    texts = {run.variant: ", ".join(setting_texts(run.as_run)) for run in runs.itertuples() if run.as_run is not None}
    if len(texts) > 1 and len(texts) == len(runs) and len(set(texts.values())) == 1:
        return [f"all of them: {next(iter(texts.values()))}"]
    return [f"`{variant}`: {text}" for variant, text in texts.items()]


def settings_table(models: Mapping[str, Training]) -> pd.DataFrame:
    """A row a setting, a column a model of one kind, by its title; ready to print. What none has is left out."""
    settings = {}
    for title, training in models.items():
        values = training.model_dump()
        if values.get("phases"):
            values["phases"] = phases_of(training)
        if "architecture" in values:
            values["architecture"] = layers_name(training.architecture)
        settings[title] = {key: value_text(value) for key, value in values.items()}
    keys = dict.fromkeys(key for texts in settings.values() for key in texts)
    rows = [
        {"setting": setting_name(key), **{title: texts.get(key, NOTHING) for title, texts in settings.items()}}
        for key in keys
    ]
    return pd.DataFrame([row for row in rows if set(list(row.values())[1:]) != {NOTHING}])

"""A study of the published network with one thing changed, beside the same trainings as published.

Two things are changed so: gradients are clipped, or the objective is cross-entropy. Runs are paired by their settings,
not by their names: the counterpart of a variant is the one, in any study, whose training differs in that alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from stages.common.numpy_params import NumpyTraining
from stages.common.torch_params import MlpTraining
from stages.reporting.naming import AS_PUBLISHED, change_name, layers_name
from stages.reporting.studies import Result, diverged_count
from stages.reporting.tables import mean_and_sd, number


@dataclass(frozen=True)
class Arm:
    """One way of training in a group that is otherwise alike: its label and where its runs are."""

    label: str
    result: Result
    variant: str


def as_published(training: NumpyTraining) -> NumpyTraining:
    """The same training, gradients unclipped, with the published objective and protocol."""
    return training.model_copy(
        update={"clip_norm": None, "clip_value": None, "objective": "published", "protocol": "published"}
    )


def changes(training: NumpyTraining | MlpTraining) -> bool:
    """Whether a training is the published one but for its clipping or its objective."""
    published = isinstance(training, NumpyTraining) and training.protocol == "published"
    return published and training != as_published(training)


def has_counterparts(result: Result) -> bool:
    """Whether every variant of a study changes what is published."""
    return all(changes(variant.training) for variant in result.study.variants)


def arms(result: Result, results: Mapping[str, Result]) -> dict[str, list[Arm]]:
    """By what the variants differ in, in the order of params.yaml; trainings as published first, then the others."""
    plain = {variant.name: as_published(variant.training) for variant in result.study.variants}
    by_shape = len({layers_name(training.architecture) for training in plain.values()}) > 1
    groups: dict[str, list[Arm]] = {}
    for name, training in plain.items():
        title = layers_name(training.architecture) if by_shape else f"learning rate {training.lr:g}"
        group = groups.setdefault(title, [])
        for other in results.values():
            for candidate in other.study.variants:
                counterpart = Arm(AS_PUBLISHED, other, candidate.name)
                if candidate.training == training and not any(arm.label == AS_PUBLISHED for arm in group):
                    group.append(counterpart)
        (variant,) = (each for each in result.study.variants if each.name == name)
        group.append(Arm(change_name(variant.training), result, name))
    return {title: sorted(group, key=lambda arm: arm.result is result) for title, group in groups.items()}


def arms_table(groups: Mapping[str, list[Arm]]) -> pd.DataFrame:
    """A row an arm, ready to print."""
    rows = []
    for title, group in groups.items():
        for arm in group:
            runs = arm.result.runs_of(arm.variant)
            split = arm.result.split
            rows.append(
                {
                    "group": title,
                    "training": arm.label,
                    f"final {split} accuracy": mean_and_sd(runs["final_accuracy"]),
                    f"highest {split} accuracy": number(runs["best_accuracy"].max()),
                    f"final {split} loss": mean_and_sd(runs["final_loss"], 3),
                    "epochs": "–".join(str(value) for value in sorted({runs["epochs"].min(), runs["epochs"].max()})),
                    "diverged": diverged_count(runs),
                }
            )
    return pd.DataFrame(rows)

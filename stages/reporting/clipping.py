"""Gradient clipping beside the same training without it, wherever a study clips.

Runs are paired by their settings, not by their names: the counterpart of a clipped variant is the one, in any study,
whose training differs in the clipping alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from stages.common.numpy_params import NumpyTraining
from stages.common.torch_params import MlpTraining
from stages.reporting.naming import clipping_name
from stages.reporting.studies import Result, diverged_count
from stages.reporting.tables import mean_and_sd, number


@dataclass(frozen=True)
class Arm:
    """One way of clipping at one learning rate: its label and where its runs are."""

    label: str
    result: Result
    variant: str


def without_clipping(training: NumpyTraining) -> NumpyTraining:
    """The same training, gradients left as they are."""
    return training.model_copy(update={"clip_norm": None, "clip_value": None})


def clips(training: NumpyTraining | MlpTraining) -> bool:
    """Whether a training clips gradients; the PyTorch networks never do."""
    return isinstance(training, NumpyTraining) and training != without_clipping(training)


def is_clipping(result: Result) -> bool:
    """Whether every variant of a study clips."""
    return all(clips(variant.training) for variant in result.study.variants)


def arms(result: Result, results: Mapping[str, Result]) -> dict[str, list[Arm]]:
    """By learning rate, in the order of params.yaml: the unclipped counterparts first, then the clipped variants."""
    groups: dict[str, list[Arm]] = {}
    for variant in result.study.variants:
        plain = without_clipping(variant.training)
        group = groups.setdefault(f"{plain.lr:g}", [])
        for other in results.values():
            for candidate in other.study.variants:
                counterpart = Arm(clipping_name(plain), other, candidate.name)
                if candidate.training == plain and counterpart not in group:
                    group.append(counterpart)
        group.append(Arm(clipping_name(variant.training), result, variant.name))
    return {lr: sorted(group, key=lambda arm: arm.result is result) for lr, group in groups.items()}


def clipping_table(groups: Mapping[str, list[Arm]]) -> pd.DataFrame:
    """A row an arm, ready to print."""
    rows = []
    for lr, group in groups.items():
        for arm in group:
            runs = arm.result.runs_of(arm.variant)
            split = arm.result.split
            rows.append(
                {
                    "learning rate": lr,
                    "gradients": arm.label,
                    f"final {split} accuracy": mean_and_sd(runs["final_accuracy"]),
                    f"highest {split} accuracy": number(runs["best_accuracy"].max()),
                    f"final {split} loss": mean_and_sd(runs["final_loss"], 3),
                    "epochs": "–".join(str(value) for value in sorted({runs["epochs"].min(), runs["epochs"].max()})),
                    "diverged": diverged_count(runs),
                }
            )
    return pd.DataFrame(rows)

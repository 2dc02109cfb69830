"""What Figures 1 to 3 show: each published sweep, its reproduction, and the same sweep of the corrected network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.common.params import Variant
from stages.reporting.studies import Result, spread
from stages.reporting.style import distinct_looks, ordered_looks
from stages.reporting.tables import NOTHING, mean_and_sd, number

SWEEPS = ("learning_rate", "batch_size", "architecture")
# What a variant of a sweep is drawn by: a number, where the sweep is of one. Architectures only have names.
VALUES: dict[str, Callable[[Variant], float]] = {
    "learning_rate": lambda variant: variant.training.lr,
    "batch_size": lambda variant: variant.training.batch_size,
}


@dataclass(frozen=True)
class Sweep:
    """`published`: epochs of the printed history; `reproduced` and `corrected` are None where params.yaml lacks them.

    `looks`: colour and line of each label, the same in every column.
    """

    name: str
    published: pd.DataFrame
    published_runs: pd.DataFrame
    reproduced: Result | None
    corrected: Result | None
    looks: dict[str, dict]

    def label(self, variant: Variant) -> str:
        """What a variant of ours is called here: the published name of the same setting, where there is one."""
        return variant_label(self.name, variant)


def variant_label(sweep: str, variant: Variant) -> str:
    """The swept number in its shortest form, or the variant's name."""
    return f"{VALUES[sweep](variant):g}" if sweep in VALUES else variant.name


def build_sweep(name: str, history: pd.DataFrame, runs: pd.DataFrame, results: Mapping[str, Result]) -> Sweep:
    """Gather the three columns of a sweep and give every setting one look."""
    published = history[history["study"] == name]
    published_runs = runs[runs["study"] == name].set_index("variant")
    reproduced, corrected = results.get(f"published_{name}"), results.get(name)
    ours = [variant for result in (reproduced, corrected) if result for variant in result.study.variants]
    labels = list(dict.fromkeys([*published["variant"], *(variant_label(name, variant) for variant in ours)]))
    if name in VALUES:
        labels.sort(key=float)
    looks = ordered_looks(labels) if name in VALUES else distinct_looks(labels)
    return Sweep(name, published, published_runs, reproduced, corrected, looks)


def finals(sweep: Sweep) -> dict[str, pd.DataFrame]:
    """Test accuracy after training by label: mean, low, high over seeds. All of the test images, so comparable."""
    published = sweep.published_runs["final_accuracy"]
    tables = {"published": pd.DataFrame({"mean": published, "low": published, "high": published})}
    for column, result in (("reproduced", sweep.reproduced), ("corrected", sweep.corrected)):
        if result:
            table = spread(result, "test_accuracy")
            labels = [sweep.label(variant) for variant in result.study.variants]
            tables[column] = table.set_index(pd.Index(labels))[["mean", "low", "high"]]
    return tables


def sweep_table(sweep: Sweep) -> pd.DataFrame:
    """A row a setting, the three columns' figures after training; ready to print."""
    rows = []
    for label in sweep.looks:
        final = sweep.published_runs["final_accuracy"].get(label, np.nan)
        row = {sweep.name.replace("_", " "): label, "published: test accuracy": number(final)}
        reproduced, corrected = runs_of(sweep, sweep.reproduced, label), runs_of(sweep, sweep.corrected, label)
        row["reproduced: test accuracy"] = mean_and_sd(reproduced["final_accuracy"]) if len(reproduced) else NOTHING
        if sweep.corrected:
            split = sweep.corrected.split
            row[f"corrected: {split} accuracy"] = mean_and_sd(corrected["final_accuracy"])
            if split != "test":
                row["corrected: test accuracy"] = mean_and_sd(corrected["test_accuracy"])
        for column, runs in (("reproduced", reproduced), ("corrected", corrected)):
            count = f"{(runs['status'] == 'diverged').sum()} of {len(runs)}"
            row[f"{column}: diverged"] = count if len(runs) else NOTHING
        rows.append(row)
    return pd.DataFrame(rows)


def runs_of(sweep: Sweep, result: Result | None, label: str) -> pd.DataFrame:
    """The runs under one label; an empty table where there are none."""
    if result is None:
        return pd.DataFrame({"final_accuracy": [], "test_accuracy": [], "status": []})
    names = [variant.name for variant in result.study.variants if sweep.label(variant) == label]
    return result.runs[result.runs["variant"].isin(names)]

"""What the figure of a published study shows: its curves as published beside those of the same trainings here.

The NumPy network is trained again as published (a study `published_<name>`) and corrected (a study `<name>`). Of the
PyTorch networks, one study holds both what the report says and, where that was something else, what its code ran.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from stages.reporting.looks import is_ordered, looks_of, value_of
from stages.reporting.naming import AS_RUN, BASELINE, as_run_name, label, title
from stages.reporting.published import Published
from stages.reporting.settings import common_settings, otherwise
from stages.reporting.studies import Curves, Result, diverged_count
from stages.reporting.tables import NOTHING, mean_and_sd

NUMPY_STUDIES = ("learning_rate", "batch_size", "architecture")
TORCH_STUDIES = (
    *("baseline", "dropout", "weight_decay", "hidden_layers", "hidden_nodes"),
    *("epochs", "batch_size", "optimiser", "learning_rate", "final"),
)
# The columns of figures and tables.
PUBLISHED, REPRODUCED, CORRECTED, RUN, REPORTED = "published", "reproduced", "corrected", "as run", "as reported"


@dataclass(frozen=True)
class Sweep:
    """A published study. `columns`, the published one first, are None where params.yaml lacks what they need.

    Their variants are called by labels, which mean the same in all of them; `looks` has each label's colour and line,
    and `ordered` says whether labels are values of a quantity; `baseline` is the label, if any, of what all studies
    depart from. `ends` is the column of runs.csv by which the ends of trainings compare, `split` the images it is
    measured on. `settings`: what the variants of a column have in common; `otherwise`: what the published code did
    otherwise than reported.
    """

    name: str
    columns: dict[str, Curves | None]
    looks: dict[str, dict]
    ordered: bool
    baseline: str | None
    ends: str
    split: str
    settings: dict[str, str]
    otherwise: list[str]

    @property
    def title(self) -> str:
        """What the study varies, as a heading."""
        return title(self.name)


def numpy_sweep(name: str, published: Published, results: Mapping[str, Result]) -> Sweep:
    """A study of the NumPy network. What compares is the accuracy on the test images after training."""
    columns: dict[str, Curves | None] = {PUBLISHED: labelled(published.curves(name))}
    settings = {}
    ours = {REPRODUCED: results.get(f"published_{name}"), CORRECTED: results.get(name)}
    for column, result in ours.items():
        columns[column] = labelled(result) if result else None
        if result:
            settings[column] = common_settings(variant.training for variant in result.study.variants)
    return build_sweep(name, columns, None, "test_accuracy", published.split, settings, [])


def torch_sweep(name: str, published: Published, results: Mapping[str, Result], *, comparable: bool) -> Sweep:
    """A study of the PyTorch networks: one column of ours where the code ran what the report says, or else two.

    What compares is the accuracy on the validation images after training; published numbers only where `comparable`.
    """
    columns: dict[str, Curves | None] = {PUBLISHED: labelled(published.curves(name))} if comparable else {}
    settings = {}
    result, runs = results.get(name), published.runs_of(name)
    trainings = {variant.name: variant.training for variant in result.study.variants} if result else {}
    as_run = [as_run_name(run.variant, run.as_run is not None) for run in runs.itertuples()]
    as_run += [variant for variant in trainings if variant.endswith(AS_RUN) and variant not in as_run]
    ours = {RUN: as_run} if any(variant.endswith(AS_RUN) for variant in as_run) else {}
    ours[REPORTED] = [variant for variant in trainings if not variant.endswith(AS_RUN)]
    for column, variants in ours.items():
        found = {label(variant.removesuffix(AS_RUN)): variant for variant in variants if variant in trainings}
        columns[column] = result.select(found) if found else None
        if found:
            settings[column] = common_settings(trainings[variant] for variant in found.values())
    baseline = baseline_label(name, results)
    return build_sweep(name, columns, baseline, "final_accuracy", published.split, settings, otherwise(runs))


def baseline_label(name: str, results: Mapping[str, Result]) -> str | None:
    """The variant of study `name` that is the baseline: of the variants of that study, the one listed most."""
    if name not in results or BASELINE not in results:
        return None
    listed = [variant.training for result in results.values() for variant in result.study.variants]
    counts = [(listed.count(variant.training), variant.training) for variant in results[BASELINE].study.variants]
    _, training = max(counts, key=lambda counted: counted[0])
    own = [variant.name for variant in results[name].study.variants if variant.training == training]
    return label(own[0].removesuffix(AS_RUN)) if own else None


def labelled(curves: Curves) -> Curves:
    """The same, its variants called by their labels."""
    return curves.select({label(variant): variant for variant in curves.variants})


def build_sweep(
    name: str,
    columns: dict[str, Curves | None],
    baseline: str | None,
    ends: str,
    split: str,
    settings: dict[str, str],
    differences: list[str],
) -> Sweep:
    """Put the labels of all columns in order and give each one look."""
    labels = list(dict.fromkeys(variant for curves in columns.values() if curves for variant in curves.variants))
    ordered = is_ordered(name, labels)
    if ordered:
        labels.sort(key=value_of)
    looks = looks_of(name, labels, baseline)
    return Sweep(name, columns, looks, ordered, baseline, ends, split, settings, differences)


def sweep_table(sweep: Sweep) -> pd.DataFrame:
    """A row a label, the columns' figures after training; ready to print. A diverged run counts as it ended."""
    rows = []
    for variant in sweep.looks:
        row = {sweep.title.lower(): variant}
        runs = {column: curves.runs_of(variant) for column, curves in sweep.columns.items() if curves}
        for column, own in runs.items():
            split = sweep.columns[column].split
            row[f"{column}: {split} accuracy"] = mean_and_sd(own["final_accuracy"])
            if split != "test" and column != PUBLISHED:
                row[f"{column}: test accuracy"] = mean_and_sd(own["test_accuracy"])
        for column, own in runs.items():
            if column != PUBLISHED:
                row[f"{column}: diverged"] = diverged_count(own) if len(own) else NOTHING
        rows.append(row)
    return pd.DataFrame(rows)

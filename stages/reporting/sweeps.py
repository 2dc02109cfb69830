"""The data of the figures and tables of studies: published curves and ours, and training with one change.

The NumPy network is trained as published (a study `published_<name>`) and corrected (a study `<name>`). Of the PyTorch
networks, one study holds both what the report says and, where that differs, what its code ran.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from stages.params import NumpyTraining
from stages.reporting.names import AS_PUBLISHED, change_name, common_settings, differences, label, layers_name, title
from stages.reporting.style import is_ordered, styles_of, value_of
from stages.verdicts.reading import AS_RUN, BASELINE, Curves, Framework, StudyResult

PUBLISHED_STUDIES = {
    "NumPy": ("learning_rate", "batch_size", "architecture"),
    "PyTorch": (
        *("baseline", "dropout", "weight_decay", "hidden_layers", "hidden_nodes"),
        *("epochs", "batch_size", "optimiser", "learning_rate", "final"),
    ),
}
PREFIXES = {"NumPy": "", "PyTorch": "torch_"}  # of the names of figures: both frameworks have studies of equal names
# The columns of figures and tables.
PUBLISHED, REPRODUCED, CORRECTED, RUN, REPORTED = "published", "reproduced", "corrected", "as run", "as reported"


@dataclass(frozen=True)
class Sweep:
    """A published study. `columns`, the published one first, are None where results lack what they need.

    Their variants are called by labels, which mean the same in all of them; `styles` has each label's colour and line,
    and `ordered` says whether labels are values of a quantity; `baseline` is the label, if any, of the baseline of all
    studies. `ends` is the column of runs.csv by which final accuracies are compared, `split` its images.
    `settings`: what the variants of a column have in common; `differences`: where the published code differs from the
    report.
    """

    name: str
    columns: dict[str, Curves | None]
    styles: dict[str, dict]
    ordered: bool
    baseline: str | None
    ends: str
    split: str
    settings: dict[str, str]
    differences: list[str]

    @property
    def title(self) -> str:
        """What the study varies, as a heading."""
        return title(self.name)


def published_sweeps(framework: Framework) -> list[Sweep]:
    """The published studies with ours; where nothing is comparable, only those that params.yaml has."""
    return [
        sweep(framework, name)
        for name in PUBLISHED_STUDIES[framework.name]
        if framework.comparable or name in framework.results
    ]


def further_studies(framework: Framework) -> list[tuple[StudyResult, dict[str, Curves]]]:
    """The studies that are not in the published report, with the groups of their variants."""
    names = PUBLISHED_STUDIES[framework.name]
    known = {*names, *(f"published_{name}" for name in names if framework.name == "NumPy")}
    results = framework.results
    return [(result, groups_of(result, results)) for name, result in results.items() if name not in known]


def sweep(framework: Framework, name: str) -> Sweep:
    """A published study: in NumPy, test accuracies after training are compared, in PyTorch validation accuracies.

    PyTorch has one column of ours if the code ran what the report says, else two.
    """
    published, results = framework.published, framework.results
    runs, result = published.runs_of(name), results.get(name)
    if framework.name == "NumPy":
        names = {
            column: (each, {label(variant): variant for variant in each.variants} if each else {})
            for column, each in ((REPRODUCED, results.get(f"published_{name}")), (CORRECTED, result))
        }
    else:
        known = result.variants if result else []
        as_run = [f"{run.variant}{AS_RUN}" if run.as_run is not None else run.variant for run in runs.itertuples()]
        as_run += [variant for variant in known if variant.endswith(AS_RUN) and variant not in as_run]
        names = {}
        if any(variant.endswith(AS_RUN) for variant in as_run):
            found = {label(variant.removesuffix(AS_RUN)): variant for variant in as_run if variant in known}
            names[RUN] = result, found
        names[REPORTED] = result, {label(variant): variant for variant in known if not variant.endswith(AS_RUN)}
    columns: dict[str, Curves | None] = {}
    if framework.comparable:
        curves = published.curves(name)
        columns[PUBLISHED] = curves.select({label(variant): variant for variant in curves.variants})
    columns |= {column: each.select(variants) if variants else None for column, (each, variants) in names.items()}
    labels = list(dict.fromkeys(variant for curves in columns.values() if curves for variant in curves.variants))
    if ordered := is_ordered(name, labels):
        labels.sort(key=value_of)
    baseline = baseline_label(name, results) if framework.name == "PyTorch" else None
    return Sweep(
        name=name,
        columns=columns,
        styles=styles_of(name, labels, baseline),
        ordered=ordered,
        baseline=baseline,
        ends="test_accuracy" if framework.name == "NumPy" else "final_accuracy",
        split=published.split,
        settings={
            column: common_settings(each.trainings[variant] for variant in variants.values())
            for column, (each, variants) in names.items()
            if variants
        },
        differences=differences(runs) if framework.name == "PyTorch" else [],
    )


def baseline_label(name: str, results: Mapping[str, StudyResult]) -> str | None:
    """The variant of study `name` that is the baseline: the variant of the baseline study that it lists most often."""
    if name not in results or BASELINE not in results:
        return None
    listed = [training for result in results.values() for training in result.trainings.values()]
    training = max(results[BASELINE].trainings.values(), key=listed.count)
    own = (variant for variant, settings in results[name].trainings.items() if settings == training)
    return next((label(variant.removesuffix(AS_RUN)) for variant in own), None)


def groups_of(result: StudyResult, results: Mapping[str, StudyResult]) -> dict[str, Curves]:
    """The variants of a study by what they differ in, if each is a published training with one change.

    The change is another objective, clipping, other initial weights or regularisation. Each group begins with its
    training as published: the variant, of any study in `results`, whose settings are equal except for the change. Other
    studies have no groups.
    """
    plain = {
        name: unchanged(training) for name, training in result.trainings.items() if training.protocol == "published"
    }
    if len(plain) < len(result.variants) or any(plain[name] == result.trainings[name] for name in plain):
        return {}
    by_layers = len(set(map(layers_name, plain.values()))) > 1
    groups: dict[str, dict[str, Curves]] = {}
    for name, training in plain.items():
        heading = layers_name(training) if by_layers else f"learning rate {training.lr:g}"
        group = groups.setdefault(heading, {})
        for other in results.values():
            for variant, settings in other.trainings.items():
                if settings == training and AS_PUBLISHED not in group:
                    group[AS_PUBLISHED] = other.select({AS_PUBLISHED: variant})
        change = change_name(result.trainings[name])
        change = name if change in group else change
        group[change] = result.select({change: name})
    return {
        heading: Curves(
            result.split,
            pd.concat([curves.history for curves in group.values()]),
            pd.concat([curves.runs for curves in group.values()]),
        )
        for heading, group in groups.items()
    }


def unchanged(training: NumpyTraining) -> NumpyTraining:
    """The same training with the published objective and initial weights, neither clipped nor regularised."""
    plain = {"objective": "published", "clip_norm": None, "clip_value": None, "initialiser": "he", "l2": 0.0}
    return training.model_copy(update=plain | {"dropout": 0.0})

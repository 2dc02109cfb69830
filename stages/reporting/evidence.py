"""What shows a fault of the published code where no pair of runs can: counts, shapes, choices.

Each function takes all that the report is written from and returns rows for the table of faults.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from stages.reporting.comparison import collapse_epoch
from stages.reporting.counterparts import as_published
from stages.reporting.halves import PUBLISHED_ON, Inputs
from stages.reporting.naming import AS_RUN, BASELINE
from stages.reporting.statistics import LEVEL, of_paired_difference
from stages.reporting.studies import Result
from stages.reporting.tables import listed, number

# The studies of the corrected network whose variant the published report chose on the test images.
CHOSEN = ("learning_rate", "batch_size", "architecture")
# The studies of which the report reads single runs, the first of each being what the others are compared with.
SINGLE_RUNS = ("dropout", "weight_decay", "batch_size", "hidden_layers", "hidden_nodes")
UNDERFLOW_TEST = "tests/test_numpy_gradients.py"


def underflow(inputs: Inputs) -> list[dict]:
    """F4: 0/0 leaves a loss that is no number; which of the runs as published end so, by the images of a batch."""
    runs = [
        result.runs_of(variant.name).assign(single=variant.training.batch_size == 1)
        for result in inputs.numpy.results.values()
        for variant in result.study.variants
        if variant.name not in result.shared  # counted where they were trained
        and as_published(variant.training) == variant.training
        and variant.training.reduction == "sum"
    ]
    if not runs:
        return []
    table = pd.concat(runs)
    single, several = table[table["single"]], table[~table["single"]]
    stuck = single[single["status"] == "diverged"]["final_loss"].dropna()
    lost, lost_singly = (int(each["final_loss"].isna().sum()) for each in (several, single))
    text = (
        f"{lost} of {len(several)} runs as published with several images a batch end with a loss that is no number, "
        f"{lost_singly} of {len(single)} with one, where the batch's largest logit is the sample's own"
    )
    if len(stuck):
        text += f" (the {len(stuck)} that diverged end at {number(stuck.min(), 2)} to {number(stuck.max(), 2)}: F1)"
    return [
        {
            "setting": "runs that diverged",
            "quantity": "count",
            "evidence": f"{text}. {UNDERFLOW_TEST} shows the underflow.",
        }
    ]


def collapses(result: Result, variant: str) -> list[int]:
    """The epochs from which the diverged runs of a variant stay lost."""
    history = result.history_of(variant)
    lost = result.diverged[result.diverged["variant"] == variant]["seed"]
    found = [collapse_epoch(history[history["seed"] == seed]) for seed in lost]
    return [epoch for epoch in found if epoch is not None]


def selection(inputs: Inputs) -> list[dict]:
    """F6: the test accuracy of the variant that the test images choose, beside that of the one validation chooses."""
    rows = []
    for name in CHOSEN:
        result = inputs.numpy.results.get(name)
        if result is None or result.split != "validation":
            continue
        by_test = chosen(result.runs, "test_accuracy")
        by_validation = chosen(result.runs, "final_accuracy")
        effect = of_paired_difference(by_validation, by_test)
        rows.append(
            {
                "setting": f"choice of {name.replace('_', ' ')}, seed by seed",
                "quantity": "test_accuracy",
                "published": np.mean(by_test),
                "mended": np.mean(by_validation),
                "estimate": effect,
                "evidence": "",
            }
        )
    return rows


def chosen(runs: pd.DataFrame, figure: str) -> np.ndarray:
    """The test accuracy, for each seed, of the variant whose `figure` is the highest."""
    best = runs.loc[runs.groupby("seed")[figure].idxmax()]
    return best.sort_values("seed")["test_accuracy"].to_numpy()


def naming(inputs: Inputs) -> list[dict]:
    """F10: how many hidden layers the networks have that the report calls by a number."""
    result = inputs.torch.results.get("hidden_layers")
    if result is None:
        return []
    layers = {variant.name: len(variant.training.hidden) for variant in result.study.variants}
    named = [name for name in layers if name.isdecimal()]
    as_run = [name for name in named if layers.get(f"{name}{AS_RUN}", layers[name]) != layers[name]]
    text = f"called {listed(named)}, as described {listed([layers[name] for name in named])}"
    if as_run:
        text += f"; of the one called {listed(as_run)}, {listed([layers[name + AS_RUN] for name in as_run])} ran"
    return [{"setting": "hidden layers", "quantity": "count", "evidence": f"{text}."}]


def spread(inputs: Inputs) -> list[dict]:
    """F12: published differences between single runs beside what two seeds of one configuration differ by."""
    published, results = inputs.torch.published, inputs.torch.results
    deviations, freedom, differences = [], [], []
    for study in (BASELINE, *SINGLE_RUNS):
        result = results.get(study)
        if result is None or not inputs.torch.comparable:
            continue
        own = result.runs[~result.runs["variant"].isin(result.shared)]
        variances = own.groupby("variant")["final_accuracy"].agg(["var", "count"])
        deviations += list(variances["var"] * (variances["count"] - 1))
        freedom += list(variances["count"] - 1)
        if study == BASELINE:  # what all of them share
            continue
        finals = published.runs_of(study)["final_accuracy"].to_numpy()
        differences += list(np.abs(finals[1:] - finals[0]))
    if not sum(freedom):
        return []
    deviation = np.sqrt(np.nansum(deviations) / sum(freedom))
    usual = stats.t.ppf((1 + LEVEL) / 2, sum(freedom)) * np.sqrt(2) * deviation
    within = sum(difference <= usual for difference in differences)
    text = (
        f"the standard deviation over seeds is {number(deviation)}, so two runs of one configuration differ by up to "
        f"{number(usual)} in 95 % of cases; {within} of the {len(differences)} published differences are no larger "
        f"(the largest is {number(max(differences))})."
    )
    return [
        {"setting": f"{listed([name.replace('_', ' ') for name in SINGLE_RUNS])}", "quantity": "final_accuracy"}
        | {"evidence": text}
    ]


def batch_mean(inputs: Inputs) -> list[dict]:
    """F13: how far the mean of batch accuracies strays from the accuracy, by the sizes of the batches."""
    if not inputs.torch.comparable or PUBLISHED_ON not in inputs.params.data:
        return []
    images = inputs.params.data[PUBLISHED_ON].validation_images
    accuracy = inputs.torch.published.runs["final_accuracy"].mean()
    rows = []
    for training_batch in (128, 256):
        batch = 2 * training_batch
        last = images % batch or batch
        excess = 1 / -(-images // batch) - last / images  # the weight that the last batch has too much
        usual = 2 * excess * np.sqrt(accuracy * (1 - accuracy) * (1 / last + 1 / max(images - last, 1)))
        text = (
            f"the last of {-(-images // batch)} batches has {last} images of {batch}; at the mean published accuracy "
            f"the error is below {number(usual)} in 95 % of cases (two standard deviations)."
        )
        rows.append({"setting": f"batch size {training_batch}", "quantity": "final_accuracy", "evidence": text})
    return rows


EVIDENCE: dict[str, Callable[[Inputs], Sequence[dict]]] = {
    "underflow": underflow,
    "selection": selection,
    "naming": naming,
    "spread": spread,
    "batch_mean": batch_mean,
}

"""Evidence for bugs of the published code that no pair of runs can show: counts, shapes, choices.

Each function takes all results and returns rows for the table of bugs.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from stages.verdicts.reading import AS_RUN, BASELINE, Results
from stages.verdicts.statistics import ALPHA, of_mean
from stages.verdicts.text import listed, number

# The studies whose best variant the published report selected on the test images.
CHOSEN = ("learning_rate", "batch_size", "architecture")
# The studies of which the report interprets single runs, each by comparing the others with the first.
SINGLE_RUNS = ("dropout", "weight_decay", "batch_size", "hidden_layers", "hidden_nodes")
UNDERFLOW_TEST = "tests/test_numpy_net.py"


def underflow(results: Results) -> list[dict]:
    """F4: 0/0 gives a NaN loss; how many of the runs as published end with one, by batch size."""
    published = [results.numpy.results.get(f"published_{name}") for name in CHOSEN]
    runs = {  # by training, as the studies share one
        training.model_dump_json(): result.runs_of(name).assign(single=training.batch_size == 1)
        for result in published
        if result is not None
        for name, training in result.trainings.items()
    }
    if not runs:
        return []
    table = pd.concat(runs.values())
    single, several = table[table["single"]], table[~table["single"]]
    stuck = single[single["status"] == "diverged"]["final_loss"].dropna()
    text = (
        f"{several['final_loss'].isna().sum()} of {len(several)} runs as published with several images per batch end "
        f"with a NaN loss, {single['final_loss'].isna().sum()} of {len(single)} with one, where the batch's largest "
        "logit is the sample's own"
    )
    if len(stuck):
        text += f" (the {len(stuck)} that diverged end at {number(stuck.min(), 2)} to {number(stuck.max(), 2)}: F1)"
    evidence = f"{text}. {UNDERFLOW_TEST} shows the underflow."
    return [{"setting": "runs that diverged", "quantity": "count", "evidence": evidence}]


def selection(results: Results) -> list[dict]:
    """F6: the test accuracy of the variant selected on test images, and of the one selected on validation images."""
    rows = []
    for name in CHOSEN:
        result = results.numpy.results.get(name)
        if result is None or result.split != "validation":
            continue
        by_test, by_validation = (chosen(result.runs, figure) for figure in ("test_accuracy", "final_accuracy"))
        found = of_mean(by_validation - by_test)
        rows.append(
            {
                "setting": f"choice of {name.replace('_', ' ')}, seed by seed",
                "quantity": "test_accuracy",
                "published": np.mean(by_test),
                "fixed": np.mean(by_validation),
                **found.columns,
                "evidence": "",
            }
        )
    return rows


def chosen(runs: pd.DataFrame, figure: str) -> np.ndarray:
    """The test accuracy, for each seed, of the variant whose `figure` is the highest."""
    best = runs.loc[runs.groupby("seed")[figure].idxmax()]
    return best.sort_values("seed")["test_accuracy"].to_numpy()


def naming(results: Results) -> list[dict]:
    """F10: how many hidden layers the networks have that the report names by a number."""
    result = results.torch.results.get("hidden_layers")
    if result is None:
        return []
    layers = {name: len(training.hidden) for name, training in result.trainings.items()}
    named = [name for name in layers if name.isdecimal()]
    as_run = [name for name in named if layers.get(f"{name}{AS_RUN}", layers[name]) != layers[name]]
    text = f"the networks called {listed(named)} have {listed(layers[name] for name in named)} as described"
    if as_run:
        text += f"; the one called {listed(as_run)} ran with {listed(layers[name + AS_RUN] for name in as_run)}"
    return [{"setting": "hidden layers", "quantity": "count", "evidence": f"{text}."}]


def spread(results: Results) -> list[dict]:
    """F12: published differences between single runs, against the difference between two seeds of one configuration."""
    torch = results.torch
    studies = [name for name in (BASELINE, *SINGLE_RUNS) if torch.comparable and name in torch.results]
    variances = [
        torch.results[name].runs.groupby("variant")["final_accuracy"].agg(["var", "count"]) for name in studies
    ]
    table = pd.concat(variances) if variances else pd.DataFrame({"var": [], "count": []})
    freedom = int((table["count"] - 1).sum())
    if not freedom or studies == [BASELINE]:
        return []
    finals = [torch.published.runs_of(name)["final_accuracy"].to_numpy() for name in studies if name != BASELINE]
    differences = np.concatenate([np.abs(values[1:] - values[0]) for values in finals])
    deviation = np.sqrt(np.nansum(table["var"] * (table["count"] - 1)) / freedom)
    usual = stats.t.ppf(1 - ALPHA / 2, freedom) * np.sqrt(2) * deviation
    text = (
        f"the standard deviation over seeds is {number(deviation)}, so two runs of one configuration differ by up to "
        f"{number(usual)} in 95 % of cases; {(differences <= usual).sum()} of the {len(differences)} published "
        f"differences are no larger (the largest is {number(max(differences))})."
    )
    setting = listed(name.replace("_", " ") for name in SINGLE_RUNS)
    return [{"setting": setting, "quantity": "final_accuracy", "evidence": text}]


def batch_mean(results: Results) -> list[dict]:
    """F13: how far the mean of batch accuracies is from the accuracy, by the sizes of the batches."""
    if not results.torch.comparable:
        return []
    images = results.params.data[results.torch.dataset].validation_images
    accuracy = results.torch.published.runs["final_accuracy"].mean()
    rows = []
    for training_batch in (64, 128, 256):
        batch = 2 * training_batch
        batches, last = -(-images // batch), images % batch or batch
        excess = 1 / batches - last / images  # how much too large the weight of the last batch is
        usual = 2 * excess * np.sqrt(accuracy * (1 - accuracy) * (1 / last + 1 / max(images - last, 1)))
        text = (
            f"the last of {batches} batches has {last} images of {batch}; at the mean published accuracy the error is "
            f"below {number(usual)} in 95 % of cases (two standard deviations)."
        )
        rows.append({"setting": f"batch size {training_batch}", "quantity": "final_accuracy", "evidence": text})
    return rows


EVIDENCE: dict[str, Callable[[Results], Sequence[dict]]] = {
    function.__name__: function for function in (underflow, selection, naming, spread, batch_mean)
}

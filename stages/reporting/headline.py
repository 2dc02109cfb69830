"""The headline's table: what was published, the same trained again, and the models of record."""

import pandas as pd

from stages.reporting.comparison import reproduction
from stages.reporting.comparison_torch import seeds_of
from stages.reporting.halves import PUBLISHED_ON, Inputs, NumpyHalf, TorchHalf
from stages.reporting.naming import DATA_SETS, as_run_name, record_title
from stages.reporting.record import Scores
from stages.reporting.tables import NOTHING, mean_and_sd, number

# The NumPy network that the published report settled on, and the accuracy that it states for it in words.
NUMPY_CHOICE = ("architecture", "8")
NUMPY_CLAIM = 0.85
# The PyTorch runs of the headline: the baseline in three phases, and the two final models.
TORCH_CHOICES = (("baseline", "staircase"), ("final", "0.1_then_0.01"), ("final", "0.01"))
# Accuracy and loss on the test images: the notebook has them of the baseline alone.
TORCH_TEST = {("baseline", "staircase"): (0.5194, 1.3511)}


def headline_table(inputs: Inputs) -> pd.DataFrame:
    """A row a network, ready to print."""
    records = {name: bold(scores_row(record_title(name), scores)) for name, scores in inputs.records.items()}
    rows = [*numpy_rows(inputs.numpy), records.pop("numpy")]
    if inputs.torch.comparable:
        rows += torch_rows(inputs.torch)
    rows.append(scores_row(f"{record_title('final')} in PyTorch, as reported", inputs.torch.final))
    return pd.DataFrame([*rows, *records.values()])


def row(network: str, dataset: str, *, validation: str = NOTHING, test: str = NOTHING, loss: str = NOTHING) -> dict:
    """A row of the table from ready-made cells."""
    return {
        "network": network,
        "data set": DATA_SETS[dataset],
        "validation accuracy": validation,
        "test accuracy": test,
        "test loss": loss,
    }


def bold(cells: dict) -> dict:
    """A row whose name and test accuracy stand out."""
    return {key: f"**{cell}**" if key in ("network", "test accuracy") else cell for key, cell in cells.items()}


def scores_row(network: str, scores: Scores) -> dict:
    """A model of this study."""
    metrics = scores.metrics
    return row(
        network,
        scores.dataset,
        validation=number(metrics.get("validation_accuracy")),
        test=number(metrics.get("test_accuracy")),
        loss=number(metrics.get("test_loss"), 3),
    )


def numpy_rows(half: NumpyHalf) -> list[dict]:
    """The published choice, its reproduction, and the highest of the published runs."""
    runs = half.published.runs
    study, variant = NUMPY_CHOICE
    choice = runs[(runs["study"] == study) & (runs["variant"] == variant)].iloc[0]
    best = runs.loc[runs["final_accuracy"].idxmax()]
    rows = [
        row(
            f"published: {run['study'].replace('_', ' ')} {run['variant']}, {why}",
            "fashion_mnist",
            test=number(run["final_accuracy"]),
            loss=number(run["final_loss"], 3),
        )
        for run, why in ((best, "the highest in NumPy"), (choice, "the report's choice in NumPy"))
    ]
    if again := reproduction(half.results.get(f"published_{study}"), variant):
        cells = {"test": number(again["accuracy"]), "loss": number(again["loss"], 3)}
        rows.append(row(f"reproduced: {study} {variant}", "fashion_mnist", **cells))
    return rows


def torch_rows(half: TorchHalf) -> list[dict]:
    """The published baseline and final models, each followed by the seeds of what its code ran."""
    rows = []
    for study, variant in TORCH_CHOICES:
        runs = half.published.runs_of(study)
        published = runs[runs["variant"] == variant].iloc[0]
        accuracy, loss = TORCH_TEST.get((study, variant), (None, None))
        name = f"{study} {variant.replace('_', ' ')}"
        cells = {"validation": number(published["final_accuracy"]), "test": number(accuracy), "loss": number(loss, 3)}
        rows.append(row(f"published: {name} in PyTorch", PUBLISHED_ON, **cells))
        ours = seeds_of(half.results.get(study), as_run_name(variant, published["as_run"] is not None))
        if len(ours):
            cells = {
                "validation": mean_and_sd(ours["final_accuracy"]),
                "test": mean_and_sd(ours["test_accuracy"]),
                "loss": mean_and_sd(ours["test_loss"], 3),
            }
            rows.append(row(f"as run, {len(ours)} seeds: {name}", PUBLISHED_ON, **cells))
    return rows

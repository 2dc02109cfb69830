"""Which of the 46 published runs are reproduced: one row per run, as published, as run here, and corrected.

A NumPy run is reproduced if the run here with the published seed ends near it: the published code has no other source
of randomness, but its images were in another order. A PyTorch run, whose random numbers cannot be repeated, is
reproduced if it lies in the range over our seeds, widened by a margin.
"""

from typing import Any

import numpy as np
import pandas as pd

from stages.training.fitting import GUESS_LOSS
from stages.verdicts.reading import AS_RUN, Framework
from stages.verdicts.statistics import of_mean

TOLERANCE = 0.012  # how far a NumPy run may end from the published accuracy
MARGIN = 0.03  # how far outside the range over our seeds a published PyTorch accuracy may lie
COLLAPSED_LOSS = GUESS_LOSS * np.log(10)  # above it, training on ten classes is stopped as diverged
YES, NO, NOT_RUN = "yes", "no", "not run"
# The columns of reproduction.csv; the table has more, for the report.
COLUMNS = (
    *("framework", "study", "variant", "split", "published_accuracy", "accuracy", "sd", "low", "high", "seeds"),
    *("corrected_accuracy", "corrected_sd", "corrected_low", "corrected_high", "corrected_seeds"),
    *("rule", "reproduced"),
)


def reproduction_table(*frameworks: Framework) -> pd.DataFrame:
    """All published runs; accuracies on the images that the published one is of, after the last epoch.

    Beyond `COLUMNS`: what else was published; `differs`, whether the code did not run what the report says; lowest,
    highest and mean figures over seeds; and the final figures of the first seed, which is the published one in NumPy.
    """
    return pd.DataFrame(
        [row(framework, run) for framework in frameworks for run in framework.published.runs.itertuples()]
    )


def row(framework: Framework, run: Any) -> dict:
    """One published run."""
    numpy, differs = framework.name == "NumPy", run.as_run is not None
    study = f"published_{run.study}" if numpy else run.study
    variant = f"{run.variant}{AS_RUN}" if differs else run.variant
    ours, corrected = framework.seeds_of(study, variant), framework.seeds_of(run.study, run.variant)
    none = {"seed": "–", "final_accuracy": np.nan, "final_loss": np.nan, "status": NOT_RUN}
    first = ours.iloc[0] if len(ours) else pd.Series(none)
    collapse = None
    if first["status"] == "diverged":
        collapse = collapse_epoch(framework.results[study].history_of(variant, first["seed"])) or first["epochs"]
    difference = round(first["final_accuracy"] - run.final_accuracy, 4)
    lowest, highest = ours["final_accuracy"].min(), ours["final_accuracy"].max()
    if numpy:
        rule, within = f"seed {first['seed']} within {TOLERANCE}", abs(difference) <= TOLERANCE
    else:
        rule, within = f"within {MARGIN} of the seeds' range", is_in_range(run.final_accuracy, lowest, highest)
    published = framework.published.curves(run.study).history_of(run.variant)
    return {
        "framework": framework.name,
        "study": run.study,
        "variant": run.variant,
        "split": framework.published.split,
        "published_accuracy": run.final_accuracy,
        **over_seeds(ours["final_accuracy"]),
        **over_seeds(corrected["test_accuracy" if numpy else "final_accuracy"], "corrected_"),
        "rule": rule,
        "reproduced": NOT_RUN if ours.empty else YES if within else NO,
        "published_loss": run.final_loss,
        "published_best": run.best_accuracy,
        "published_status": run.status,
        "published_collapse": collapse_epoch(published) if run.status == "diverged" else None,
        "differs": differs,
        "lowest": lowest,
        "highest": highest,
        "loss": ours["final_loss"].mean(),
        "difference": difference,
        "first_accuracy": first["final_accuracy"],
        "first_loss": first["final_loss"],
        "first_status": first["status"],
        "first_collapse": collapse,
    }


def over_seeds(values: pd.Series, prefix: str = "") -> dict[str, float]:
    """Mean, standard deviation and interval over seeds, each under a name that begins with `prefix`."""
    found = of_mean(values)
    deviation = float(np.std(values, ddof=1)) if found.seeds > 1 else np.nan
    figures = {"accuracy": found.value, "sd": deviation, "low": found.low, "high": found.high, "seeds": found.seeds}
    return {f"{prefix}{name}": value for name, value in figures.items()}


def is_in_range(accuracy: float, lowest: float, highest: float) -> bool:
    """Whether `accuracy` lies in the range or at most the margin from it, compared as decimals."""
    return round(lowest - MARGIN, 6) <= accuracy <= round(highest + MARGIN, 6)


def collapse_epoch(history: pd.DataFrame) -> int | None:
    """The first epoch from which the loss stays NaN or above `COLLAPSED_LOSS` until the end of the run."""
    epochs, loss = history["epoch"].to_numpy(), history["loss"].to_numpy()
    lost = ~(loss <= COLLAPSED_LOSS)  # true of NaN as well
    lasting = np.logical_and.accumulate(lost[::-1])[::-1]
    return int(epochs[lasting][0]) if lasting.any() else None


def counts(table: pd.DataFrame) -> dict[str, int]:
    """How many runs were published, were run here, and are reproduced."""
    return {
        "published": len(table),
        "run": int((table["reproduced"] != NOT_RUN).sum()),
        "reproduced": int((table["reproduced"] == YES).sum()),
    }

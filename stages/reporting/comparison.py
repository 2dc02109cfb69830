"""The 22 published runs of the NumPy network beside their reproductions, number by number."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.common.fitting import LOST_LOSS
from stages.reporting.published import Published
from stages.reporting.studies import Result
from stages.reporting.tables import NOTHING, number, signed

# The published code drew its images in another order, so digits differ; this is how near an accuracy has to come.
TOLERANCE = 0.012
# The loss beyond which training gives up a run of ten classes.
COLLAPSED_LOSS = LOST_LOSS * np.log(10)


@dataclass(frozen=True)
class Comparison:
    """`rows`: a row a published run, figures of both sides; the counts are those of the sentence above the table."""

    rows: pd.DataFrame
    published: int
    run: int
    within: int
    published_diverged: int
    both_diverged: int


def collapse_epoch(history: pd.DataFrame) -> int | None:
    """The first epoch of the stretch, up to the run's end, in which the loss is no number or beyond all training."""
    epochs, loss = history["epoch"].to_numpy(), history["loss"].to_numpy()
    lost = ~(loss <= COLLAPSED_LOSS)  # true of NaN as well
    lasting = np.logical_and.accumulate(lost[::-1])[::-1]
    return int(epochs[lasting][0]) if lasting.any() else None


def compare(published: Published, results: Mapping[str, Result]) -> Comparison:
    """Set each published run beside the run of the same name in study `published_<study>`, where there is one."""
    rows = []
    for run in published.runs.itertuples():
        ours = reproduction(results.get(f"published_{run.study}"), run.variant)
        difference = round(ours["accuracy"] - run.final_accuracy, 4) if ours else np.nan
        rows.append(
            {
                "study": run.study,
                "variant": run.variant,
                "published_accuracy": run.final_accuracy,
                "published_best": run.best_accuracy,
                "published_loss": run.final_loss,
                "published_status": run.status,
                "published_collapse": collapse_epoch(published.curves(run.study).history_of(run.variant))
                if run.status == "diverged"
                else None,
                "accuracy": ours.get("accuracy", np.nan),
                "loss": ours.get("loss", np.nan),
                "status": ours.get("status", "not run"),
                "collapse": ours.get("collapse"),
                "difference": difference,
                "within": bool(abs(difference) <= TOLERANCE),
            }
        )
    table = pd.DataFrame(rows)
    published_diverged = table["published_status"] == "diverged"
    return Comparison(
        rows=table,
        published=len(table),
        run=int((table["status"] != "not run").sum()),
        within=int(table["within"].sum()),
        published_diverged=int(published_diverged.sum()),
        both_diverged=int((published_diverged & (table["status"] == "diverged")).sum()),
    )


def reproduction(result: Result | None, variant: str) -> dict:
    """The figures of our run of a published configuration; empty where params.yaml doesn't list it."""
    if result is None or variant not in result.variants:
        return {}
    run = result.runs_of(variant).iloc[0]
    history = result.history_of(variant)
    history = history[history["seed"] == run["seed"]]
    diverged = run["status"] == "diverged"
    return {
        "accuracy": run["final_accuracy"],
        "loss": run["final_loss"],
        "status": run["status"],
        "collapse": (collapse_epoch(history) or int(run["epochs"])) if diverged else None,
    }


def comparison_table(comparison: Comparison) -> pd.DataFrame:
    """The comparison, ready to print."""

    def outcome(status: str, collapse: float | None) -> str:
        known = status == "diverged" and collapse is not None and np.isfinite(collapse)
        return f"diverged, epoch {collapse:.0f}" if known else status

    return pd.DataFrame(
        [
            {
                "study": row.study.replace("_", " "),
                "variant": row.variant,
                "published accuracy": number(row.published_accuracy),
                "reproduced accuracy": number(row.accuracy),
                "difference": signed(row.difference),
                f"within {TOLERANCE}": ("yes" if row.within else "no") if row.status != "not run" else NOTHING,
                "published best": number(row.published_best),
                "published loss": number(row.published_loss, 3),
                "reproduced loss": number(row.loss, 3),
                "published run": outcome(row.published_status, row.published_collapse),
                "reproduced run": outcome(row.status, row.collapse),
            }
            for row in comparison.rows.itertuples()
        ]
    )

"""The 24 published runs of the PyTorch networks beside what the seeds of the same trainings reach here."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.reporting.naming import as_run_name
from stages.reporting.published import Published
from stages.reporting.studies import Result
from stages.reporting.tables import NOTHING, number

# How far outside the range of our seeds a published accuracy may lie. It is one more draw, from another split of the
# images, and a few seeds seldom reach the ends of what is likely.
MARGIN = 0.03


@dataclass(frozen=True)
class TorchComparison:
    """`rows`: a row a published run, figures of both sides; the counts are those of the sentence above the table."""

    rows: pd.DataFrame
    published: int
    run: int
    within: int
    differently: int


def within_margin(accuracy: float, low: float, high: float) -> bool:
    """Whether `accuracy` lies in [low, high] or no further than the margin from it, as decimals are counted."""
    return round(low - MARGIN, 6) <= accuracy <= round(high + MARGIN, 6)


def compare_torch(published: Published, results: Mapping[str, Result]) -> TorchComparison:
    """Set each published run beside the seeds of what its code ran and, where that differs, of what was reported."""
    rows = []
    for run in published.runs.itertuples():
        differs = run.as_run is not None
        runs = seeds_of(results.get(run.study), as_run_name(run.variant, differs))
        accuracies, low, high = runs["final_accuracy"], runs["final_accuracy"].min(), runs["final_accuracy"].max()
        rows.append(
            {
                "study": run.study,
                "variant": run.variant,
                "differs": differs,
                "published_accuracy": run.final_accuracy,
                "published_loss": run.final_loss,
                "accuracy": accuracies.mean(),
                "low": low,
                "high": high,
                "seeds": len(runs),
                "within": len(runs) > 0 and within_margin(run.final_accuracy, low, high),
                "loss": runs["final_loss"].mean(),
                "reported_accuracy": seeds_of(results.get(run.study), run.variant)["final_accuracy"].mean(),
            }
        )
    table = pd.DataFrame(rows)
    return TorchComparison(
        rows=table,
        published=len(table),
        run=int((table["seeds"] > 0).sum()),
        within=int(table["within"].sum()),
        differently=int(table["differs"].sum()),
    )


def seeds_of(result: Result | None, variant: str) -> pd.DataFrame:
    """The runs of one variant; an empty table where params.yaml doesn't list it."""
    if result is None:
        figures = ("final_accuracy", "final_loss", "test_accuracy", "test_loss")
        return pd.DataFrame({"seed": [], **{figure: [] for figure in figures}}, dtype=float)
    return result.runs_of(variant)


def torch_comparison_table(comparison: TorchComparison) -> pd.DataFrame:
    """The comparison, ready to print."""
    return pd.DataFrame(
        [
            {
                "study": row.study.replace("_", " "),
                "variant": row.variant,
                "published accuracy": number(row.published_accuracy),
                "as run, mean": number(row.accuracy),
                "lowest": number(row.low),
                "highest": number(row.high),
                "seeds": str(row.seeds) if row.seeds else NOTHING,
                f"within {MARGIN}": ("yes" if row.within else "no") if row.seeds else NOTHING,
                "published loss": number(row.published_loss, 3),
                "as run, mean loss": number(row.loss, 3),
                "as reported, mean": number(row.reported_accuracy if row.differs else np.nan),
            }
            for row in comparison.rows.itertuples()
        ]
    )

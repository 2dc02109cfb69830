"""Which of the 46 published runs come back: a row a run, as published, as run here, and corrected, over seeds.

A NumPy run comes back if the run here with the published seed ends near it: the published code has no other source of
chance, but met its images in another order. A PyTorch run, whose chance can't be had again, comes back if it lies in
the range of our seeds, widened by a margin.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from stages.reporting.comparison import TOLERANCE, compare
from stages.reporting.comparison_torch import MARGIN, compare_torch, seeds_of
from stages.reporting.halves import NumpyHalf, TorchHalf
from stages.reporting.naming import as_run_name
from stages.reporting.statistics import of_mean
from stages.reporting.tables import NOTHING, interval, number

YES, NO, NOT_RUN = "yes", "no", "not run"


def reproduction_table(numpy: NumpyHalf, torch: TorchHalf) -> pd.DataFrame:
    """All published runs; accuracies on the images that the published one is of, after the last epoch."""
    return pd.DataFrame([*numpy_rows(numpy), *torch_rows(torch)])


def numpy_rows(half: NumpyHalf) -> list[dict]:
    """The network from scratch, on test images."""
    rows = []
    for run in compare(half.published, half.results).rows.itertuples():
        ours = seeds_of(half.results.get(f"published_{run.study}"), run.variant)
        corrected = seeds_of(half.results.get(run.study), run.variant)
        seed = ours["seed"].iloc[0] if len(ours) else "–"
        rows.append(
            row("NumPy", run, half.published.split)
            | summary(ours["final_accuracy"])
            | summary(corrected["test_accuracy"], "corrected_")
            | {"rule": f"seed {seed} within {TOLERANCE}", "comes_back": answer(len(ours), run.within)}
        )
    return rows


def torch_rows(half: TorchHalf) -> list[dict]:
    """The PyTorch networks, on validation images; not run where another data set is trained on."""
    results = half.results if half.comparable else {}
    rows = []
    for run in compare_torch(half.published, results).rows.itertuples():
        result = results.get(run.study)
        ours = seeds_of(result, as_run_name(run.variant, run.differs))
        rows.append(
            row("PyTorch", run, half.published.split)
            | summary(ours["final_accuracy"])
            | summary(seeds_of(result, run.variant)["final_accuracy"], "corrected_")
            | {"rule": f"within {MARGIN} of the seeds' range", "comes_back": answer(len(ours), run.within)}
        )
    return rows


def row(framework: str, run: Any, split: str) -> dict:
    """What was published."""
    return {
        "framework": framework,
        "study": run.study,
        "variant": run.variant,
        "split": split,
        "published_accuracy": run.published_accuracy,
    }


def summary(values: Sequence[float], prefix: str = "") -> dict[str, float]:
    """Mean, standard deviation and interval over seeds, each under a name that begins with `prefix`."""
    found = of_mean(values)
    deviation = float(np.std(values, ddof=1)) if found.seeds > 1 else np.nan
    return {
        f"{prefix}accuracy": found.value,
        f"{prefix}sd": deviation,
        f"{prefix}low": found.low,
        f"{prefix}high": found.high,
        f"{prefix}seeds": found.seeds,
    }


def answer(seeds: int, within: bool) -> str:
    """Whether a run comes back."""
    return NOT_RUN if not seeds else YES if within else NO


def counts(table: pd.DataFrame) -> dict[str, int]:
    """How many runs were published, were run here, and come back."""
    return {
        "published": len(table),
        "run": int((table["comes_back"] != NOT_RUN).sum()),
        "come_back": int((table["comes_back"] == YES).sum()),
    }


def printed(table: pd.DataFrame) -> pd.DataFrame:
    """The table, ready to print."""
    return pd.DataFrame(
        [
            {
                "network": run.framework,
                "study": run.study.replace("_", " "),
                "variant": run.variant,
                "published": number(run.published_accuracy),
                "as run": number(run.accuracy),
                "sd": number(run.sd),
                "95 % interval": interval(run.low, run.high),
                "seeds": run.seeds or NOTHING,
                "corrected": number(run.corrected_accuracy),
                "sd, corrected": number(run.corrected_sd),
                "95 % interval, corrected": interval(run.corrected_low, run.corrected_high),
                "seeds, corrected": run.corrected_seeds or NOTHING,
                "comes back": run.comes_back,
            }
            for run in table.itertuples()
        ]
    )

"""What every study leaves behind, whatever trained it: history.csv, runs.csv, metrics.json.

    history.csv   a row an epoch of each run: variant, seed, epoch, train_loss, <split>_loss, <split>_accuracy
    runs.csv      a row a run: status, epochs, best epoch, final and best figures on the split, test figures
    metrics.json  a few figures a variant: mean and standard deviation over seeds

`split` is what was scored after every epoch: `validation`, or `test` under the published protocol. No times: they
change from one machine to the next, and these files are compared byte by byte.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import ConfigDict

from stages.common.files import write_json, write_text
from stages.common.fitting import Fit

DIGITS = 6


@dataclass(frozen=True)
class Run:
    """One training: `history` has a row an epoch with epoch, train_loss, loss, accuracy (on `split`)."""

    # Of its JSON: what is not finite is a string, as strict JSON has no word for it.
    __pydantic_config__ = ConfigDict(ser_json_inf_nan="strings")

    variant: str
    seed: int
    status: str
    split: str
    best_epoch: int
    kept_epoch: int
    history: list[dict[str, float]]
    test_loss: float
    test_accuracy: float


def run_of(fit: Fit, *, variant: str, seed: int, split: str, test_loss: float, test_accuracy: float) -> Run:
    """The record of a training, from how it went and from the test figures of the parameters that it kept."""
    return Run(
        variant=variant,
        seed=seed,
        status=fit.status,
        split=split,
        best_epoch=fit.best_epoch,
        kept_epoch=fit.kept_epoch,
        history=fit.history,
        test_loss=test_loss,
        test_accuracy=test_accuracy,
    )


def history_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row an epoch of each run, in the order of the runs."""
    split = runs[0].split
    return pd.DataFrame(
        [
            {
                "variant": run.variant,
                "seed": run.seed,
                "epoch": row["epoch"],
                "train_loss": row["train_loss"],
                f"{split}_loss": row["loss"],
                f"{split}_accuracy": row["accuracy"],
            }
            for run in runs
            for row in run.history
        ]
    )


def runs_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a run. `best_accuracy` is the highest of any epoch, `best_epoch` the one with the lowest loss."""
    return pd.DataFrame(
        [
            {
                "variant": run.variant,
                "seed": run.seed,
                "status": run.status,
                "epochs": len(run.history),
                "best_epoch": run.best_epoch,
                "split": run.split,
                "final_loss": run.history[-1]["loss"],
                "final_accuracy": run.history[-1]["accuracy"],
                "best_loss": np.fmin.reduce([row["loss"] for row in run.history]),
                "best_accuracy": max(row["accuracy"] for row in run.history),
                "test_loss": run.test_loss,
                "test_accuracy": run.test_accuracy,
            }
            for run in runs
        ]
    )


def summary(table: pd.DataFrame) -> dict[str, dict[str, float | int]]:
    """Mean and, from two seeds on, standard deviation of the final accuracies of each variant of `runs_table`.

    A validation study is summed up by its validation figure: the test images choose nothing.
    """
    result = {}
    for variant, rows in table.groupby("variant", sort=False):
        accuracy = rows["final_accuracy"].to_numpy()
        figures = {f"{rows['split'].iloc[0]}_accuracy": round(float(np.mean(accuracy)), 4)}
        if len(accuracy) > 1:
            figures["std"] = round(float(np.std(accuracy, ddof=1)), 4)
        figures["diverged"] = int((rows["status"] == "diverged").sum())
        result[str(variant)] = figures
    return result


def csv(table: pd.DataFrame) -> str:
    """A table as CSV, six significant digits; what isn't finite is an empty cell, so that any reader can parse it."""
    floats = table.select_dtypes("float").columns
    finite = table.copy()
    finite[floats] = finite[floats].where(np.isfinite(finite[floats]))
    return finite.to_csv(index=False, float_format=f"%.{DIGITS}g", lineterminator="\n")


def write_study(folder: Path, runs: Sequence[Run]) -> None:
    """Write the three files of a study."""
    table = runs_table(runs)
    write_text(folder / "history.csv", csv(history_table(runs)))
    write_text(folder / "runs.csv", csv(table))
    write_json(folder / "metrics.json", summary(table))

"""The three files of a study, whatever trained it.

    history.csv   one row per epoch of each run: variant, seed, epoch, train_loss, <split>_loss, <split>_accuracy
    runs.csv      one row per run: status, epochs, best epoch, final and best figures on the split, test figures
    metrics.json  a few figures per variant: mean and standard deviation over seeds

`split` is what was scored after every epoch: `validation`, or `test` under the published protocol. The files hold no
times, as they are compared byte by byte.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages.training.files import write_csv, write_json
from stages.training.fitting import Fit


@dataclass(frozen=True)
class Run:
    """One training: `history` has one row per epoch: epoch, train_loss, loss, accuracy (on `split`)."""

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
    """The run of a fit; the test figures are those of the parameters that it kept."""
    return Run(variant=variant, seed=seed, split=split, test_loss=test_loss, test_accuracy=test_accuracy, **vars(fit))


def history_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per epoch of each run, in the order of the runs."""
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
    """One row per run; `best_epoch` is the one with the lowest loss."""
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

    They are the accuracies on the split: in a validation study, the test images select nothing.
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


def write_study(folder: Path, runs: Sequence[Run]) -> None:
    """Write the three files of a study."""
    table = runs_table(runs)
    write_csv(folder / "history.csv", history_table(runs))
    write_csv(folder / "runs.csv", table)
    write_json(folder / "metrics.json", summary(table))

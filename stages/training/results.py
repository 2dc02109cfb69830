"""The three files of a study, whatever trained it.

    history.csv   one row per epoch of each run: variant, seed, epoch, loss and accuracy on 5,000 training images
                  and on `split`
    runs.csv      one row per run: status, epochs, best epoch, final and best figures on the split, test figures
    metrics.json  a few figures per variant: mean and standard deviation over seeds

`split` is what was scored after every epoch: `validation`, or `test` under the published protocol. The files hold no
times, as they are compared byte by byte.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages.training.files import write_csv, write_json
from stages.training.fitting import Fit


@dataclass(frozen=True)
class Run:
    """One training: `history` has one row per epoch: epoch, train_loss, train_accuracy, loss, accuracy (on `split`)."""

    status: str
    split: str
    best_epoch: int
    kept_epoch: int
    history: list[dict[str, float]]
    test_loss: float
    test_accuracy: float


Runs = Mapping[tuple[str, int], Run]  # by variant and seed


def run_of(fit: Fit, *, split: str, test_loss: float, test_accuracy: float) -> Run:
    """The run of a fit; the test figures are those of the parameters that it kept."""
    return Run(split=split, test_loss=test_loss, test_accuracy=test_accuracy, **vars(fit))


def epochs_table(history: list[dict[str, float]], split: str) -> pd.DataFrame:
    """One row per epoch: epoch, train_loss, train_accuracy, <split>_loss, <split>_accuracy."""
    return pd.DataFrame(history).rename(columns={name: f"{split}_{name}" for name in ("loss", "accuracy")})


def history_table(runs: Runs) -> pd.DataFrame:
    """One row per epoch of each run, in the order of the runs."""
    return pd.concat(
        [
            epochs_table(run.history, run.split).assign(variant=variant, seed=seed).set_index(["variant", "seed"])
            for (variant, seed), run in runs.items()
        ]
    ).reset_index()


def runs_table(runs: Runs) -> pd.DataFrame:
    """One row per run; `best_epoch` is the one with the lowest loss."""
    return pd.DataFrame(
        [
            {
                "variant": variant,
                "seed": seed,
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
            for (variant, seed), run in runs.items()
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


def write_study(folder: Path, runs: Runs) -> None:
    """Write the three files of a study."""
    table = runs_table(runs)
    write_csv(folder / "history.csv", history_table(runs))
    write_csv(folder / "runs.csv", table)
    write_json(folder / "metrics.json", summary(table))

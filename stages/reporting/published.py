"""The published numbers of the NumPy network: 22 runs, every epoch that was printed."""

from pathlib import Path

import pandas as pd

from stages.reporting.inputs import damaged, read_record, read_table

# A published run that ended at the accuracy of guessing one of ten classes had diverged.
CHANCE = 0.1


def read_published_history(path: Path) -> pd.DataFrame:
    """The NumPy runs' epochs: study, variant, epoch, accuracy, loss (on the test images)."""
    table = read_table(path, ("framework", "study", "variant", "epoch", "accuracy", "loss"), text=("variant",))
    return table[table["framework"] == "numpy"].reset_index(drop=True)


def read_published_runs(path: Path) -> pd.DataFrame:
    """The NumPy runs: study, variant, final_accuracy, final_loss, best_accuracy, status (ok or diverged)."""
    try:
        runs = [run for run in read_record(path)["runs"] if run["framework"] == "numpy"]
        columns = ["study", "variant", "final_accuracy", "final_loss", "best_accuracy"]
        table = pd.DataFrame([{name: run[name] for name in columns} for run in runs])
    except (KeyError, TypeError) as error:
        raise damaged(path) from error
    table["variant"] = table["variant"].astype(str)
    table["status"] = ["diverged" if accuracy <= CHANCE else "ok" for accuracy in table["final_accuracy"]]
    return table

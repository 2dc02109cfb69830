"""The published numbers of one framework: what was printed, and what the code did otherwise than reported."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.reporting.inputs import damaged, read_record, read_table
from stages.reporting.studies import Curves

# A published run that ended at the accuracy of guessing one of ten classes had diverged.
CHANCE = 0.1


@dataclass(frozen=True)
class Published:
    """`history`: study, variant, epoch, accuracy, loss on `split`, from the first epoch of training on.

    `runs`: study, variant, final_accuracy, final_loss, best_accuracy, status (ok or diverged), and `as_run`: the
    settings that the code took otherwise than reported, None where there are none.
    """

    split: str
    history: pd.DataFrame
    runs: pd.DataFrame

    def runs_of(self, study: str) -> pd.DataFrame:
        """The runs of one study."""
        return self.runs[self.runs["study"] == study]

    def curves(self, study: str) -> Curves:
        """One study as if it were ours: one seed, nothing given up (the published code trained on)."""
        history = self.history[self.history["study"] == study].assign(seed=0)
        runs = self.runs_of(study).assign(seed=0, status="ok")
        if self.split == "test":
            runs["test_accuracy"] = runs["final_accuracy"]
        return Curves(self.split, history, runs)


def read_published(history: Path, runs: Path, framework: str) -> Published:
    """Read the two files of published numbers; `framework` is numpy or torch."""
    epochs = read_table(history, ("framework", "study", "variant", "epoch", "accuracy", "loss"), text=("variant",))
    # Epoch 0 was printed before training; no run of ours has one.
    epochs = epochs[(epochs["framework"] == framework) & (epochs["epoch"] > 0)].reset_index(drop=True)
    columns = ["study", "variant", "final_accuracy", "final_loss", "best_accuracy"]
    try:
        listed = [run for run in read_record(runs)["runs"] if run["framework"] == framework]
        (split,) = {run["split"] for run in listed}
        table = pd.DataFrame([{name: run[name] for name in columns} for run in listed])
        table["as_run"] = pd.Series([run.get("as_run") for run in listed], dtype=object)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(runs) from error
    table["variant"] = table["variant"].astype(str)
    table["status"] = ["diverged" if accuracy <= CHANCE else "ok" for accuracy in table["final_accuracy"]]
    return Published(split, epochs, table)

"""A study's result files as tables, and what a table or a figure takes from them: means and ranges over seeds."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.common.errors import StudyError
from stages.common.params import Study
from stages.reporting.inputs import MAKE, read_table
from stages.reporting.tables import mean_and_sd

RUNS = ("variant", "seed", "status", "epochs", "split", "final_loss", "final_accuracy", "best_accuracy")


@dataclass(frozen=True)
class Result:
    """A study of params.yaml with its results.

    `history`: variant, seed, epoch, train_loss, loss, accuracy, the last two on `split`; `runs`: a row a run.
    """

    name: str
    study: Study
    split: str
    history: pd.DataFrame
    runs: pd.DataFrame

    @property
    def variants(self) -> list[str]:
        """The variants' names, in the order of params.yaml."""
        return [variant.name for variant in self.study.variants]

    @property
    def diverged(self) -> pd.DataFrame:
        """The runs that were given up."""
        return self.runs[self.runs["status"] == "diverged"]

    def runs_of(self, variant: str) -> pd.DataFrame:
        """One variant's runs, a row a seed."""
        return self.runs[self.runs["variant"] == variant]

    def history_of(self, variant: str) -> pd.DataFrame:
        """One variant's epochs, of all seeds."""
        return self.history[self.history["variant"] == variant]


def read_result(folder: Path, name: str, study: Study) -> Result:
    """Read history.csv and runs.csv of `folder`, which must hold the very runs that params.yaml asks for."""
    runs = read_table(folder / "runs.csv", (*RUNS, "test_loss", "test_accuracy"), text=("variant", "status", "split"))
    wanted = [(variant.name, seed) for variant in study.variants for seed in study.seeds]
    if sorted(zip(runs["variant"], runs["seed"], strict=True)) != sorted(wanted):
        raise StudyError(f"{folder / 'runs.csv'} doesn't hold the runs of params.yaml's tune.{name}; {MAKE}")
    split = runs["split"].iloc[0]
    scored = {f"{split}_loss": "loss", f"{split}_accuracy": "accuracy"}
    history = read_table(
        folder / "history.csv", ("variant", "seed", "epoch", "train_loss", *scored), text=("variant",)
    ).rename(columns=scored)
    return Result(name, study, split, history, runs)


def curve(history: pd.DataFrame, figure: str) -> pd.DataFrame:
    """By epoch: mean, low and high of `figure` over the seeds of `history`, one variant's epochs."""
    by_epoch = history.groupby("epoch")[figure].agg(["mean", "min", "max"]).dropna()
    return by_epoch.rename(columns={"min": "low", "max": "high"}).reset_index()


def spread(result: Result, column: str) -> pd.DataFrame:
    """A row a variant, in the order of params.yaml: variant, and mean, low and high of a column of runs.csv."""
    grouped = result.runs.groupby("variant", sort=False)[column].agg(["mean", "min", "max"])
    return grouped.rename(columns={"min": "low", "max": "high"}).loc[result.variants].reset_index()


def summary_table(result: Result) -> pd.DataFrame:
    """A row a variant: figures over seeds, ready to print. A diverged run counts with what it ended on."""
    rows = []
    for variant in result.variants:
        runs = result.runs_of(variant)
        row = {"variant": variant, f"{result.split} accuracy": mean_and_sd(runs["final_accuracy"])}
        row[f"{result.split} loss"] = mean_and_sd(runs["final_loss"], 3)
        if result.split != "test":
            row["test accuracy"] = mean_and_sd(runs["test_accuracy"])
        row["diverged"] = f"{(runs['status'] == 'diverged').sum()} of {len(runs)}"
        rows.append(row)
    return pd.DataFrame(rows)

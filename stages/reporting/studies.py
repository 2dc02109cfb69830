"""A study's result files as tables, and what a table or a figure takes from them: means and ranges over seeds."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.common.errors import StudyError
from stages.common.params import Study, Variant
from stages.common.sharing import shared_variants
from stages.reporting.inputs import MAKE, read_table
from stages.reporting.tables import mean_and_sd

RUNS = ("variant", "seed", "status", "epochs", "split", "final_loss", "final_accuracy", "best_accuracy")


@dataclass(frozen=True)
class Curves:
    """Runs as tables.

    `history`: variant, seed, epoch, train_loss, loss, accuracy, the last two on `split`; `runs`: a row a run.
    """

    split: str
    history: pd.DataFrame
    runs: pd.DataFrame

    @property
    def variants(self) -> list[str]:
        """The variants' names, in the order of the runs."""
        return list(dict.fromkeys(self.runs["variant"]))

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

    def select(self, names: Mapping[str, str]) -> "Curves":
        """Some variants under other names: `names` maps each new name to the present one; the order is its own."""

        def chosen(table: pd.DataFrame) -> pd.DataFrame:
            parts = [table[table["variant"] == old].assign(variant=new) for new, old in names.items()]
            return pd.concat(parts, ignore_index=True) if parts else table.iloc[:0]

        return Curves(self.split, chosen(self.history), chosen(self.runs))


@dataclass(frozen=True)
class Result(Curves):
    """A study of params.yaml with its results. `shared`: those of its variants that another study trained."""

    name: str
    study: Study
    shared: tuple[str, ...] = ()

    @property
    def variants(self) -> list[str]:
        """The variants' names, in the order of params.yaml."""
        return [variant.name for variant in self.study.variants]

    @property
    def seeds_pair(self) -> bool:
        """Whether equal seeds mean equal random numbers in all variants: so it is with the published code's generator,

        under whose protocol the test images are scored; elsewhere every run has generators of its own.
        """
        return self.split == "test"

    @property
    def seeds(self) -> list[list[int]]:
        """The seeds that the variants were trained with: one list, or several where they differ."""
        lists = [sorted(self.runs_of(variant)["seed"]) for variant in self.variants]
        return [list(seeds) for seeds in dict.fromkeys(map(tuple, lists))]


def read_result(root: Path, section: str, name: str, study: Study, shared: Collection[str] = ()) -> Result:
    """Read history.csv and runs.csv of `root`/`section`/`name`, a study of params.yaml's `section`.

    They must hold the very runs that params.yaml asks for, less the variants in `shared`, which are trained elsewhere.
    """
    folder = root / section / name
    runs = read_table(folder / "runs.csv", (*RUNS, "test_loss", "test_accuracy"), text=("variant", "status", "split"))
    wanted = [pair for pair in as_pairs(study.tasks) if pair[0] not in shared]
    if sorted(zip(runs["variant"], runs["seed"], strict=True)) != sorted(wanted):
        raise StudyError(f"{folder / 'runs.csv'} doesn't hold the runs of params.yaml's {section}.{name}; {MAKE}")
    split = runs["split"].iloc[0]
    scored = {f"{split}_loss": "loss", f"{split}_accuracy": "accuracy"}
    history = read_table(
        folder / "history.csv", ("variant", "seed", "epoch", "train_loss", *scored), text=("variant",)
    ).rename(columns=scored)
    return Result(split, history, with_ends(runs, history), name, study)


def with_ends(runs: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """Runs with the figures that their history ends on: tables, curves and verdicts then speak of the same numbers."""
    epochs = history.groupby(["variant", "seed"], sort=False)
    ends = epochs.tail(1).set_index(["variant", "seed"])
    figures = pd.DataFrame(
        {"final_loss": ends["loss"], "final_accuracy": ends["accuracy"], "best_accuracy": epochs["accuracy"].max()}
    )
    return runs.drop(columns=list(figures)).merge(figures.reset_index(), on=["variant", "seed"], how="left")


def read_sharing(root: Path, section: str, studies: Mapping[str, Study]) -> dict[str, Result]:
    """Read the studies of a section; what one shares with another is taken from there."""
    shared = {name: shared_variants(studies, name) for name in studies}
    own = {name: read_result(root, section, name, study, shared[name]) for name, study in studies.items()}
    return {name: with_shared(result, own.get(result.study.shares), shared[name]) for name, result in own.items()}


def with_shared(result: Result, other: Result | None, shared: Mapping[str, str]) -> Result:
    """A study with what the `other` trained for it: `shared` maps variants' names here to their names there."""
    if not shared or other is None:
        return result
    taken, wanted = other.select(shared), set(as_pairs(result.study.tasks))
    history, runs = (
        pd.concat([own, more[[pair in wanted for pair in zip(more["variant"], more["seed"], strict=True)]]])
        for own, more in ((result.history, taken.history), (result.runs, taken.runs))
    )
    return Result(
        result.split,
        history.reset_index(drop=True),
        runs.reset_index(drop=True),
        result.name,
        result.study,
        tuple(shared),
    )


def as_pairs(tasks: Collection[tuple[Variant, int]]) -> list[tuple[str, int]]:
    """The names of variants with their seeds: as a study's files tell runs apart."""
    return [(variant.name, seed) for variant, seed in tasks]


def curve(history: pd.DataFrame, figure: str) -> pd.DataFrame:
    """By epoch: mean, low and high of `figure` over the seeds of `history`, one variant's epochs."""
    by_epoch = history.groupby("epoch")[figure].agg(["mean", "min", "max"]).dropna()
    return by_epoch.rename(columns={"min": "low", "max": "high"}).reset_index()


def spread(curves: Curves, column: str) -> pd.DataFrame:
    """A row a variant, in their order: variant, and mean, low and high of a column of runs.csv."""
    grouped = curves.runs.groupby("variant", sort=False)[column].agg(["mean", "min", "max"])
    return grouped.rename(columns={"min": "low", "max": "high"}).loc[curves.variants].reset_index()


def diverged_count(runs: pd.DataFrame) -> str:
    """How many of some runs were given up: `1 of 3`."""
    return f"{(runs['status'] == 'diverged').sum()} of {len(runs)}"


def summary_table(result: Result) -> pd.DataFrame:
    """A row a variant: figures over seeds, ready to print. A diverged run counts with what it ended on."""
    rows = []
    for variant in result.variants:
        runs = result.runs_of(variant)
        row = {"variant": variant, f"{result.split} accuracy": mean_and_sd(runs["final_accuracy"])}
        row[f"{result.split} loss"] = mean_and_sd(runs["final_loss"], 3)
        if result.split != "test":
            row["test accuracy"] = mean_and_sd(runs["test_accuracy"])
        row["diverged"] = diverged_count(runs)
        rows.append(row)
    return pd.DataFrame(rows)

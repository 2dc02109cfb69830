"""The results that verdicts and the report start from, read and checked: studies, published numbers, final models.

A missing or damaged file gives a one-line error that names it and says which command creates it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from stages.errors import StudyError
from stages.params import CnnTraining, MlpTraining, NumpyTraining, Params, Study, read_yaml
from stages.training.files import read_json
from stages.verdicts.quantities import Curve

Training = NumpyTraining | MlpTraining | CnnTraining
MAKE = "run `dvc repro`"
AS_RUN = "_as_run"  # ends the name of a variant that does what the published code did, not what the report says
BASELINE = "baseline"  # the PyTorch study that the others vary
GUESS = 0.1  # the accuracy of guessing one of ten classes: a published run that ended there had diverged
DATA_SETS = {"fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}  # of others, the name in params.yaml
PUBLISHED_ON = {"NumPy": "fashion_mnist", "PyTorch": "cifar10"}  # the data sets of the published numbers


@dataclass(frozen=True)
class Curves:
    """Runs as tables.

    `history`: variant, seed, epoch, train_loss, train_accuracy, loss, accuracy, the last two on `split`; `runs`: one
    row per run.
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
        """The runs that were stopped as diverged."""
        return self.runs[self.runs["status"] == "diverged"]

    def runs_of(self, variant: str) -> pd.DataFrame:
        """One variant's runs, one row per seed."""
        return self.runs[self.runs["variant"] == variant]

    def history_of(self, variant: str) -> pd.DataFrame:
        """One variant's epochs, of all seeds."""
        return self.history[self.history["variant"] == variant]

    def select(self, names: Mapping[str, str]) -> "Curves":
        """Some variants under other names: `names` maps each new name, in order, to the present one."""

        def chosen(table: pd.DataFrame) -> pd.DataFrame:
            parts = [table[table["variant"] == old].assign(variant=new) for new, old in names.items()]
            return pd.concat(parts, ignore_index=True) if parts else table.iloc[:0]

        return Curves(self.split, chosen(self.history), chosen(self.runs))


@dataclass(frozen=True)
class StudyResult(Curves):
    """A study of params.yaml with its results."""

    name: str
    study: Study

    @property
    def variants(self) -> list[str]:
        """The variants' names, in the order of params.yaml."""
        return [variant.name for variant in self.study.variants]

    @property
    def trainings(self) -> dict[str, Training]:
        """The settings of each variant."""
        return self.study.trainings

    @property
    def seeds(self) -> list[int]:
        """The seeds, in the order of the looks."""
        return self.study.seeds

    @cached_property
    def curves(self) -> dict[str, dict[int, Curve]]:
        """Every run, by variant and seed."""
        collapsed = set(self.diverged[["variant", "seed"]].itertuples(index=False, name=None))
        found: dict[str, dict[int, Curve]] = {name: {} for name in self.variants}
        for (variant, seed), run in self.history.groupby(["variant", "seed"], sort=False):
            arrays = (run[name].to_numpy() for name in ("train_accuracy", "loss", "accuracy"))
            found[variant][seed] = Curve(*arrays, (variant, seed) in collapsed)
        return found


@dataclass(frozen=True)
class Published:
    """The published numbers of one framework.

    `history`: study, variant, epoch, accuracy, loss on `split`, from the first epoch of training on. `runs`: study,
    variant, final_accuracy, final_loss, best_accuracy, status (ok or diverged), and `as_run`: the settings in which the
    code differs from the report, None where there are none.
    """

    split: str
    history: pd.DataFrame
    runs: pd.DataFrame

    def runs_of(self, study: str) -> pd.DataFrame:
        """The runs of one study."""
        return self.runs[self.runs["study"] == study]

    def curves(self, study: str) -> Curves:
        """One study as `Curves`: one seed, none diverged (the published code never stopped early)."""
        history = self.history[self.history["study"] == study].assign(seed=0)
        return Curves(self.split, history, self.runs_of(study).assign(seed=0, status="ok"))


@dataclass(frozen=True)
class Framework:
    """One half of the study: NumPy or PyTorch, the data set of its studies, its published numbers and its results."""

    name: str
    dataset: str
    published: Published
    results: Mapping[str, StudyResult]

    @property
    def comparable(self) -> bool:
        """Whether the published numbers are of the data set that was trained on here."""
        return self.dataset == PUBLISHED_ON[self.name]

    def seeds_of(self, study: str, variant: str) -> pd.DataFrame:
        """The runs of one variant; an empty table where there are none, or nothing is comparable."""
        if self.comparable and study in self.results:
            return self.results[study].runs_of(variant)
        figures = ("seed", "final_accuracy", "final_loss", "test_accuracy", "test_loss")
        return pd.DataFrame(dict.fromkeys(figures, ()), dtype=float)


@dataclass(frozen=True)
class ModelResult:
    """A final model, trained on `dataset`. `history`: epoch, train_loss, loss, accuracy, the last two on `split`.

    Of the test images, `confusion` has counts, row = true class; `classes`: class, precision, recall, f1, support;
    `calibration`: low, high, count, confidence, accuracy of each bin; `errors`: index, label, predicted, confidence of
    the most confident ones.
    """

    dataset: str
    split: str
    metrics: dict[str, float]
    history: pd.DataFrame
    confusion: pd.DataFrame
    classes: pd.DataFrame
    calibration: pd.DataFrame
    errors: pd.DataFrame


@dataclass(frozen=True)
class Results:
    """All results. `data`: the facts of each data set; `published`: the report's final model, trained here; `models`:
    our final models by name; `repeats`: all final models by name, trained again with other seeds.
    """

    params: Params
    data: dict[str, dict[str, Any]]
    numpy: Framework
    torch: Framework
    published: ModelResult
    models: dict[str, ModelResult]
    repeats: dict[str, StudyResult]


def read_results(params: Params, reports: Path, published: Path) -> Results:
    """Read what the stages wrote to `reports`, and the numbers in `published`. The studies are those of params.yaml."""
    models = {"numpy": read_model(reports / "train_numpy", params.numpy_dataset, params.train_numpy)}
    for name in ("published", "mlp", "cnn_small", "cnn_large"):
        model = params.train_torch[name]
        models[name] = read_model(reports / "train_torch" / name, model.dataset, model.training)
    used = [params.numpy_dataset, params.torch_dataset, *(model.dataset for model in models.values())]
    data_sets = list(dict.fromkeys(used))
    facts = ("edition", "image_shape", "images")
    numbers = read_published(published)
    tune = read_studies(reports / "tune", params.tune)
    ablations = read_studies(reports / "ablations", params.ablations)
    return Results(
        params=params,
        data={name: read_record(reports / "data" / f"{name}.json", facts) for name in data_sets},
        numpy=Framework("NumPy", params.numpy_dataset, numbers["numpy"], tune),
        torch=Framework("PyTorch", params.torch_dataset, numbers["torch"], ablations),
        published=models.pop("published"),
        models=models,
        repeats=read_studies(reports / "repeats", params.repeats),
    )


def data_set_name(name: str) -> str:
    """What a data set of params.yaml is called."""
    return DATA_SETS.get(name, name)


def read_studies(folder: Path, studies: Mapping[str, Study]) -> dict[str, StudyResult]:
    """Read the studies of a section of params.yaml."""
    return {name: read_study(folder / name, study) for name, study in studies.items()}


def read_study(folder: Path, study: Study) -> StudyResult:
    """Read history.csv and runs.csv, which must hold the runs of the study."""
    columns = ("variant", "seed", "status", "epochs", "split", "test_loss", "test_accuracy")
    runs = read_table(folder / "runs.csv", columns, text=("variant", "status", "split"))
    wanted = [(variant.name, seed) for variant in study.variants for seed in study.seeds]
    if sorted(zip(runs["variant"], runs["seed"], strict=True)) != sorted(wanted):
        raise StudyError(
            f"{folder}/runs.csv doesn't hold the runs of params.yaml's {folder.parent.name}.{folder.name}; {MAKE}"
        )
    split = runs["split"].iloc[0]
    history = read_history(folder / "history.csv", split, ("variant", "seed", "train_accuracy"))
    # Final and best figures are taken from the history, so that tables, curves and verdicts have the same numbers.
    figures = history.groupby(["variant", "seed"], sort=False).agg(
        final_loss=("loss", lambda loss: loss.iloc[-1]),
        final_accuracy=("accuracy", lambda accuracy: accuracy.iloc[-1]),
        best_accuracy=("accuracy", "max"),
    )
    runs = runs.drop(columns=list(figures), errors="ignore").merge(figures.reset_index(), how="left")
    return StudyResult(split, history, runs, folder.name, study)


def read_published(folder: Path) -> dict[str, Published]:
    """The published numbers of each framework, numpy and torch, from the two files in `folder`."""
    columns = ["framework", "study", "variant"]
    epochs = read_table(folder / "published_history.csv", (*columns, "epoch", "accuracy", "loss"), text=("variant",))
    epochs = epochs[epochs["epoch"] > 0]  # epoch 0 was printed before training; our runs have none
    figures = ["final_accuracy", "final_loss", "best_accuracy"]

    def read(path: Path) -> pd.DataFrame:
        entries = read_yaml(path)["runs"]
        table = pd.DataFrame(entries)[[*columns, "split", *figures]]
        table["as_run"] = pd.Series([run.get("as_run") for run in entries], dtype=object)
        table["status"] = ["diverged" if accuracy <= GUESS else "ok" for accuracy in table["final_accuracy"]]
        return table

    runs = read_file(folder / "published_runs.yaml", read)
    return {
        name: Published(
            own["split"].iloc[0],
            epochs[epochs["framework"] == name].reset_index(drop=True),
            own.drop(columns="split").reset_index(drop=True),
        )
        for name, own in runs.groupby("framework")
    }


def read_model(folder: Path, dataset: str, training: Training) -> ModelResult:
    """Read the results of a final model."""
    split = "validation" if training.protocol == "validation" else "test"
    pairs = read_table(folder / "confusion.csv", ("label", "predicted", "count"), text=("label", "predicted"))
    order = list(dict.fromkeys(pairs["label"]))
    return ModelResult(
        dataset=dataset,
        split=split,
        metrics=read_record(folder / "metrics.json"),
        history=read_history(folder / "history.csv", split),
        confusion=pairs.pivot(index="label", columns="predicted", values="count").loc[order, order],
        classes=read_table(folder / "classes.csv", ("class", "precision", "recall", "f1", "support")),
        calibration=read_table(folder / "calibration.csv", ("low", "high", "count", "confidence", "accuracy")),
        errors=read_table(folder / "errors.csv", ("index", "label", "predicted", "confidence"), empty=True),
    )


def read_history(path: Path, split: str, columns: Sequence[str] = ()) -> pd.DataFrame:
    """A history, with the loss and accuracy on `split` under the names loss and accuracy."""
    scored = {f"{split}_loss": "loss", f"{split}_accuracy": "accuracy"}
    table = read_table(path, (*columns, "epoch", "train_loss", *scored), text=("variant",))
    return table.rename(columns=scored)


def read_table(path: Path, columns: Sequence[str], text: Sequence[str] = (), *, empty: bool = False) -> pd.DataFrame:
    """A CSV file that must have `columns` and, unless it may be `empty`, rows.

    Columns in `text` stay strings ("0.10", "none"); empty cells become NaN.
    """
    types = dict.fromkeys(text, str)
    table = read_file(path, lambda path: pd.read_csv(path, dtype=types, keep_default_na=False, na_values=[""]))
    if absent := [column for column in columns if column not in table.columns]:
        raise StudyError(f"{path} has no column {absent[0]}; {MAKE}")
    if table.empty and not empty:
        raise StudyError(f"{path} has no rows; {MAKE}")
    return table


def read_record(path: Path, keys: Sequence[str] = ()) -> dict[str, Any]:
    """A JSON object that must have `keys`."""
    record = read_file(path, read_json)
    if not isinstance(record, dict) or not set(keys) <= set(record):
        raise StudyError(f"{path} cannot be read; {MAKE}")
    return record


def read_file(path: Path, read: Callable[[Path], Any]) -> Any:
    """The content of a file, by `read`."""
    try:
        return read(path)
    except StudyError as error:
        raise StudyError(f"{path}: {error}") from error
    except FileNotFoundError as error:
        raise StudyError(f"{path} is missing; {MAKE}") from error
    except (MemoryError, PermissionError):
        raise
    except Exception as error:  # each format has its own errors
        raise StudyError(f"{path} cannot be read; {MAKE}") from error

"""The test images teach nothing and choose nothing: they are read to score a network that is finished, and no other.

Under the published protocol alone they are scored after every epoch too, as the published code did; nothing is chosen
there.
"""

import ast
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from stages import report
from stages.common.datasets import read_split, read_test
from stages.common.errors import StudyError
from stages.common.runs import runs_table, summary
from stages.reporting import claims
from stages.reporting.reproduction import reproduction_table
from stages.reporting.selection import best_variant, selection_table, tried_as
from tests.small_runs import EVERYTHING, KINDS, arrays, configured, train, write

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parent.parent
STAGES = ROOT / "stages"


@pytest.fixture(autouse=True)
def on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_DEVICE", "cpu")


# By running


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("patience", [None, 2])
def test_without_test_images_a_network_is_fitted_and_only_its_scoring_fails(kind, patience, tmp_path):
    whole, part = arrays(), arrays()
    del part["test_images"], part["test_labels"]
    usual = train(kind, write(tmp_path / "whole.npz", whole), patience=patience)
    rows = []
    with pytest.raises(StudyError, match=r"part\.npz is damaged or not a prepared data set"):
        train(kind, write(tmp_path / "part.npz", part), rows.append, patience=patience)
    assert rows == usual.run.history


@pytest.mark.parametrize("kind", KINDS)
def test_other_test_images_give_the_same_weights_and_history_and_other_test_figures(kind, tmp_path):
    """With all that draws random numbers, and with early stopping."""
    content = arrays()
    other = {**content, "test_images": 255 - content["test_images"], "test_labels": content["test_labels"][::-1]}
    first, second = (
        train(kind, write(tmp_path / f"{number}.npz", each), **EVERYTHING[kind])
        for number, each in enumerate((content, other))
    )
    assert first.run.history == second.run.history
    assert first.weights == second.weights
    kept = ("status", "best_epoch", "kept_epoch", "split")
    assert [getattr(first.run, name) for name in kept] == [getattr(second.run, name) for name in kept]
    assert first.run.test_loss != second.run.test_loss


def test_under_the_published_protocol_the_test_images_are_scored_and_teach_nothing(tmp_path):
    content = arrays()
    other = {**content, "test_images": 255 - content["test_images"]}
    first, second = (
        train("numpy", write(tmp_path / f"{number}.npz", each), protocol="published", objective="published")
        for number, each in enumerate((content, other))
    )
    assert first.weights == second.weights
    assert [row["train_loss"] for row in first.run.history] == [row["train_loss"] for row in second.run.history]
    assert [row["loss"] for row in first.run.history] != [row["loss"] for row in second.run.history]
    assert first.run.split == "test"


def test_the_published_protocol_cannot_choose_an_epoch():
    with pytest.raises(ValidationError, match="the published protocol scores the test images after every epoch"):
        configured("numpy", protocol="published", objective="published", patience=3)


# By reading the code


def functions(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The functions of a module, by name; what stands outside of any counts as one called <module>."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from functions(node)
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            yield "<module>", node


def strings_in(node: ast.AST) -> set[str]:
    """All strings of a piece of code."""
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def names_in(node: ast.AST) -> set[str]:
    """All that a piece of code names: variables, attributes, imports, and strings, by which getattr would."""
    fields = {ast.Name: "id", ast.Attribute: "attr", ast.alias: "name", ast.ImportFrom: "module"}
    named = {getattr(each, fields[type(each)]) for each in ast.walk(node) if type(each) in fields}
    return named | strings_in(node)


def users(*names: str, by: Callable[[ast.AST], set[str]] = names_in) -> set[str]:
    """The functions in stages/ that name one of `names`, as `folder/module.py: function`."""
    return {
        f"{path.relative_to(STAGES).as_posix()}: {function}"
        for path in STAGES.rglob("*.py")
        for function, node in functions(ast.parse(path.read_text(encoding="utf-8")))
        if by(node) & set(names)
    }


def test_the_test_images_have_one_reader_and_only_scoring_calls_it():
    assert users("read_test") == {
        "common/numpy_run.py: scoring_images_and_labels",
        "common/torch_run.py: scoring_images_and_labels",
        "common/torch_record.py: train_record",  # the labels, beside the predictions of the network as it is kept
        "train_numpy.py: main",  # the same
        "reporting/record.py: read_model",  # pictures of mistakes
    }
    assert users("scoring_images_and_labels") == {
        "common/numpy_run.py: train_run",
        "common/torch_run.py: train_run",
        "train_numpy.py: fit",
    }


def test_nothing_else_names_the_arrays_of_the_test_images():
    assert users("test_images", "test_labels", "test_images.npy", "test_labels.npy", by=strings_in) == {
        "common/datasets.py: read_test",
        "preprocess.py: write_prepared",
    }
    assert users("_read") == {
        f"common/datasets.py: {name}" for name in ("read_split", "read_test", "read_normalisation", "read_class_names")
    }
    assert users("read_raw") == {"preprocess.py: main"}


def test_what_fits_is_given_its_images_and_can_read_none():
    """Neither the functions that fit nor the modules that they train by know a file or a reader."""
    readers = {"read_split", "read_test", "read_normalisation", "images_and_labels", "scoring_images_and_labels"}
    for module in ("numpy_run", "torch_run"):
        tree = ast.parse((STAGES / f"common/{module}.py").read_text(encoding="utf-8"))
        (fitting,) = (node for name, node in functions(tree) if name == "fit_network")
        assert not names_in(fitting) & (readers | {"path", "Path"})
    for path in (*STAGES.glob("*_net/*.py"), STAGES / "common/fitting.py"):
        assert not names_in(ast.parse(path.read_text(encoding="utf-8"))) & (readers | {"stages.common.datasets"}), path


# By what is chosen


def test_a_study_is_summed_up_by_its_validation_figures(tmp_path):
    path = write(tmp_path / "small.npz", arrays())
    table = runs_table([train("numpy", path, lr=lr).run for lr in (0.05, 0.2)])
    assert summary(table) == summary(with_other_test_figures(table))
    assert list(summary(table)["x"]) == ["validation_accuracy", "std", "diverged"]


def with_other_test_figures(runs: pd.DataFrame) -> pd.DataFrame:
    """The same runs, of which the best on validation images would be the worst on the test images."""
    return runs.assign(test_accuracy=1 - runs["final_accuracy"], test_loss=1 / (1 + runs["final_loss"].fillna(9)))


def test_nothing_is_chosen_or_judged_by_the_test_figures_of_a_study_that_validates(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of every such study, in the tables and verdicts of the report."""
    folder = tmp_path / "project"
    shutil.copytree(results, folder)
    monkeypatch.chdir(folder)

    def choices() -> dict[str, object]:
        inputs = report.read_inputs()
        half = {**inputs.numpy.results, **inputs.torch.results}
        findings = report.read_findings(inputs)
        return {
            "best": {name: best_variant(result) for name, result in half.items() if result.split == "validation"},
            "settings": selection_table(inputs.params, inputs.numpy.results).to_dict(),
            "tried": tried_as(inputs.params, inputs.numpy.results),
            "verdicts": claims.claim_table(findings.judgements).to_dict(),
            "come back": reproduction_table(inputs.numpy, inputs.torch)["comes_back"].tolist(),
        }

    before, changed = choices(), 0
    for path in Path("reports").glob("*/*/runs.csv"):
        table = pd.read_csv(path, dtype={"variant": str})
        if table["split"].iloc[0] == "validation":
            with_other_test_figures(table).to_csv(path, index=False)
            changed += 1
    assert changed > 10
    for what, choice in choices().items():
        assert repr(choice) == repr(before[what]), what


# By the images


PREPARED = sorted(ROOT.glob("data/prepared/*.npz"))  # the real ones, where they are; test_preprocess has made-up ones


@pytest.mark.parametrize("path", PREPARED, ids=lambda path: path.stem)
def test_every_image_is_in_one_split_and_repeats_are_those_that_are_reported(path):
    facts = json.loads((ROOT / f"reports/data/{path.stem}.json").read_text(encoding="utf-8"))
    splits = {name: read_split(path, name) for name in ("training", "validation")} | {"test": read_test(path)}
    assert facts["images"] == {name: len(split.images) for name, split in splits.items()}
    # Which image went where: every image of the archive is in one of the two parts, and in no more than one.
    with np.load(path) as content:
        index, count = content["validation_index"], len(content["train_labels"])
    inside = np.delete(np.arange(count), index)
    assert sorted([*index.tolist(), *inside.tolist()]) == list(range(count))
    # Pixel by pixel, by the bytes themselves.
    pixels = {name: Counter(image.tobytes() for image in split.images) for name, split in splits.items()}
    whole = Counter(image.tobytes() for image in read_split(path, "all_training").images)
    assert pixels["training"] + pixels["validation"] == whole
    repeats = {name: sum(counts.values()) - len(counts) for name, counts in pixels.items()}
    assert facts["duplicates"] == {
        "within": repeats,
        **{
            f"{one}_images_in_{other}": sum(count for image, count in pixels[one].items() if image in pixels[other])
            for one, other in (("validation", "training"), ("test", "training"), ("test", "validation"))
        },
    }

"""The test images are used for no training and no selection, the validation images for no training."""

import ast
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from stages.params import load_params
from stages.verdicts.findings import claim_table, conclude, metrics
from stages.verdicts.reading import read_results
from stages.verdicts.selection import best_variant
from tests.small_runs import EVERYTHING, KINDS, prepared, settings, train

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parent.parent
STAGES = ROOT / "stages"
READERS = {"read_split", "read_test", "redivide", "test_arrays", "test_tensors", "Path", "load"}
NAMES = {ast.Name: "id", ast.Attribute: "attr", ast.alias: "name", ast.Constant: "value"}  # strings: for getattr


@pytest.fixture(autouse=True)
def cpu(monkeypatch):
    monkeypatch.setenv("STUDY_DEVICE", "cpu")


def poisoned(path, part, every=1):
    """The prepared file with other images and wrong labels in a part: inverted, and each label the next class."""
    with np.load(path.parent / "usual.npz") as content:
        images, labels = content[f"{part}_images"], content[f"{part}_labels"]
    images[::every] = 255 - images[::every]
    labels[::every] = np.roll(labels[::every], 1, axis=1)
    return prepared(path, **{f"{part}_images": images, f"{part}_labels": labels})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("complex_run", [False, True])
def test_other_test_images_change_only_test_figures(kind, complex_run, tmp_path):
    """With early stopping too, and with everything that draws random numbers."""
    changes = {**EVERYTHING[kind], "epochs": 6} if complex_run else {}
    usual = train(kind, prepared(tmp_path / "usual.npz"), **changes)
    other = train(kind, poisoned(tmp_path / "other.npz", "test"), **changes)
    assert other.weights == usual.weights
    figures = {"test_loss", "test_accuracy"}
    assert {key for key, value in asdict(other.run).items() if value != asdict(usual.run)[key]} <= figures
    assert other.run.test_loss != usual.run.test_loss


def test_the_published_protocol_scores_the_test_images_and_trains_on_none(tmp_path):
    """The schema forbids selection by these scores."""
    changes = {"protocol": "published", "objective": "published"}
    usual = train("numpy", prepared(tmp_path / "usual.npz"), **changes)
    other = train("numpy", poisoned(tmp_path / "other.npz", "test"), **changes)
    assert other.weights == usual.weights
    for key, same in (("train_loss", True), ("loss", False)):
        assert ([row[key] for row in other.run.history] == [row[key] for row in usual.run.history]) is same
    with pytest.raises(ValidationError, match="it would choose an epoch by the test images"):
        settings("numpy", **changes, patience=3)
    with pytest.raises(ValidationError, match="only the published protocol has it, as it trains on test images"):
        settings("numpy", division="random")


@pytest.mark.parametrize("kind", KINDS)
def test_other_validation_images_change_only_validation_figures(kind, tmp_path):
    usual = train(kind, prepared(tmp_path / "usual.npz"))
    other = train(kind, poisoned(tmp_path / "other.npz", "train", every=3))  # every third is for validation
    assert other.weights == usual.weights
    assert [row["train_loss"] for row in other.run.history] == [row["train_loss"] for row in usual.run.history]
    assert [row["loss"] for row in other.run.history] != [row["loss"] for row in usual.run.history]
    assert (other.run.test_loss, other.run.test_accuracy) == (usual.run.test_loss, usual.run.test_accuracy)


def test_no_selection_and_no_verdict_depends_on_the_test_figures_of_a_validation_study(results, tmp_path):
    """With test figures changed so that the best variant of each study is the worst."""
    folder, published = tmp_path / "reports", ROOT / "data/published"
    shutil.copytree(results / "reports", folder)

    def conclusions():
        read = read_results(load_params(results / "params.yaml"), folder, published)
        findings = conclude(read, published)
        studies = {**read.numpy.results, **read.torch.results}
        best = {name: best_variant(study) for name, study in studies.items() if study.split == "validation"}
        return repr((best, metrics(findings), claim_table(findings).to_dict()))

    before, changed = conclusions(), 0
    for path in folder.glob("*/*/runs.csv"):
        table = pd.read_csv(path, dtype={"variant": str})
        if table["split"].iloc[0] == "validation":
            table.assign(test_accuracy=1 - table["final_accuracy"], test_loss=9.0).to_csv(path, index=False)
            changed += 1
    assert changed > 10
    assert conclusions() == before


# Static checks of the code


def functions(tree):
    """The functions of a module, by name; code outside of them is called <module>."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from functions(node)
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            yield getattr(node, "name", "<module>"), node


def names_in(node, kinds=tuple(NAMES)):
    """All names in a piece of code."""
    return {getattr(each, NAMES[type(each)]) for each in ast.walk(node) if type(each) in kinds}


def users(*names, kinds=tuple(NAMES)):
    """The functions in stages/ that name one of `names`, as `folder/module.py: function`."""
    return {
        f"{path.relative_to(STAGES).as_posix()}: {function}"
        for path in STAGES.rglob("*.py")
        for function, node in functions(ast.parse(path.read_text(encoding="utf-8")))
        if names_in(node, kinds) & set(names)
    }


def test_only_scoring_reads_the_test_images_and_a_redivision_for_the_published_protocol():
    assert users("read_test") == {
        "reporting/pictures.py: read_pictures",  # of the most confident errors
        "train_numpy.py: test_arrays",
        "train_numpy.py: main",  # the labels, to compare with the final network's predictions
        "train_torch.py: test_tensors",
        "train_torch.py: main",
        "training/prepared.py: redivide",  # the schema allows it under the published protocol alone
    }
    assert {user.split(":")[0] for user in users("redivide")} == {"train_numpy.py"}
    assert users("test_arrays") == {"train_numpy.py: train_run", "train_numpy.py: main"}
    assert users("test_tensors") == {"train_torch.py: train_run"}
    assert users("test_images", "test_labels", kinds=(ast.Constant,)) == {
        "datasets/own.py: <module>",
        "preprocess.py: main",
        "training/prepared.py: <module>",
        "training/prepared.py: read_test",
    }


def test_what_fits_a_network_is_given_its_images_and_reads_none():
    for module in ("train_numpy.py", "train_torch.py"):
        tree = ast.parse((STAGES / module).read_text(encoding="utf-8"))
        (fitting,) = (node for name, node in functions(tree) if name == "fit_network")
        assert not names_in(fitting) & READERS
    for path in (*STAGES.glob("*_net/*.py"), STAGES / "training/fitting.py"):
        assert not names_in(ast.parse(path.read_text(encoding="utf-8"))) & READERS, path

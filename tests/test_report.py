"""The report states what the result files hold, and the same files always give the same bytes."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from stages import report
from stages.common.errors import StudyError
from stages.common.files import write_json, write_text
from stages.common.metrics import class_table, confusion_table, mistakes_table, record_metrics
from stages.common.params import load_params
from stages.common.runs import Run, csv, history_table, write_study
from stages.numpy_net.training import LOST_LOSS
from stages.reporting.comparison import COLLAPSED_LOSS, collapse_epoch
from stages.reporting.document import write_report
from stages.reporting.figures_sweeps import draw_sweep
from stages.reporting.naming import common_settings
from stages.reporting.selection import best_variant, tried_as
from stages.reporting.studies import Result, curve
from stages.reporting.style import STYLE, house_style, save
from stages.reporting.tables import listed, mean_and_sd, number, signed

ROOT = Path(__file__).parent.parent
CLASSES = tuple("abcdefghij")
EPOCHS = 4


def a_run(variant: str, seed: int, split: str, accuracy: float, diverged: bool = False) -> Run:
    """A run that climbs to `accuracy`; a diverged one then loses all."""
    history = [
        {"epoch": epoch, "train_loss": 1 / epoch, "loss": 1.1 / epoch, "accuracy": accuracy * epoch / EPOCHS}
        for epoch in range(1, EPOCHS + 1)
    ]
    if diverged:
        history[-1] |= {"train_loss": np.nan, "loss": np.nan, "accuracy": 0.1}
    final = history[-1]
    status = "diverged" if diverged else "ok"
    return Run(variant, seed, status, split, EPOCHS - 1, EPOCHS, history, final["loss"], final["accuracy"])


def write_params(folder: Path) -> None:
    """The real parameters with fewer runs: those that were published, and two variants each of some other studies."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for name in ("initialisation", "regularisation"):
        del raw["tune"][name]
    for name, study in raw["tune"].items():
        if not name.startswith("published_"):
            study["variants"] = study["variants"][:2]
    (folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")


def write_studies(folder: Path) -> None:
    """Published studies reproduce the published final accuracies but one; the others depend on variant and seed."""
    published = yaml.safe_load((ROOT / "data/published/published_runs.yaml").read_text(encoding="utf-8"))["runs"]
    finals = {
        (f"published_{run['study']}", run["variant"]): run["final_accuracy"]
        for run in published
        if run["framework"] == "numpy"
    }
    finals["published_batch_size", "8"] += 0.02
    for name, study in load_params(folder / "params.yaml").tune.items():
        split = "test" if study.variants[0].training.protocol == "published" else "validation"
        runs = []
        for place, variant in enumerate(study.variants):
            for seed in study.seeds:
                accuracy = finals.get((name, variant.name), 0.8 + 0.03 * place + 0.001 * seed)
                runs.append(a_run(variant.name, seed, split, accuracy, diverged=accuracy == 0.1))
        write_study(folder / "reports/tune" / name, runs)


def write_record(folder: Path, rng: np.random.Generator) -> None:
    """A model of record and the data that it was scored on."""
    labels = np.arange(40) % 10
    probabilities = rng.dirichlet(np.ones(10), 40)
    run = a_run("train_numpy", 42, "validation", 0.9)
    reports = folder / "reports/train_numpy"
    write_text(reports / "history.csv", csv(history_table([run]).drop(columns=["variant", "seed"])))
    write_json(reports / "metrics.json", record_metrics(run))
    for name, make in (("confusion", confusion_table), ("classes", class_table), ("mistakes", mistakes_table)):
        write_text(reports / f"{name}.csv", csv(make(labels, probabilities, CLASSES)))
    (folder / "data/models").mkdir(parents=True)
    np.savez(folder / "data/models/numpy.npz", allow_pickle=False, weights_1=rng.normal(size=(784, 12)))
    (folder / "data/prepared").mkdir()
    images = rng.integers(0, 256, (40, 28, 28, 1), dtype=np.uint8)
    one_hot = np.eye(10, dtype=np.uint8)[labels]
    prepared = folder / "data/prepared/fashion_mnist.npz"
    np.savez(prepared, allow_pickle=False, test_images=images, test_labels=one_hot)
    for name, edition in (("fashion_mnist", "original"), ("cifar10", "jpeg")):
        counts = {"training": 90, "validation": 10, "test": 40}
        facts = {"data_set": name, "edition": edition, "images": counts, "image_shape": [28, 28, 1]}
        write_json(folder / f"reports/data/{name}.json", facts)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's results, made once; tests that change them take `project`."""
    folder = tmp_path_factory.mktemp("results")
    shutil.copytree(ROOT / "data/published", folder / "data/published")
    write_params(folder)
    write_studies(folder)
    write_record(folder, np.random.default_rng(5))
    return folder


@pytest.fixture
def project(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the results to work in."""
    folder = tmp_path / "project"
    shutil.copytree(results, folder)
    monkeypatch.chdir(folder)
    return folder


def text() -> str:
    """The report of the project at hand."""
    return write_report(report.read_inputs())


def section(document: str, heading: str) -> str:
    """What stands between a heading and the next of its rank."""
    return document.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def change(path: str, column: str, value: float) -> None:
    """Put `value` into the first row of a result file."""
    table = pd.read_csv(path, dtype={"variant": str})
    table.loc[0, column] = value
    table.to_csv(path, index=False)


def test_written_twice_the_report_and_its_figures_are_the_same_bytes(project, monkeypatch):
    monkeypatch.setitem(STYLE, "savefig.dpi", 50)  # small pictures are drawn sooner

    def written() -> dict[str, bytes]:
        report.main([])
        outs = [Path("reports/report.md"), *Path("reports/figures").iterdir()]
        return {str(path): path.read_bytes() for path in outs}

    first = written()
    shutil.rmtree("reports/figures")
    assert written() == first
    shown = set(re.findall(r"\]\((figures/[^)]*)\)", first["reports/report.md"].decode()))
    assert shown == {path.removeprefix("reports/") for path in first if path.endswith(".png")}


def test_no_missing_value_is_printed_as_such(project):
    assert not re.search(r"\b(nan|NaN|None|NaT|inf)\b", text())


def test_runs_that_come_back_are_counted(project):
    assert (
        "21 of 22 end within 0.012 of the published test accuracy; of the\n3 that diverged when published, 3" in text()
    )


def test_a_changed_accuracy_changes_its_row_and_the_count(project):
    row = "| learning rate | 0.001     |               0.8386 |                0.8386 |"
    assert row in text()
    table = pd.read_csv("reports/tune/published_learning_rate/runs.csv", dtype={"variant": str})
    table.loc[table["variant"] == "0.001", "final_accuracy"] = 0.7
    table.to_csv("reports/tune/published_learning_rate/runs.csv", index=False)
    document = text()
    assert row not in document
    assert row.replace("0.8386 |                0.8386", "0.8386 |                0.7000") in document
    assert "20 of 22 end within 0.012" in document


def test_a_study_table_follows_its_runs(project):
    before = section(text(), "Optimiser")
    assert "0.8020 ± 0.0010" in before
    change("reports/tune/optimiser/runs.csv", "final_accuracy", 0.5)
    after = section(text(), "Optimiser")
    assert after != before
    assert "0.8020 ± 0.0010" not in after.split("test accuracy")[0]


def test_a_changed_record_changes_the_headline(project):
    metrics = json.loads(Path("reports/train_numpy/metrics.json").read_text(encoding="utf-8"))
    write_json(Path("reports/train_numpy/metrics.json"), metrics | {"test_accuracy": 0.9123})
    headline = section(text(), "Headline")
    assert "91.23 %" in headline
    assert "**0.9123**" in headline


def test_a_diverged_record_leaves_dashes(project):
    write_json(Path("reports/train_numpy/metrics.json"), {"test_accuracy": 0.1, "epochs": 4, "best_epoch": 0})
    assert "| **model of record**" in text()


def test_a_record_without_mistakes_has_no_section_of_them(project):
    path = Path("reports/train_numpy/mistakes.csv")
    path.write_text(path.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    assert "mistakes" not in text()


def test_clipped_runs_stand_beside_the_unclipped_run_of_the_same_settings(project):
    clipping = section(text(), "Clipping")
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in clipping.splitlines() if line.startswith("| 0")]
    assert rows == [["0.1", "not clipped"], ["0.1", "norm to 1"], ["0.1", "value to 0.1"]]
    assert "| 0.1             | not clipped  |                0.1000 |" in clipping


def test_studies_without_a_published_run_are_named_not_run(project):
    raw = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    del raw["tune"]["published_learning_rate"], raw["tune"]["architecture"]
    Path("params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    document = text()
    assert "4 of them are not in `params.yaml` and were not run." in document
    with house_style():
        save(draw_sweep(report.read_inputs().sweeps()[0]), Path("sweep.png"))


@pytest.mark.parametrize(
    "path",
    [
        "reports/data/cifar10.json",
        "reports/tune/optimiser/history.csv",
        "reports/tune/clipping/runs.csv",
        "reports/train_numpy/metrics.json",
        "reports/train_numpy/mistakes.csv",
        "data/models/numpy.npz",
        "data/prepared/fashion_mnist.npz",
        "data/published/published_runs.yaml",
        "data/published/published_history.csv",
    ],
)
def test_a_missing_file_is_named_with_the_command_that_makes_it(project, path):
    Path(path).unlink()
    with pytest.raises(StudyError, match=rf"^{re.escape(path)} is missing; run `dvc repro") as caught:
        report.main([])
    assert "\n" not in str(caught.value)
    assert not Path("reports/report.md").exists()


@pytest.mark.parametrize(
    "path", ["reports/tune/optimiser/runs.csv", "reports/train_numpy/classes.csv", "reports/train_numpy/metrics.json"]
)
def test_a_damaged_file_is_named(project, path):
    Path(path).write_text("{'\x00", encoding="utf-8")
    with pytest.raises(StudyError, match=re.escape(path)):
        report.main([])


def test_results_of_other_parameters_are_refused(project):
    raw = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    raw["tune"]["optimiser"]["seeds"] = [1, 2]
    Path("params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    with pytest.raises(StudyError, match=r"doesn't hold the runs of params.yaml's tune.optimiser; run `dvc repro`"):
        report.main([])


def test_report_takes_no_arguments():
    with pytest.raises(StudyError, match="takes no arguments"):
        report.main(["now"])


def test_collapse_is_the_start_of_the_last_stretch_beyond_the_bound_of_training():
    assert pytest.approx(LOST_LOSS * np.log(10)) == COLLAPSED_LOSS

    def epoch(*losses: float) -> int | None:
        return collapse_epoch(pd.DataFrame({"epoch": range(1, len(losses) + 1), "loss": losses}))

    assert epoch(1, 30, 1, 30, 31) == 4
    assert epoch(1, 2, np.nan) == 3
    assert epoch(1, 30, 2) is None


def a_result(accuracies: dict[str, list[float]]) -> Result:
    """A study with the given final accuracies, a list of seeds each."""
    study = load_params(ROOT / "params.yaml").tune["optimiser"]
    seeds = list(range(len(next(iter(accuracies.values())))))
    variants = [study.variants[0].model_copy(update={"name": name}) for name in accuracies]
    runs = pd.DataFrame(
        [
            {"variant": name, "seed": seed, "status": "ok", "final_accuracy": value}
            for name, values in accuracies.items()
            for seed, value in zip(seeds, values, strict=True)
        ]
    )
    study = study.model_copy(update={"seeds": seeds, "variants": variants})
    return Result("optimiser", study, "validation", pd.DataFrame(), runs)


def test_the_best_variant_is_named_with_all_within_one_pooled_deviation():
    result = a_result({"a": [0.80, 0.82], "b": [0.82, 0.84], "c": [0.81, 0.83], "d": [0.5, 0.52]})
    best = best_variant(result)
    assert (best.variant, best.near) == ("b", ["c"])
    assert best.accuracy == pytest.approx(0.83)
    assert best.deviation == pytest.approx(0.02 / np.sqrt(2))
    assert best_variant(a_result({"a": [0.8], "b": [0.8]})).near == ["b"]


def test_a_curve_is_the_mean_and_range_over_seeds():
    history = pd.DataFrame({"seed": [1, 1, 2], "epoch": [1, 2, 1], "loss": [1.0, np.nan, 3.0]})
    assert curve(history, "loss").to_dict("records") == [{"epoch": 1, "mean": 2.0, "low": 1.0, "high": 3.0}]


def test_numbers_are_written_alike():
    assert number(None) == number(float("nan")) == mean_and_sd([np.nan]) == "–"
    assert (signed(-0.01), signed(0.01), signed(-0.00001)) == ("−0.0100", "+0.0100", "0.0000")
    assert (mean_and_sd([0.5]), mean_and_sd([0.4, 0.6])) == ("0.5000", "0.5000 ± 0.1414")
    assert [listed([]), listed([1]), listed([1, 2, 3])] == ["", "1", "1, 2 and 3"]


def test_the_report_tells_which_variant_tried_the_configuration_of_record():
    params = load_params(ROOT / "params.yaml")
    results = {
        name: Result(name, study, "validation", pd.DataFrame(), pd.DataFrame()) for name, study in params.tune.items()
    }
    assert tried_as(params, results)[0] == "candidates"
    other = params.model_copy(update={"train_numpy": params.train_numpy.model_copy(update={"lr": 0.123})})
    assert tried_as(other, results) is None


def test_settings_that_vary_are_not_called_common():
    tune = load_params(ROOT / "params.yaml").tune
    assert common_settings(tune["published_learning_rate"]) == (
        "architecture 784-64-10, relu; objective published; batch size 1; epochs 30"
    )
    assert "architecture" not in common_settings(tune["published_architecture"])

"""The whole pipeline, by a real `dvc repro`, on miniature data sets in the real formats: nothing is simulated."""

import csv
import json
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo
from dvc.utils.hydra import apply_overrides

from stages.common.params import load_params
from stages.common.sharing import shared_variants
from tests.project import ABLATIONS, BASELINE, DIVERGING, FURTHER, RUNNING, SHARING, Project
from tools.pipeline import declared_stages, locked_outputs


def refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def test_repro_makes_every_declared_output(reproduced_project: Project):
    stages = declared_stages(reproduced_project.folder)
    assert {stage.name for stage in stages} == set(locked_outputs(reproduced_project.folder))
    missing = [
        out for stage in stages for out in (*stage.outs, *stage.kept) if not (reproduced_project.folder / out).exists()
    ]
    assert missing == []


def test_results_parse_strictly(reproduced_project: Project):
    results = list((reproduced_project.folder / "reports").rglob("*.*"))
    for path in (path for path in results if path.suffix == ".json"):
        json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    for path in (path for path in results if path.suffix == ".csv"):
        header, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines(), strict=True)
        assert {len(row) for row in rows} <= {len(header)}, path
        assert not any(cell.lower() in ("nan", "inf", "-inf") for row in rows for cell in row), path


def test_diverged_run_is_recorded_and_fails_nothing(reproduced_project: Project):
    path = reproduced_project.folder / "reports/tune" / DIVERGING / "runs.csv"
    statuses = [row["status"] for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())]
    assert "diverged" in statuses
    assert "ok" in statuses


def test_ablations_train_nothing_that_the_baseline_has(reproduced_project: Project):
    studies = load_params(reproduced_project.folder / "params.yaml").ablations
    shared = shared_variants(studies, SHARING)
    assert shared == {"1": "constant", "1_as_run": "batch_256"}
    for name in (SHARING, FURTHER):
        path = reproduced_project.folder / "reports/ablations" / name / "runs.csv"
        rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        shared = shared_variants(studies, name)
        wanted = [(variant.name, f"{seed}") for variant, seed in studies[name].tasks if variant.name not in shared]
        assert [(row["variant"], row["seed"]) for row in rows] == wanted
    assert len({len(variant.seeds) for variant in studies[FURTHER].variants}) > 1  # some have seeds of their own


def test_a_number_changed_by_hand_reaches_tables_figures_and_comparisons(reproduced: Project):
    before = reproduced.files()
    name = f"reports/ablations/{SHARING}/history.csv"
    *lines, last = before[name].decode().splitlines(keepends=True)
    (reproduced.folder / name).write_text("".join([*lines, last.rpartition(",")[0] + ",0.987654\n"]), encoding="utf-8")
    assert RUNNING.findall(reproduced.dvc("repro", "--single-item", "report")) == ["report"]
    after = reproduced.files()
    changed = {path for path, data in after.items() if before[path] != data}
    figures = {f"reports/figures/torch_{SHARING}.png", "reports/figures/summary.png"}
    texts = {f"reports/{name}" for name in ("report.md", "report.html", "faults.csv", "comparisons.csv")}
    assert figures | texts <= changed
    assert f"reports/figures/torch_{FURTHER}.png" not in changed


def test_second_repro_runs_nothing(reproduced_project: Project):
    before = reproduced_project.files()
    assert RUNNING.findall(reproduced_project.dvc("repro")) == []
    assert reproduced_project.files() == before


def test_forced_study_is_byte_identical_with_any_number_of_jobs(reproduced: Project):
    before, stage = reproduced.files(), f"tune@{DIVERGING}"
    # With all that is upstream, then alone.
    upstream = RUNNING.findall(reproduced.dvc("repro", "--force", stage, STUDY_JOBS="2"))
    assert len(upstream) > 1
    assert reproduced.files() == before
    assert RUNNING.findall(reproduced.dvc("repro", "--force", "--single-item", stage, STUDY_JOBS="1")) == [stage]
    assert reproduced.files() == before


def test_forced_ablation_is_byte_identical_with_any_number_of_jobs(reproduced: Project):
    before, stage = reproduced.files(), f"ablations@{SHARING}"  # made with one job, and one thread
    output = reproduced.dvc("repro", "--force", "--single-item", stage, STUDY_JOBS="2", OMP_NUM_THREADS="2")
    assert RUNNING.findall(output) == [stage]
    assert reproduced.files() == before


def test_experiment_changes_one_line_and_can_be_compared(reproduced: Project):
    experiment(reproduced, "train_numpy", "lr=0.01", "reports/train_numpy")
    assert "test_accuracy" in reproduced.dvc("metrics", "diff")
    assert len(reproduced.dvc("metrics", "show").splitlines()) == 7  # a line a model, one for the counts, the headings
    study = f"reports/tune/{DIVERGING}/metrics.json"  # a study's figures are compared where they are asked for
    assert study in reproduced.dvc("metrics", "show", study)
    assert "lr" in reproduced.dvc("params", "diff")
    reproduced.dvc("plots", "diff")
    assert "0.01" in reproduced.dvc("exp", "show", "--csv")


def test_experiment_with_one_of_two_networks_leaves_the_other_as_it_was(reproduced: Project):
    experiment(reproduced, "train_torch", "train_torch.record.dropout=0.3", "reports/train_torch/record")


def experiment(project: Project, stage: str, setting: str, written: str) -> None:
    """Run a stage with another setting; only it and the check may run, no results but those in `written` change."""
    output = project.dvc("exp", "run", stage, "-S", setting)
    assert RUNNING.findall(output) == ["check", stage]
    assert project.succeed("git", "diff", "--numstat", "params.yaml").split() == ["1", "1", "params.yaml"]
    changed = project.succeed("git", "diff", "--name-only").split()
    assert {str(Path(name).parent) for name in changed} == {".", written}


@pytest.mark.parametrize(
    ("settings", "stale"),
    [
        (["lr=0.2"], {"train_numpy", "train_torch"}),
        (["train_torch.dataset=fashion_mnist"], {"train_torch", *ABLATIONS}),
        ([f"ablations.{BASELINE}.seeds.0=7"], {*ABLATIONS}),  # they share its variants
        (
            [f"ablations.{SHARING}.seeds.0=7", "train_cnn.cifar10.lr=0.1", f"tune.{DIVERGING}.seeds.0=7"],
            {
                f"ablations@{SHARING}",
                "train_cnn@cifar10",
                f"tune@{DIVERGING}",
                "tune@batch_size",
            },  # which shares with it
        ),
    ],
)
def test_a_setting_reruns_the_stages_that_it_decides_and_no_others(
    reproduced: Project, monkeypatch: pytest.MonkeyPatch, settings: list[str], stale: set[str]
):
    monkeypatch.chdir(reproduced.folder)  # DVC names stages as seen from here
    apply_overrides(Path("params.yaml"), settings)
    with Repo() as repo:
        assert set(repo.status()) - {"check", "report"} == stale  # the report may well show the setting


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("\nlr: 0.1\n", "\nlr: -1\n", "lr = -1"),
        ("\nlr: 0.1\n", "\nlr: fast\n", "lr = 'fast'"),
        ("- lr: 1000000.0\n", "- lr: .nan\n", "tune.learning_rate.variants.0.lr = nan"),
    ],
)
def test_bad_parameter_ends_in_one_line_before_anything_is_deleted(
    reproduced: Project, old: str, new: str, complaint: str
):
    before = reproduced.outputs()
    reproduced.replace("params.yaml", old, new)
    done = reproduced.run("dvc", "repro")
    assert done.returncode != 0
    complaints = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert len(complaints) == 1
    assert complaint in complaints[0]
    assert "Traceback" not in done.stdout
    changed = {path for path, content in before.items() if reproduced.outputs().get(path) != content}
    assert changed == {"data/checked.txt"}  # it says that there is no fault


def test_make_repro_refuses_what_dvc_itself_would_stumble_over(reproduced: Project):
    before = reproduced.outputs()
    reproduced.replace("params.yaml", "\ntune:\n", "\ntuned:\n")
    done = reproduced.run(sys.executable, "-m", "tools.repro")
    assert done.returncode == 1
    assert done.stdout == "error: params.yaml: tuned is no known key; is tune meant?\n"
    assert reproduced.outputs() == before

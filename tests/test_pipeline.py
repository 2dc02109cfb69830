"""The whole pipeline, by a real `dvc repro`, on miniature data sets in the real formats: nothing is simulated."""

import csv
import json
import re
from pathlib import Path

import pytest

from tests.project import DIVERGING, Project
from tools.pipeline import declared_stages, locked_outputs

RUNNING = re.compile(r"^Running stage '(.+)'", re.MULTILINE)


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


def test_experiment_changes_one_line_and_can_be_compared(reproduced: Project):
    output = reproduced.dvc("exp", "run", "train_numpy", "-S", "lr=0.01")
    assert RUNNING.findall(output) == ["train_numpy"]
    assert reproduced.succeed("git", "diff", "--numstat", "params.yaml").split() == ["1", "1", "params.yaml"]
    changed = reproduced.succeed("git", "diff", "--name-only").split()
    assert {str(Path(name).parent) for name in changed} == {".", "reports/train_numpy"}
    assert "test_accuracy" in reproduced.dvc("metrics", "diff")
    assert "lr" in reproduced.dvc("params", "diff")
    reproduced.dvc("plots", "diff")
    assert "0.01" in reproduced.dvc("exp", "show", "--csv")


@pytest.mark.parametrize(("value", "complaint"), [("-1", "lr = -1"), ("fast", "lr = 'fast'")])
def test_bad_parameter_ends_in_one_line(reproduced: Project, value: str, complaint: str):
    lock = (reproduced.folder / "dvc.lock").read_bytes()
    reproduced.replace("params.yaml", "\nlr: 0.1\n", f"\nlr: {value}\n")
    done = reproduced.run("dvc", "repro", "train_numpy")
    assert done.returncode != 0
    complaints = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert len(complaints) == 1
    assert complaint in complaints[0]
    assert "Traceback" not in done.stdout
    assert (reproduced.folder / "dvc.lock").read_bytes() == lock

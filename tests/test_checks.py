"""Every check of `make check` finds its fault where one is planted, and none where there is none."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.project import ABLATIONS, ROOT, RUNNING, Project
from tools import repro
from tools.canonical import PARAMS, rewritten
from tools.check import all_faults, left_over, lost_outputs, never_run, not_canonical, out_of_date, wrong_deps
from tools.imports import dependencies
from tools.pipeline import declared_stages, locked_outputs


def test_deps_are_what_the_nodes_import():
    assert wrong_deps(ROOT, declared_stages(ROOT)) == []


def test_params_are_canonical():
    assert not_canonical(ROOT / PARAMS) == []


def test_reproduced_project_has_no_faults(reproduced_project: Project):
    assert all_faults(reproduced_project.folder) == []


@pytest.fixture
def fresh_clone(reproduced_project: Project, tmp_path: Path) -> Project:
    """What git holds, without any data."""
    reproduced_project.succeed("git", "clone", "--quiet", ".", str(tmp_path / "clone"))
    return Project(tmp_path / "clone", tmp_path, tmp_path)


def test_fresh_clone_has_no_faults(fresh_clone: Project):
    assert not (fresh_clone.folder / "data/raw/fashion_mnist").exists()
    done = fresh_clone.run("python", "-m", "tools.check")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("stage", ["preprocess", "train_numpy", "report"])
def test_stale_stage_in_a_fresh_clone(fresh_clone: Project, stage: str):
    fresh_clone.replace(f"stages/{stage}.py", '"""T', '"""t')
    [fault] = out_of_date(fresh_clone.folder)
    assert fault.startswith(f"{stage}@fashion_mnist is" if stage == "preprocess" else f"{stage} is")


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        ("params.yaml", "\nseed: 42", "\nseed: 43", "train_numpy"),
        ("stages/train_numpy.py", '"""The', '"""the', "train_numpy"),
        ("reports/train_numpy/metrics.json", "{", "{ ", "train_numpy"),
    ],
)
def test_stale_stage(reproduced: Project, file: str, old: str, new: str, stale: str):
    reproduced.replace(file, old, new)
    faults = out_of_date(reproduced.folder)
    assert any(fault.startswith(f"{stale} is out of date") for fault in faults)


def test_stage_that_is_gone_or_new(reproduced_project: Project):
    first, *others = declared_stages(reproduced_project.folder)
    locked = locked_outputs(reproduced_project.folder)
    assert left_over([first, *others], locked) == never_run([first, *others], locked) == []
    assert [first.name in fault for fault in left_over(others, locked)] == [True]
    locked.pop(first.name)
    assert [first.name in fault for fault in never_run([first, *others], locked)] == [True]


def test_lost_result(reproduced: Project):
    stages, locked = declared_stages(reproduced.folder), locked_outputs(reproduced.folder)
    assert lost_outputs(reproduced.folder, stages, locked) == []
    path = next(path for stage in stages for path in stage.kept)
    (reproduced.folder / path).unlink()
    assert [path in fault for fault in lost_outputs(reproduced.folder, stages, locked)] == [True]


def test_unlocked_data(reproduced_project: Project):
    stages, locked = declared_stages(reproduced_project.folder), locked_outputs(reproduced_project.folder)
    stage = next(stage for stage in stages if stage.outs)
    locked[stage.name].remove(stage.outs[0])
    faults = lost_outputs(reproduced_project.folder, stages, locked)
    assert [stage.outs[0] in fault for fault in faults] == [True]


def test_dep_that_is_missing_or_too_many(miniature_project: Project):
    stage = next(stage for stage in declared_stages(miniature_project.folder) if "stages/train_numpy.py" in stage.deps)
    lacking = stage._replace(deps=stage.deps - {"stages/train_numpy.py"})
    faults = wrong_deps(miniature_project.folder, [lacking])
    assert any("add to" in fault and "stages/train_numpy.py" in fault for fault in faults)
    surplus = stage._replace(deps=stage.deps | {"stages/download.py"})
    faults = wrong_deps(miniature_project.folder, [surplus])
    assert any("remove from" in fault and "stages/download.py" in fault for fault in faults)


def test_command_without_a_node(miniature_project: Project):
    stage = declared_stages(miniature_project.folder)[0]
    for command in ("python train.py", "python -m stages.nowhere"):
        (fault,) = wrong_deps(miniature_project.folder, [stage._replace(command=command)])
        assert "runs no node" in fault


def test_imports_are_followed_through_files_and_packages(tmp_path: Path):
    sources = {
        "node.py": "def f():\n    from stages.library import thing\n",
        "library/__init__.py": "from .inner import x\n",
        "library/inner.py": "from stages.common import first\n",
        "common/first.py": "import json\nfrom . import second\n",
        "common/second.py": "import stages.common.third\n",
        "common/third.py": "",
        "common/unused.py": "",
    }
    for name, text in sources.items():
        path = tmp_path / "stages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert dependencies(tmp_path, tmp_path / "stages/node.py") == {
        "stages/node.py",
        "stages/library",
        "stages/common/first.py",
        "stages/common/second.py",
        "stages/common/third.py",
    }


@pytest.mark.parametrize(
    "line",
    [
        "quoted: 'text'",
        "rates: [0.1, 0.01]",
        "layers:\n- {units: 10}",
        "empty: ~",
        "items:\n- one  # a comment\n- two",
        f"long: {'word ' * 20}",
    ],
)
def test_line_that_an_experiment_would_change(tmp_path: Path, line: str):
    path = tmp_path / "params.yaml"
    path.write_text(f"# About the seed.\nseed: 42\nflow: {{lr: 0.1}}\n{line}\n")
    assert not_canonical(path)
    path.write_text(rewritten(path))
    assert not_canonical(path) == []


def test_every_fault_is_one_line_and_fails_the_command(reproduced: Project):
    reproduced.replace("params.yaml", "\nlr: 0.1\n", "\nlr: 0.1\nrates: [0.1, 0.2]\n")
    done = reproduced.run("python", "-m", "tools.check")
    assert done.returncode == 1
    assert all(line.startswith("error: ") for line in done.stdout.splitlines())
    assert "params.yaml" in done.stdout


def test_unreadable_pipeline_is_one_line(miniature_project: Project, tmp_path: Path):
    project = miniature_project.copy(tmp_path / "project")
    (project.folder / "dvc.yaml").write_text("stages: [")
    done = project.run("python", "-m", "tools.check")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1, done.stdout


def test_repro_without_cifar10_completes_on_fashion_mnist(reproduced: Project, tmp_path: Path):
    forget_cifar10(reproduced, tmp_path)
    lock = (reproduced.folder / "dvc.lock").read_text()
    output = reproduced.succeed("python", "-m", "tools.repro", STUDY_JOBS="1")
    assert output.count("CIFAR-10 can't be had here") == 2
    assert output.index("CIFAR-10 can't be had here") < output.index("Running stage 'report'")
    assert output.count("127.0.0.1") >= 3  # the reason: as it came, and in both banners
    # After the download that failed, params.yaml has changed.
    assert RUNNING.findall(output)[-len(ABLATIONS) - 3 :] == ["check", "train_torch", *ABLATIONS, "report"]
    assert reproduced.succeed("git", "diff", "--numstat", "params.yaml").split() == ["1", "1", "params.yaml"]
    assert (reproduced.folder / "dvc.lock").read_text() != lock
    for model in ("NumPy network", "PyTorch perceptron", "Convolutional network"):
        assert f"\n{model}, Fashion-MNIST: test accuracy 0." in output
    assert output.endswith("Report: reports/report.md\n")
    assert not list(reproduced.folder.glob("**/*cifar10*"))  # nor were needed

    again = reproduced.succeed("python", "-m", "tools.repro")
    assert again.count("not on CIFAR-10") == 2
    assert "Running stage" not in again

    reproduced.data = tmp_path / "all"
    reproduced.replace("params.yaml", "dataset: fashion_mnist", "dataset: cifar10")
    back = reproduced.succeed("python", "-m", "tools.repro", STUDY_JOBS="1")
    assert "not on CIFAR-10" not in back
    for model in ("PyTorch perceptron", "Convolutional network"):
        assert f"\n{model}, CIFAR-10: test accuracy 0." in back
    assert (reproduced.folder / "dvc.lock").read_text() == lock


def test_repro_tells_only_of_the_data_sets_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """A clone holds the committed results of both, whichever its params.yaml asks for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("train_torch: {dataset: fashion_mnist}")
    for place, accuracy in {
        "train_torch/record": 0.7,
        "train_cnn/fashion_mnist": 0.9,
        "train_cnn/cifar10": 0.8,
    }.items():
        (tmp_path / "reports" / place).mkdir(parents=True)
        figures = {"validation_accuracy": 0.5, "test_accuracy": accuracy, "epochs": 3}
        (tmp_path / "reports" / place / "metrics.json").write_text(json.dumps(figures))
    assert repro.finish(1) == 1
    assert capsys.readouterr().out == ""
    assert repro.finish(0) == 0
    assert capsys.readouterr().out.splitlines() == [
        "PyTorch perceptron, Fashion-MNIST: test accuracy 0.7, validation accuracy 0.5",
        "Convolutional network, Fashion-MNIST: test accuracy 0.9, validation accuracy 0.5",
    ]


def test_dvc_repro_itself_substitutes_nothing(reproduced: Project, tmp_path: Path):
    forget_cifar10(reproduced, tmp_path)
    done = reproduced.run("dvc", "repro")
    assert done.returncode != 0
    assert reproduced.succeed("git", "diff", "params.yaml") == ""


def test_repro_substitutes_nothing_for_other_faults(reproduced: Project, tmp_path: Path):
    forget_cifar10(reproduced, tmp_path)
    reproduced.replace("params.yaml", "edition: jpeg", "edition: png")
    before = (reproduced.folder / "params.yaml").read_text()
    done = reproduced.run("python", "-m", "tools.repro")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert (reproduced.folder / "params.yaml").read_text() == before


def forget_cifar10(project: Project, folder: Path) -> None:
    """Take CIFAR-10, and all that came of it, away from the project; `folder`/all keeps all data sets.

    DVC's cache keeps what was made of it, so that to go back takes no second training, but not the images.
    """
    for path in project.folder.glob("*/*/*cifar10*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    locked = yaml.safe_load((project.folder / "dvc.lock").read_text())["stages"]
    for stage in ("download@cifar10", "preprocess@cifar10"):
        md5 = locked[stage]["outs"][0]["md5"]
        (project.folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
    shutil.copytree(project.data, folder / "all")
    shutil.copytree(project.data, folder / "some", ignore=shutil.ignore_patterns("cifar*"))
    project.data = folder / "some"

"""A clone pulls data and models from a shared folder and trains nothing."""

from pathlib import Path

from tests.project import RUNNING, Project


def test_a_clone_that_pulls_has_everything_and_runs_nothing(reproduced: Project, tmp_path: Path):
    project = reproduced.copy(tmp_path / "project")
    project.dvc("remote", "add", "--default", "shared", str(tmp_path / "remote"))
    project.commit()
    project.dvc("push")
    clone = Project(tmp_path / "clone", tmp_path)  # whose home has no data sets
    project.succeed("git", "clone", "--quiet", str(project.folder), str(clone.folder))
    assert clone.outputs("data/raw", "data/prepared", "data/models") == {}
    clone.dvc("pull")
    assert clone.outputs() == project.outputs()
    assert RUNNING.findall(clone.dvc("repro")) == []
    assert clone.succeed("git", "status", "--porcelain") == ""

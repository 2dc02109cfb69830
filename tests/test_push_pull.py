"""Who can reach a folder that another has pushed to needs to train nothing: `dvc pull` brings data and models."""

from pathlib import Path

import pytest

from tests.project import RUNNING, Project

KEPT_BY_DVC = ("data/raw", "data/prepared", "data/models")  # all else is in git
TRAINED = {"train_numpy", "train_torch", "train_cnn@fashion_mnist", "train_cnn@cifar10"}


@pytest.fixture
def clone(reproduced: Project, tmp_path: Path) -> Project:
    """A clone, by git, of a project whose data and models were pushed; nothing to make the data from."""
    reproduced.dvc("remote", "add", "--default", "shared", str(tmp_path / "remote"))
    reproduced.commit()
    reproduced.dvc("push")
    cloned = Project(tmp_path / "clone", tmp_path / "no datasets", tmp_path)
    reproduced.succeed("git", "clone", "--quiet", str(reproduced.folder), str(cloned.folder))
    return cloned


def kept_by_dvc(project: Project) -> dict[str, bytes]:
    paths = [path for folder in KEPT_BY_DVC for path in (project.folder / folder).rglob("*")]
    files = [path for path in paths if path.is_file() and path.name != ".gitignore"]
    return {str(path.relative_to(project.folder)): path.read_bytes() for path in files}


def test_a_clone_that_pulls_has_all_and_trains_nothing(reproduced: Project, clone: Project):
    assert kept_by_dvc(clone) == {}
    clone.dvc("pull")
    pushed = kept_by_dvc(reproduced)
    assert {str(Path(*Path(name).parts[:2])) for name in pushed} == set(KEPT_BY_DVC)
    assert kept_by_dvc(clone) == pushed
    assert RUNNING.findall(clone.dvc("repro")) == []
    assert clone.files() == reproduced.files()
    assert clone.succeed("git", "status", "--porcelain") == ""


def test_a_clone_that_pulls_the_data_alone_trains_the_models(clone: Project):
    clone.dvc("pull", "download", "preprocess")
    assert set(RUNNING.findall(clone.dvc("repro", "--dry", *TRAINED))) == TRAINED

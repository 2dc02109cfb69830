"""What the tests share: a miniature of the project, one on which the whole pipeline has run, and made-up results."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from tests.miniature import write_miniature
from tests.project import Project, make_project
from tests.results import make_results


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread for PyTorch: small networks gain nothing by more, and lose much where other work holds the cores."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a project, made up. Not to be changed: take a copy."""
    folder = tmp_path_factory.mktemp("results")
    make_results(folder)
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Miniature data sets in `sets`, and editions.yaml, which describes them. Not to be changed: take a copy."""
    folder = tmp_path_factory.mktemp("made")
    write_miniature(folder / "sets", folder / "editions.yaml", np.random.default_rng(3))
    return folder


@pytest.fixture(scope="session")
def miniature_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project in miniature, committed, nothing run yet. Not to be changed: take a `copy`."""
    return make_project(tmp_path_factory.mktemp("miniature"))


@pytest.fixture(scope="session")
def reproduced_project(miniature_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same after `dvc repro`, results committed. Not to be changed: take a `copy`."""
    project = miniature_project.copy(tmp_path_factory.mktemp("reproduced") / "project")
    project.dvc("repro", STUDY_JOBS="1")  # spares starting workers for runs of a few milliseconds
    project.commit()
    return project


@pytest.fixture
def reproduced(reproduced_project: Project, tmp_path: Path) -> Project:
    """A copy of the reproduced project, to be changed at will."""
    return reproduced_project.copy(tmp_path / "project")

"""Fixtures that several test files share."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from tests.miniature import write_miniature

if TYPE_CHECKING:
    from tests.project import Project


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread for PyTorch: more threads do not speed up small networks, and slow them down on busy cores."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up results of a project. Not to be changed: take a copy."""
    from tests.results import make_results  # only the report's tests need pandas

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
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> "Project":
    """The project in miniature after `dvc repro`, results committed. Not to be changed: take a `copy`."""
    from tests.project import make_project  # DVC's import takes a second

    project = make_project(tmp_path_factory.mktemp("miniature"))
    project.dvc("repro")
    project.commit()
    return project

"""`make repro` where no source has CIFAR-10, where it does not answer, and where only the first request fails."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.project import RUNNING, Project, make_project

REPRO = ("python", "-m", "tools.repro")
ARCHIVE = "cifar10-jpeg.tar.gz"
BANNER = "The PyTorch half runs on Fashion-MNIST, not on CIFAR-10"


class BusyAtFirst(SimpleHTTPRequestHandler):
    """Serves a folder, but responds to the first request with 503."""

    requests = 0

    def do_GET(self) -> None:
        BusyAtFirst.requests += 1
        if BusyAtFirst.requests == 1:
            self.send_error(503)
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """The address of a server of `tmp_path`/served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(BusyAtFirst, directory=str(tmp_path / "served"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The miniature, nothing run yet; its data sets lack CIFAR-10, which is in `tmp_path`/served."""
    project = make_project(tmp_path / "home")
    (tmp_path / "served").mkdir()
    (project.home / "datasets" / ARCHIVE).rename(tmp_path / "served" / ARCHIVE)
    return project


def changed_lines(project: Project) -> list[str]:
    return project.succeed("git", "diff", "--numstat", "params.yaml").split()


def test_without_cifar10_the_study_completes_on_fashion_mnist_and_says_so(project: Project):
    done = project.run("dvc", "repro", "download@cifar10")
    assert done.returncode != 0
    assert changed_lines(project) == []  # `dvc repro` itself substitutes nothing
    output = project.succeed(*REPRO)
    assert output.count(BANNER) == 2
    assert output.index(BANNER) < output.index("Running stage 'report'") < output.rindex(BANNER)
    assert changed_lines(project) == ["4", "4", "params.yaml"]
    assert "dataset: cifar10" not in (project.folder / "params.yaml").read_text(encoding="utf-8")
    assert (project.folder / "reports/report.html").exists()
    again = project.succeed(*REPRO)
    assert again.count(BANNER) == 2
    assert RUNNING.findall(again) == []


def set_mirror(project: Project, mirror: str) -> None:
    path = project.folder / "stages/datasets/editions.yaml"
    editions = json.loads(path.read_text(encoding="utf-8"))
    editions["cifar10"]["jpeg"]["upstream"] = {"files": {ARCHIVE: None}, "mirrors": [mirror]}
    path.write_text(json.dumps(editions), encoding="utf-8")


def test_a_busy_server_substitutes_nothing(project: Project, mirror: str):
    set_mirror(project, mirror)
    output = project.succeed(*REPRO)
    assert f"served by {mirror}" in output
    assert BusyAtFirst.requests == 2
    assert BANNER not in output
    assert changed_lines(project) == []


def test_without_a_network_nothing_is_substituted_and_the_last_line_says_what_to_do(project: Project):
    set_mirror(project, "http://cifar10.invalid/")
    done = project.run(*REPRO)
    assert done.returncode == 1
    *_, last = done.stdout.splitlines()
    assert last.startswith("error: cannot download cifar10 (jpeg edition) now: http://cifar10.invalid/: no connection")
    for remedy in ("try again", ARCHIVE, "data/archives/", "DATASETS_DIR", "fashion_mnist for each dataset: cifar10"):
        assert remedy in last
    assert changed_lines(project) == []
    assert not (project.folder / "data/prepared").exists()


def test_another_error_substitutes_nothing(project: Project):
    project.append("params.yaml", "speed: 3\n")
    done = project.run(*REPRO)
    assert done.returncode == 1
    assert done.stdout.startswith("error: params.yaml: speed: unknown key")
    assert done.stdout.count("\n") == 1

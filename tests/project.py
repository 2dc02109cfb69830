"""A copy of the project that can be run in seconds: miniature data, few and short runs, and yet the whole pipeline."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import modify_yaml

from tests.miniature import write_miniature

ROOT = Path(__file__).parent.parent
RESULTS = ("dvc.lock", "reports", "data/raw", "data/prepared", "data/models", "data/archives", "data/checked.txt")
KEPT_VARIANTS = 2
DIVERGING = "learning_rate"  # the study with a run that is bound to diverge
# Each stage that imports PyTorch takes seconds, so few ablations stay: the baseline, one that shares variants with it
# and has others called as_run, and one that the published report didn't make, where one is given seeds of its own.
BASELINE, SHARING, FURTHER = "baseline", "hidden_layers", "pixels"
ABLATIONS = [f"ablations@{study}" for study in (BASELINE, SHARING, FURTHER)]
RUNNING = re.compile(r"^Running stage '(.+)'", re.MULTILINE)  # what DVC says of each stage that it runs
DEAD_MIRROR = "http://127.0.0.1:9/"
IDENTITY = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.invalid")


class Project:
    """The copy, with the data sets that its DATASETS_DIR holds; runs what a user would type."""

    def __init__(self, folder: Path, data: Path, home: Path) -> None:
        self.folder, self.data, self.home = folder, data, home

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the copy, standard error among its output; the caller looks at the exit status."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment() | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )

    def succeed(self, *command: str, **variables: str) -> str:
        """Run a command that must succeed; return its output."""
        done = self.run(*command, **variables)
        assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def dvc(self, *arguments: str, **variables: str) -> str:
        """Run a DVC command that must succeed; return its output."""
        return self.succeed(sys.executable, "-m", "dvc", *arguments, **variables)

    def environment(self) -> dict[str, str]:
        """What a user on a bare machine has: no identity for git, no proxy, no settings of ours."""
        ours = ("DATASETS_DIR", "STUDY_", "DVC_", "GIT_", "PYTHONPATH")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return inherited | {
            "DATASETS_DIR": str(self.data),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "NO_PROXY": "*",
            "no_proxy": "*",
            "DVC_SITE_CACHE_DIR": str(self.home / "dvc"),
            # Small networks gain nothing by more threads, and lose much where other work holds the cores.
            "OMP_NUM_THREADS": "1",
        }

    def commit(self) -> None:
        """Commit everything, as nobody."""
        self.succeed("git", "add", "--all")
        self.succeed("git", *IDENTITY, "commit", "--quiet", "--message", "as it is")

    def copy(self, folder: Path) -> "Project":
        """An independent copy, results, cache and all."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder, self.data, self.home)

    def files(self) -> dict[str, bytes]:
        """dvc.lock and every file of reports/."""
        paths = [self.folder / "dvc.lock", *sorted((self.folder / "reports").rglob("*"))]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths if path.is_file()}

    def outputs(self) -> dict[str, bytes]:
        """The same, and the data that git doesn't hold: all that the stages write."""
        paths = sorted((self.folder / "data").rglob("*"))
        data = [path for path in paths if path.is_file() and path.name != ".gitignore"]
        return self.files() | {str(path.relative_to(self.folder)): path.read_bytes() for path in data}

    def replace(self, file: str, old: str, new: str) -> None:
        """Put `new` in the place of the first `old` in a file."""
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")


def make_project(folder: Path) -> Project:
    """Copy the sources (not the results), shrink the study, write miniature data, commit."""
    project = Project(folder / "project", folder / "datasets", folder)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(RESULTS):
            target = project.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    editions = project.folder / "data/editions.yaml"
    write_miniature(project.data, editions, np.random.default_rng(0))
    editions.write_text(yaml.safe_dump(with_dead_mirror(yaml.safe_load(editions.read_text())), sort_keys=False))
    with modify_yaml(project.folder / "params.yaml") as params:
        shrink(params)
    apply_overrides(project.folder / "params.yaml", [])  # in the form that DVC keeps
    project.succeed("git", "init", "--quiet")
    project.commit()
    return project


def with_dead_mirror(editions: dict[str, Any]) -> dict[str, Any]:
    """Give every edition a mirror that refuses at once, so that nothing is asked of the network."""
    for data_set in editions.values():
        for edition in data_set.values():
            edition["upstream"] = {"files": {"archive.tar.gz": None}, "mirrors": [DEAD_MIRROR]}
    return editions


def shrink(params: dict[str, Any]) -> None:
    """Few, short runs, in place: every sweep stays, with its first variants; one variant of one is bound to diverge."""
    # Settings that tests change stand at known values, whatever the study has come to use.
    params["seed"], params["lr"] = 42, 0.1
    params["data"]["cifar10"]["edition"] = "jpeg"
    params["train_torch"]["dataset"] = "cifar10"
    params["train_torch"]["record"]["dropout"] = 0.0
    for data_set in params["data"].values():
        data_set["validation_images"] = 50
    params["train_numpy"]["epochs"] = 1  # any better, and there would be no mistakes to show
    for base in params["tune_base"].values():
        base["epochs"] = 2
    for study in params["tune"].values():
        study["variants"] = study["variants"][:KEPT_VARIANTS]
        study["seeds"] = study["seeds"][:2]
    params["tune"][DIVERGING]["variants"][0] = {"lr": 1e6}
    for networks in ("train_torch", "train_cnn", "ablation_base"):
        for settings in params[networks].values():
            if isinstance(settings, dict):  # train_torch has its data set beside its networks
                shrink_torch(settings)
    params["ablations"] = {name: params["ablations"][name] for name in (BASELINE, SHARING, FURTHER)}
    for study in params["ablations"].values():
        study["seeds"] = study["seeds"][:2]
        for changes in (study["settings"], *study["variants"]):
            shrink_torch(changes)
    del params["ablations"][FURTHER]["variants"][KEPT_VARIANTS:]
    params["ablations"][FURTHER]["variants"][-1]["seeds"] = [1]  # of its own


def shrink_torch(settings: dict[str, Any]) -> None:
    """Small networks and short trainings, in place; what was the same before is the same after."""
    for key in ("hidden", "widths"):
        if key in settings:
            settings[key] = [width // 16 for width in settings[key]]
    for phase in (settings, *(settings.get("phases") or ())):
        if phase.get("epochs"):
            phase["epochs"] = 1
    if "batch_size" in settings:
        settings["batch_size"] //= 8

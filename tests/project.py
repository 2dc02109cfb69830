"""A copy of the project that runs in seconds: the real pipeline with miniature data and few, short runs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import modify_yaml

from tests.miniature import write_miniature

ROOT = Path(__file__).parent.parent
SOURCES = (".dvc/.gitignore", ".dvc/config", ".dvc/plots", ".dvcignore", ".gitignore", "dvc.yaml", "params.yaml")
FOLDERS = ("data/published", "stages", "tools")
STUDIES = {"tune": ("published_learning_rate", "learning_rate"), "ablations": ("baseline",)}
RUNNING = re.compile(r"^Running stage '(.+)'", re.MULTILINE)  # what DVC prints of each stage that it runs
IDENTITY = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.invalid")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
DVC = (sys.executable, "-m", "dvc")


class Project:
    """The copy in `folder`; `home` holds its data sets, in `datasets`, and DVC's own files."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home

    def environment(self) -> dict[str, str]:
        """The environment of a user on a new machine: no identity for git, no proxy, no settings of the study."""
        ours = ("DATASETS_DIR", "STUDY_", "DVC_", "GIT_", "PYTHONPATH")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return inherited | {
            "DATASETS_DIR": str(self.home / "datasets"),
            "DVC_SITE_CACHE_DIR": str(self.home / "dvc"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "HOME": str(self.home),
            "NO_PROXY": "*",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            # As few as possible, so that a test that asks for more sees a difference; two jobs would also take longer.
            **dict.fromkeys(("STUDY_JOBS", *THREADS), "1"),
        }

    def run(self, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
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

    def succeed(self, *command: str | Path, **variables: str) -> str:
        """Run a command that must succeed; return its output."""
        done = self.run(*command, **variables)
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def dvc(self, *arguments: str, **variables: str) -> str:
        """Run a DVC command that must succeed; return its output."""
        return self.succeed(*DVC, *arguments, **variables)

    def commit(self) -> None:
        """Commit everything."""
        self.succeed("git", "add", "--all")
        self.succeed("git", *IDENTITY, "commit", "--quiet", "--message", "as it is")

    def copy(self, folder: Path) -> "Project":
        """An independent copy, results, cache and all."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder, self.home)

    def outputs(self, *folders: str) -> dict[str, bytes]:
        """The files below folders of the copy; without any, all that the stages write, and dvc.lock."""
        wanted = folders or ("reports", "data/raw", "data/prepared", "data/models", "data/checked.txt", "dvc.lock")
        paths = [path for name in wanted for path in ((self.folder / name), *(self.folder / name).rglob("*"))]
        files = (path for path in paths if path.is_file() and path.name != ".gitignore")
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}

    def append(self, file: str, text: str) -> None:
        """Add text to the end of a file."""
        with (self.folder / file).open("a", encoding="utf-8") as stream:
            stream.write(text)


def make_project(home: Path) -> Project:
    """Copy the sources (not the results), shrink the study, write miniature data, commit."""
    project = Project(home / "project", home)
    for name in SOURCES + FOLDERS:
        source, target = ROOT / name, project.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    editions = project.folder / "stages/datasets/editions.yaml"
    write_miniature(home / "datasets", editions, np.random.default_rng(0))
    with modify_yaml(project.folder / "params.yaml") as params:
        shrink(params)
    apply_overrides(project.folder / "params.yaml", [])  # in the form that DVC keeps
    project.succeed("git", "init", "--quiet")
    project.commit()
    return project


def shrink(params: dict[str, Any]) -> None:
    """Few studies, small networks and short trainings, in place."""
    for section, kept in STUDIES.items():
        params[section] = {name: params[section][name] for name in kept}
        for study in params[section].values():
            study["variants"] = study["variants"][:3]
    for data in params["data"].values():
        data["validation_images"] = 50
    params |= {"seeds": 2, "repeats": 1}
    params["numpy_defaults"]["epochs"] = 2
    params["train_numpy"] |= {"architecture": "auto-16-auto relu", "epochs": 1}
    # Runs of a quarter of a second, to be interrupted, and some that diverge.
    params["tune"]["learning_rate"] |= {"seeds": 6, "settings": {"epochs": 300}}
    params["tune"]["learning_rate"]["variants"] = [{"lr": 0.2}, {"lr": 1e6}]
    params["torch_defaults"]["epochs"] = 6  # enough for rounding to show
    models = params["train_torch"]
    models["mlp"] |= {"hidden": "16-8", "epochs": 1}
    for name in ("cnn_small", "cnn_large"):
        models[name] |= {"stem": 4, "widths": "4-8-16", "epochs": 1, "batch_size": 16, "precision": "float32"}
    for training in (models["published"], *params["ablations"]["baseline"]["variants"]):
        for phase in training.get("phases", ()):
            phase["epochs"] = 1

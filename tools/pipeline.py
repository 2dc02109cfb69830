"""The pipeline as DVC understands it: dvc.yaml with its templates resolved, and what dvc.lock says was run."""

from pathlib import Path
from typing import NamedTuple

import yaml
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo


class Stage(NamedTuple):
    """One stage. `deps`: files and folders, no parameters; `outs`: cached by DVC; `kept`: in git, metrics too."""

    name: str
    command: str
    deps: frozenset[str]
    outs: tuple[str, ...]
    kept: tuple[str, ...]


def declared_stages(root: Path) -> list[Stage]:
    """The stages of dvc.yaml, a foreach group's one by one; no data is needed."""
    with Repo(root) as repo:
        return [
            Stage(
                stage.name,
                stage.cmd if isinstance(stage.cmd, str) else " && ".join(stage.cmd),
                frozenset(dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency)),
                tuple(out.def_path for out in stage.outs if out.use_cache),
                tuple(out.def_path for out in stage.outs if not out.use_cache),
            )
            for stage in repo.index.stages
        ]


def locked_outputs(root: Path) -> dict[str, set[str]]:
    """For each stage in dvc.lock, the outputs whose checksums it holds."""
    path = root / "dvc.lock"
    if not path.exists():
        return {}
    locked = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return {
        name: {out["path"] for out in entry.get("outs", []) if "md5" in out}
        for name, entry in locked.get("stages", {}).items()
    }

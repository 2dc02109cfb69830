"""`make check`: whether the committed files agree with each other: code, dvc.yaml, dvc.lock, params.yaml, results.

    python -m tools.check

Needs no data, no network and no training. Every problem is one line that says what to do.
"""

import ast
import logging
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from dvc.dependency.param import ParamsDependency
from dvc.exceptions import DvcException, ReproductionError
from dvc.repo import Repo
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import load_yaml

from stages.errors import exit_on_error
from stages.params import load_params

# Every stage imports these. Errors do not affect results, and DVC tracks the parameters by their values: also
# `arithmetic`, from which `stages/__init__.py` follows.
LEAVES = {"stages/__init__.py", "stages/errors.py", "stages/params.py"}


class Stage(NamedTuple):
    """One stage. `deps`: files and folders; `outs`: all of them; `committed`: those that git holds instead of DVC."""

    name: str
    command: str
    deps: set[str]
    outs: list[str]
    committed: list[str]


def read_stages() -> list[Stage]:
    """The stages of dvc.yaml, templates resolved."""
    with Repo() as repo:
        return [
            Stage(
                stage.name,
                stage.cmd,
                {dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency)},
                [out.def_path for out in stage.outs],
                [out.def_path for out in stage.outs if not out.use_cache],
            )
            for stage in repo.index.stages
        ]


def imports(source: Path) -> Iterator[str]:
    """The folders and single files of `stages/` that a file imports from, anywhere in its code."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"), filename=str(source))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):  # absolute: ruff sees to it
            names = [f"{node.module}.{name}" for name in names]
        for top, *below in (name.split(".") for name in names):
            if top == "stages" and below:
                path = Path(top, below[0])
                yield str(path if path.is_dir() else path.with_suffix(".py"))


def code_of(stage_file: str) -> set[str]:
    """The stage file and all that it imports, directly or not: folders of `stages/` and single stage files."""
    found, waiting = set(), {stage_file}
    while waiting:
        path = Path(waiting.pop())
        found.add(str(path))
        for source in path.rglob("*.py") if path.is_dir() else [path]:
            waiting |= {dep for dep in imports(source) if dep not in found | LEAVES}
    return found


def check_packages() -> Iterator[str]:
    """Every folder with code is a package."""
    for folder in sorted({path.parent for top in ("stages", "tools", "tests") for path in Path(top).rglob("*.py")}):
        if not (folder / "__init__.py").exists():
            yield f"{folder}/__init__.py is missing: create it"


def check_deps(stages: list[Stage]) -> Iterator[str]:
    """The deps in `stages/` are the code that a stage imports."""
    # The stages of a foreach group have the same ones.
    for group, stage in {stage.name.partition("@")[0]: stage for stage in stages}.items():
        named = re.match(r"python -m stages\.(\w+)", stage.command)
        if not named or not Path(f"stages/{named[1]}.py").is_file():
            yield f"{group}: `{stage.command}` runs no stage: begin with python -m stages.NAME"
            continue
        deps = {dep for dep in stage.deps if dep.startswith("stages/") and not dep.endswith(".yaml")}
        code = code_of(f"stages/{named[1]}.py")
        yield from (f"{group}: add {path} to its deps in dvc.yaml" for path in sorted(code - deps))
        yield from (f"{group}: remove {path} from its deps in dvc.yaml" for path in sorted(deps - code - LEAVES))


def check_lock(stages: list[Stage], locked: dict) -> Iterator[str]:
    """dvc.yaml trains every final model, dvc.lock has its stages and their outputs, and the committed outputs exist."""
    trained = {stage.name.removeprefix("train_torch@") for stage in stages}
    for name in sorted(load_yaml("params.yaml").get("train_torch", {}).keys() - trained):
        yield f"train_torch.{name} is in params.yaml only: add it to the models of train_torch in dvc.yaml"
    for name in sorted(locked.keys() - {stage.name for stage in stages}):
        yield f"{name} is in dvc.lock but not in dvc.yaml: delete its entry and its files"
    for stage in stages:
        known = {out["path"] for out in locked.get(stage.name, {}).get("outs", [])}
        wrong = [f"{path} is not in dvc.lock" for path in stage.outs if path not in known]
        wrong += [f"{path} does not exist" for path in stage.committed if not Path(path).exists()]
        if wrong:
            yield f"{stage.name}: {wrong[0]}: run `dvc repro {stage.name}`, commit dvc.lock and reports/"


def check_plots() -> Iterator[str]:
    """Every study has a plot."""
    params, plots = load_yaml("params.yaml"), load_yaml("dvc.yaml").get("plots", [])
    drawn = {name for plot in plots if isinstance(plot, dict) for name in plot}
    for study in (f"{half}@{name}" for half in ("tune", "ablations") for name in params.get(half, {})):
        if study not in drawn:
            yield f"{study} has no plot: add a line under plots in dvc.yaml"


def check_params() -> Iterator[str]:
    """params.yaml is as DVC would write it, so that `dvc exp run -S lr=0.01` changes one line."""
    params = Path("params.yaml")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(params, folder))
        apply_overrides(copy, [])
        pairs = zip_longest(*(path.read_text(encoding="utf-8").splitlines() for path in (params, copy)), fillvalue="")
        for number, (line, rewritten) in enumerate(pairs, start=1):
            if line != rewritten:
                yield f"params.yaml:{number}: write `{rewritten}` for `{line}`, as any `dvc exp run -S` would"
                return  # later lines may differ only in position


def check_up_to_date() -> Iterator[str]:
    """No stage would run, except those whose data is merely missing on this machine."""
    logging.getLogger("dvc").setLevel(logging.ERROR)  # a dry run prints every stage
    with Repo() as repo:
        try:
            stale = [stage.name for stage in repo.reproduce(dry=True, allow_missing=True)]
        except ReproductionError as error:  # DVC searches for an earlier run of a stale stage, and the data is missing
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            stale = re.findall("'(.+)'", str(error))
    for name in stale:
        yield f"{name} is out of date: run `dvc repro`, commit dvc.lock and reports/"


def problems() -> list[str]:
    """Every problem of the project in the working directory."""
    try:
        stages = read_stages()
        locked = load_yaml("dvc.lock")["stages"] if Path("dvc.lock").exists() else {}
        found = [*check_packages(), *check_deps(stages), *check_lock(stages, locked), *check_plots(), *check_params()]
        if all(stage.name in locked for stage in stages):  # DVC's dry run stops at one that was never run
            found += check_up_to_date()
        return found
    except (DvcException, OSError, SyntaxError, ValueError) as error:
        return [" ".join(f"{error} {error.__cause__ or ''}".split())]


def main(arguments: list[str]) -> None:
    """Print the problems."""
    load_params()  # an invalid parameter is one error, not a stale stage
    found = problems()
    print("\n".join(f"error: {problem}" for problem in found) or "check: all committed files are consistent")
    sys.exit(bool(found))


if __name__ == "__main__":
    exit_on_error(main)

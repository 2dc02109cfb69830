"""`make check`: whether what is committed belongs together, without any data.

    python -m tools.check

Holds dvc.yaml, dvc.lock, params.yaml, the code and the committed results against each other. Needs no data, no network
and no training, so it tells in any clone, and in CI, whether somebody changed one and forgot the others. Each fault is
a line that says how to mend it.
"""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from dvc.exceptions import DvcException

from tools.canonical import COLUMNS, PARAMS, first_difference
from tools.dvc_command import dvc, environment
from tools.imports import dependencies
from tools.pipeline import Stage, declared_stages, locked_outputs

NODE = re.compile(r"python -m stages\.(\w+)")
STALE = re.compile(r"^Running stage '(.+)'", re.MULTILINE)
# Before it runs a stage that is out of date, if only for show, DVC looks for a former run with the same inputs.
STALE_WITHOUT_DATA = re.compile(r"failed to reproduce '(.+)': \[Errno 2\]")


def out_of_date(root: Path) -> list[str]:
    """Stages whose code, parameters, inputs or committed results aren't those of their last run."""
    # `dvc status` would also call a stage stale whose data is merely not here.
    dry = subprocess.run(
        dvc("repro", "--dry", "--allow-missing"),
        cwd=root,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    stuck = STALE_WITHOUT_DATA.findall(dry.stderr)
    if dry.returncode != 0 and not stuck:
        reason = next((line for line in dry.stderr.splitlines() if line.startswith("ERROR")), "for no stated reason")
        return [f"dvc repro --dry fails: {reason.removeprefix('ERROR: ')}"]
    return [
        f"{stage} is out of date: run `dvc repro`, then commit dvc.lock and reports/"
        for stage in STALE.findall(dry.stdout) + stuck
    ]


def left_over(stages: Iterable[Stage], locked: Iterable[str]) -> list[str]:
    """Entries of dvc.lock for stages that dvc.yaml no longer has; DVC never removes them, nor their files."""
    names = {stage.name for stage in stages}
    return [
        f"dvc.lock has {name}, which dvc.yaml hasn't: delete its entry there, and its files"
        for name in locked
        if name not in names
    ]


def never_run(stages: Iterable[Stage], locked: Iterable[str]) -> list[str]:
    """Stages without an entry in dvc.lock."""
    return [
        f"{stage.name} was never run: run `dvc repro {stage.name}`, then commit dvc.lock and reports/"
        for stage in stages
        if stage.name not in locked
    ]


def lost_outputs(root: Path, stages: Iterable[Stage], locked: dict[str, set[str]]) -> list[str]:
    """Results that git should hold and doesn't, and data that dvc.lock should know and doesn't."""
    faults = []
    for stage in stages:
        if stage.name not in locked:
            continue
        faults += [
            f"{stage.name}: {path} is missing: run `dvc repro {stage.name}` and commit it"
            for path in stage.kept
            if not (root / path).exists()
        ]
        faults += [
            f"{stage.name}: dvc.lock doesn't know {path}: run `dvc repro {stage.name}` and commit dvc.lock"
            for path in (*stage.outs, *stage.kept)
            if path not in locked[stage.name]
        ]
    return faults


def wrong_deps(root: Path, stages: Iterable[Stage]) -> list[str]:
    """Stages whose deps aren't the code that they import, so that they rerun without a reason or fail to with one."""
    faults = []
    for stage in stages:
        group = stage.name.partition("@")[0]  # a foreach group has one entry in dvc.yaml
        named = NODE.match(stage.command)
        node = root / "stages" / f"{named[1]}.py" if named else None
        if node is None or not node.is_file():
            faults.append(f"{group}: `{stage.command}` runs no node: let it begin with python -m stages.NAME")
            continue
        imported = dependencies(root, node)
        # What else lies below stages/, a template say, is read and not imported.
        listed = {dep for dep in stage.deps if dep.startswith("stages/") and Path(dep).suffix in ("", ".py")}
        for what, paths in (("add to", imported - listed), ("remove from", listed - imported)):
            if paths:
                faults.append(f"{group}: {what} its deps in dvc.yaml: {', '.join(sorted(paths))}")
    return list(dict.fromkeys(faults))


def not_canonical(path: Path) -> list[str]:
    """Lines of params.yaml that any `dvc exp run -S` would change."""
    faults = [
        f"{path.name}:{number} is longer than {COLUMNS} columns, where DVC folds it: shorten it"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if len(line) > COLUMNS
    ]
    difference = first_difference(path)
    if difference:
        number, old, new = difference
        faults.append(
            f"{path.name}:{number} `{old.strip()}` would become `{new.strip()}` with any `dvc exp run -S`: "
            "run `.venv/bin/python -m tools.canonical`"
        )
    return faults


def all_faults(root: Path) -> list[str]:
    """Every check in turn; one that can't be made is a fault as well."""
    try:
        stages, locked = declared_stages(root), locked_outputs(root)
        faults = [
            *wrong_deps(root, stages),
            *left_over(stages, locked),
            *never_run(stages, locked),
            *lost_outputs(root, stages, locked),
            *not_canonical(root / PARAMS),
        ]
        # DVC's dry run stops at the first stage that was never run.
        return faults if never_run(stages, locked) else faults + out_of_date(root)
    except (DvcException, OSError, ValueError, SyntaxError) as error:
        return [" ".join(str(error).split())]


def main() -> int:
    """Print the faults; 1 if there are any."""
    faults = all_faults(Path.cwd())
    for fault in faults:
        print(f"error: {fault}")
    if not faults:
        print("check: dvc.yaml, dvc.lock, params.yaml, code and results belong together")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

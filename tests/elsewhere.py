"""The pipeline as somebody else runs it: in an environment that has as little as possible in common with that of

`reproduced_project`, and watched, so that it is known which files each stage opens.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import source_from_cache
from pathlib import Path
from typing import NamedTuple

from tests.project import RUNNING, Project

PRIVATE = 'umask 077; exec "$@"'  # for sh: then the command
# Python imports `sitecustomize` at its start. DVC tells every command which stage it is.
WATCH = """
import os
import sys


def note(path):
    full = os.path.abspath(os.fsdecode(path))
    if full.startswith(ROOT + os.sep):
        os.write(LOG, os.fsencode(os.path.relpath(full, ROOT)) + b"\\n")


def audit(event, arguments):
    if event == "open" and not isinstance(arguments[0], int):
        note(arguments[0])


def noted(path, *others, **named):
    note(path)
    return safe_open(path, *others, **named)


if "DVC_STAGE" in os.environ:
    ROOT = os.getcwd()
    log = os.path.join(os.path.dirname(__file__), os.environ["DVC_STAGE"])
    LOG = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    sys.addaudithook(audit)
    import safetensors  # opens files where Python doesn't see it

    safe_open, safetensors.safe_open = safetensors.safe_open, noted
"""


class Elsewhere(NamedTuple):
    """The project after `dvc repro`: the stages that ran, and the files of the project that each of them opened."""

    project: Project
    ran: list[str]
    opened: Mapping[str, set[str]]


@cache  # a session's tests share it
def reproduced_elsewhere(miniature: Project) -> Elsewhere:
    """Run the whole pipeline, once. Not to be changed: take a copy of the project."""
    folder = miniature.home / "elsewhere"
    watch, locale = folder / "watch", folder / "locale"
    for new in (folder, watch, locale):
        new.mkdir()
    (watch / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    project = miniature.copy(folder / "deep" / "Zoë's study" / "project")
    project.data = shutil.copytree(miniature.data, folder / "archives elsewhere", copy_function=shutil.copyfile)
    project.home = folder / "home"
    project.home.mkdir()
    output = project.succeed(
        *("sh", "-c", PRIVATE, "sh", sys.executable, "-m", "dvc", "repro"),
        **decimal_comma(locale),
        PYTHONPATH=str(watch),
        PYTHONUTF8="0",  # else Python pays no heed to how a locale writes text
        PYTHONCOERCECLOCALE="0",
        TZ="FAR-24",  # a day ahead, so that dates differ at any hour
        PYTHONHASHSEED="1",
        STUDY_JOBS="2",  # the first run had one job, and one thread
        OMP_NUM_THREADS="4",
        OPENBLAS_NUM_THREADS="4",
        MKL_NUM_THREADS="4",
    )
    ran = RUNNING.findall(output)
    return Elsewhere(project, ran, {stage: opened(project.folder, watch / stage) for stage in ran})


def decimal_comma(folder: Path) -> dict[str, str]:
    """Settings of a locale in which 0.5 is written 0,5 and text is Latin-1; of plain ASCII, where none can be made."""
    made = subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", folder / "de_DE"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return {"LC_ALL": "de_DE", "LOCPATH": str(folder)} if made.returncode == 0 else {"LC_ALL": "POSIX"}


def opened(root: Path, log: Path) -> set[str]:
    """The files named in a log that are there still, byte code under the name of its source."""
    names = {os.fsdecode(line) for line in log.read_bytes().splitlines()}
    sources = {source_from_cache(name) if name.endswith(".pyc") else name for name in names}
    return {name for name in sources if (root / name).is_file()}

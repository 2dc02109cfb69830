"""The outputs of the pipeline do not depend on place, time, locale or user."""

import shutil
import subprocess
from pathlib import Path

from tests.project import DVC, RUNNING, THREADS, Project, make_project


def decimal_comma(folder: Path) -> dict[str, str]:
    """Settings of a locale in which 0.5 is written 0,5 and text is Latin-1; of plain ASCII if none can be made."""
    command = ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", folder / "de_DE"]
    made = shutil.which("localedef") and subprocess.run(command, capture_output=True, check=False).returncode == 0
    return {"LC_ALL": "de_DE", "LOCPATH": str(folder)} if made else {"LC_ALL": "POSIX"}


def test_no_output_depends_on_place_time_locale_or_user(reproduced: Project, tmp_path: Path):
    project = make_project(tmp_path / "Zoë's study")
    output = project.succeed(
        *("sh", "-c", 'umask 077; exec "$@"', "sh", *DVC, "repro"),
        **decimal_comma(tmp_path),
        **dict.fromkeys(THREADS, "4"),
        PYTHONUTF8="0",  # else Python ignores how a locale writes text
        PYTHONCOERCECLOCALE="0",
        PYTHONHASHSEED="1",
        STUDY_JOBS="2",
        TZ="FAR-24",  # a day ahead, so that dates differ at any hour
    )
    first, second = reproduced.outputs(), project.outputs()
    assert len(RUNNING.findall(output)) == second["dvc.lock"].count(b"\n    cmd:")  # nothing was restored from a cache
    assert sorted(name for name in {*first, *second} if first.get(name) != second.get(name)) == []

"""The Makefile on machines that aren't ready, without installing anything: a script stands in for Python."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.project import ROOT

# Makes environments whose python is this script; says what it was asked; fails at whatever $BROKEN matches.
PYTHON = """#!/bin/sh
echo "python $*" >> "$LOG"
case "$*" in
  $BROKEN) exit 1 ;;
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
esac
"""

LOCK = """\
dvc==1 \\
    --hash=sha256:01
    # via -r requirements.txt
pip==2 \\
    --hash=sha256:02
pip-audit==3 \\
    --hash=sha256:03
setuptools==4 \\
    --hash=sha256:04 \\
    --hash=sha256:05
    # via torch
uv==5 \\
    --hash=sha256:06
"""

# Says what it was asked; fails at whatever $BROKEN matches.
APT_GET = """#!/bin/sh
echo "apt-get $*" >> "$LOG"
case "$*" in
  $BROKEN) echo "no such thing"; exit 1 ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.lock").write_text(LOCK)
    (tmp_path / "fake").write_text(PYTHON)
    (tmp_path / "fake").chmod(0o755)
    return tmp_path


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """All that a machine without a browser has on its PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "make").symlink_to(shutil.which("make"))
    (folder / "apt-get").write_text(APT_GET)
    (folder / "apt-get").chmod(0o755)
    return folder


def make(
    folder: Path, target: str, broken: str = "nothing", python: str = "./fake", path: str = os.environ["PATH"]
) -> tuple[int, list[str], str]:
    """Run make; return its status, what Python was asked to do, and the output."""
    log = folder / "log"
    log.write_text("")
    done = subprocess.run(
        ["make", "--no-print-directory", target, f"PYTHON={python}"],
        cwd=folder,
        env={"PATH": path, "LOG": str(log), "BROKEN": broken},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, log.read_text().splitlines(), done.stdout


def installs(asked: list[str]) -> int:
    return sum("pip install" in line and line.endswith(" requirements.lock") for line in asked)


def without_status(output: str) -> list[str]:
    """The lines of an output that aren't what make itself adds when a command fails."""
    return [line for line in output.splitlines() if not line.startswith("make: ")]


def test_second_run_installs_nothing(folder: Path):
    status, asked, _ = make(folder, "repro")
    assert status == 0
    assert installs(asked) == 1
    assert asked[-1] == "python -m tools.repro"
    assert make(folder, "repro")[:2] == (0, ["python -m tools.repro"])


def test_changed_requirements_are_installed(folder: Path):
    make(folder, "setup")
    installed = (folder / ".venv/requirements.lock").stat().st_mtime
    (folder / "requirements.lock").write_text(LOCK.replace("dvc==1", "dvc==2"))
    os.utime(folder / "requirements.lock", (installed + 5, installed + 5))
    assert installs(make(folder, "setup")[1]) == 1


def test_what_installs_comes_first_and_everything_by_its_hash(folder: Path):
    """Without isolation, pip builds what comes as source with what is installed, not with what it fetches for that."""
    _, asked, _ = make(folder, "setup")
    first, second = (line.split() for line in asked if "pip install" in line)
    assert first[-1] == ".venv/installer.txt"
    kept = [line for line in (folder / ".venv/installer.txt").read_text().splitlines() if not line.startswith(" ")]
    assert kept == ["pip==2 \\", "setuptools==4 \\"]
    assert (folder / ".venv/installer.txt").read_text().count("--hash") == 3
    assert second[-1] == "requirements.lock"
    assert "--no-build-isolation" in second
    for line in (first, second):
        assert {"--require-hashes", "--no-deps", "--only-binary", "--no-binary"} <= set(line)
        assert line.index("--only-binary") < line.index("--no-binary")  # in pip, :all: undoes what stands before it


def test_pickles_of_dvc_get_a_folder_that_is_closed_to_others(folder: Path):
    """By default they lie in a folder of everybody's, whoever puts others in their place has DVC run what they say."""
    _, asked, _ = make(folder, "setup")
    assert asked[-1] == f"python -m dvc config --local core.site_cache_dir {folder}/.venv/dvc"
    for path in (".venv/dvc", ".venv/dvc/repo"):
        assert (folder / path).stat().st_mode & 0o777 == 0o700


def test_lock_is_written_with_hashes_for_every_platform(folder: Path):
    _, asked, _ = make(folder, "lock")
    arguments = asked[-1].split()
    assert asked[-1].startswith("python -m uv pip compile ")
    assert {"--generate-hashes", "--universal", "requirements.txt"} <= set(arguments)
    assert arguments[arguments.index("--output-file") + 1] == "requirements.lock"
    assert not {"--upgrade", "--emit-index-url"} & set(arguments)


def test_audit_fails_where_it_learns_nothing(folder: Path):
    _, asked, _ = make(folder, "audit")
    assert asked[-1].startswith("python -m pip_audit --strict ")
    assert "--requirement requirements.lock" in asked[-1]
    assert make(folder, "audit", broken="*pip_audit*")[0] != 0


@pytest.mark.parametrize("broken", ["*installer.txt", "*requirements.lock"])
def test_broken_off_install_begins_again_from_nothing(folder: Path, broken: str):
    status, _, _ = make(folder, "setup", broken=broken)
    assert status != 0
    (folder / ".venv/half").touch()
    status, asked, _ = make(folder, "setup")
    assert status == 0
    assert installs(asked) == 1
    assert not (folder / ".venv/half").exists()
    assert make(folder, "setup")[1] == []


@pytest.mark.parametrize(
    ("broken", "python", "advice"),
    [
        ("*version_info*", "./fake", "Python 3.11 or newer is needed"),
        ("*ensurepip*", "./fake", "install the package python3-venv"),
        ("nothing", "./missing", "./missing is not installed"),
    ],
)
def test_unready_machine_gets_one_line(folder: Path, broken: str, python: str, advice: str):
    status, _, output = make(folder, "repro", broken, python)
    assert status != 0
    (line,) = without_status(output)
    assert advice in line
    assert not (folder / ".venv").exists()


def test_browser_is_installed_where_there_is_none(folder: Path, bare: Path):
    status, asked, output = make(folder, "browser", path=str(bare))
    assert (status, output) == (0, "")
    assert asked == ["apt-get update", "apt-get install -y --no-install-recommends chromium"]
    (bare / "google-chrome").touch(mode=0o755)
    assert make(folder, "browser", path=str(bare)) == (0, [], "")


@pytest.mark.parametrize("broken", ["update", "install *"])
def test_browser_that_cannot_be_installed_gets_one_line(folder: Path, bare: Path, broken: str):
    status, _, output = make(folder, "browser", broken, path=str(bare))
    assert status != 0
    (line,) = without_status(output)
    assert "apt-get install chromium" in line


NAMES = ("repro", "retrain", "test", "check", "bench", "browser", "lock", "audit")


def test_help_names_every_command(folder: Path):
    for arguments in ("help", "--"):  # by name, and as the default
        _, _, output = make(folder, arguments)
        assert all(f"make {name}" in output for name in NAMES)

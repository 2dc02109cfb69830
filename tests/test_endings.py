"""How a node ends: one line whatever stops it, nothing half-written, nothing that stays behind."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from stages.common.directories import whole_directory
from stages.common.files import whole_file, write_text

ROOT = Path(__file__).parent.parent
START = """
import os, time
from pathlib import Path
from stages.common.errors import *
from stages.common.files import *
"""


def node(body: str, *wrapper: str) -> subprocess.Popen[str]:
    """A process that runs a node whose `main` has this body, or a wrapper that starts it."""
    code = START + "def main(arguments):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    return subprocess.Popen(
        [*wrapper, sys.executable, "-c", code + "exit_on_error(main)"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "DVC_STAGE"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        ("StudyError('lr = 0: above 0')", "error: lr = 0: above 0"),
        ("MemoryError", "error: not enough memory: end other programs, or set STUDY_JOBS=1"),
        ("RuntimeError('CUDA out of memory')", "error: not enough memory: end other programs, or set STUDY_JOBS=1"),
        (f"OSError({errno.ENOSPC}, os.strerror({errno.ENOSPC}), 'a.csv')", "error: a.csv: No space left on device"),
        (f"OSError({errno.EROFS}, os.strerror({errno.EROFS}), 'a.csv')", "error: a.csv: Read-only file system"),
        (f"OSError({errno.EACCES}, os.strerror({errno.EACCES}))", "error: Permission denied"),
    ],
)
def test_what_a_user_can_mend_is_one_line(raised: str, line: str):
    process = node(f"raise {raised}")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (1, "", f"{line}\n")


def test_a_fault_of_ours_keeps_its_trace():
    process = node("raise FileNotFoundError(2, 'none', 'x')")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" in err


@pytest.mark.parametrize(
    ("number", "line"), [(signal.SIGINT, "interrupted\n"), (signal.SIGTERM, "terminated\n")], ids=["int", "term"]
)
def test_a_signal_is_one_line_and_leaves_nothing_behind(number: signal.Signals, line: str, tmp_path: Path):
    process = node(
        f"with whole_file(Path({str(tmp_path)!r}) / 'a.csv') as path:\n"
        "    path.write_text('half')\n    print('ready', flush=True)\n    time.sleep(600)"
    )
    assert process.stdout.readline() == "ready\n"
    assert len(list(tmp_path.iterdir())) == 1
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + number, line)
    assert not list(tmp_path.iterdir())


# Starts a command as DVC does that of a stage.
LIKE_DVC = "import os, subprocess, sys; subprocess.run(sys.argv[1:], env=os.environ | {'DVC_STAGE': 'some'})"
SHELL = ("sh", "-c", '"$@"; true', "sh")  # has something left to do, so that it stays
SLEEP = "print(os.getpid(), flush=True)\ntime.sleep(600)"


@pytest.mark.parametrize("between", [(), SHELL, SHELL + SHELL], ids=["nobody", "a shell", "two shells"])
def test_a_stage_ends_with_dvc(between: tuple[str, ...]):
    process = node(SLEEP, sys.executable, "-c", LIKE_DVC, *between)
    stage = psutil.Process(int(process.stdout.readline()))
    process.kill()
    gone, alive = psutil.wait_procs([stage], timeout=20)
    for left in alive:
        left.kill()
    process.communicate(timeout=60)
    assert gone


def test_a_node_run_by_hand_outlives_its_shell():
    process = node(SLEEP, *SHELL)
    stage = psutil.Process(int(process.stdout.readline()))
    process.kill()
    gone, _ = psutil.wait_procs([stage], timeout=2)
    stage.kill()
    process.communicate(timeout=60)
    assert not gone


def killed_while_writing(body: str) -> None:
    """Let a process write, and kill it in the middle."""
    process = node(f"{body}\n    print('ready', flush=True)\n    time.sleep(600)")
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.communicate(timeout=60)


def test_what_a_killed_process_was_writing_is_removed_by_the_next(tmp_path: Path):
    path = tmp_path / "a.csv"
    killed_while_writing(f"with whole_file(Path({str(path)!r})) as path:\n    path.write_text('half')")
    assert [file.name.startswith(".a.csv.") for file in tmp_path.iterdir()] == [True]
    write_text(path, "whole")
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


def test_a_folder_left_over_is_removed_too(tmp_path: Path):
    path = tmp_path / "raw"
    killed_while_writing(
        f"from stages.common.directories import whole_directory\nwith whole_directory(Path({str(path)!r})) as path:\n"
        "    (path / 'a').write_text('half')"
    )
    assert len(list(tmp_path.iterdir())) == 1
    with whole_directory(path) as folder:
        (folder / "a").write_text("whole")
    assert [file.name for file in tmp_path.iterdir()] == ["raw"]


def test_what_another_process_is_writing_stays(tmp_path: Path):
    path = tmp_path / "a.csv"
    with whole_file(path) as first:
        first.write_text("first")
        write_text(path, "second")
        assert first.exists()
    assert path.read_text() == "first"


def test_two_that_replace_a_directory_at_once_both_succeed(tmp_path: Path):
    code = (
        "from stages.common.directories import whole_directory; from pathlib import Path; import sys\n"
        "for turn in range(300):\n"
        "    with whole_directory(Path(sys.argv[1])) as folder:\n"
        "        (folder / 'a').write_text('whole')\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "raw")], cwd=ROOT, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [process.communicate(timeout=60)[1] for process in both] == [b"", b""]
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]
    assert (tmp_path / "raw/a").read_text() == "whole"

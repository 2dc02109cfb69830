"""A user's mistake, a full disk or a signal ends in one line, not in a stack trace.

Every node of the pipeline runs its `main` through `exit_on_error`, so that a bad parameter, file, archive or mirror is
answered by a line that names it and says what would be right, with exit status 1.
"""

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

import psutil

SECONDS_BETWEEN_LOOKS = 0.3
# What the machine refuses rather than what this project does wrong.
REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG)


class StudyError(Exception):
    """A mistake that the user can mend; the message names the thing at fault and says what would be right."""


def exit_on_error(main: Callable[[list[str]], None]) -> None:
    """Call `main(arguments)`; turn what a user can mend, and signals, into one line on standard error.

    The exit status is 1, or 128 and the number of the signal.
    """
    signal.signal(signal.SIGTERM, end_by_signal)
    signal.signal(signal.SIGINT, end_by_signal)
    if DVC:
        threading.Thread(target=end_with, args=(DVC,), daemon=True).start()
    try:
        main(sys.argv[1:])
    except StudyError as error:
        fail(str(error))
    except Exception as error:
        if is_out_of_memory(error):
            fail("not enough memory: end other programs, or set STUDY_JOBS=1")
        if isinstance(error, OSError) and error.errno in REFUSALS:
            fail(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
        raise


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out: NumPy raises a MemoryError, PyTorch a RuntimeError that says so."""
    said = isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("can't allocate memory", "out of memory")
    )
    refused = isinstance(error, OSError) and error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or refused or said


def fail(message: str) -> NoReturn:
    """End with one line."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


def end_by_signal(number: int, frame: FrameType | None) -> NoReturn:
    """End in good order: temporaries are removed, workers are ended."""
    for repeated in (signal.SIGTERM, signal.SIGINT):
        signal.signal(repeated, signal.SIG_IGN)
    # Not by print: the signal may have come in the middle of another one.
    os.write(sys.stderr.fileno(), b"interrupted\n" if number == signal.SIGINT else b"terminated\n")
    sys.exit(128 + number)


def find_dvc() -> psutil.Process | None:
    """The process that runs this one as a stage, if DVC does.

    It need not be the parent: some shells, dash among them, stay between. They are told by their environment, which DVC
    marks for a stage's processes alone.
    """
    stage = os.environ.get("DVC_STAGE")
    for process in psutil.Process().parents() if stage else []:
        with suppress(psutil.Error):
            if process.environ().get("DVC_STAGE") != stage:
                return process
    return None


def end_with(process: psutil.Process) -> None:
    """Wait until a process has ended, then end too.

    DVC, where it is killed, leaves the command of its stage running, which would get in the way of the next one's.
    """
    while is_alive(process):
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGTERM)


def is_alive(process: psutil.Process) -> bool:
    """Whether it goes on; one that has ended, but that nobody has asked how, is still listed."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


# Looked for before the slow imports, during which it may end.
DVC = find_dvc()

"""User errors, a full disk or a signal end a stage with one line instead of a stack trace."""

import errno
import signal
import sys
from collections.abc import Callable, Collection
from typing import NoReturn

# Errors of the system, not bugs of this code.
REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG)


class StudyError(Exception):
    """An error that the user can correct: the message names the cause and says how to correct it."""


def exit_on_error(main: Callable[[list[str]], None]) -> None:
    """Call `main(arguments)`; report errors and signals in one line on standard error.

    The exit status is 1, or 128 and the number of the signal.
    """
    signal.signal(signal.SIGTERM, lambda *_: fail("terminated", 128 + signal.SIGTERM))
    try:
        main(sys.argv[1:])
    except StudyError as error:
        fail(f"error: {error}")
    except KeyboardInterrupt:
        fail("interrupted", 128 + signal.SIGINT)
    except Exception as error:
        if is_out_of_memory(error):
            fail("error: not enough memory: close other programs, or set STUDY_JOBS=1")
        if isinstance(error, OSError) and error.errno in REFUSED:
            fail(f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error.strerror}")
        raise


def choose_names(arguments: list[str], known: Collection[str]) -> list[str]:
    """The command-line arguments, at least one, each of which must be one of `known`."""
    if not arguments or not set(arguments) <= set(known):
        raise StudyError(f"{' '.join(arguments) or 'no name given'}: give one of {', '.join(known)}")
    return arguments


def choose_name(arguments: list[str], known: Collection[str]) -> str:
    """`choose_names` of a command that takes one argument."""
    return choose_names([" ".join(arguments)] if arguments else [], known)[0]


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out: NumPy raises a MemoryError, PyTorch a RuntimeError, the system an OSError."""
    if isinstance(error, RuntimeError):
        return any(words in str(error) for words in ("can't allocate memory", "out of memory"))
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)


def fail(message: str, status: int = 1) -> NoReturn:
    """End with one line."""
    print(message, file=sys.stderr)
    sys.exit(status)

"""A user's mistake ends in one line, not in a stack trace.

Every node of the pipeline runs its `main` through `exit_on_error`, so that a bad parameter, file, archive or mirror is
answered by a line that names it and says what would be right, with exit status 1.
"""

import sys
from collections.abc import Callable


class StudyError(Exception):
    """A mistake that the user can mend; the message names the thing at fault and says what would be right."""


def exit_on_error(main: Callable[[list[str]], None]) -> None:
    """Call `main(arguments)`; turn a `StudyError` into one line on standard error and exit status 1."""
    try:
        main(sys.argv[1:])
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)

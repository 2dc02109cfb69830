"""What a user left, shown within one line of limited length, whatever it is."""

import reprlib

LONGEST = 400
_END = 150  # of a line that is cut in the middle: what is allowed stands last
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxdict, _SHORT.maxlong = 2, 6, 3, 30
_SHORT.maxstring = _SHORT.maxother = 60


def shown(value: object) -> str:
    """A value, shortened: collections may be endless, or contain themselves."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"


def one_line(text: str) -> str:
    """The text without line breaks and control characters, and no longer than can be read."""
    return cut("".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in cut(text)))


def cut(text: str) -> str:
    """A text that is too long, without its middle."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3 - _END]}...{text[-_END:]}"

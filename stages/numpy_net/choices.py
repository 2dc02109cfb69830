"""A wrong name is answered with the right ones."""

from collections.abc import Mapping
from typing import TypeVar

Choice = TypeVar("Choice")


def choose(what: str, name: str, choices: Mapping[str, Choice]) -> Choice:
    """Return `choices[name]`; raise a ValueError that lists the valid names of `what` for any other name."""
    if name not in choices:
        raise ValueError(f"unknown {what} {name!r}: choose from {', '.join(sorted(choices))}")
    return choices[name]

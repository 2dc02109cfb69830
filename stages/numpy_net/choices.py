"""Looking up a name; an unknown one is an error that lists the known ones."""

from collections.abc import Mapping
from typing import TypeVar

Choice = TypeVar("Choice")


def choose(what: str, name: str, choices: Mapping[str, Choice]) -> Choice:
    """Return `choices[name]`; for an unknown name raise a ValueError that lists the known ones."""
    if name not in choices:
        raise ValueError(f"unknown {what} {name!r}: choose from {', '.join(sorted(choices))}")
    return choices[name]

"""The kinds of number and of section that params.yaml is made of: what is allowed is said once, here.

The upper limits are generous. Beyond them lies no result, only an overflow, a machine without memory, or years.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from stages.common.messages import shown

# What YAML 1.1 takes for strings, and DVC writes for small floats; a quoted number is a mistake.
EXPONENT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+", re.ASCII)
CLASSES = 10  # of every data set here
MOST = 1e9
MOST_UNITS = 10_000
MOST_LAYERS = 32
MOST_RUNS = 100  # variants of a study, seeds of a variant
MOST_IMAGES = 60_000  # to train on, of any data set here
MOST_WEIGHTS = 100_000_000  # 2 GB with their gradient, an optimiser's two moments, and the best that were met
MOST_VALUES = 1_000_000_000  # in all layers, for the images of one mini-batch: 4 GB


def number(value: Any) -> Any:
    """Read `1e-05` as a number."""
    if isinstance(value, str) and EXPONENT.fullmatch(value):
        return float(value)
    # A whole number that no float can hold would end in an OverflowError.
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MOST:
        raise ValueError(f"should be between {-MOST:g} and {MOST:g}")
    return value


def spelled(pattern: str, letters: str) -> AfterValidator:
    """Let in what has 1 to 60 of the letters."""

    def check(name: str) -> str:
        if not re.fullmatch(pattern, name):
            raise ValueError(f"should be 1 to 60 of {letters}")
        return name

    return AfterValidator(check)


Float = Annotated[float, BeforeValidator(number), Field(allow_inf_nan=False)]
Positive = Annotated[Float, Field(gt=0, le=MOST)]
NotNegative = Annotated[Float, Field(ge=0, le=MOST)]
Share = Annotated[Float, Field(ge=0, lt=1)]
Epochs = Annotated[int, Field(ge=1, le=1000)]
BatchSize = Annotated[int, Field(ge=1, le=100_000)]
Units = Annotated[int, Field(ge=1, le=MOST_UNITS)]
# CIFAR-10 has 50,000 training images; one of each class must be left.
Images = Annotated[int, Field(ge=CLASSES, le=50_000 - CLASSES, multiple_of=CLASSES)]
Threads = Annotated[int, Field(ge=1, le=64)]
Shift = Annotated[int, Field(ge=0, le=8)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Name = Annotated[str, spelled(r"[a-z0-9_-]{1,60}", "a-z, 0-9, _ and -")]
VariantName = Annotated[str, spelled(r"[A-Za-z0-9._+-]{1,60}", "A-Z, a-z, 0-9, and . _ + -")]


class Checked(BaseModel):
    """A section of params.yaml: frozen, no unknown keys, no silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def known_keys(cls, values: Any) -> Any:
        """Answer an unknown key with the one that was meant, or with all there are."""
        known = [field.alias or name for name, field in cls.model_fields.items()]
        unknown = [key for key in values if key not in known] if isinstance(values, dict) else []
        if unknown:
            key = unknown[0] if isinstance(unknown[0], str) else shown(unknown[0])
            close = get_close_matches(key, known, n=1)
            hint = f"is {close[0]} meant?" if close else f"known: {', '.join(known)}"
            raise PydanticCustomError("unknown_key", "is no known key; {hint}", {"key": key, "hint": hint})
        return values


def rule(key: str, value: Any, allowed: str) -> PydanticCustomError:
    """What to raise where a key's value does not go with another's."""
    return PydanticCustomError("rule", "{allowed}", {"key": key, "value": shown(value), "allowed": allowed})


def check_size(key: str, sizes: list[int], weights: int, values: int, batch_size: int) -> None:
    """Refuse a network, `sizes` under `key`, that would not fit into memory.

    `values` are those in all its layers, for one image.
    """
    if weights > MOST_WEIGHTS:
        raise rule(key, sizes, f"these would be {weights:,} weights; at most {MOST_WEIGHTS:,} are allowed")
    most = MOST_VALUES // values
    if min(batch_size, MOST_IMAGES) > most:
        raise rule("batch_size", batch_size, f"at most {most:,} are allowed with {key} = {shown(sizes)}")


def weights_between(sizes: Iterable[int]) -> int:
    """How many weights join layers of these sizes."""
    return sum(before * after for before, after in pairwise(sizes))

"""The rules that test the published conclusions, as data/published/claims.yaml declares them.

A rule is a list of comparisons, all of which must hold, and a list of runs that it is applied to: those that do what
the published code did, and those with bugs fixed. A comparison takes one number per seed from the variants that it
names, on its left and, unless it compares with a `bound`, on its right.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from stages.errors import StudyError
from stages.params import Strict, read_yaml, validate
from stages.verdicts.quantities import QUANTITIES, QUANTITIES_AT
from stages.verdicts.reading import read_file

# How several variants become one number per seed; a single variant is that number.
Way = Literal["highest", "lowest", "mean", "range", "per_doubling_of_batch_size", "per_doubling_of_weights"]
SINGLE = "single"


class Side(Strict):
    """Variants, by their names in the published study or as `study/variant`, and how they become one number."""

    way: Way | Literal["single"]
    variants: Annotated[list[str], Field(min_length=1)]


def read_side(value: Any) -> Any:
    """`0.15` is a variant, `{highest: [1, 2]}` the highest of several."""
    if isinstance(value, dict) and len(value) == 1:
        ((way, variants),) = value.items()
        return {"way": way, "variants": [str(variant) for variant in variants]}
    return {"way": SINGLE, "variants": [str(value)]}


ReadSide = Annotated[Side, BeforeValidator(read_side)]


class Comparison(Strict):
    """Left is above, below or near right (or the bound), by more than the margin or, for near, by less.

    `model`, a final model, replaces `left`: its test accuracy, with its test images as the sample.
    """

    quantity: str
    at: float | None = None
    left: ReadSide | None = None
    model: str | None = None
    sense: Annotated[Literal["above", "below", "near"], Field(alias="is")]
    right: ReadSide | None = None
    bound: float | None = None
    margin: Annotated[float, Field(ge=0)] = 0.0

    @property
    def sides(self) -> list[Side]:
        """Left and right, where there are any."""
        return [side for side in (self.left, self.right) if side]

    @model_validator(mode="after")
    def check_consistency(self) -> "Comparison":
        """Refuse what cannot be computed."""
        if (self.left is None) == (self.model is None):
            raise ValueError("give either left or model")
        if (self.right is None) == (self.bound is None):
            raise ValueError("give either right or bound")
        known = QUANTITIES if self.at is None else QUANTITIES_AT
        if self.model is not None:
            if self.quantity != "test_accuracy" or self.bound is None:
                raise ValueError("a model is compared by its test_accuracy with a bound")
        elif self.quantity not in known:
            raise ValueError(f"unknown quantity {self.quantity}: choose from {', '.join(known)}")
        if self.sense == "near" and not self.margin:
            raise ValueError("near needs a margin")
        return self


class Runs(Strict):
    """Runs that a rule is applied to: a study, and the bugs that it fixes (none: as the published code ran).

    `as_run` takes the variants called `..._as_run` where there are any; `variants` maps further names to ours;
    `published` takes the published histories themselves, whose epochs then play the role of seeds.
    """

    name: str
    study: str
    fixes: list[str] = Field(default_factory=list)
    as_run: bool = False
    published: bool = False
    variants: dict[str, str] = Field(default_factory=dict)


class Rule(Strict):
    """All comparisons must hold. `existence`: the claim is that something is possible; a failure can't refute it."""

    comparisons: Annotated[list[Comparison], Field(min_length=1)]
    runs: Annotated[list[Runs], Field(min_length=1)]
    existence: bool = False


class Claim(Strict):
    """A conclusion of the published report: framework/study, the bugs that affect it, and its rule."""

    id: str
    study: str
    claim: str
    bugs: list[str] = Field(default_factory=list)
    note: str = ""
    rule: Rule

    @property
    def framework(self) -> str:
        """The part of the study that it belongs to: numpy, cnn or torch."""
        return self.study.partition("/")[0]


def read_entries(path: Path, kind: type[Strict]) -> list[Any]:
    """Read and check a list of claims or bugs; a StudyError names the first entry with a mistake."""

    def read(path: Path) -> list[Any]:
        entries = read_yaml(path)
        if not (isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)):
            raise StudyError("should be a list of sections")
        return [validate(kind, str(entry.get("id", place)), entry) for place, entry in enumerate(entries)]

    return read_file(path, read)

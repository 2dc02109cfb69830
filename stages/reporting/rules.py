"""The rules by which the published conclusions are judged, as data/published/claims.yaml declares them.

A rule is a list of comparisons, all of which must hold, and a list of the runs that it is put to: those that do what
the published code did, and those with faults mended. A comparison takes one number a seed from the variants that it
names, on its left and, unless it compares with a `bound`, on its right.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from stages.common.checked import Checked
from stages.common.errors import StudyError
from stages.common.params import told
from stages.reporting.inputs import read_record
from stages.reporting.quantities import QUANTITIES, QUANTITIES_AT

# How several variants become one number a seed; of a single variant there is just the one.
Way = Literal["highest", "lowest", "mean", "range", "per_doubling_of_batch_size", "per_doubling_of_weights"]
SINGLE = "single"


class Side(Checked):
    """Variants, by the names that the published study has for them, or `study/variant`; and how they become one."""

    way: Way | Literal["single"]
    variants: Annotated[list[str], Field(min_length=1)]


def read_side(value: Any) -> Any:
    """`0.15` is a variant, `{highest: [1, 2]}` the highest of several."""
    if isinstance(value, dict) and len(value) == 1:
        ((way, variants),) = value.items()
        return {"way": way, "variants": [str(variant) for variant in variants]}
    return {"way": SINGLE, "variants": [str(value)]}


class Comparison(Checked):
    """Left is above, below or near right (or the bound), by more than the margin or, for near, by less.

    `record`, a model of record, stands for the left of a comparison of test accuracy: its images are the sample.
    """

    quantity: str
    at: float | None = None
    left: Annotated[Side, BeforeValidator(read_side)] | None = None
    record: str | None = None
    sense: Annotated[Literal["above", "below", "near"], Field(alias="is")]
    right: Annotated[Side, BeforeValidator(read_side)] | None = None
    bound: float | None = None
    margin: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def consistent(self) -> "Comparison":
        """Refuse what can't be computed."""
        if (self.left is None) == (self.record is None):
            raise ValueError("give either left or record")
        if (self.right is None) == (self.bound is None):
            raise ValueError("give either right or bound")
        if self.record is not None:
            if self.quantity != "test_accuracy" or self.bound is None:
                raise ValueError("a record is compared by its test_accuracy with a bound")
        elif self.quantity not in (QUANTITIES if self.at is None else QUANTITIES_AT):
            known = ", ".join(QUANTITIES if self.at is None else QUANTITIES_AT)
            raise ValueError(f"{self.quantity} is no quantity: choose from {known}")
        if self.sense == "near" and not self.margin:
            raise ValueError("near needs a margin")
        return self


class Runs(Checked):
    """Runs that a rule is put to: a study, the faults that it mends (none: as the published code ran).

    `as_run` takes the variants called `..._as_run` where there are such; `variants` maps further names to ours;
    `published` takes the published histories themselves, whose epochs then stand for seeds.
    """

    name: str
    study: str
    mends: list[str] = Field(default_factory=list)
    as_run: bool = False
    published: bool = False
    variants: dict[str, str] = Field(default_factory=dict)


class Rule(Checked):
    """All comparisons must hold. `existence`: something is said to be possible, which one failure doesn't refute."""

    comparisons: Annotated[list[Comparison], Field(min_length=1)]
    runs: Annotated[list[Runs], Field(min_length=1)]
    existence: bool = False


class Claim(Checked):
    """A conclusion of the published report: its framework and study, the faults that touch it, and its rule."""

    id: str
    study: str
    claim: str
    faults: list[str] = Field(default_factory=list)
    note: str = ""
    rule: Rule

    @property
    def framework(self) -> str:
        """The half of the study that it belongs to: numpy, cnn or torch."""
        return self.study.partition("/")[0]


class Claims(Checked):
    """All of them."""

    claims: list[Claim]


def read_claims(path: Path) -> list[Claim]:
    """Read and check claims.yaml; a StudyError names the first claim at fault and what is wrong with it."""
    raw = read_record(path)
    try:
        return Claims.model_validate({"claims": raw}).claims
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = fault["loc"]
        inside = isinstance(raw, list) and len(place) > 1 and isinstance(raw[place[1]], dict)
        claim = raw[place[1]].get("id", place[1]) if inside else "the file"
        raise StudyError(f"{path}: {claim}: {told({**fault, 'loc': place[2:]})}") from error

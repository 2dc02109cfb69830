"""The rules that test the published conclusions, as data/published/claims.yaml declares them.

A rule is a list of comparisons and a list of runs that it is applied to: those that do what the published code did,
and those with bugs fixed. A comparison takes one number per seed from the variants that it names.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from stages.errors import StudyError
from stages.params import Strict, read_yaml, validate
from stages.verdicts.quantities import MARGINS, QUANTITIES, QUANTITIES_AT
from stages.verdicts.reading import read_file

# `0.15` and `512` are names as well as numbers.
Name = Annotated[str, BeforeValidator(lambda name: str(name) if isinstance(name, int | float) else name)]


class Comparison(Strict):
    """One statement of a claim: the quantity of `left` is above or below that of `right`, or within a margin of it.

    Sides are variants, as the rule's study calls them, or `study/variant`. `bound`, a number, replaces `right`.
    `by`: above or below by more than this. `margin`: the largest difference that counts as none.

    Instead of `left`: `slope`, variants whose quantity is regressed on the logarithm of their batch size to base 2;
    `some`, variants of which one must be beyond the bound with every seed (an existence claim; the list is the search);
    or `model`, a final model, whose test images are the sample.
    """

    quantity: str
    at: float | None = None
    left: Name | None = None
    slope: list[Name] | None = None
    some: list[Name] | None = None
    model: str | None = None
    sense: Annotated[Literal["above", "below", "within"], Field(alias="is")]
    right: Name | None = None
    bound: float | None = None
    by: float = 0.0
    margin: Annotated[float, Field(gt=0)] = Field(default_factory=lambda own: MARGINS.get(own["quantity"], 0.01))

    @property
    def names(self) -> list[str]:
        """All variants that the comparison names."""
        return [*(self.slope or self.some or []), *(name for name in (self.left, self.right) if name)]

    @property
    def target(self) -> float:
        """What the difference, or the quantity, must be above or below."""
        return (self.bound or 0.0) + (-self.by if self.sense == "below" else self.by)

    @property
    def margin_counts(self) -> bool:
        """Whether the margin is of any use."""
        return self.differs or self.sense == "within"

    @property
    def differs(self) -> bool:
        """Whether it claims a difference between variants, which may turn out to be none. One that only rules out a
        difference the other way (`by` below 0) holds when there is none.
        """
        return self.sense != "within" and self.by >= 0 and (self.right is not None or self.slope is not None)

    @model_validator(mode="after")
    def check_consistency(self) -> "Comparison":
        """Refuse what cannot be computed."""
        if sum(side is not None for side in (self.left, self.slope, self.some, self.model)) != 1:
            raise ValueError("give one of left, slope, some and model")
        if (self.right is None) == (self.bound is None):
            raise ValueError("give either right or bound")
        if self.left is None and self.right is not None:
            raise ValueError("right needs left")
        known = ["test_accuracy"] if self.model else QUANTITIES if self.at is None else QUANTITIES_AT
        if self.quantity not in known:
            raise ValueError(f"unknown quantity {self.quantity}: choose from {', '.join(known)}")
        if self.sense == "within" and (self.some or self.model):
            raise ValueError("within needs left")
        return self


class Runs(Strict):
    """Runs that a rule is applied to: a study, and the bugs that it fixes (none: as the published code ran).

    `as_run` takes the variants called `..._as_run` where there are any; `variants` maps further names to ours.
    `not_tested`: why these runs are not about the claim.
    """

    name: str
    study: str = ""
    fixes: list[str] = Field(default_factory=list)
    as_run: bool = False
    variants: dict[str, Name] = Field(default_factory=dict)
    not_tested: str = ""


class Rule(Strict):
    """Every comparison must hold, for every one of the runs."""

    comparisons: Annotated[list[Comparison], Field(min_length=1)]
    runs: Annotated[list[Runs], Field(min_length=1)]


class Claim(Strict):
    """A conclusion of the published report: framework/study, the bugs that affect it, and its rule.

    `not_testable` replaces the rule: why no run can test the claim.
    """

    id: str
    study: str
    claim: str
    bugs: list[str] = Field(default_factory=list)
    note: str = ""
    not_testable: str = ""
    rule: Rule | None = None

    @property
    def framework(self) -> str:
        """The part of the study that it belongs to: numpy, cnn or torch."""
        return self.study.partition("/")[0]

    @model_validator(mode="after")
    def check_rule(self) -> "Claim":
        """A claim is tested, or cannot be."""
        if (self.rule is None) == (not self.not_testable):
            raise ValueError("give either rule or not_testable")
        return self


def read_entries(path: Path, kind: type[Strict]) -> list[Any]:
    """Read and check a list of claims or bugs; a StudyError names the first entry with a mistake."""

    def read(path: Path) -> list[Any]:
        entries = read_yaml(path)
        if not (isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)):
            raise StudyError("should be a list of sections")
        return [validate(kind, str(entry.get("id", place)), entry) for place, entry in enumerate(entries)]

    return read_file(path, read)

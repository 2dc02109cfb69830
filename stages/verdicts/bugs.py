"""The bugs of the published code that data/published/bugs.yaml lists, each with the effect of fixing it alone.

A pair is two configurations that differ only in the bug, paired by seed. Intervals are at 95 % and uncorrected: each is
about its own effect. Where no pair is possible, evidence.py or a text has other evidence.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from stages.params import Strict
from stages.verdicts.evidence import EVIDENCE
from stages.verdicts.quantities import QUANTITIES, READING, measure
from stages.verdicts.reading import Results, StudyResult
from stages.verdicts.statistics import of_pairs
from stages.verdicts.text import NOTHING

COLUMNS = ("bug", "setting", "quantity", "published", "fixed", "effect", "low", "high", "seeds", "evidence")


class Effect(Strict):
    """A pair of variants, as study/variant, and the quantity that is compared."""

    setting: str
    quantity: Literal[*QUANTITIES]
    published: str
    fixed: str


class Bug(Strict):
    """A bug with its pairs or, where there are none, the name of a function in evidence.py or a text (`found`)."""

    id: str
    name: str
    what: str
    affects: Annotated[list[str], Field(min_length=1)]
    effects: list[Effect] = Field(default_factory=list)
    evidence: Literal[*EVIDENCE] | None = None
    found: str = ""

    @model_validator(mode="after")
    def check_evidence(self) -> "Bug":
        """Refuse a bug without evidence."""
        if not (self.effects or self.evidence or self.found):
            raise ValueError("give effects, evidence or found")
        return self


def bug_table(bugs: Sequence[Bug], results: Results) -> pd.DataFrame:
    """One row per effect or piece of evidence, in the columns of bugs.csv; unknown numbers are NaN."""
    rows = []
    for bug in bugs:
        own = list(EVIDENCE[bug.evidence](results)) if bug.evidence else []
        if bug.found:
            own.append({"setting": NOTHING, "quantity": NOTHING, "evidence": bug.found})
        # Pairs of PyTorch runs are compared on any data set: both were trained here.
        studies = (results.numpy if bug.affects[0].startswith("numpy") else results.torch).results
        for effect in bug.effects:
            pair = [find(studies, name) for name in (effect.published, effect.fixed)]
            if None not in pair:
                own.append(effect_row(effect, *pair))
        missing = {"setting": NOTHING, "quantity": NOTHING, "evidence": "its runs have no results"}
        rows += [{"bug": bug.id, **row} for row in own or [missing]]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def find(studies: dict[str, StudyResult], name: str) -> tuple[StudyResult, str] | None:
    """The study and variant that `study/variant` names, where there are results."""
    study, _, variant = name.partition("/")
    result = studies.get(study)
    return (result, variant) if result is not None and variant in result.variants else None


def effect_row(effect: Effect, published: tuple[StudyResult, str], fixed: tuple[StudyResult, str]) -> dict:
    """The effect of the fix, over the seeds that both have."""
    before, after = (
        {seed: measure(curve, READING, effect.quantity) for seed, curve in result.curves[variant].items()}
        for result, variant in (published, fixed)
    )
    common = [seed for seed in before if np.isfinite(before[seed]) and np.isfinite(after.get(seed, np.nan))]
    return {
        "setting": effect.setting,
        "quantity": effect.quantity,
        "published": np.mean([before[seed] for seed in common]) if common else np.nan,
        "fixed": np.mean([after[seed] for seed in common]) if common else np.nan,
        **of_pairs(after, before).columns,
        "evidence": "" if common else "collapsed runs have none",
    }

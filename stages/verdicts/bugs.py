"""The bugs of the published code that data/published/bugs.yaml lists, each with the effect of fixing it alone.

A pair is two configurations that differ only in the bug. Intervals are at 95 % and uncorrected: each is about its own
effect. Where no pair is possible, evidence.py has other evidence.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from stages.params import Strict
from stages.verdicts.evidence import EVIDENCE
from stages.verdicts.quantities import QUANTITIES, measure
from stages.verdicts.reading import Results, StudyResult
from stages.verdicts.statistics import of_seeds
from stages.verdicts.text import NOTHING

COLUMNS = ("bug", "setting", "quantity", "published", "fixed", "effect", "low", "high", "seeds", "evidence")


class Effect(Strict):
    """A pair of variants, as study/variant, and the quantity that is compared."""

    setting: str
    quantity: Literal[*QUANTITIES]
    published: str
    fixed: str


class Bug(Strict):
    """A bug with its pairs or, where there are none, the name of a function in evidence.py."""

    id: str
    name: str
    what: str
    affects: Annotated[list[str], Field(min_length=1)]
    pair: str
    effects: list[Effect] = Field(default_factory=list)
    evidence: Literal[*EVIDENCE] | None = None

    @model_validator(mode="after")
    def check_evidence(self) -> "Bug":
        """Refuse a bug without evidence."""
        if not self.effects and self.evidence is None:
            raise ValueError("give effects or evidence")
        return self


def bug_table(bugs: Sequence[Bug], results: Results) -> pd.DataFrame:
    """One row per effect or piece of evidence, in the columns of bugs.csv; unknown numbers are NaN."""
    rows = []
    for bug in bugs:
        own = list(EVIDENCE[bug.evidence](results)) if bug.evidence else []
        # Pairs of PyTorch runs are compared on any data set: both were trained here.
        studies = (results.numpy if bug.affects[0].startswith("numpy") else results.torch).results
        for effect in bug.effects:
            pair = [find(studies, name) for name in (effect.published, effect.fixed)]
            if None not in pair:
                own.append(effect_row(effect, *pair))
        missing = {"setting": NOTHING, "quantity": NOTHING, "evidence": "its runs are not in params.yaml"}
        rows += [{"bug": bug.id, **row} for row in own or [missing]]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def find(studies: dict[str, StudyResult], name: str) -> tuple[StudyResult, str] | None:
    """The study and variant that `study/variant` names, where params.yaml has them."""
    study, _, variant = name.partition("/")
    result = studies.get(study)
    return (result, variant) if result is not None and variant in result.variants else None


def effect_row(effect: Effect, published: tuple[StudyResult, str], fixed: tuple[StudyResult, str]) -> dict:
    """The effect of the fix: a paired difference where seeds are paired, Welch's elsewhere."""
    before, after = (measure(result.history_of(variant), effect.quantity) for result, variant in (published, fixed))
    paired = published[0].pairs_seeds and fixed[0].pairs_seeds
    if paired and set(before) & set(after):
        before, after = ({seed: values[seed] for seed in before if seed in after} for values in (before, after))
    return {
        "setting": effect.setting,
        "quantity": effect.quantity,
        "published": np.mean(list(before.values())),
        "fixed": np.mean(list(after.values())),
        **of_seeds(after, before, paired=paired).columns,
        "evidence": "",
    }

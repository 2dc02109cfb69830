"""The faults of the published code, each with what mending it alone changes.

A pair is two configurations that differ in the fault and in nothing else. Intervals are at 95 % and uncorrected: each
speaks of its own effect. Where no pair is possible, evidence.py has something else to show.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field, ValidationError, model_validator

from stages.common.checked import Checked
from stages.common.errors import StudyError
from stages.common.params import told
from stages.reporting.evidence import EVIDENCE
from stages.reporting.halves import Inputs
from stages.reporting.inputs import read_record
from stages.reporting.quantities import QUANTITIES, measure, quantity_name
from stages.reporting.statistics import Estimate, of_difference, of_paired_difference
from stages.reporting.studies import Result
from stages.reporting.tables import NOTHING, interval, number, signed

COLUMNS = (
    *("fault", "setting", "quantity", "published", "mended", "effect"),
    *("low", "high", "seeds", "evidence"),
)


class Effect(Checked):
    """A pair of variants, as study/variant, and what is measured of them."""

    setting: str
    quantity: Literal[*QUANTITIES]
    published: str
    mended: str


class Fault(Checked):
    """A fault with its pairs or, where there can be none, the name of a function in evidence.py."""

    id: str
    name: str
    what: str
    touches: Annotated[list[str], Field(min_length=1)]
    pair: str
    effects: list[Effect] = Field(default_factory=list)
    evidence: Literal[*EVIDENCE] | None = None

    @model_validator(mode="after")
    def shown(self) -> "Fault":
        """Something has to show it."""
        if not self.effects and self.evidence is None:
            raise ValueError("give effects or evidence")
        return self


class Faults(Checked):
    """All of them."""

    faults: list[Fault]


def read_faults(path: Path) -> list[Fault]:
    """Read and check faults.yaml; a StudyError names what is wrong with it."""
    try:
        return Faults.model_validate({"faults": read_record(path)}).faults
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise StudyError(f"{path}: {told({**fault, 'loc': fault['loc'][1:]})}") from error


def fault_table(faults: Sequence[Fault], inputs: Inputs) -> pd.DataFrame:
    """A row an effect or a piece of evidence, in the columns of reports/faults.csv; unknown numbers are NaN."""
    rows = [row for fault in faults for row in fault_rows(fault, inputs)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def fault_rows(fault: Fault, inputs: Inputs) -> list[dict]:
    """One fault's rows; one that says that nothing was run, where params.yaml has none of its pairs."""
    numpy = fault.touches[0].startswith("numpy")
    # Pairs of PyTorch runs are of the data set that was trained on, whichever it is: they compare ours with ours.
    results = inputs.numpy.results if numpy else inputs.torch.results
    rows = list(EVIDENCE[fault.evidence](inputs)) if fault.evidence else []
    for effect in fault.effects:
        found = [find(results, name) for name in (effect.published, effect.mended)]
        if None not in found:
            rows.append(effect_row(effect, *found))
    if not rows:
        rows = [{"setting": NOTHING, "quantity": NOTHING, "evidence": "its runs are not in params.yaml"}]
    return [{"fault": fault.id} | spelled_out(row) for row in rows]


def find(results: dict[str, Result], name: str) -> tuple[Result, str] | None:
    """The study and variant that `study/variant` names, where params.yaml has them."""
    study, _, variant = name.partition("/")
    result = results.get(study)
    return (result, variant) if result is not None and variant in result.variants else None


def effect_row(effect: Effect, published: tuple[Result, str], mended: tuple[Result, str]) -> dict:
    """What mending changes: a difference within seeds where these pair, Welch's where they don't."""
    before, after = (measure(result.history_of(variant), effect.quantity) for result, variant in (published, mended))
    common = [seed for seed in before if seed in after]
    if published[0].seeds_pair and mended[0].seeds_pair and common:
        estimate = of_paired_difference([after[seed] for seed in common], [before[seed] for seed in common])
        before = {seed: before[seed] for seed in common}
        after = {seed: after[seed] for seed in common}
    else:
        estimate = of_difference(list(after.values()), list(before.values()))
    return {
        "setting": effect.setting,
        "quantity": effect.quantity,
        "published": np.mean(list(before.values())),
        "mended": np.mean(list(after.values())),
        "estimate": estimate,
        "evidence": "",
    }


def spelled_out(row: dict) -> dict:
    """A row with its estimate in columns of its own."""
    estimate: Estimate | None = row.pop("estimate", None)
    if estimate is None:
        return row
    return row | {
        "effect": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "seeds": estimate.seeds,
    }


def printed(table: pd.DataFrame) -> pd.DataFrame:
    """The table, ready to print."""

    def cell(value: float, write: Callable[[float], str]) -> str:
        return NOTHING if pd.isna(value) else write(value)

    return pd.DataFrame(
        [
            {
                "fault": row.fault,
                "in": row.setting,
                "of": quantity_name(row.quantity),
                "as published": cell(row.published, number),
                "mended": cell(row.mended, number),
                "effect": cell(row.effect, signed),
                "95 % interval": NOTHING if pd.isna(row.low) else interval(row.low, row.high, sign=True),
                "seeds": cell(row.seeds, lambda seeds: f"{seeds:.0f}"),
                "evidence": row.evidence or NOTHING,
            }
            for row in table.itertuples()
        ]
    )

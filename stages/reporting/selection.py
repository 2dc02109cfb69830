"""What the sweeps say about the settings of the model of record: each one's best variant, and what is as good.

The best variant has the highest mean, over seeds, of the final validation accuracy. A few seeds can't tell near
neighbours apart, so every variant within one standard deviation of the best is named with it. The deviation is pooled
over the study's variants without a diverged run: that of one variant alone, from three seeds, is often small by chance.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.common.params import Params
from stages.reporting.naming import layers_name, regularisation_name
from stages.reporting.studies import Result
from stages.reporting.tables import NOTHING, listed, number


@dataclass(frozen=True)
class Best:
    """The best variant of a study, its mean accuracy, the pooled deviation (None from one seed), and the near ones."""

    variant: str
    accuracy: float
    deviation: float | None
    near: list[str]


def best_variant(result: Result) -> Best:
    """Choose by mean final accuracy over seeds; of equal ones the first in params.yaml."""
    accuracies = result.runs.groupby("variant", sort=False)["final_accuracy"]
    means = accuracies.mean().loc[result.variants]
    whole = [variant for variant in result.variants if (result.runs_of(variant)["status"] == "ok").all()]
    best = str(means.idxmax())
    freedom = accuracies.count().loc[whole] - 1
    deviation = None
    if freedom.sum() > 0:
        deviation = float(np.sqrt((accuracies.var().loc[whole] * freedom).sum() / freedom.sum()))
    near = [name for name in result.variants if name != best and means[best] - means[name] <= (deviation or 0.0)]
    return Best(best, float(means[best]), deviation, near)


def tried_as(params: Params, results: Mapping[str, Result]) -> tuple[str, str] | None:
    """The study and variant that tried the configuration of record, early stopping apart; None if none did."""
    record = params.train_numpy.model_dump(exclude={"patience"})
    for name, result in results.items():
        for variant in result.study.variants:
            if variant.training.model_dump(exclude={"patience"}) == record:
                return name, variant.name
    return None


def selection_table(params: Params, results: Mapping[str, Result]) -> pd.DataFrame:
    """A row a setting: the value of record, and the best of its sweep where params.yaml has one that validates."""
    record = params.train_numpy
    chosen = {
        "learning_rate": f"{record.lr:g}, {record.schedule.replace('_', ' ')}",
        "batch_size": str(record.batch_size),
        "architecture": layers_name(record.architecture),
        "optimiser": record.optimiser,
        "regularisation": regularisation_name(record),
    }
    rows = []
    for setting, value in chosen.items():
        row = dict.fromkeys(("best of the sweep", "validation accuracy", "pooled sd", "within one sd of it"), NOTHING)
        result = results.get(setting)
        if result is not None and result.split == "validation":
            best = best_variant(result)
            row = {
                "best of the sweep": best.variant,
                "validation accuracy": number(best.accuracy),
                "pooled sd": number(best.deviation),
                "within one sd of it": listed(best.near) or "no other",
            }
        rows.append({"setting": setting.replace("_", " "), "of record": value, **row})
    return pd.DataFrame(rows)

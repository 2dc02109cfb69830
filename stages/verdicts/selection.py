"""What the sweeps say about the settings of the final model: the best variants, and those that are as good.

The best variant has the highest mean, over seeds, of the final validation accuracy. A few seeds can't separate similar
variants, so every variant within one standard deviation of the best is named with it. The deviation is pooled over
the study's variants without a diverged run: that of one variant alone, from a few seeds, is often small by chance.
"""

from dataclasses import dataclass

import numpy as np

from stages.verdicts.reading import StudyResult


@dataclass(frozen=True)
class Best:
    """The best variant of a study, its mean accuracy, the pooled deviation (None from one seed), and the near ones."""

    variant: str
    accuracy: float
    deviation: float | None
    near: list[str]


def best_variant(result: StudyResult) -> Best:
    """Choose by mean final accuracy over seeds; of equal ones the first in params.yaml."""
    accuracies = result.runs.groupby("variant", sort=False)["final_accuracy"]
    means = accuracies.mean().loc[result.variants]
    diverged = set(result.diverged["variant"])
    whole = [variant for variant in result.variants if variant not in diverged]
    best = str(means.idxmax())
    freedom = accuracies.count().loc[whole] - 1
    deviation = None
    if freedom.sum() > 0:
        deviation = float(np.sqrt((accuracies.var().loc[whole] * freedom).sum() / freedom.sum()))
    near = [name for name in result.variants if name != best and means[best] - means[name] <= (deviation or 0.0)]
    return Best(best, float(means[best]), deviation, near)

"""Which of the 46 published runs are reproduced: one row per run, as published, as run here, and corrected.

A published number is reproduced if it lies in the 95 % prediction interval of one new run, from our seeds. The NumPy
runs used a withdrawn release of the data, which divides the images otherwise: ours are trained on a random division for
each seed.
"""

from typing import Any

import numpy as np
import pandas as pd

from stages.verdicts.reading import AS_RUN, Framework, Training
from stages.verdicts.statistics import Estimate, of_mean

YES, NO, NOT_RUN, ONE_SEED = "yes", "no", "not run", "one seed"
ROUNDING = 5e-5  # published accuracies have four decimals
# The columns of reproduction.csv; the table has more, for the report.
COLUMNS = (
    *("framework", "study", "variant", "split", "published_accuracy", "accuracy", "sd", "low", "high", "z", "seeds"),
    *("reproduced", "others", "others_passed"),
    *("corrected_accuracy", "corrected_sd", "corrected_low", "corrected_high", "corrected_seeds"),
)


def reproduction_table(*frameworks: Framework) -> pd.DataFrame:
    """All published runs; accuracies on the images that the published one is of, after the last epoch.

    low, high: of the prediction interval; z: of the published number in it. `others`: how many other settings of its
    study have an interval, `others_passed`: in how many the published number lies (the rule's power is the share in
    which it does not). Beyond `COLUMNS`: the published loss and ours; `differs`, whether the code did not run
    what the report says.
    """
    return pd.DataFrame(
        [row(framework, run) for framework in frameworks for run in framework.published.runs.itertuples()]
    )


def row(framework: Framework, run: Any) -> dict:
    """One published run."""
    numpy = framework.name == "NumPy"
    ours = framework.seeds_of(*as_run(framework, run))
    own = of_mean(ours["final_accuracy"])
    corrected = framework.seeds_of(run.study, run.variant)
    others = [
        of_mean(framework.seeds_of(*as_run(framework, other))["final_accuracy"])
        for other in framework.published.runs_of(run.study).itertuples()
        if training_of(framework, other) != training_of(framework, run)  # F8: two variants ran with the same settings
    ]
    others = [other for other in others if other.seeds > 1]
    low, high = own.prediction_interval()
    corrected_estimate = of_mean(corrected["test_accuracy" if numpy else "final_accuracy"])
    corrected_low, corrected_high = corrected_estimate.interval()
    return {
        "framework": framework.name,
        "study": run.study,
        "variant": run.variant,
        "split": framework.published.split,
        "published_accuracy": run.final_accuracy,
        **{"accuracy": own.value, "sd": own.sd, "low": low, "high": high, "z": z_score(run.final_accuracy, own)},
        "seeds": own.seeds,
        "reproduced": outcome(run.final_accuracy, own),
        "others": len(others),
        "others_passed": sum(lies_in(run.final_accuracy, other) for other in others),
        **{"corrected_accuracy": corrected_estimate.value, "corrected_sd": corrected_estimate.sd},
        **{"corrected_low": corrected_low, "corrected_high": corrected_high},
        "corrected_seeds": corrected_estimate.seeds,
        "published_loss": run.final_loss,
        "differs": run.as_run is not None,
        "loss": ours["final_loss"].mean(),
    }


def as_run(framework: Framework, run: Any) -> tuple[str, str]:
    """The study and the variant of which a published run could be one more run."""
    study = f"published_{run.study}" if framework.name == "NumPy" else run.study
    return study, run.variant if run.as_run is None else f"{run.variant}{AS_RUN}"


def training_of(framework: Framework, run: Any) -> Training | None:
    """The settings of a published run, None if nothing was trained with them."""
    study, variant = as_run(framework, run)
    result = framework.results.get(study)
    return result.trainings.get(variant) if result else None


def outcome(accuracy: float, estimate: Estimate) -> str:
    """Whether a published accuracy is reproduced; one seed has no interval."""
    if estimate.seeds < 2:
        return ONE_SEED if estimate.seeds else NOT_RUN
    return YES if lies_in(accuracy, estimate) else NO


def lies_in(accuracy: float, estimate: Estimate) -> bool:
    """Whether a published accuracy, as rounded, lies in the prediction interval."""
    low, high = estimate.prediction_interval()
    return low - ROUNDING <= accuracy <= high + ROUNDING


def z_score(accuracy: float, estimate: Estimate) -> float:
    """How many standard deviations of a new run lie between it and the mean; NaN without any spread."""
    spread = estimate.sd * np.sqrt(1 + 1 / estimate.seeds) if estimate.seeds > 1 else np.nan
    return (accuracy - estimate.value) / spread if spread > ROUNDING / 10 else np.nan


def counts(table: pd.DataFrame) -> dict[str, int]:
    """How many runs were published, are compared, and are reproduced; and how many comparisons of a published number
    with another variant of its study there are, and how many of these it passes as well.
    """
    return {
        "published": len(table),
        "compared": int(table["reproduced"].isin((YES, NO)).sum()),
        "reproduced": int((table["reproduced"] == YES).sum()),
        "others": int(table["others"].sum()),
        "others_passed": int(table["others_passed"].sum()),
    }

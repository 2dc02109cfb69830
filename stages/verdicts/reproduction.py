"""Which of the 46 published runs are reproduced: one row per run, as published, as run here, and corrected.

A published number is reproduced if it lies in the 95 % prediction interval of one new run, from our seeds. The NumPy
runs used a withdrawn release of the data, which divides the images otherwise: ours are trained on a random division for
each seed.
"""

from typing import Any

import numpy as np
import pandas as pd

from stages.training.fitting import GUESS_LOSS
from stages.verdicts.reading import AS_RUN, Framework, Training
from stages.verdicts.statistics import Estimate, of_mean

COLLAPSED_LOSS = GUESS_LOSS * np.log(10)  # above it, training on ten classes is stopped as diverged
YES, NO, NOT_RUN = "yes", "no", "not run"
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
    which it does not). Beyond `COLUMNS`: what else was published; `differs`, whether the code did not run what the
    report says; the mean loss, and how many runs diverged.
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
    published = framework.published.curves(run.study).history_of(run.variant)
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
        "reproduced": NOT_RUN if own.seeds < 2 else YES if lies_in(run.final_accuracy, own) else NO,
        "others": len(others),
        "others_passed": sum(lies_in(run.final_accuracy, other) for other in others),
        **{"corrected_accuracy": corrected_estimate.value, "corrected_sd": corrected_estimate.sd},
        **{"corrected_low": corrected_low, "corrected_high": corrected_high},
        "corrected_seeds": corrected_estimate.seeds,
        "published_loss": run.final_loss,
        "published_best": run.best_accuracy,
        "published_status": run.status,
        "published_collapse": collapse_epoch(published) if run.status == "diverged" else None,
        "differs": run.as_run is not None,
        "loss": ours["final_loss"].mean(),
        "diverged": int((ours["status"] == "diverged").sum()) if len(ours) else 0,
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


def lies_in(accuracy: float, estimate: Estimate) -> bool:
    """Whether a published accuracy, as rounded, lies in the prediction interval."""
    low, high = estimate.prediction_interval()
    return low - ROUNDING <= accuracy <= high + ROUNDING


def z_score(accuracy: float, estimate: Estimate) -> float:
    """How many standard deviations of a new run lie between it and the mean; NaN without any spread."""
    spread = estimate.sd * np.sqrt(1 + 1 / estimate.seeds) if estimate.seeds > 1 else np.nan
    return (accuracy - estimate.value) / spread if spread > ROUNDING / 10 else np.nan


def collapse_epoch(history: pd.DataFrame) -> int | None:
    """The first epoch from which the loss stays NaN or above `COLLAPSED_LOSS` until the end of the run."""
    epochs, loss = history["epoch"].to_numpy(), history["loss"].to_numpy()
    lost = ~(loss <= COLLAPSED_LOSS)  # true of NaN as well
    lasting = np.logical_and.accumulate(lost[::-1])[::-1]
    return int(epochs[lasting][0]) if lasting.any() else None


def counts(table: pd.DataFrame) -> dict[str, int]:
    """How many runs were published, were run here, and are reproduced; and how many comparisons of a published number
    with another variant of its study there are, and how many of these it passes as well.
    """
    return {
        "published": len(table),
        "run": int((table["reproduced"] != NOT_RUN).sum()),
        "reproduced": int((table["reproduced"] == YES).sum()),
        "others": int(table["others"].sum()),
        "others_passed": int(table["others_passed"].sum()),
    }

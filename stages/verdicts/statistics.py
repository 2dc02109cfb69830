"""Estimates with intervals: the basis of the verdicts, the effects of bugs and the table of reproduced runs.

Seeds are the sample. A t-test is undefined for values without any spread (such as runs that all end at the
accuracy of guessing): their difference is certain, with p-value 0, or 1 if there is no difference.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

LEVEL = 0.95  # of every interval; 1 - LEVEL is the error rate that the verdicts allow
SAME = 1e-12  # deviations below this are the rounding of equal numbers


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, the two-sided p-value against a null value, and the number of seeds.

    From one seed there is neither interval nor p-value: they are NaN.
    """

    value: float
    low: float
    high: float
    p: float
    seeds: int

    @property
    def columns(self) -> dict[str, float]:
        """The columns of an effect in a table."""
        return {"effect": self.value, "low": self.low, "high": self.high, "seeds": self.seeds}


def of_mean(values: Sequence[float], null: float = 0.0) -> Estimate:
    """The mean of one value per seed, against `null`: Student's t-test and interval."""
    sample = np.asarray(values, float)
    mean = float(sample.mean()) if len(sample) else np.nan
    if len(sample) < 2 or not np.isfinite(sample).all():
        return Estimate(mean, np.nan, np.nan, np.nan, len(sample))
    if sample.std() < SAME:
        return certain(mean, null, len(sample))
    result = stats.ttest_1samp(sample, null)
    interval = result.confidence_interval(LEVEL)
    return Estimate(mean, float(interval.low), float(interval.high), float(result.pvalue), len(sample))


def of_paired_difference(left: Sequence[float], right: Sequence[float], null: float = 0.0) -> Estimate:
    """The mean difference between two values of the same seeds, in the same order."""
    return of_mean(np.subtract(left, right), null)


def of_difference(left: Sequence[float], right: Sequence[float], null: float = 0.0) -> Estimate:
    """The difference between the means of two independent samples: Welch's t-test and interval.

    `seeds` is the size of the smaller sample.
    """
    first, second = np.asarray(left, float), np.asarray(right, float)
    difference = float(first.mean() - second.mean()) if len(first) and len(second) else np.nan
    seeds = min(len(first), len(second))
    if seeds < 2 or not np.isfinite([*first, *second]).all():
        return Estimate(difference, np.nan, np.nan, np.nan, seeds)
    if max(first.std(), second.std()) < SAME:
        return certain(difference, null, seeds)
    with warnings.catch_warnings():
        # SciPy warns of equal numbers on one side, such as runs that all guess: their variance is indeed 0.
        warnings.simplefilter("ignore", RuntimeWarning)
        result = stats.ttest_ind(first - null, second, equal_var=False)
    interval = result.confidence_interval(LEVEL)
    return Estimate(difference, float(interval.low + null), float(interval.high + null), float(result.pvalue), seeds)


def of_seeds(left: Mapping[int, float], right: Mapping[int, float], null: float = 0.0, *, paired: bool) -> Estimate:
    """The difference between two values per seed: over the seeds that both have if `paired`, else of two samples."""
    common = [seed for seed in left if seed in right]
    if paired and common:
        return of_paired_difference([left[seed] for seed in common], [right[seed] for seed in common], null)
    return of_difference(list(left.values()), list(right.values()), null)


def of_share(hits: int, trials: int, null: float) -> Estimate:
    """A share of independent trials, against `null`: the exact binomial test, and Wilson's interval."""
    result = stats.binomtest(hits, trials, null)
    interval = result.proportion_ci(LEVEL, method="wilson")
    return Estimate(hits / trials, float(interval.low), float(interval.high), float(result.pvalue), 1)


def certain(value: float, null: float, seeds: int) -> Estimate:
    """The estimate from equal values."""
    return Estimate(value, value, value, float(abs(value - null) < SAME), seeds)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """P-values corrected for their number (Holm 1979); NaN stands for no test, and stays NaN."""
    corrected = np.asarray(p_values, float).copy()
    tested = np.isfinite(corrected)
    if tested.any():
        corrected[tested] = multipletests(corrected[tested], method="holm")[1]
    return corrected

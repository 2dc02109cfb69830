"""Estimates with intervals: what the verdicts, the effects of faults and the table of reproductions are made of.

SciPy tests, statsmodels corrects for the number of tests. Seeds are the sample. Values without any spread (runs that
all ended at the accuracy of guessing, say) leave a t-test nothing to divide by; such a difference is certain, and its
p-value 0, or 1 where there is no difference.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

LEVEL = 0.95  # of every interval; 1 - LEVEL is the rate of errors that the verdicts allow
SAME = 1e-12  # deviations below this are the rounding of equal numbers


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, the two-sided p-value of its being `null`, and the number of seeds behind it.

    From one seed there is neither interval nor p-value: they are NaN.
    """

    value: float
    low: float
    high: float
    p: float
    seeds: int


def of_mean(values: Sequence[float], null: float = 0.0) -> Estimate:
    """The mean of one value a seed, against `null`: Student's t-test and interval."""
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
    """The difference between the means of two samples whose seeds don't pair: Welch's t-test and interval.

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
        # SciPy warns of equal numbers on one side, such as runs that all guess: they have no variance, which is right.
        warnings.simplefilter("ignore", RuntimeWarning)
        result = stats.ttest_ind(first - null, second, equal_var=False)
    interval = result.confidence_interval(LEVEL)
    return Estimate(difference, float(interval.low + null), float(interval.high + null), float(result.pvalue), seeds)


def of_share(hits: int, trials: int, null: float) -> Estimate:
    """A share of independent trials, against `null`: the exact binomial test, and Wilson's interval."""
    result = stats.binomtest(hits, trials, null)
    interval = result.proportion_ci(LEVEL, method="wilson")
    return Estimate(hits / trials, float(interval.low), float(interval.high), float(result.pvalue), 1)


def certain(value: float, null: float, seeds: int) -> Estimate:
    """What seeds that all agree say."""
    return Estimate(value, value, value, float(abs(value - null) < SAME), seeds)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """P-values corrected for their number, after Holm 1979; those that are NaN are no tests and stay NaN."""
    given = np.asarray(p_values, float)
    corrected, tested = np.full(len(given), np.nan), np.isfinite(given)
    if tested.any():
        corrected[tested] = multipletests(given[tested], method="holm")[1]
    return corrected

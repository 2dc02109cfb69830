"""Tests and intervals over seeds: the basis of the verdicts, the effects of bugs and the reproduced runs.

A t-test is undefined for values without any spread (such as runs that all end at the accuracy of guessing): they get
the p-value of a sign test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats
from statsmodels.stats.power import TTestPower

ALPHA = 0.05  # the error that a conclusion may have over all its looks
LOOKS = (5, 10, 20, 40)  # seeds
POWER = 0.8  # with which the number of missing seeds is computed
SAME = 1e-12  # deviations below this are the rounding of equal numbers


def spending(fraction: float) -> float:
    """How much of ALPHA is spent at a fraction of all seeds: α ln(1 + (e - 1) t), after Pocock (Lan & DeMets 1983)."""
    return ALPHA * np.log(1 + (np.e - 1) * fraction)


# Each look is tested at what it adds to the error spent, so that the errors of all looks add up to at most ALPHA.
LEVELS = dict(zip(LOOKS, np.diff([0.0, *(spending(seeds / LOOKS[-1]) for seeds in LOOKS)]).tolist(), strict=True))


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval, and the one-sided p-values that it is above or below a value.

    From one seed there is neither interval nor p-value: they are NaN.
    """

    value: float
    sd: float
    seeds: int

    def p_above(self, null: float) -> float:
        """Of the t-test whose alternative is a mean above `null`."""
        if self.seeds < 2 or not np.isfinite(self.value):
            return np.nan
        if self.sd < SAME:
            return 0.5**self.seeds if self.value - null > SAME else 1.0
        return float(special.stdtr(self.seeds - 1, (null - self.value) / (self.sd / np.sqrt(self.seeds))))

    def p_below(self, null: float) -> float:
        """Of the t-test whose alternative is a mean below `null`."""
        return Estimate(-self.value, self.sd, self.seeds).p_above(-null)

    def p_within(self, low: float, high: float) -> float:
        """Of two one-sided tests that the mean lies between `low` and `high` (Schuirmann 1987)."""
        return float(np.max([self.p_above(low), self.p_below(high)]))

    def interval(self, level: float = 1 - ALPHA) -> tuple[float, float]:
        """Student's interval of the mean."""
        return self._around(1 / np.sqrt(max(self.seeds, 1)), level)

    def prediction_interval(self, level: float = 1 - ALPHA) -> tuple[float, float]:
        """Where one more run lies: mean ± t s sqrt(1 + 1/n)."""
        return self._around(np.sqrt(1 + 1 / max(self.seeds, 1)), level)

    def _around(self, factor: float, level: float) -> tuple[float, float]:
        half = stats.t.ppf((1 + level) / 2, self.seeds - 1) * self.sd * factor if self.seeds > 1 else np.nan
        return self.value - half, self.value + half

    @property
    def columns(self) -> dict[str, float]:
        """The columns of an effect in a table."""
        low, high = self.interval()
        return {"effect": self.value, "low": low, "high": high, "seeds": self.seeds}


def of_mean(values: Sequence[float]) -> Estimate:
    """The mean of one value per seed; seeds without a finite value are left out."""
    sample = np.asarray(values, float)
    sample = sample[np.isfinite(sample)]
    if not len(sample):
        return Estimate(np.nan, np.nan, 0)
    return Estimate(float(sample.mean()), float(sample.std(ddof=1)) if len(sample) > 1 else np.nan, len(sample))


def of_pairs(left: Mapping[int, float], right: Mapping[int, float]) -> Estimate:
    """The mean difference over the seeds that both have."""
    return of_mean([left[seed] - right[seed] for seed in left if seed in right])


def of_share(hits: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of independent trials."""
    found = stats.binomtest(hits, trials).proportion_ci(1 - ALPHA, method="wilson")
    return float(found.low), float(found.high)


def p_share(hits: int, trials: int, bound: float, sense: str) -> float:
    """Of the exact binomial test that the share is `above` or `below` the bound."""
    return float(stats.binomtest(hits, trials, bound, "greater" if sense == "above" else "less").pvalue)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """P-values corrected for their number (Holm 1979); NaN stands for no test, and stays NaN."""
    p = np.asarray(p_values, float)
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN comes last
    corrected = np.full(len(p), np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return corrected


def seeds_to_show(distance: float, sd: float, level: float) -> float:
    """How many seeds a two-sided t-test needs to find a distance, with a power of 80 %; inf for none."""
    if not abs(distance) > SAME or not np.isfinite(sd):
        return np.inf
    if sd < SAME:
        return float(np.ceil(np.log2(2 / level)))  # of the sign test
    effect = min(abs(distance) / sd, 10.0)  # the solver fails for enormous effects, which two or three seeds show
    try:
        return float(np.ceil(TTestPower().solve_power(effect, alpha=level, power=POWER, alternative="two-sided")))
    except ValueError:
        return np.inf

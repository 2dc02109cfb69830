"""Estimates, intervals and corrections agree with worked examples and with sums done another way."""

import math

import numpy as np
import pytest

from stages.reporting.statistics import holm, of_difference, of_mean, of_paired_difference, of_share

T_4 = 2.776445  # the 97.5 % point of Student's t with 4 degrees of freedom, from a printed table


def test_the_interval_of_a_mean_is_students():
    values = [0.81, 0.83, 0.82, 0.86, 0.83]
    mean, deviation = 0.83, math.sqrt((0.02**2 + 0.01**2 + 0.03**2) / 4)
    found = of_mean(values)
    assert found.value == pytest.approx(mean)
    assert (found.high - mean) == pytest.approx(T_4 * deviation / math.sqrt(5), rel=1e-5)
    assert found.low == pytest.approx(2 * mean - found.high)
    assert found.seeds == 5


def test_a_mean_at_the_end_of_its_interval_has_a_p_value_of_one_in_twenty():
    found = of_mean([0.81, 0.83, 0.82, 0.86, 0.83])
    assert of_mean([0.81, 0.83, 0.82, 0.86, 0.83], found.low).p == pytest.approx(0.05)


def test_paired_differences_ignore_what_seeds_have_in_common():
    luck = np.array([0.0, 0.3, -0.2, 0.1, 0.5])
    left, right = luck + np.array([0.02, 0.03, 0.01, 0.02, 0.02]), luck
    paired, unpaired = of_paired_difference(left, right), of_difference(left, right)
    assert paired.value == pytest.approx(0.02)
    assert unpaired.value == pytest.approx(0.02)
    assert paired.p < 0.01
    assert unpaired.p > 0.9


def test_unpaired_differences_are_welchs():
    left, right = np.array([3.0, 4.0, 1.0, 2.1]), np.array([490.0, 340.0, 433.0, 402.0, 380.0])
    variances = left.var(ddof=1) / 4, right.var(ddof=1) / 5
    freedom = sum(variances) ** 2 / (variances[0] ** 2 / 3 + variances[1] ** 2 / 4)  # Welch 1947
    found = of_difference(left, right)
    half = (found.high - found.low) / 2
    assert found.value == pytest.approx(left.mean() - right.mean())
    assert 4 < freedom < 4.1
    assert half / math.sqrt(sum(variances)) == pytest.approx(T_4, rel=0.01)


def test_a_margin_moves_the_p_value_and_leaves_the_interval():
    left, right = [0.50, 0.52, 0.51], [0.40, 0.41, 0.43]
    plain, against = of_difference(left, right), of_difference(left, right, 0.1)
    assert (plain.low, plain.high) == pytest.approx((against.low, against.high))
    assert plain.p < 0.01
    assert against.p > 0.5


def test_seeds_that_all_agree_are_certain():
    assert (of_mean([0.1, 0.1, 0.1], 0.2).p, of_mean([0.1, 0.1], 0.1).p) == (0.0, 1.0)
    found = of_difference([0.1, 0.1], [0.3, 0.3])
    assert (found.value, found.low, found.high, found.p) == pytest.approx((-0.2, -0.2, -0.2, 0.0))


@pytest.mark.parametrize("values", [[0.5], [], [0.5, math.nan]])
def test_too_few_numbers_leave_no_interval_and_no_test(values):
    found = of_mean(values)
    assert math.isnan(found.low)
    assert math.isnan(found.p)
    assert math.isnan(of_difference(values, [0.1, 0.2]).p)


def test_a_share_has_wilsons_interval():
    hits, trials, z = 45, 50, 1.959964
    share = hits / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    found = of_share(hits, trials, 0.5)
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half), rel=1e-5)
    assert found.p == pytest.approx(2 * sum(math.comb(50, k) for k in range(45, 51)) / 2**50)


def test_holm_multiplies_the_smallest_most():
    corrected = holm([0.01, 0.04, math.nan, 0.03, 0.005])
    np.testing.assert_allclose(corrected, [0.03, 0.06, math.nan, 0.06, 0.02])
    assert np.isnan(holm([math.nan])).all()

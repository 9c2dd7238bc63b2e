"""Intervals against textbook values and their promise of coverage; verdicts against the rule."""

from math import inf, isnan, nan

import numpy as np
import pytest
from scipy import stats

from replications.harness.judging.statistics import (
    Interval,
    Region,
    mean_interval,
    median_interval,
    summary,
    verdict,
    worst,
)


def test_the_mean_interval_is_students():
    # Gosset's extra hours of sleep (1908, drug 2 minus drug 1): t = 4.0621, 9 degrees of freedom.
    x = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    assert mean_interval(x, 0.95) == pytest.approx((1.58, 0.7001142, 2.4598858), abs=1e-6)


@pytest.mark.parametrize("p", [1e-3, 0.01, 0.05])
def test_the_interval_excludes_zero_exactly_when_the_t_test_rejects(p):
    rng = np.random.default_rng(1)
    rejected = 0
    for shift in np.linspace(0, 3, 60):
        x = rng.normal(shift, 1, size=8)
        interval = mean_interval(x, 1 - p)
        excludes = not interval.low <= 0 <= interval.high
        assert excludes == (stats.ttest_1samp(x, 0).pvalue < p)
        rejected += excludes
    assert 0 < rejected < 60


def test_equivalence_is_two_one_sided_tests_at_five_percent():
    rng = np.random.default_rng(2)
    margin, found = 0.5, set()
    for _ in range(100):
        x = rng.normal(0.2, 0.6, size=10)
        below = stats.ttest_1samp(x, margin, alternative="less").pvalue < 0.05
        above = stats.ttest_1samp(x, -margin, alternative="greater").pvalue < 0.05
        equivalent = verdict(mean_interval(x, 0.9), Region(-margin, margin)) == "reproduced"
        assert equivalent == (below and above)
        found.add(equivalent)
    assert found == {True, False}


def test_the_median_interval_is_the_6th_and_15th_of_twenty_values():
    x = np.random.default_rng(3).permutation(np.arange(1.0, 21.0))
    assert median_interval(x, 0.95) == (10.5, 6, 15)


def test_the_median_interval_holds_the_median_as_often_as_it_says():
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(400):
        found = median_interval(rng.standard_cauchy(15), 0.9)
        held += found.low <= 0 <= found.high
    assert 0.87 < held / 400 < 0.99


def test_the_median_does_not_care_how_far_one_run_diverged():
    x = np.arange(1.0, 21.0)
    x[-1] = inf
    assert median_interval(x, 0.95) == (10.5, 6, 15)


def test_one_infinite_value_makes_the_mean_infinite():
    assert mean_interval([1.0, 2.0, inf], 0.95, Region(high=5)) == (inf, inf, inf)


@pytest.mark.parametrize(
    ("values", "region", "expected"),
    [
        # Towards the region an infinity decides nothing; away from it, it decides.
        ([1.0, 2.0, -inf], Region(high=5), "inconclusive"),
        ([-inf], Region(high=5), "inconclusive"),
        ([-inf, -inf], Region(high=5), "reproduced"),
        ([1.0, 2.0, inf], Region(high=5), "not reproduced"),
        ([inf], Region(high=5), "not reproduced"),
        ([1.0, 2.0, inf], Region(low=0), "inconclusive"),
        ([1.0, 2.0, inf], Region(0, 5), "not reproduced"),
        ([-inf, 2.0, inf], Region(high=5), "not reproduced"),
    ],
)
def test_an_infinite_run_never_makes_a_claim_true_by_itself(values, region, expected):
    assert verdict(mean_interval(values, 0.95, region), region) == expected


def test_too_few_values_leave_the_interval_unbounded():
    assert mean_interval([3.0]) == (3.0, -inf, inf)
    assert median_interval([1.0, 2.0, 3.0], 0.95) == (2.0, -inf, inf)


@pytest.mark.parametrize(
    ("interval", "region", "expected"),
    [
        ((2, 1, 3), Region(0, 4), "reproduced"),
        ((2, 1, 3), Region(2, 4), "inconclusive"),
        ((2, 1, 3), Region(4, 5), "not reproduced"),
        ((2, 1, 3), Region(high=4), "reproduced"),
        ((2, 1, 3), Region(low=0), "reproduced"),
        ((2, 1, 3), Region(high=1), "not reproduced"),
        ((2, 1, 3), Region(low=3), "not reproduced"),
        ((2, -inf, inf), Region(high=4), "inconclusive"),
        ((2, -inf, inf), Region(0, 4), "inconclusive"),
        ((-inf, -inf, -inf), Region(high=0), "reproduced"),
        ((inf, inf, inf), Region(high=0), "not reproduced"),
        ((-inf, -inf, -inf), Region(low=0), "not reproduced"),
        ((nan, nan, nan), Region(high=0), "not reproduced"),
        # No difference at all is no ordering.
        ((0, 0, 0), Region(high=0), "not reproduced"),
    ],
)
def test_a_verdict_asks_where_the_whole_interval_lies(interval, region, expected):
    assert verdict(Interval(*interval), region) == expected


def test_the_worst_run_is_the_one_nearest_to_leaving_the_region():
    x = [-3.0, 1.0, 2.0]
    assert worst(x, Region(high=5)).estimate == 2
    assert worst(x, Region(low=-5)).estimate == -3
    assert worst(x, Region(-4, 4)).estimate == -3


def test_a_summary_counts_diverged_runs_and_does_not_average_them():
    found = summary([1.0, 2.0, 3.0, nan])
    assert (found.mean, found.sd, found.n, found.diverged) == (2.0, 1.0, 4, 1)
    assert found.ci == mean_interval([1.0, 2.0, 3.0])[1:]


def test_a_summary_of_one_run_has_no_spread():
    assert isnan(summary([1.0]).sd)
    assert summary([nan]).diverged == 1

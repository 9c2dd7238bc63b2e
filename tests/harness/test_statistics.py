"""Intervals against textbook values and their promise of coverage; what tables and pictures show."""

from math import inf, isnan, nan

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from replications.harness.region import Region
from replications.harness.statistics import (
    mean_and_sd,
    mean_interval,
    median_interval,
    quartiles,
    solved,
    students_interval,
    summary,
    worst,
)


def test_the_mean_interval_is_students():
    # Gosset's extra hours of sleep (1908, drug 2 minus drug 1): t = 4.0621, 9 degrees of freedom.
    x = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    assert mean_interval(x, 0.95) == pytest.approx((1.58, 0.7001142, 2.4598858), abs=1e-6)


def test_the_interval_from_a_mean_and_a_deviation_is_the_same():
    x = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    found = students_interval(np.mean(x), np.std(x, ddof=1), len(x))
    assert found == pytest.approx(mean_interval(x))


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


def test_too_few_values_leave_the_interval_unbounded():
    assert mean_interval([3.0]) == (3.0, -inf, inf)
    assert median_interval([1.0, 2.0, 3.0], 0.95) == (2.0, -inf, inf)


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


# What pictures draw


def runs(*columns):
    """A row per record, a column per run."""
    return pd.DataFrame(np.transpose(columns), index=pd.Index([0, 10, 20], name="step"))


def test_quartiles_rank_a_diverged_run_worst_and_draw_no_line_through_it():
    found = quartiles(runs([1, 1, 1], [2, 2, 2], [3, 3, nan], [4, nan, nan], [5, nan, nan]))
    assert found.low.tolist() == [2, 2, 2]
    assert found.centre.tolist()[:2] == [3, 3]
    assert found.high.iloc[0] == 4
    assert found.centre.isna().tolist() == [False, False, True]
    assert found.high.isna().tolist() == [False, True, True]


def test_a_band_of_means_leaves_out_a_diverged_run_and_one_run_has_no_width():
    found = mean_and_sd(runs([1, 1, 1], [3, 3, nan]))
    assert found.centre.tolist() == [2, 2, 1]
    np.testing.assert_allclose(found.high - found.centre, [2**0.5, 2**0.5, 0])
    np.testing.assert_allclose(found.centre - found.low, [2**0.5, 2**0.5, 0])


def test_a_run_has_solved_its_task_where_nothing_is_wrong():
    found = solved(runs([0.5, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5]))
    assert found.share.tolist() == pytest.approx([0, 2 / 3, 2 / 3])
    assert found.at_the_end == 2
    assert found.median_time == 10


def test_where_most_runs_never_solve_it_the_median_time_is_infinite():
    never = [0.5, 0.5, 0.5]
    assert solved(runs([0.5, 0, 0], never, never)).median_time == inf
    assert solved(runs(never, never)).at_the_end == 0

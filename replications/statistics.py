"""Interval estimates of what runs over seeds show, and the one rule that turns them into verdicts.

A claim says that a quantity lies in a region declared in advance. It is *reproduced* if the whole
confidence interval lies in the region, *not reproduced* if the interval lies outside it, and
*inconclusive* otherwise. Equivalence (two one-sided tests at 5 %) is the 90 % interval of a
difference within the margin; an ordering is an interval of a difference that excludes 0; a t-test
at p < 1e-3 is the 99.9 % interval.
"""

from collections.abc import Sequence
from math import inf, isfinite, isnan, nan, sqrt
from typing import Literal, NamedTuple

import numpy as np
import scipy

Verdict = Literal["reproduced", "inconclusive", "not run", "not reproduced"]
# From the best to the worst. One part that fails decides a claim, whatever else has not been run.
VERDICTS: tuple[Verdict, ...] = ("reproduced", "inconclusive", "not run", "not reproduced")
Values = Sequence[float] | np.ndarray


class Interval(NamedTuple):
    estimate: float
    low: float
    high: float


class Region(NamedTuple):
    """An open interval; a side without a bound is infinite."""

    low: float = -inf
    high: float = inf


ANYWHERE = Region()


class Summary(NamedTuple):
    """Mean, sample standard deviation and 95 % interval of those of ``n`` that did not diverge."""

    mean: float
    sd: float
    n: int
    diverged: int
    ci: tuple[float, float]


def mean_interval(values: Values, confidence: float = 0.95, region: Region = ANYWHERE) -> Interval:
    """Student's interval, ``mean +- t(n - 1) sd / sqrt(n)``; unbounded for a single value.

    A value that is infinite on the far side of ``region`` carries the mean there, and decides. One on
    the near side decides nothing, unless all of several values are.
    """
    x = np.asarray(values, dtype=float)
    with np.errstate(invalid="ignore"):
        mean = float(x.mean())
    outside = not region.low <= mean <= region.high
    if not isfinite(mean) and (outside or (len(x) > 1 and np.all(x == mean))):
        return Interval(mean, mean, mean)
    if len(x) < 2 or not isfinite(mean):
        return Interval(mean, -inf, inf)
    return students_interval(mean, float(x.std(ddof=1)), len(x), confidence)


def students_interval(mean: float, sd: float, n: int, confidence: float = 0.95) -> Interval:
    """The same from what a table holds: the mean and the sample deviation of ``n`` >= 2 values."""
    half = float(scipy.special.stdtrit(n - 1, (1 + confidence) / 2)) * sd / sqrt(n)
    return Interval(mean, mean - half, mean + half)


def median_interval(values: Values, confidence: float = 0.95) -> Interval:
    """The order statistics that hold the median with at least ``confidence``, exactly.

    Whatever the distribution, infinite values included; unbounded where ``n`` is too small.
    """
    x = np.asarray(values, dtype=float)
    ends = scipy.stats.quantile_test(x, q=0, p=0.5).confidence_interval(confidence)
    low, high = float(ends.low), float(ends.high)
    middle = np.sort(x)[(len(x) - 1) // 2 : len(x) // 2 + 1]
    return Interval(float(middle.mean()), -inf if isnan(low) else low, inf if isnan(high) else high)


def worst(values: Values, region: Region) -> Interval:
    """The run nearest to leaving ``region``, alone: an identity holds in every run or not."""
    x = np.asarray(values, dtype=float)
    if region.low == -inf:
        value = float(x.max())
    elif region.high == inf:
        value = float(x.min())
    else:
        value = float(x[np.argmax(np.abs(x - (region.low + region.high) / 2))])
    return Interval(value, value, value)


def verdict(interval: Interval, region: Region) -> Verdict:
    """Whether ``interval`` lies in ``region``, outside it, or across its border; NaN is outside."""
    if isnan(interval.estimate):
        return "not reproduced"
    above = region.low == -inf or interval.low > region.low
    below = region.high == inf or interval.high < region.high
    if above and below:
        return "reproduced"
    beneath = region.low != -inf and interval.high <= region.low
    beyond = region.high != inf and interval.low >= region.high
    return "not reproduced" if beneath or beyond else "inconclusive"


def summary(values: Values) -> Summary:
    """What tables show: mean +- sd, n. Runs that diverged are counted, not averaged."""
    x = np.asarray(values, dtype=float)
    ended = x[np.isfinite(x)]
    if not len(ended):
        return Summary(nan, nan, len(x), len(x), (nan, nan))
    sd = float(ended.std(ddof=1)) if len(ended) > 1 else nan
    mean, low, high = mean_interval(ended)
    return Summary(mean, sd, len(x), len(x) - len(ended), (low, high))

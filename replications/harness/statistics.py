"""What numbers over seeds show: means, spreads, intervals, and what a picture draws of them."""

from collections.abc import Sequence
from math import inf, isfinite, isnan, nan, sqrt
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy

from replications.harness.region import ANYWHERE, Region

Values = Sequence[float] | np.ndarray


class Interval(NamedTuple):
    estimate: float
    low: float
    high: float


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


def welch_interval(
    x: Values, y: Values, confidence: float = 0.95, region: Region = ANYWHERE
) -> Interval:
    """Welch's interval of the difference of two means, of runs that are no pairs.

    Unbounded where one side has a single run. A value that is not finite carries the difference there
    as in ``mean_interval``.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        far = [value for value in (*x, *-y) if not isfinite(value)]
        return mean_interval([far[0], far[0]], confidence, region)
    difference = float(x.mean() - y.mean())
    if min(len(x), len(y)) < 2:
        return Interval(difference, -inf, inf)
    half = welch_half_width(
        (float(x.std(ddof=1)), len(x)), (float(y.std(ddof=1)), len(y)), confidence
    )
    return Interval(difference, difference - half, difference + half)


def welch_half_width(a: tuple[float, int], b: tuple[float, int], confidence: float = 0.95) -> float:
    """Half of Welch's interval from two (standard deviation, n): a mean known exactly has deviation 0."""
    variances = [(sd**2 / n, n) for sd, n in (a, b)]
    total = sum(v for v, _ in variances)
    if total == 0:
        return 0.0
    freedom = total**2 / sum(v**2 / max(n - 1, 1) for v, n in variances if v > 0)
    return float(scipy.special.stdtrit(freedom, (1 + confidence) / 2)) * sqrt(total)


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


def summary(values: Values) -> Summary:
    """What tables show: mean +- sd, n. Runs that diverged are counted, not averaged."""
    x = np.asarray(values, dtype=float)
    ended = x[np.isfinite(x)]
    if not len(ended):
        return Summary(nan, nan, len(x), len(x), (nan, nan))
    sd = float(ended.std(ddof=1)) if len(ended) > 1 else nan
    mean, low, high = mean_interval(ended)
    return Summary(mean, sd, len(x), len(x) - len(ended), (low, high))


class Band(NamedTuple):
    """What a picture draws of runs: a centre and two edges, one number per record."""

    low: pd.Series
    centre: pd.Series
    high: pd.Series


def quartiles(runs: pd.DataFrame) -> Band:
    """Median and quartiles over seeds. A diverged run counts as infinitely bad."""
    worst = 1e300
    ranks = [runs.fillna(worst).quantile(q, axis=1) for q in (0.25, 0.5, 0.75)]
    return Band(*(rank.where(rank < worst / 10) for rank in ranks))


def mean_and_sd(runs: pd.DataFrame) -> Band:
    """Mean +- 1 SD over seeds. A diverged run is left out."""
    centre, sd = runs.mean(axis=1), runs.std(axis=1).fillna(0)
    return Band(centre - sd, centre, centre + sd)


class Solved(NamedTuple):
    """Of runs that can get everything right: the share that has, by record; how many have at the end;
    the median of the times at which they first have, infinite where half of them never do."""

    share: pd.Series
    at_the_end: int
    median_time: float


def solved(errors: pd.DataFrame) -> Solved:
    """What ``errors`` (a row per record, a column per run) come to; an error of 0 is everything right."""
    right = errors == 0
    first = right.idxmax().where(right.any(), inf)
    return Solved(right.mean(axis=1), int(right.iloc[-1].sum()), float(first.median()))

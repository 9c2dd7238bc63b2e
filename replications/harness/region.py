"""A region that an interval must lie in."""

from math import inf
from typing import NamedTuple


class Region(NamedTuple):
    """An open interval; a side without a bound is infinite."""

    low: float = -inf
    high: float = inf


ANYWHERE = Region()

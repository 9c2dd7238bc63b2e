"""From a tidy table to the number per seed that a claim is about."""

from math import inf, nan

import numpy as np
import pandas as pd
import scipy

from replications.harness.declared.claims import At, Quantity
from replications.harness.errors import UserError
from replications.harness.tables import ends, runs


def per_seed(q: Quantity, table: pd.DataFrame) -> pd.Series:
    """The quantity, one number per seed; NaN where a run diverged. Raises UserError."""
    found = runs(table, q.arm, q.measure, q.layer)
    epoch = table.drop_duplicates("step").set_index("step")["epoch"].reindex(found.index)
    late = inf if q.at.to_step is None else q.at.to_step
    steps = found.index.to_series()
    inside = steps.between(q.at.from_step, late) & (epoch >= q.at.from_epoch)
    if not inside.any():
        close = min(steps, key=lambda step: abs(step - q.at.from_step))
        raise UserError(
            f"{q.experiment}/{q.arm}: {q.measure} was not recorded {q.at}; nearest record: {close}"
        )
    if q.at.take == "last" and inside.all():
        return pd.Series(
            _scaled(ends(table, q.arm, q.measure, q.layer).to_numpy(), q.scale), found.columns
        )
    window = found[inside]
    taken = {
        seed: _take(q.at, window.index.to_numpy(), _scaled(window[seed].to_numpy(), q.scale))
        for seed in window
    }
    return pd.Series(taken, dtype=float)


def _scaled(values: np.ndarray, scale: str) -> np.ndarray:
    if scale == "percent":
        return 100 * values
    if scale == "accuracy":
        return 1 - values
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(values) if scale == "log10" else values


def _take(at: At, steps: np.ndarray, values: np.ndarray) -> float:
    if at.take == "first":
        return float(values[0])
    if at.take == "last":
        return float(values[-1])
    if at.take in ("min", "max", "mean"):
        # NumPy's reductions, because those of pandas pass over NaN.
        return float(getattr(np, at.take)(values))
    if not np.isfinite(values).all():
        return nan
    if at.level is not None:
        level = at.level * values[-1] if at.relative else at.level
        there = values >= level if values[0] < level else values <= level
        return float(steps[np.argmax(there)]) if there.any() else inf
    if len(steps) < 2:
        raise UserError(f"no line through {len(steps)} record ({at})")
    line = scipy.stats.linregress(steps, values)
    return float(line.slope if at.take == "slope" else line.rvalue**2)

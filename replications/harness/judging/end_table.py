"""Where training ends: every measure over seeds, beside the paper's number and the judge's verdict.

README, the pictures of tables and the report show these rows; none of them computes its own.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from replications.harness import statistics
from replications.harness.catalogue.measures import MEASURES
from replications.harness.declared.claims import at_published_scale
from replications.harness.declared.published import Published, read_published
from replications.harness.store import Store
from replications.harness.tables import by_quantity, ends, runs

# Squares below this are round-off.
ROUND_OFF = 1e-30
# Ends the name of what was averaged as a logarithm.
LOGARITHM = " (log10)"
COLUMNS = [
    "experiment",
    "arm",
    "measure",
    "layer",
    "unit",
    "mean",
    "sd",
    "n",
    "diverged",
    "low",
    "high",
    "published",
    "published_sd",
    "certainty",
    "place",
    "difference",
    "verdict",
]


def end_table(
    paper: str,
    preset: str,
    names: Sequence[str],
    table: Callable[[str], pd.DataFrame | None],
    verdicts: Mapping[str, str],
    store: Store = Store(),
) -> pd.DataFrame:
    """A row for each arm, measure and layer of the experiments ``names``: mean, sd and 95 % interval over seeds.

    Errors are in %, what falls over decades as a logarithm. ``published``, in the same unit, stands only
    where the preset runs the experiment as the paper does; ``verdict`` where the numbers are to agree.
    """
    found = {}
    for name in names:
        records = table(name)
        if records is not None:
            found[name] = {key: summarize(own, *key) for key, own in by_quantity(records)}
    return _rows(paper, preset, found, verdicts, store)


def end_table_of_aggregates(
    paper: str,
    preset: str,
    aggregates: Mapping[str, pd.DataFrame],
    verdicts: Mapping[str, str],
    store: Store = Store(),
) -> pd.DataFrame:
    """The same from accepted aggregates, where no records were kept."""
    found = {}
    for name, frame in aggregates.items():
        ended = {}
        for quantity, row in frame.iterrows():
            arm, measure, *layer = str(quantity).removesuffix(LOGARITHM).split("/")
            n = int(row["n"] - row["diverged"])
            ci = (math.nan, math.nan)
            if n > 1:
                ci = statistics.students_interval(row["mean"], row["sd"], n)[1:]
            ended[arm, measure, "".join(layer)] = statistics.Summary(
                row["mean"], row["sd"], int(row["n"]), int(row["diverged"]), ci
            )
        found[name] = ended
    return _rows(paper, preset, found, verdicts, store)


def summarize(records: pd.DataFrame, arm: str, measure: str, layer: str) -> statistics.Summary:
    """Where a measure ends, over seeds, in the unit of the table; as log10 where it falls over decades."""
    values = ends(records, arm, measure, layer).to_numpy(dtype=float)
    if MEASURES[measure].logarithmic:
        finite = np.isfinite(values)
        values = np.where(finite, np.log10(np.maximum(values, ROUND_OFF)), np.nan)
    return statistics.summary(values)


def last_move(records: pd.DataFrame, arm: str, measure: str, layer: str) -> float:
    """How far the runs moved between the last two records, on average; NaN where there is one alone."""
    found = runs(records, arm, measure, layer).iloc[-2:].to_numpy(dtype=float)
    if MEASURES[measure].logarithmic:
        with np.errstate(invalid="ignore"):
            found = np.log10(np.maximum(found, ROUND_OFF))
    if len(found) < 2 or not np.isfinite(found).all():
        return math.nan
    return float(np.abs(found[1] - found[0]).mean())


def _rows(
    paper: str,
    preset: str,
    found: Mapping[str, Mapping[tuple[str, str, str], statistics.Summary]],
    verdicts: Mapping[str, str],
    store: Store,
) -> pd.DataFrame:
    published = read_published(paper, store)
    rows = []
    for name, ended in found.items():
        comparable = at_published_scale(paper, name, preset, store)
        for (arm, measure, layer), summary in ended.items():
            place = f"{measure}/{layer}" if layer else measure
            said = published.get((name, arm, place)) if comparable else None
            row: dict[str, Any] = {"experiment": name, "arm": arm}
            row |= {"measure": measure, "layer": layer}
            row |= _ours(measure, summary) | _theirs(measure, said)
            row["difference"] = row["mean"] - row["published"]
            row["verdict"] = verdicts.get(f"{name}/{arm}/{place}", "")
            rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def _ours(measure: str, found: statistics.Summary) -> dict[str, Any]:
    known = MEASURES[measure]
    times = 100 if known.unit == "%" else 1
    return {
        "unit": "log10" if known.logarithmic else known.unit,
        "mean": times * found.mean,
        "sd": times * found.sd,
        "n": found.n,
        "diverged": found.diverged,
        "low": times * found.ci[0],
        "high": times * found.ci[1],
    }


def scale_of(measure: str) -> str:
    """The scale of a claim on which the end table shows a measure."""
    known = MEASURES[measure]
    return "log10" if known.logarithmic else "percent" if known.unit == "%" else "plain"


def _theirs(measure: str, said: Published | None) -> dict[str, Any]:
    if said is None:
        return {"published": math.nan, "published_sd": math.nan, "certainty": "", "place": ""}
    value = said.scaled(scale_of(measure))
    return {
        "published": math.nan if value is None else value,
        "published_sd": math.nan if said.sd is None else said.sd,
        "certainty": said.certainty,
        "place": said.place,
    }

"""The one judge: what a paper's claims come to, and whether a number of ours agrees with the paper's.

A claim says that a quantity lies in a region declared in advance. It is *reproduced* if the whole
confidence interval lies in the region, *not reproduced* if the interval lies outside it, and
*inconclusive* otherwise. Equivalence (two one-sided tests at 5 %) is the 90 % interval of a
difference within the margin; an ordering is an interval of a difference that excludes 0; a t-test
at p < 1e-3 is the 99.9 % interval.

Nothing is dropped: a run that diverged (NaN), or that lacks its pair, counts as the infinity outside
the region, which makes a mean infinite and shifts a median by one rank.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, partial
from math import inf, isfinite, isnan, log
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy

from replications.harness import statistics
from replications.harness.declared import experiments
from replications.harness.declared.claims import (
    Part,
    agreement_parts,
    at_published_scale,
    check_claims,
    published_value,
    published_words,
    read_claims,
)
from replications.harness.declared.published import read_published
from replications.harness.errors import UserError
from replications.harness.files import atomically
from replications.harness.judging.quantities import per_seed
from replications.harness.region import Region
from replications.harness.store import Store
from replications.harness.tables import read_table, tall

Verdict = Literal["reproduced", "inconclusive", "not run", "not reproduced"]
# From the best to the worst. One part that fails decides a claim, whatever else has not been run.
VERDICTS: tuple[Verdict, ...] = ("reproduced", "inconclusive", "not run", "not reproduced")
# An experiment's tidy table; None where it has not been run at full scale.
Table = Callable[[str], pd.DataFrame | None]
Judged = dict[str, list[dict[str, Any]]]


def verdict(interval: statistics.Interval, region: Region) -> Verdict:
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


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on all of them together."""
    return max(verdicts, key=VERDICTS.index)


def judge_part(
    part: Part, table: Table, join: Literal["outer", "inner"] = "outer"
) -> dict[str, Any]:
    """Judge a part: its estimate, interval and verdict, for JSON. ``table`` gives an experiment's.

    Seeds that only one side has stay, as NaN; with ``inner`` they are left out.
    """
    shown: dict[str, Any] = {
        "quantity": str(part),
        "experiment": part.value.experiment,
        "confidence": part.confidence,
        "region": part.region_text,
    }
    columns = []
    for q in part.quantities:
        content = table(q.experiment)
        if content is None:
            return {**shown, **_NOTHING, "verdict": "not run"}
        columns.append(per_seed(q, content))
    paired = pd.concat(columns, axis=1, join=join).to_numpy()
    if not len(paired):
        return {**shown, **_NOTHING, "verdict": "not run"}
    x = paired[:, 0]
    if part.minus:
        x = x - paired[:, 1]
    elif part.over:
        with np.errstate(divide="ignore", invalid="ignore"):
            x = np.log(x) - np.log(paired[:, 1])
    elif part.trend:
        x = np.array([_spearman(list(part.trend.values()), row) for row in paired])
    region = part.region
    if part.over:
        low = log(region.low) if region.low > 0 else -inf
        region = Region(low, log(region.high) if region.high < inf else inf)
    diverged = np.isnan(x)
    x = np.where(diverged, -inf if region.high == inf else inf, x)
    estimate = {
        "mean": partial(statistics.mean_interval, confidence=part.confidence, region=region),
        "median": partial(statistics.median_interval, confidence=part.confidence),
        "worst": partial(statistics.worst, region=region),
    }[part.aggregate]
    interval = estimate(x)
    value, *bounds = (_number(v) for v in (np.exp(interval) if part.over else interval))
    return {
        **shown,
        "estimate": value,
        "interval": bounds,
        "n": len(x),
        "diverged": int(diverged.sum()),
        "verdict": verdict(interval, region),
    }


# What is known of a part whose experiment has not been run.
_NOTHING: dict[str, Any] = {"estimate": None, "interval": [None, None], "n": 0, "diverged": 0}


def _spearman(x: list[float], y: np.ndarray) -> float:
    # Constant and NaN values have no ranks; scipy would warn.
    if np.isnan(y).any() or np.ptp(y) == 0:
        return float("nan")
    return float(scipy.stats.spearmanr(x, y).statistic)


def _number(value: float) -> float | None:
    """Six digits; JSON has no infinity, so an end that is not bounded is null."""
    return float(f"{value:.6g}") if isfinite(value) else None


def judge_tables(paper: str, preset: str, table: Table, store: Store = Store()) -> Judged:
    """Judge a paper from tables at hand: its ``claims``, and its ``numbers`` that are to agree.

    Two experiments may have been accepted with different seeds, and are compared over those that
    both have. Raises UserError.
    """
    check_claims(paper, preset, store)
    numbers = read_published(paper, store)
    join: Literal["outer", "inner"] = "inner" if preset == "full" else "outer"
    claims = []
    for claim in read_claims(paper, store).claims:
        statement, parts = claim.under(preset)
        if not parts:
            continue
        done = []
        for part in parts:
            scale = at_published_scale(paper, part.value.experiment, preset, store)
            said = published_value(part, numbers) if scale else None
            known = None if said is None else _number(said)
            done.append({**judge_part(part, table, join), "published": known})
        text, certainty, source = published_words(claim, numbers)
        claims.append(
            {
                "id": claim.id,
                "place": claim.place,
                "statement": " ".join(statement.split()),
                "published": {"text": text, "certainty": certainty, "source": source},
                "parts": done,
                "verdict": worst([part["verdict"] for part in done]),
            }
        )
    return {"claims": claims, "numbers": judge_numbers(paper, preset, table, store)}


def judge_numbers(
    paper: str,
    preset: str,
    table: Table,
    store: Store = Store(),
    names: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """Judge a paper's published numbers that are to agree with ours; only those of experiments ``names``."""
    numbers = read_published(paper, store)
    join: Literal["outer", "inner"] = "inner" if preset == "full" else "outer"
    agreeing = []
    for key, part in agreement_parts(paper, preset, store).items():
        if names is not None and key[0] not in names:
            continue
        found = judge_part(part, table, join)
        agreeing.append(
            {
                "id": "/".join(key),
                "place": numbers[key].place,
                "statement": f"{numbers[key]} in the paper",
                "parts": [{**found, "published": numbers[key].value}],
                "verdict": found["verdict"],
            }
        )
    return agreeing


def tables(paper: str, preset: str, store: Store, accepted: bool = False) -> Table:
    """The tables of a paper's experiments under a preset, or of those ``accepted`` at full scale.

    Accepted records are read as they were kept; of what quick runs as it is, quick's are.
    """

    @cache
    def table(experiment: str) -> pd.DataFrame | None:
        if not accepted:
            return read_table(store.table(preset, paper, experiment))
        name, _, kind = experiment.partition(".")
        if name not in experiments.accepted(paper, store):
            return None
        if name not in experiments.kept(paper, store):
            return read_table(store.table("quick", paper, experiment))
        kept = store.kept(paper, preset, name, kind or "runs")
        return read_table(kept) if kind else tall(read_records(kept))

    return table


def read_records(path: Path) -> pd.DataFrame:
    """Read accepted records, a row each. Raises UserError."""
    if not path.exists():
        raise UserError(f"{path}: no accepted results; see `python -m replications accept --help`")
    return pd.read_csv(path, dtype={"arm": str})


def judge(paper: str, preset: str, store: Store, accepted: bool = False) -> Judged:
    """Judge a paper and write its verdicts beside its tables. Raises UserError."""
    judged = judge_tables(paper, preset, tables(paper, preset, store, accepted), store)
    _write_json(store.verdicts(preset, paper), judged)
    return judged


def read_verdicts(paper: str, preset: str, store: Store) -> Judged:
    """Read a paper's judged claims and numbers. Raises UserError where they have not been judged."""
    path = store.verdicts(preset, paper)
    if not path.exists():
        raise UserError(f"{path}: no such file; make it with `python -m replications judge`")
    judged: Judged = json.loads(path.read_text())
    return judged


def by_id(judged: Judged) -> dict[str, Verdict]:
    """Id -> verdict, of claims and of numbers."""
    return {one["id"]: one["verdict"] for kind in judged.values() for one in kind}


def gather(papers: Sequence[str], preset: str, store: Store) -> Judged:
    """Join the papers' verdicts into one file. Raises UserError."""
    joined: Judged = {"claims": [], "numbers": []}
    for paper in papers:
        for kind, found in read_verdicts(paper, preset, store).items():
            joined[kind] += [{"paper": paper, **one} for one in found]
    _write_json(store.all_verdicts(preset, "json"), joined)
    return joined


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    with atomically(path) as temporary:
        temporary.write_text(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")

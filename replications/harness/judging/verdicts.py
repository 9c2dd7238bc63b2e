"""The one judge: what a paper's claims come to, and whether a number of ours agrees with the paper's.

A claim says that a quantity lies in a region declared in advance. It is *reproduced* if the whole
confidence interval lies in the region, *not reproduced* if the interval lies outside it, and
*inconclusive* otherwise. All intervals are 95 %, two-sided: a bound is tested at 2.5 %, equivalence (a
margin) by two such tests. It is judged at the declared number of runs and only there: before, it is
*incomplete*, and later seeds are left out. One run is never judged.

A claim whose control passes as well (``declared.claims.Control``) is *without power*. A number that is
to agree with the paper's can also be *near* (``declared.claims.Agreement``).

Nothing is dropped: a run that diverged (NaN) counts as the infinity outside the region, which makes a
mean infinite and shifts a median by one rank.
"""

from collections.abc import Callable, Collection, Sequence
from functools import cache, partial
from math import inf, isfinite, isnan, log
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy

from replications.harness import sealed, statistics
from replications.harness.declared import experiments
from replications.harness.declared.claims import (
    Comparison,
    Part,
    Quantity,
    at_published_scale,
    check_claims,
    comparisons,
    published_value,
    published_words,
    read_claims,
)
from replications.harness.declared.published import read_published
from replications.harness.errors import UserError, damaged
from replications.harness.judging.quantities import per_seed
from replications.harness.region import Region
from replications.harness.store import Store
from replications.harness.tables import KEYS, read_table, tall

Verdict = Literal["reproduced", "near", "inconclusive", "incomplete", "not run", "not reproduced"]
# From the best to the worst. One part that fails decides a claim, whatever else has not been run.
VERDICTS: tuple[Verdict, ...] = (
    "reproduced",
    "near",
    "inconclusive",
    "incomplete",
    "not run",
    "not reproduced",
)
# An experiment's tidy table; None where it has not been run at full scale.
Table = Callable[[str], pd.DataFrame | None]
# How many runs an (experiment, arm) is declared to have.
Declared = Callable[[str, str], int]
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


def judge_part(part: Part, table: Table, declared: Declared) -> dict[str, Any]:
    """Judge a part: its estimate, interval and verdict, for JSON.

    ``table`` gives an experiment's tidy table; ``declared`` the number of runs of an (experiment, arm).
    """
    runs = min(declared(q.experiment, q.arm) for q in part.quantities)
    shown: dict[str, Any] = {
        "quantity": str(part),
        "experiment": part.value.experiment,
        "confidence": part.confidence,
        "region": part.region_text,
        "declared": runs,
    }
    columns = []
    for q in part.quantities:
        content = _of_arm(table, q)
        if content is None:
            return {**shown, **_NOTHING, "verdict": "not run"}
        found = per_seed(q, content)
        columns.append(found[found.index < declared(q.experiment, q.arm)])
    interval, diverged = _estimate(part, columns)
    value, *bounds = (_number(v) for v in (np.exp(interval) if part.over else interval))
    n = min(len(column) for column in columns)
    return {
        **shown,
        "estimate": value,
        "interval": bounds,
        "n": n,
        "diverged": diverged,
        "verdict": verdict(interval, _region(part)) if _enough(n, runs) else "incomplete",
    }


def _enough(n: int, declared: int) -> bool:
    """Whether there are as many runs as were declared; one run is never enough for a verdict."""
    return n >= max(declared, 2)


def _of_arm(table: Table, q: Quantity) -> pd.DataFrame | None:
    """The experiment's table; None where it has not been run, or was accepted before it had the arm."""
    content = table(q.experiment)
    return None if content is None or not content["arm"].eq(q.arm).any() else content


# What is known of a part whose experiment has not been run.
_NOTHING: dict[str, Any] = {"estimate": None, "interval": [None, None], "n": 0, "diverged": 0}


def _region(part: Part) -> Region:
    """The region of what is estimated: of a ratio, the logarithm."""
    region = part.region
    if not part.over:
        return region
    low = log(region.low) if region.low > 0 else -inf
    return Region(low, log(region.high) if region.high < inf else inf)


def _estimate(part: Part, columns: Sequence[pd.Series]) -> tuple[statistics.Interval, int]:
    """The interval of a part's quantity, and how many runs diverged."""
    region = _region(part)
    outside = -inf if region.high == inf else inf
    if part.over:
        with np.errstate(divide="ignore", invalid="ignore"):
            columns = [np.log(column) for column in columns]
    if part.paired:
        pairs = pd.concat(columns, axis=1).to_numpy()
        if part.trend:
            x = np.array([_spearman(list(part.trend.values()), row) for row in pairs])
        else:
            x = pairs[:, 0] - pairs[:, 1] if pairs.shape[1] > 1 else pairs[:, 0]
        diverged = np.isnan(x)
        x = np.where(diverged, outside, x)
        estimate = {
            "mean": partial(statistics.mean_interval, confidence=part.confidence, region=region),
            "median": partial(statistics.median_interval, confidence=part.confidence),
            "worst": partial(statistics.worst, region=region),
        }[part.aggregate]
        return estimate(x), int(diverged.sum())
    first, second = (column.to_numpy() for column in columns)
    diverged_runs = int(np.isnan(first).sum() + np.isnan(second).sum())
    first = np.where(np.isnan(first), outside, first)
    second = np.where(np.isnan(second), -outside, second)
    found = statistics.welch_interval(first, second, part.confidence, region)
    return found, diverged_runs


def compare(one: Comparison, table: Table, declared: Declared) -> dict[str, Any]:
    """Judge whether a number of ours agrees with the paper's, for JSON; see ``Agreement``."""
    q, said, rule = one.quantity, one.published, one.rule
    if said.value is None:
        data = {"value": q.model_dump(), "aggregate": "worst", "above": rule.stuck_above}
        stuck = judge_part(Part.model_validate(data), table, declared)
        return {**stuck, "published": None}
    value = float(said.scaled(rule.scale) or 0.0)
    runs = declared(q.experiment, q.arm)
    margin = f"{value:g} ± {one.margin:.2g}"
    shown: dict[str, Any] = {
        "quantity": f"{q} {q.at}",
        "experiment": q.experiment,
        "confidence": rule.confidence,
        "region": margin,
        "declared": runs,
        "published": _number(value),
    }
    content = _of_arm(table, q)
    if content is None:
        return {**shown, **_NOTHING, "verdict": "not run"}
    found = per_seed(q, content)
    x = found[found.index < runs].to_numpy()
    interval = statistics.mean_interval(x, rule.confidence)
    estimate, *bounds = (_number(v) for v in interval)
    shown |= {"estimate": estimate, "interval": bounds, "n": len(x)}
    shown["diverged"] = int(np.isnan(x).sum())
    if not _enough(len(x), runs):
        return {**shown, "verdict": "incomplete"}
    if not np.isfinite(x).all():
        return {**shown, "verdict": "not reproduced"}
    ours = (float(x.std(ddof=1)) if len(x) > 1 else inf, len(x))
    theirs = (said.sd or 0.0, said.n or rule.runs)
    explained = statistics.welch_half_width(ours, theirs, rule.confidence)
    difference = abs(float(x.mean()) - value)
    within, compatible = difference <= one.margin, difference <= explained
    verdicts: dict[tuple[bool, bool], Verdict] = {
        (True, True): "reproduced",
        (True, False): "near",
        (False, True): "inconclusive",
        (False, False): "not reproduced",
    }
    return {**shown, "verdict": verdicts[within, compatible]}


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

    Raises UserError.
    """
    check_claims(paper, preset, store)
    numbers = read_published(paper, store)
    declared = _declared(paper, preset, store)
    claims = []
    for claim in read_claims(paper, store).claims:
        statement, parts = claim.under(preset)
        if not parts:
            continue
        done = [judge_part(part, table, declared) for part in parts]
        for part, one in zip(parts, done, strict=True):
            scale = at_published_scale(paper, part.value.experiment, preset, store)
            said = published_value(part, numbers) if scale else None
            one["published"] = None if said is None else _number(said)
            if claim.control:
                one["control"] = judge_part(claim.control.of(part), table, declared)["verdict"]
        text, certainty, source = published_words(claim, numbers)
        controls = [one["control"] for one in done if claim.control]
        claims.append(
            {
                "id": claim.id,
                "place": claim.place,
                "statement": " ".join(statement.split()),
                "published": {"text": text, "certainty": certainty, "source": source},
                "identity": claim.identity,
                "control": claim.control.why if claim.control else "",
                # Where the control has not been run either, nothing speaks against the claim.
                "power": claim.identity or worst(controls) != "reproduced",
                "note": claim.note,
                "parts": done,
                "verdict": worst([part["verdict"] for part in done]),
            }
        )
    return {"claims": claims, "numbers": judge_numbers(paper, preset, table, store)}


def _declared(paper: str, preset: str, store: Store) -> Declared:
    @cache
    def declared(experiment: str, arm: str) -> int:
        return experiments.cell(paper, experiment, arm, preset, store).spec.seeds

    return declared


def judge_numbers(
    paper: str,
    preset: str,
    table: Table,
    store: Store = Store(),
    names: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """Judge a paper's published numbers that are to agree with ours; only those of experiments ``names``."""
    declared = _declared(paper, preset, store)
    agreeing = []
    for key, pair in comparisons(paper, preset, store).items():
        if names is not None and pair.quantity.experiment not in names:
            continue
        found = compare(pair, table, declared)
        agreeing.append(
            {
                "id": "/".join(key),
                "place": pair.published.place,
                "statement": f"{pair.published} in the paper",
                "certainty": pair.published.certainty,
                "parts": [found],
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
        return read_table(kept, accepted=True) if kind else tall(read_records(kept))

    return table


def read_records(path: Path) -> pd.DataFrame:
    """Read accepted records, a row each. Raises UserError."""
    if not path.exists():
        raise UserError(f"{path}: no accepted results; see `python -m replications accept --help`")
    try:
        records = pd.read_csv(path, dtype={"arm": str})
        if missing := [name for name in KEYS if name not in records]:
            raise ValueError(f"no column {missing[0]}")
        if not all(records[name].dtype.kind in "if" for name in records if name != "arm"):
            raise ValueError("not all of it are numbers")
    except (ValueError, pd.errors.ParserError) as error:
        raise damaged(path, error) from None
    return records


def judge(paper: str, preset: str, store: Store, accepted: bool = False) -> Judged:
    """Judge a paper and write its verdicts beside its tables. Raises UserError."""
    judged = judge_tables(paper, preset, tables(paper, preset, store, accepted), store)
    sealed.write_json(store.verdicts(preset, paper), judged)
    return judged


def read_verdicts(paper: str, preset: str, store: Store) -> Judged:
    """Read a paper's judged claims and numbers. Raises UserError where they have not been judged."""
    remedy = "make it with `python -m replications judge`"
    return sealed.read_json(store.verdicts(preset, paper), remedy)


def by_id(judged: Judged) -> dict[str, Verdict]:
    """Id -> verdict, of claims and of numbers."""
    return {one["id"]: one["verdict"] for kind in judged.values() for one in kind}


def gather(papers: Sequence[str], preset: str, store: Store) -> Judged:
    """Join the papers' verdicts into one file. Raises UserError."""
    joined: Judged = {"claims": [], "numbers": []}
    for paper in papers:
        for kind, found in read_verdicts(paper, preset, store).items():
            joined[kind] += [{"paper": paper, **one} for one in found]
    sealed.write_json(store.all_verdicts(preset, "json"), joined)
    return joined

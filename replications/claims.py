"""The claims of a paper as data, and their judgement: ``replications/<paper>/claims.yaml``.

A part of a claim is an interval estimate of one quantity over seeds that must lie in a region
declared in advance; a claim is as good as its worst part (all parts must hold, so no correction for
their number is due). Nothing is dropped: a run that diverged (NaN), or that lacks its pair, counts
as the infinity outside the region, which makes a mean infinite and shifts a median by one rank.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from math import inf, isfinite, log, nan
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
import scipy
from pydantic import Field, model_validator

from replications import spec, statistics
from replications.errors import UserError, nearest
from replications.files import atomically
from replications.results import paper_folder, read_table, table_file
from replications.schema import Strict, parse, read_yaml
from replications.statistics import VERDICTS, Region, Verdict

Preset = Literal["quick", "paper"]
# An experiment's tidy table; None where it has not been run at full scale.
Table = Callable[[str], pd.DataFrame | None]
SYMBOLS: dict[str, str] = {
    "reproduced": "✔",
    "inconclusive": "?",
    "not run": "-",
    "not reproduced": "✘",
}


class At(Strict):
    """Which records of a run: ``start``, ``end``, an update, or what to ``take`` from a window.

    ``reaches`` is the first update at which the value has reached ``level``, from whichever side it
    starts (infinite where it never does); ``relative``: the level is a fraction of the last value.
    ``slope`` (per update) and ``r_squared`` are those of a straight line through the window.
    """

    from_step: int = 0
    to_step: int | None = None
    from_epoch: float = 0
    take: Literal["first", "last", "min", "max", "mean", "reaches", "slope", "r_squared"]
    level: float | None = None
    relative: bool = False

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        if isinstance(data, int):
            return {"from_step": data, "to_step": data, "take": "last"}
        if isinstance(data, str):
            if data not in ("start", "end"):
                raise ValueError(f"unknown record {data!r}; {nearest(data, ('start', 'end'))}")
            return {"take": "first" if data == "start" else "last"}
        return data

    @model_validator(mode="after")
    def _level_to_reach(self) -> "At":
        if (self.take == "reaches") != (self.level is not None):
            raise ValueError("a level is what `take: reaches` needs, and nothing else")
        return self

    def __str__(self) -> str:
        if self.level is not None:
            return f"reaches {self.level:g}" + (" of its end" if self.relative else "")
        if self.to_step is None and not self.from_step and not self.from_epoch:
            name = {"first": "start", "last": "end"}.get(self.take)
            return f"at the {name}" if name else f"{self.take} over the run"
        if self.from_step == self.to_step:
            return f"at update {self.to_step}"
        since = f"pass {self.from_epoch:g}" if self.from_epoch else f"update {self.from_step}"
        return f"{self.take} from {since}" + (f" to {self.to_step}" if self.to_step else " on")


END = At(take="last")


class Quantity(Strict):
    """One number per seed: a measure of an arm at a record."""

    experiment: str
    arm: str
    measure: spec.Measure
    layer: str = ""
    at: At = END
    # Of every record, before ``at`` takes one. accuracy: 1 - an error.
    scale: Literal["plain", "log10", "percent", "accuracy"] = "plain"

    def __str__(self) -> str:
        name = f"{self.measure}/{self.layer}" if self.layer else self.measure
        prefix = "" if self.scale == "plain" else f"{self.scale} "
        return f"{prefix}{name} of {self.arm or 'each arm'}"


class Part(Strict):
    """A quantity, how seeds are joined, and the region that the interval must lie in.

    ``minus`` and ``over`` name a second quantity, paired by seed; they say only what differs from
    the first. The mean of ``over`` is the geometric one. ``trend`` gives arms an x: Spearman's
    correlation over them, per seed. The region is ``below``, ``above`` or both, or ``around`` +-
    ``margin``. ``worst`` joins by the run nearest to leaving the region, for identities.
    """

    value: Quantity
    minus: Quantity | None = None
    over: Quantity | None = None
    trend: dict[str, float] | None = None
    aggregate: Literal["mean", "median", "worst"] = "mean"
    below: float | None = None
    above: float | None = None
    around: float = 0.0
    margin: float | None = Field(default=None, gt=0)
    confidence: float = Field(gt=0.5, lt=1)
    # The paper's own number for this quantity, where it gives one.
    published: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("value"), dict):
            return data
        data = {"confidence": 0.95 if data.get("margin") is None else 0.9, **data}
        if data.get("trend"):
            data["value"] = {"arm": "", **data["value"]}
        for other in ("minus", "over"):
            if isinstance(data.get(other), dict):
                data[other] = {**data["value"], **data[other]}
        return data

    @model_validator(mode="after")
    def _one_meaning(self) -> "Part":
        if sum(other is not None for other in (self.minus, self.over, self.trend)) > 1:
            raise ValueError("at most one of minus, over, trend")
        bounded = self.below is not None or self.above is not None
        if bounded == (self.margin is not None):
            raise ValueError("the region is either below and/or above, or a margin")
        if self.region.low >= self.region.high:
            raise ValueError(f"the region is empty: above {self.above}, below {self.below}")
        if self.over and self.region.high <= 0:
            raise ValueError("a ratio (over) is positive, and so must its bound be")
        return self

    @property
    def region(self) -> Region:
        if self.margin is not None:
            return Region(self.around - self.margin, self.around + self.margin)
        return Region(
            -inf if self.above is None else self.above, inf if self.below is None else self.below
        )

    @property
    def quantities(self) -> list[Quantity]:
        if self.trend:
            return [self.value.model_copy(update={"arm": arm}) for arm in self.trend]
        return [self.value, *(other for other in (self.minus, self.over) if other)]

    def __str__(self) -> str:
        text = {"mean": "", "median": "median ", "worst": "worst run's "}[self.aggregate]
        text += "rank correlation with " if self.trend else ""
        text += f"{self.value} {self.value.at}"
        for word, other in (("minus", self.minus), ("over", self.over)):
            if other:
                when = "" if other.at == self.value.at else f" {other.at}"
                text += f" {word} {other}{when}"
        return text

    @property
    def region_text(self) -> str:
        if self.margin is not None:
            return f"{self.around:g} ± {self.margin:g}" if self.around else f"± {self.margin:g}"
        if self.below is not None and self.above is not None:
            return f"{self.above:g} to {self.below:g}"
        return f"> {self.above:g}" if self.below is None else f"< {self.below:g}"


class Published(Strict):
    """What the paper reports, and how sure that is.

    A from the paper itself or its author's code, A-ab from its abstract, B a third party's report,
    C recollection (C+ supported by an A or B), OWN a check of this project's, INF an inference.
    """

    value: str
    unit: str = ""
    certainty: Literal["A", "A-ab", "B", "C", "C+", "OWN", "INF"]
    source: str


class Saying(Strict):
    """What a claim says under one preset, where that differs."""

    statement: str | None = None
    parts: list[Part] | None = Field(default=None, min_length=1)


class Claim(Strict):
    id: str
    place: str
    statement: str
    published: Published
    parts: list[Part] = Field(min_length=1)
    # Null: the claim cannot be judged under that preset, and is left out of its verdicts.
    presets: dict[Preset, Saying | None] = Field(default_factory=dict)

    def under(self, preset: str) -> tuple[str, list[Part]]:
        """The statement and the parts under ``preset``; no parts where it says nothing."""
        own = self.presets.get(cast(Preset, preset), Saying())
        if own is None:
            return self.statement, []
        return own.statement or self.statement, own.parts or self.parts


class Claims(Strict):
    claims: list[Claim]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> "Claims":
        ids = [claim.id for claim in self.claims]
        twice = [name for name in ids if ids.count(name) > 1]
        if twice:
            raise ValueError(f"two claims have the id {twice[0]!r}")
        return self


def load(paper: str, folder: Path = spec.HERE) -> list[Claim]:
    """A paper's claims. Raises UserError for a missing or bad file."""
    file = folder / paper / "claims.yaml"
    return parse(Claims, read_yaml(file), f"replications/{paper}/claims.yaml").claims


def recorded(paper: str, preset: str, folder: Path = spec.HERE) -> dict[str, dict[str, list[str]]]:
    """Experiment -> arm -> measures that a preset records."""
    known: dict[str, dict[str, list[str]]] = {}
    for cell in spec.cells(paper, preset, folder):
        known.setdefault(cell.experiment, {})[cell.arm] = list(cell.spec.measures)
    return known


def check_names(
    claims: Sequence[Claim], preset: str, known: Mapping[str, Mapping[str, Sequence[str]]]
) -> None:
    """Raise UserError where a claim names an experiment, arm or measure that is not recorded."""
    for claim in claims:
        for q in (q for part in claim.under(preset)[1] for q in part.quantities):
            where = f"claim {claim.id} ({preset})"
            if q.experiment not in known:
                raise UserError(
                    f"{where}: unknown experiment {q.experiment!r}; {nearest(q.experiment, known)}"
                )
            arms = known[q.experiment]
            if q.arm not in arms:
                raise UserError(
                    f"{where}: {q.experiment} has no arm {q.arm!r}; {nearest(q.arm, arms)}"
                )
            if q.measure not in arms[q.arm]:
                hint = nearest(q.measure, arms[q.arm])
                raise UserError(
                    f"{where}: {q.experiment}/{q.arm} does not record {q.measure!r}; {hint}"
                )


def per_seed(q: Quantity, table: pd.DataFrame) -> pd.Series:
    """The quantity, one number per seed; NaN where a run diverged. Raises UserError."""
    rows = table[(table["arm"] == q.arm) & (table["measure"] == q.measure)]
    layers = sorted(rows["layer"].unique())
    if q.layer not in layers:
        hint = nearest(q.layer, layers)
        raise UserError(
            f"{q.experiment}/{q.arm}: {q.measure} is not recorded for layer {q.layer!r}; {hint}"
        )
    rows = rows[rows["layer"] == q.layer].sort_values(["seed", "step"])
    late = inf if q.at.to_step is None else q.at.to_step
    inside = rows["step"].between(q.at.from_step, late) & (rows["epoch"] >= q.at.from_epoch)
    if not inside.any():
        steps = sorted(rows["step"].unique())
        close = min(steps, key=lambda step: abs(step - q.at.from_step))
        raise UserError(
            f"{q.experiment}/{q.arm}: {q.measure} was not recorded {q.at}; nearest record: {close}"
        )
    taken = {
        seed: _take(q.at, run["step"].to_numpy(), _scaled(run["value"].to_numpy(), q.scale))
        for seed, run in rows[inside].groupby("seed")
    }
    return pd.Series(taken, dtype=float).reindex(rows["seed"].unique())


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


def judge_part(
    part: Part, table: Table, join: Literal["outer", "inner"] = "outer"
) -> dict[str, Any]:
    """Estimate, interval and verdict of a part, for JSON. ``table`` gives an experiment's table.

    Seeds that only one side has stay, as NaN; with ``inner`` they are left out.
    """
    shown: dict[str, Any] = {
        "quantity": str(part),
        "experiment": part.value.experiment,
        "confidence": part.confidence,
        "region": part.region_text,
        "published": part.published,
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
    value, *ends = (_number(v) for v in (np.exp(interval) if part.over else interval))
    return {
        **shown,
        "estimate": value,
        "interval": ends,
        "n": len(x),
        "diverged": int(diverged.sum()),
        "verdict": statistics.verdict(interval, region),
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


def judge(paper: str, preset: str, results: Path, folder: Path = spec.HERE) -> list[dict[str, Any]]:
    """Judge a paper's claims and write ``claims.json`` beside its tables. Raises UserError.

    Of the accepted results, an experiment that is not among them was not run; two experiments may
    have been accepted with different seeds, and are compared over those that both have.
    """
    known = spec.accepted(paper, folder) if preset == spec.ACCEPTED else None

    @cache
    def table(experiment: str) -> pd.DataFrame | None:
        if known is not None and experiment not in known:
            return None
        return read_table(table_file(results, preset, paper, experiment))

    judged = judge_tables(paper, preset, table, folder)
    _write_json(claims_file(results, preset, paper), judged)
    return judged


def judge_tables(
    paper: str, preset: str, table: Table, folder: Path = spec.HERE
) -> list[dict[str, Any]]:
    """The same from tables at hand, with nothing written: ``table`` gives an experiment's, or None."""
    claims, protocol = load(paper, folder), spec.protocol(preset)
    check_names(claims, protocol, recorded(paper, protocol, folder))
    join: Literal["outer", "inner"] = "inner" if preset == spec.ACCEPTED else "outer"
    judged = []
    for claim in claims:
        statement, parts = claim.under(protocol)
        if not parts:
            continue
        done = [judge_part(part, table, join) for part in parts]
        judged.append(
            {
                "id": claim.id,
                "place": claim.place,
                "statement": " ".join(statement.split()),
                "published": claim.published.model_dump(),
                "parts": done,
                "verdict": max((part["verdict"] for part in done), key=VERDICTS.index),
            }
        )
    return judged


def claims_file(results: Path, preset: str, paper: str) -> Path:
    return paper_folder(results, preset, paper) / "claims.json"


def read(results: Path, preset: str, paper: str) -> list[dict[str, Any]]:
    """A paper's judged claims. Raises UserError where they have not been judged."""
    path = claims_file(results, preset, paper)
    if not path.exists():
        raise UserError(f"{path}: no such file; make it with `python -m replications judge`")
    judged: list[dict[str, Any]] = json.loads(path.read_text())
    return judged


def verdicts(papers: Sequence[str], preset: str, results: Path) -> list[dict[str, Any]]:
    """Join the papers' judged claims into ``results/<preset>/claims.json`` and ``claims.md``."""
    judged = [{"paper": paper, **c} for paper in papers for c in read(results, preset, paper)]
    _write_json(results / preset / "claims.json", judged)
    with atomically(results / preset / "claims.md") as temporary:
        temporary.write_text(_markdown(judged, preset))
    return judged


def _write_json(path: Path, data: Any) -> None:
    with atomically(path) as temporary:
        temporary.write_text(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _markdown(judged: list[dict[str, Any]], preset: str) -> str:
    """One row per claim, and one per part below it."""
    found = [claim["verdict"] for claim in judged]
    seen = [v for v in VERDICTS if v in found or v != "not run"]
    counts = ", ".join(f"{found.count(v)} {v}" for v in seen)
    lines = [
        f"# Claims, preset `{preset}`: {counts}",
        "",
        "| verdict | id | place | claim | published (certainty) | ours [interval] | n | region |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for claim in judged:
        said = claim["published"]
        published = f"{said['value']} {said['unit']}".strip() + f" ({said['certainty']})"
        head = [_shown(claim["verdict"]), f"**{claim['id']}**", claim["place"]]
        lines.append(_row([*head, claim["statement"], published, "", "", ""]))
        for part in claim["parts"]:
            number = "" if part["published"] is None else f"{part['published']:g}"
            n = f"{part['n']}" + (f" ({part['diverged']} diverged)" if part["diverged"] else "")
            quantity = f"{part['experiment']}: {part['quantity']}"
            cells = [_shown(part["verdict"]), "", "", quantity, number, ours(part), n]
            lines.append(_row([*cells, part["region"]]))
    return "\n".join(lines) + "\n"


def ours(part: Mapping[str, Any]) -> str:
    """``estimate [low, high] at confidence`` of a judged part."""
    value, low, high = (
        "unbounded" if v is None else f"{v:.4g}" for v in (part["estimate"], *part["interval"])
    )
    if part["estimate"] is None:
        return "not finite" if part["n"] else ""
    if part["quantity"].startswith("worst"):
        return value
    if part["n"] == 1:
        return f"{value} (one run, no interval)"
    return f"{value} [{low}, {high}] {100 * part['confidence']:g} %"


def _shown(verdict: Verdict) -> str:
    return f"{SYMBOLS[verdict]} {verdict}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

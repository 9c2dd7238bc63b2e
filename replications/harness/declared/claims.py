"""What a paper claims, as data: ``replications/<paper>/claims.yaml``.

A part of a claim is an interval estimate of one quantity over seeds that must lie in a region
declared in advance; a claim is as good as its worst part (all parts must hold, so no correction for
their number is due).
"""

from collections.abc import Mapping, Sequence
from math import inf, sqrt
from typing import Any, Literal, NamedTuple, cast

from pydantic import Field, FiniteFloat, model_validator

from replications.harness.catalogue.measures import MEASURES
from replications.harness.declared.experiments import cells, recorded, same_in_both
from replications.harness.declared.published import (
    CERTAINTIES,
    Certainty,
    Numbers,
    Published,
    read_published,
)
from replications.harness.declared.reading import Strict, parse, read_yaml
from replications.harness.declared.spec import COUNTED, MeasureName, RunSpec
from replications.harness.errors import UserError, nearest
from replications.harness.region import Region
from replications.harness.store import Store

Preset = Literal["quick", "full"]
# Of every interval, unless a paper states a level of its own (a t-test at p < 1e-3: 0.999).
CONFIDENCE = 0.95


class At(Strict):
    """Which records of a run: ``start``, ``end``, an update, or what to ``take`` from a window.

    ``reaches`` is the first update at which the value has reached ``level``, from whichever side it
    starts (infinite where it never does); ``relative``: the level is a fraction of the last value.
    ``slope`` (per update) and ``r_squared`` are those of a straight line through the window.
    """

    from_step: int = Field(default=0, ge=0, le=COUNTED)
    to_step: int | None = Field(default=None, ge=0, le=COUNTED)
    from_epoch: FiniteFloat = Field(default=0, ge=0)
    take: Literal["first", "last", "min", "max", "mean", "reaches", "slope", "r_squared"]
    level: FiniteFloat | None = None
    relative: bool = False

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        if isinstance(data, int) and not isinstance(data, bool):
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
    measure: MeasureName
    layer: str = ""
    at: At = END
    # Of every record, before ``at`` takes one. accuracy: 1 - an error.
    scale: Literal["plain", "log10", "percent", "accuracy"] = "plain"

    @property
    def key(self) -> tuple[str, str, str]:
        """Where published.yaml has the paper's number for it."""
        place = f"{self.measure}/{self.layer}" if self.layer else self.measure
        if self.at == END:
            return self.experiment, self.arm, place
        when = self.at.from_step if self.at.from_step == self.at.to_step else self.at
        return self.experiment, self.arm, f"{place}@{when}"

    def __str__(self) -> str:
        name = f"{self.measure}/{self.layer}" if self.layer else self.measure
        prefix = "" if self.scale == "plain" else f"{self.scale} "
        return f"{prefix}{name} of {self.arm or 'each arm'}"


class Part(Strict):
    """A quantity, how seeds are joined, and the region that the interval must lie in.

    ``minus`` and ``over`` name a second quantity; they say only what differs from the first. Two
    quantities of the same runs are paired; those of two arms are not, though their seeds have the
    same numbers: such pairs share the order of the data and little else (measured correlations of .02
    to .42), and pairing would halve the degrees of freedom. The mean of ``over`` is the geometric
    one. ``trend`` gives arms an x: Spearman's correlation over them, per seed. The region is
    ``below``, ``above`` or both, or ``around`` +- ``margin``. ``worst`` joins by the run nearest to
    leaving the region: what must hold in every run.
    """

    value: Quantity
    minus: Quantity | None = None
    over: Quantity | None = None
    trend: dict[str, FiniteFloat] | None = Field(default=None, min_length=2)
    aggregate: Literal["mean", "median", "worst"] = "mean"
    below: FiniteFloat | None = None
    above: FiniteFloat | None = None
    # ``published``: the number that the paper gives for this quantity.
    around: FiniteFloat | Literal["published"] = 0.0
    margin: FiniteFloat | None = Field(default=None, gt=0)
    confidence: float = Field(default=CONFIDENCE, gt=0.5, lt=1)

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("value"), dict):
            return data
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
        if self.aggregate != "mean" and (self.minus or self.over) and not self.paired:
            raise ValueError(f"a {self.aggregate} over runs is of one arm, not of two")
        bounded = self.below is not None or self.above is not None
        if bounded == (self.margin is not None):
            raise ValueError("the region is either below and/or above, or a margin")
        if "around" in self.model_fields_set and self.margin is None:
            raise ValueError("around needs a margin")
        if self.around == "published":
            return self
        if self.region.low >= self.region.high:
            raise ValueError(f"the region is empty: above {self.above}, below {self.below}")
        if self.over and self.region.high <= 0:
            raise ValueError("a ratio (over) is positive, and so must its bound be")
        return self

    @property
    def region(self) -> Region:
        if self.margin is not None:
            around = float(self.around)
            return Region(around - self.margin, around + self.margin)
        return Region(
            -inf if self.above is None else self.above, inf if self.below is None else self.below
        )

    @property
    def quantities(self) -> list[Quantity]:
        if self.trend:
            return [self.value.model_copy(update={"arm": arm}) for arm in self.trend]
        return [self.value, *(other for other in (self.minus, self.over) if other)]

    @property
    def paired(self) -> bool:
        """Whether its quantities are of the same runs."""
        return len({(q.experiment, q.arm) for q in self.quantities}) == 1 or self.trend is not None

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


class Saying(Strict):
    """What a claim says under one preset, where that differs: other parts have words of their own."""

    statement: str | None = None
    parts: list[Part] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _words_of_its_own(self) -> "Saying":
        if (self.parts is None) != (self.statement is None):
            raise ValueError(
                "parts of a preset need a statement of their own, and the other way round"
            )
        return self


class Control(Strict):
    """Where a claim should not hold: the same parts, with other arms, experiments or records.

    A claim that its control passes as well could not have failed, and counts for nothing.
    """

    # Why it should not hold there, in a few words.
    why: str
    arms: dict[str, str] = {}
    experiments: dict[str, str] = {}
    at: At | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> "Control":
        if not (self.arms or self.experiments or self.at):
            raise ValueError("a control changes arms, experiments or at")
        return self

    def of(self, part: Part) -> Part:
        """The same part of the control."""
        return part.model_copy(update={"value": self._changed(part.value)})

    def _changed(self, q: Quantity) -> Quantity:
        changed: dict[str, Any] = {
            "arm": self.arms.get(q.arm, q.arm),
            "experiment": self.experiments.get(q.experiment, q.experiment),
        }
        return q.model_copy(update=changed | ({"at": self.at} if self.at else {}))


class Said(Strict):
    """What the paper says in words, and how sure that is. Its numbers stand in published.yaml."""

    text: str
    certainty: Certainty
    source: str


class Claim(Strict):
    """What the paper claims: in words, and as the parts that must all hold."""

    id: str
    place: str
    statement: str
    said: Said | None = None
    parts: list[Part] = Field(min_length=1)
    # Null: the claim cannot be judged under that preset, and is left out of its verdicts.
    presets: dict[Preset, Saying | None] = Field(default_factory=dict)
    # What the code implements, exactly: shown apart, and not counted among what was reproduced.
    identity: bool = False
    control: Control | None = None
    # Where the number of runs was chosen after a look at results.
    note: str = ""

    @model_validator(mode="after")
    def _can_fail(self) -> "Claim":
        if self.identity == (self.control is not None):
            raise ValueError(
                f"{self.id}: a claim needs a control for which it should not hold, an identity has none"
            )
        return self

    def under(self, preset: str) -> tuple[str, list[Part]]:
        """The statement and the parts under ``preset``; no parts where it says nothing."""
        own = self.presets.get(cast(Preset, preset), Saying())
        if own is None:
            return self.statement, []
        return own.statement or self.statement, own.parts or self.parts


class Agreement(Strict):
    """When a number of ours agrees with the paper's, for all numbers of one table of the paper.

    It *agrees* if the means differ by at most ``margin`` and by no more than both spreads explain, at
    ``confidence`` (Welch). It is *near* if it is within the margin, but its difference is more than
    the spreads explain: print lies outside. Beyond the margin it is open where the spreads could
    explain it, and differs where they could not. ``margin``: a number, or ``published_sd``, the root mean
    square of the spreads that the paper gives for the row (the experiment). ``runs``: how many runs we
    take a published mean to be of, where the paper does not say. Where the paper saw no convergence,
    every run must end above ``stuck_above``.
    """

    table: str
    measure: MeasureName
    scale: Literal["plain", "log10", "percent", "accuracy"] = "plain"
    margin: FiniteFloat | Literal["published_sd"]
    # How the margin was set, from published numbers alone.
    why: str
    confidence: float = Field(default=CONFIDENCE, gt=0.5, lt=1)
    runs: int = Field(default=1, ge=1)
    stuck_above: FiniteFloat | None = None


class Comparison(NamedTuple):
    """A number of ours that is to agree with one of the paper's."""

    quantity: Quantity
    published: Published
    rule: Agreement
    margin: float


class Claims(Strict):
    """All that a paper claims."""

    claims: list[Claim]
    agreement: list[Agreement] = []

    @model_validator(mode="after")
    def _ids_are_unique(self) -> "Claims":
        ids = [claim.id for claim in self.claims]
        twice = [name for name in ids if ids.count(name) > 1]
        if twice:
            raise ValueError(f"two claims have the id {twice[0]!r}")
        return self


def read_claims(paper: str, store: Store = Store()) -> Claims:
    """Read a paper's claims, with the published numbers that they name. Raises UserError."""
    where = f"replications/{paper}/claims.yaml"
    found = parse(Claims, read_yaml(store.claims(paper)), where)
    numbers = read_published(paper, store)

    def named(part: Part, claim: str) -> Part:
        if part.around != "published":
            return part
        value = published_value(part, numbers)
        if value is None:
            raise UserError(
                f"{where}: claim {claim}: published.yaml has no number for {part.value} of "
                f"{part.value.experiment}"
            )
        return part.model_copy(update={"around": value})

    def each(parts: Sequence[Part] | None, claim: str) -> list[Part] | None:
        return None if parts is None else [named(part, claim) for part in parts]

    claims = []
    for claim in found.claims:
        presets = {
            preset: own and own.model_copy(update={"parts": each(own.parts, claim.id)})
            for preset, own in claim.presets.items()
        }
        parts = each(claim.parts, claim.id)
        claims.append(claim.model_copy(update={"parts": parts, "presets": presets}))
    return found.model_copy(update={"claims": claims})


def published_value(part: Part, numbers: Numbers) -> float | None:
    """What the paper gives for a part's quantity: its number, a difference or a ratio of two."""
    if part.trend:
        return None
    values = []
    for q in part.quantities:
        number = numbers.get(q.key)
        values.append(None if number is None else number.scaled(q.scale))
    if any(value is None for value in values):
        return None
    first, *second = (float(value) for value in values if value is not None)
    if part.minus:
        return first - second[0]
    return first / second[0] if part.over else first


def published_words(claim: Claim, numbers: Numbers) -> tuple[str, str, str]:
    """What the paper says to a claim: in words and numbers, how sure that is, and the source.

    The certainty is that of the least sure of them.
    """
    texts, sures, sources = [], [], []
    if claim.said:
        texts, sures, sources = [claim.said.text], [claim.said.certainty], [claim.said.source]
    keys = dict.fromkeys(q.key for part in claim.parts for q in part.quantities)
    for number in (numbers[key] for key in keys if key in numbers):
        texts.append(f"{number} ({number.arm.replace('_', ' ')})")
        sures.append(number.certainty)
        sources.append(f"{number.place} ({number.source})")
    known = list(CERTAINTIES)
    return (
        "; ".join(dict.fromkeys(texts)),
        max(sures, key=known.index) if sures else "",
        "; ".join(dict.fromkeys(sources)),
    )


def at_published_scale(paper: str, experiment: str, preset: str, store: Store = Store()) -> bool:
    """Whether a preset runs an experiment as the paper does, so that its numbers are comparable."""
    return preset == "full" or same_in_both(paper, experiment, store)


def comparisons(
    paper: str, preset: str, store: Store = Store()
) -> dict[tuple[str, str, str], Comparison]:
    """Every published number that is to agree with ours under ``preset``, and by which rule.

    Raises UserError where the paper gives no spread that a margin could be taken from.
    """
    found = {}
    rules = {(r.table, r.measure): r for r in read_claims(paper, store).agreement}
    known = recorded(paper, preset, store)
    numbers = read_published(paper, store)
    for key, number in numbers.items():
        rule = rules.get((number.table, number.measure))
        if rule is None or number.arm not in known.get(number.experiment, {}):
            continue
        if at_published_scale(paper, number.experiment, preset, store):
            q = {"experiment": number.experiment, "arm": number.arm, "measure": rule.measure}
            quantity = Quantity.model_validate({**q, "scale": rule.scale})
            found[key] = Comparison(quantity, number, rule, _margin(paper, number, rule, numbers))
    return found


def _margin(paper: str, number: Published, rule: Agreement, numbers: Numbers) -> float:
    if rule.margin != "published_sd":
        return float(rule.margin)
    if number.value is None:
        return inf  # not compared by a margin
    row = [n.sd for key, n in numbers.items() if key[0] == number.experiment and n.sd is not None]
    if not row:
        raise UserError(
            f"replications/{paper}/claims.yaml: agreement with {rule.table}: margin: published.yaml has "
            f"no spread for {number.experiment}; give a number"
        )
    return sqrt(sum(sd**2 for sd in row) / len(row))


def check_claims(paper: str, preset: str, store: Store = Store()) -> None:
    """Raise UserError where a claim names an experiment, arm or measure that is not recorded."""
    known: dict[str, dict[str, RunSpec]] = {}
    for one in cells(paper, preset, store):
        known.setdefault(one.experiment, {})[one.arm] = one.spec
    for claim in read_claims(paper, store).claims:
        where = f"replications/{paper}/claims.yaml: claim {claim.id} ({preset})"
        for part in claim.under(preset)[1]:
            for q in part.quantities:
                _check_quantity(q, where, known)
            if claim.control:
                _check_quantity(claim.control.of(part).quantities[0], f"{where}: control", known)
    comparisons(paper, preset, store)


def _check_quantity(q: Quantity, where: str, known: Mapping[str, Mapping[str, RunSpec]]) -> None:
    if q.experiment not in known:
        hint = nearest(q.experiment, known)
        raise UserError(f"{where}: unknown experiment {q.experiment!r}; {hint}")
    arms = known[q.experiment]
    if q.arm not in arms:
        raise UserError(f"{where}: {q.experiment} has no arm {q.arm!r}; {nearest(q.arm, arms)}")
    spec, name = arms[q.arm], f"{where}: {q.experiment}/{q.arm}"
    # Training always counts its loss and its errors.
    measures = {*spec.measures, "train_loss", "train_error"}
    if q.measure not in measures:
        hint = nearest(q.measure, measures)
        raise UserError(f"{name} does not record {q.measure!r}; {hint}")
    if not MEASURES[q.measure].scalar:
        raise UserError(f"{name}: {q.measure} is an array, of which nothing is claimed")
    if q.layer not in (layers := spec.layers_of(q.measure)):
        hint = nearest(q.layer, layers)
        raise UserError(f"{name}: {q.measure} is not recorded for layer {q.layer!r}; {hint}")
    if q.at.from_step > spec.steps:
        raise UserError(f"{name}: at: the run has {spec.steps} updates, not {q.at.from_step}")
    if q.at.from_step == q.at.to_step and not spec.is_recorded(q.at.from_step):
        raise UserError(f"{name}: at: nothing is recorded after update {q.at.from_step}")
    if q.at.to_step is not None and q.at.to_step < q.at.from_step:
        raise UserError(f"{name}: at: to_step {q.at.to_step} is before from_step")
    if q.at.from_epoch > spec.epochs:
        raise UserError(f"{name}: at: the run has {spec.epochs} passes, not {q.at.from_epoch:g}")

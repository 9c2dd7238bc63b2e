"""The score: what came out of every paper, as it was accepted at full scale.

A row a paper: its claims by verdict, identities and claims without power apart; its numbers that are to
agree with print; the worst miss by name. Everything comes from ``accepted/full/verdicts.json``.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replications.harness.declared import experiments
from replications.harness.declared.claims import comparisons
from replications.harness.declared.published import CERTAINTIES
from replications.harness.judging.accepted_verdicts import judged_as_accepted
from replications.harness.showing.markdown import NO_BREAK, table
from replications.harness.showing.words import OF_CLAIM, OF_NUMBER, interval_of, short_name
from replications.harness.store import Store

# Of these the names stand in a line of their own, below the table.
NAMED = {"inconclusive": "Open", "incomplete": "Too few runs yet"}
CLAIM_COLUMNS = ("reproduced", "inconclusive", "not reproduced", "incomplete", "not run")
NUMBER_COLUMNS = ("reproduced", "near", "inconclusive", "not reproduced", "incomplete", "not run")


@dataclass(frozen=True)
class Score:
    """What a paper's claims and numbers come to.

    Attributes:
      paper: its folder.
      claims: verdict -> the ids of the claims that say something of their own.
      identities, powerless: ids of the exact identities that hold, and of claims that count for nothing because
        their control passes as well.
      broken: ids of identities that do not hold.
      numbers: verdict -> how many numbers.
      inside, compared: how many 95 % intervals of ours contain print, of how many.
      runs: fewest and most runs behind a number of ours that is there.
      worst: the number that misses print by most margins.
      certainty: certainty of a published number -> how many of those compared.
      failed: the parts of failed claims, by id and place.
    """

    paper: str
    claims: Mapping[str, Sequence[str]]
    identities: Sequence[str]
    broken: Sequence[str]
    powerless: Sequence[str]
    numbers: Mapping[str, int]
    inside: int
    compared: int
    runs: tuple[int, int] | None
    worst: str
    certainty: Mapping[str, int]
    failed: Sequence[tuple[str, str, Mapping[str, Any]]]

    @property
    def letters(self) -> str:
        """With what the ids of its claims begin: ``L``."""
        counted = [name for names in self.claims.values() for name in names]
        names = [*counted, *self.identities, *self.broken, *self.powerless]
        return ", ".join(sorted({name[0] for name in names}))


def score(paper: str, judged: Mapping[str, Any], preset: str, store: Store = Store()) -> Score:
    """Count a paper's judged claims and numbers."""
    own = [one for one in judged["claims"] if not one["identity"]]
    held = {one["id"]: one["verdict"] for one in judged["claims"] if one["identity"]}
    counted = [one for one in own if one["power"] or one["verdict"] != "reproduced"]
    parts = {one["id"]: one["parts"][0] for one in judged["numbers"]}
    there = [part for part in parts.values() if part["n"]]
    compared = [p for p in there if p["published"] is not None and _bounded(p)]
    return Score(
        paper,
        {v: [c["id"] for c in counted if c["verdict"] == v] for v in CLAIM_COLUMNS},
        [name for name, verdict in held.items() if verdict == "reproduced"],
        [name for name, verdict in held.items() if verdict != "reproduced"],
        [one["id"] for one in own if one not in counted],
        Counter(one["verdict"] for one in judged["numbers"]),
        sum(p["interval"][0] <= p["published"] <= p["interval"][1] for p in compared),
        len(compared),
        (min(p["n"] for p in there), max(p["n"] for p in there)) if there else None,
        _worst(paper, parts, preset, store),
        Counter(one["certainty"] for one in judged["numbers"]),
        [
            (one["id"], one["place"], part)
            for one in counted
            if one["verdict"] == "not reproduced"
            for part in one["parts"]
            if part["verdict"] == "not reproduced"
        ],
    )


def _bounded(part: Mapping[str, Any]) -> bool:
    return part["n"] > 1 and None not in part["interval"]


def _worst(paper: str, parts: Mapping[str, Any], preset: str, store: Store) -> str:
    """The number that is off by the most margins, of those with an interval: its name and both values."""
    found = {}
    for key, pair in comparisons(paper, preset, store).items():
        part = parts.get("/".join(key))
        if part and part["published"] is not None and _bounded(part):
            found[key] = abs(part["estimate"] - part["published"]) / pair.margin
    if not found:
        return ""
    experiment, arm, measure = key = max(found, key=found.__getitem__)
    part = parts["/".join(key)]
    name = f"{experiment.replace('_', ' ')}, {arm.replace('_', ' ')}"
    unit = {"percent": " %", "log10": ""}.get(comparisons(paper, preset, store)[key].rule.scale, "")
    prefix = "10^" if "log10" in part["quantity"] else ""
    del measure
    return (
        f"{name}: {prefix}{part['estimate']:.4g}{unit}, print {prefix}{part['published']:.4g}{unit}"
    )


def accepted_scores(store: Store = Store()) -> list[Score]:
    """The scores of all papers of which something was accepted at full scale, the newest first."""
    found = []
    for paper in sorted(experiments.papers(store), key=lambda paper: paper[-4:], reverse=True):
        judged = judged_as_accepted(paper, "full", store)
        if judged["claims"]:
            found.append(score(paper, judged, "full", store))
    return found


def scoreboard(scores: Sequence[Score], store: Store = Store(), link: str = "{}") -> str:
    """The score of every paper, as Markdown: its claims, its numbers, and how sure these are.

    ``link`` leads to a paper's page. Three tables, each as narrow as a page.
    """
    names = {one.paper: short_name(one.paper, store).replace(" ", NO_BREAK) for one in scores}
    # By its letter a claim that is named elsewhere is found.
    linked = {
        one.paper: f"[{names[one.paper]}]({link.format(one.paper)}) ({one.letters})"
        for one in scores
    }
    claims = table(
        ["claims", *(OF_CLAIM[v] for v in CLAIM_COLUMNS), "without power", "exact identities"],
        [
            [
                linked[one.paper],
                *(f"{len(one.claims[v])}" for v in CLAIM_COLUMNS),
                f"{len(one.powerless)}",
                f"{len(one.identities)}"
                + (f", broken: {', '.join(one.broken)}" if one.broken else ""),
            ]
            for one in scores
        ],
    )
    numbers = table(
        ["numbers", *(OF_NUMBER[v] for v in NUMBER_COLUMNS), "print in our 95 %"],
        [
            [
                names[one.paper],
                *(f"{one.numbers[v]}" for v in NUMBER_COLUMNS),
                f"{one.inside} of {one.compared}",
            ]
            for one in scores
        ],
    )
    sure = table(
        ["how sure", "runs a number", "certainty of print", "worst miss"],
        [
            [
                names[one.paper],
                _runs(one.runs),
                ", ".join(f"{one.certainty[c]} {c}" for c in CERTAINTIES if one.certainty[c]),
                one.worst,
            ]
            for one in scores
        ],
    )
    return f"{claims}\n\n{numbers}\n\n{sure}"


def named(scores: Sequence[Score]) -> str:
    """The ids of the claims that are open or lack runs."""
    lines = []
    for verdict, word in NAMED.items():
        ids = [name for one in scores for name in one.claims[verdict]]
        lines.append(f"{word}: {', '.join(ids) or 'none'}.")
    return " ".join(lines)


def tally(scores: Sequence[Score]) -> str:
    """The score in one paragraph."""
    claims = {v: [name for one in scores for name in one.claims[v]] for v in CLAIM_COLUMNS}
    numbers = {v: sum(one.numbers[v] for one in scores) for v in NUMBER_COLUMNS}
    failed = claims["not reproduced"]
    lacking = len(claims["incomplete"]) + len(claims["not run"])
    idle = numbers["incomplete"] + numbers["not run"]
    return (
        f"Of {sum(map(len, claims.values()))} claims {len(claims['reproduced'])} are reproduced, "
        f"{len(claims['inconclusive'])} open, {len(failed)} failed"
        f"{' (' + ', '.join(failed) + ')' if failed else ''}, {lacking} not judged for lack of runs. "
        f"Of {sum(numbers.values())} published numbers ours agree with {numbers['reproduced']}, are near "
        f"{numbers['near']}, differ from {numbers['not reproduced']}; {numbers['inconclusive']} are open, "
        f"{idle} lack runs."
    )


def _runs(runs: tuple[int, int] | None) -> str:
    if runs is None:
        return ""
    fewest, most = runs
    return f"{most}" if fewest == most else f"{fewest} to {most}"


def failures(scores: Iterable[Score]) -> list[str]:
    """The failed claims by name, a line each: where they fail, ours, and what was declared."""
    lines = []
    for one in scores:
        by_id: dict[str, list[str]] = {}
        places = {}
        for name, place, part in one.failed:
            by_id.setdefault(name, []).append(failing(part))
            places[name] = place
        for name, texts in by_id.items():
            lines.append(
                f"**{name}** ({places[name]}): {texts[-1]}"
                + (f"; and {len(texts) - 1} more" if len(texts) > 1 else "")
            )
    return lines


def failing(part: Mapping[str, Any]) -> str:
    """A failed part in a line: what, ours with its interval, and the region that was declared."""
    quantity = part["quantity"].replace("_", " ").replace("nse", "NSE")
    # "A of x minus A of y" is "A of x minus that of y".
    quantity = re.sub(r"^(.+?) of (.* (?:minus|over)) \1 of ", r"\1 of \2 that of ", quantity)
    return f"{quantity} is {interval_of(part, 3)}, declared {part['region']}"

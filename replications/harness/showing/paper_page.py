"""The generated parts of a paper's README: its numbers beside print, its claims, what has not been run.

Everything comes from ``replications/<paper>/accepted``, so the tables are true on every machine and a
test can hold the files to them.
"""

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

import pandas as pd

from replications.harness.declared import experiments
from replications.harness.declared.claims import END, read_claims
from replications.harness.declared.published import Published, read_published
from replications.harness.judging import acceptance, drift, verdicts
from replications.harness.judging.accepted_verdicts import judged_as_accepted
from replications.harness.judging.end_table import end_table, end_table_of_aggregates, scale_of
from replications.harness.showing.markdown import NO_BREAK, table
from replications.harness.showing.words import (
    OF_CLAIM,
    OF_NUMBER,
    RECOLLECTED,
    SYMBOLS,
    WEAKER,
    legend,
    verdict_of_claim,
)
from replications.harness.store import PRESETS, Store

NUMBER_HEADS = (
    "what",
    "ours, mean ± sd (n)",
    "95 % interval",
    "published",
    "difference",
    "verdict",
    "claims",
)
CLAIM_HEADS = ("claim", "full scale", "in words", "quick", "in words, where others")


def parts(paper: str, store: Store = Store()) -> dict[str, str]:
    """What stands between the markers of a paper's README, by name."""
    return {
        "numbers": numbers(paper, store),
        "claims": claims(paper, store),
        "not run": not_run(paper, store),
    }


def accepted_ends(paper: str, preset: str, store: Store = Store()) -> pd.DataFrame:
    """Where training ends, of what was accepted: the end table of a preset.

    Quick keeps no records: its aggregates stand in.
    """
    judged = judged_as_accepted(paper, preset, store)
    agreed = {one["id"]: one["verdict"] for one in judged["numbers"]}
    if preset == "full":
        kept = experiments.kept(paper, store)
        read = verdicts.tables(paper, preset, store, accepted=True)
        return end_table(paper, preset, kept, read, agreed, store)
    aggregates = {
        name: drift.accepted_numbers("aggregates", paper, preset, name, store)
        for name in experiments.names(paper, preset, store)
        if store.kept(paper, preset, name, "aggregates").exists()
    }
    return end_table_of_aggregates(paper, preset, aggregates, agreed, store)


def ends_at_full_scale(paper: str, store: Store = Store()) -> pd.DataFrame:
    """The end table of all that there is at full scale: what was kept, and what quick runs as it is."""
    full, quick = (accepted_ends(paper, preset, store) for preset in ("full", "quick"))
    same = [name for name in experiments.accepted(paper, store) if name not in set(full.experiment)]
    return pd.concat([full, quick[quick.experiment.isin(same)]], ignore_index=True)


def numbers(paper: str, store: Store = Store()) -> str:
    """A row for each published number that has a counterpart of ours, and the legend."""
    found = {}
    for one in ends_at_full_scale(paper, store).itertuples():
        place = f"{one.measure}/{one.layer}" if one.layer else one.measure
        found[one.experiment, one.arm, place] = one
    taking = _claims_of(paper, store)
    rows = [
        _row(found[key], said, taking.get(key, []))
        for key, said in read_published(paper, store).items()
        if key in found and said.value is not None
    ]
    text = (
        f"{legend()} *Again*: recollected, and full scale agrees with it. **Bare**: recollected, and "
        "nothing here supports it: look it up before you rely on the difference. A verdict in the last "
        "columns counts both spreads; **out**: print lies outside our 95 % interval.\n\n"
        "To check a row of full scale, train the first pass of one of its seeds again and compare every digit "
        "(blanks are underscores): "
        f"`python -m replications verify {paper} EXPERIMENT RULE --passes 1 --sample 1`."
    )
    return f"{table(NUMBER_HEADS, rows)}\n\n{text}"


def _claims_of(paper: str, store: Store) -> dict[tuple[str, str, str], list[str]]:
    """The claims that a measure's end takes part in."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for claim in read_claims(paper, store).claims:
        ends = [q for part in claim.under("full")[1] for q in part.quantities if q.at == END]
        for place in dict.fromkeys(q.key for q in ends):
            found.setdefault(place, []).append(claim.id)
    return found


def _row(one: Any, said: Published, taking: list[str]) -> list[str]:
    value = said.scaled(scale_of(one.measure))
    assert value is not None
    spread = interval = out = ""
    if isfinite(one.sd):
        spread, interval = f" ± {one.sd:.2f}", f"{one.low:z.2f} to {one.high:z.2f}"
        out = "" if one.low <= value <= one.high else " **out**"
    runs = f"{one.n:.0f}" + (f", {one.diverged:.0f} diverged" if one.diverged else "")
    ours = f"{one.mean:.2f}{spread} ({runs})"
    name = f"{one.measure.replace('_', ' ')}{', ' + one.layer if one.layer else ''} ({one.unit})"
    return [
        f"{one.experiment}, {one.arm.replace('_', ' ')}: {name}",
        # A number and its spread stand in one line.
        ours.replace(" ", NO_BREAK),
        interval.replace(" ", NO_BREAK) + out,
        f"{value:.2f} ({said.place}; {_certainty(said, one.verdict)})",
        f"{one.mean - value:+z.2f}",
        f"{SYMBOLS[one.verdict]} {OF_NUMBER[one.verdict]}" if one.verdict else "",
        ", ".join(taking),
    ]


def _certainty(said: Published, verdict: str) -> str:
    """The letter; of a recollection also what full scale says to it."""
    if said.certainty not in RECOLLECTED:
        return said.certainty
    if verdict == "reproduced":
        return f"{said.certainty}, again"
    return said.certainty if said.certainty == "C+" else f"{said.certainty}, **bare**"


def claims(paper: str, store: Store = Store()) -> str:
    """A row for each claim: the verdict of each preset beside that preset's own words."""
    judged: dict[str, dict[str, Mapping[str, Any]]] = {
        preset: {one["id"]: one for one in judged_as_accepted(paper, preset, store)["claims"]}
        for preset in PRESETS
    }
    rows = []
    notes = []
    unjudged = f"{SYMBOLS['not run']} {OF_CLAIM['not run']}"
    for claim in read_claims(paper, store).claims:
        full, quick = (judged[preset].get(claim.id) for preset in ("full", "quick"))
        # What was declared after the last acceptance has no verdict yet.
        lacking = full is None and claim.presets.get("full", True) is not None
        words = full["statement"] if full else claim.under("full")[0] if lacking else ""
        other = quick["statement"] if quick and quick["statement"] != words else ""
        small = "" if quick is None else verdict_of_claim(quick)
        rows.append(
            [
                f"**{claim.id}**, {claim.place}",
                verdict_of_claim(full) if full else unjudged if lacking else "",
                words,
                WEAKER.format(small) if other else small,
                other,
            ]
        )
        one = full or quick or {}
        if one and not one["power"]:
            notes.append(f"{claim.id} is without power: {one['control']}, passes it too.")
        if claim.note:
            notes.append(f"{claim.id}: {' '.join(claim.note.split())}")
    text = (
        "A verdict in brackets is on the weaker statement beside it, which is all that a small run can "
        "decide. *Without power*: the claim's control passes as well, so that it counts for nothing. "
        "*Exact identity*: the code implements it; it is checked, and is no finding."
    )
    return "\n\n".join([table(CLAIM_HEADS, rows), text, *notes])


def not_run(paper: str, store: Store = Store()) -> str:
    """What has not been run at full scale, and what it would cost."""
    if not experiments.accepted(paper, store):
        return "Nothing has been run at full scale."
    lack = acceptance.read_not_run(paper, store)
    if lack.empty:
        return "Everything has been run at full scale."
    rows = [[name, _seeds(cells.seeds), _hours(cells.core_hours)] for name, cells in _each(lack)]
    text = (
        f"Not run at full scale: at most {_hours(lack.core_hours)} core hours, as `plan` estimated them on "
        "the machine that ran the rest. A run that fits its training set may stop long before."
    )
    return f"{text}\n\n{table(('not run', 'seeds left', 'core hours'), rows)}"


def _each(lack: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for name, cells in lack.groupby("experiment", sort=False):
        yield str(name), cells


def _seeds(left: pd.Series) -> str:
    fewest, most = left.min(), left.max()
    return f"{most}" if fewest == most else f"{fewest} to {most}"


def _hours(each: pd.Series) -> str:
    hours = each.sum()
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.1f}"

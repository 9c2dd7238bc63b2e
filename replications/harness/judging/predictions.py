"""Whether a test was declared before the results that it judges: what the history of git says.

A test is a part of a claim, or the rule by which a published number agrees: its quantity and its region. It is
older than a result of full scale if it stood in ``claims.yaml`` at the commit that the result records
(``claims_commit``). What every run computes anew has its first result when one was first accepted: the test
is older if it stood there in the commit before that one. Where another number of runs was declared then,
that is said.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from replications.harness.declared import experiments
from replications.harness.declared.claims import (
    Agreement,
    Part,
    comparisons,
    published_value,
    read_claims,
)
from replications.harness.declared.published import Numbers, Published
from replications.harness.declared.reading import Loader
from replications.harness.judging import manifests
from replications.harness.store import Store
from replications.harness.training import provenance

# What a reader is told: older than all its results, than none, than some; where history is silent; where
# there is no result.
YES, NO, SOME, UNKNOWN, NO_RESULT = "yes", "no", "than some", "unknown", "no result yet"
# Under which names a preset's folder and its claims stood.
_NAMES = {"quick": ("quick",), "full": ("full", "paper")}


def of_claims(paper: str, preset: str, store: Store = Store()) -> dict[str, list[str]]:
    """Id of a claim -> for each of its parts whether it is older than its results."""
    found = {}
    for claim in read_claims(paper, store).claims:
        parts = claim.under(preset)[1]
        found[claim.id] = [
            _older(
                _said(part), preset, paper, {(q.experiment, q.arm) for q in part.quantities}, store
            )
            for part in parts
        ]
    return found


def of_numbers(paper: str, preset: str, store: Store = Store()) -> dict[str, str]:
    """Id of a published number -> whether it and the rule by which it agrees are older than its results."""
    return {
        "/".join(key): _older(
            _rule(pair.rule, pair.published),
            preset,
            paper,
            {(pair.quantity.experiment, pair.quantity.arm)},
            store,
        )
        for key, pair in comparisons(paper, preset, store).items()
    }


def _older(
    test: str, preset: str, paper: str, cells: Iterable[tuple[str, str]], store: Store
) -> str:
    before = {cell: _before(paper, preset, *cell, store) for cell in cells}
    commits = set().union(*before.values())
    if not commits:
        return NO_RESULT
    found = [_tests(paper, preset, commit, store) for commit in sorted(commits)]
    if any(tests is None for tests in found):
        return UNKNOWN
    stood = [tests is not None and test in tests for tests in found]
    if not all(stood):
        return SOME if any(stood) else NO
    seeds = {
        then
        for cell, known in before.items()
        for commit in known
        for then in [_seeds(paper, preset, commit, *cell, store)]
        if then not in (None, experiments.cell(paper, *cell, preset, store).spec.seeds)
    }
    return f"{YES}, but n was {', '.join(map(str, sorted(seeds)))}" if seeds else YES


def _before(paper: str, preset: str, experiment: str, arm: str, store: Store) -> set[str]:
    """The commits at which the test must have stood: none where there is no result."""
    if preset == "full" and experiment in experiments.kept(paper, store):
        cells = manifests.read_manifest(paper, "full", store).cells
        origins = cells.get(f"{experiment}/{arm}", {"origins": []})["origins"]
        return {str(origin.get("claims_commit")) for origin in origins}
    if preset == "full" and not experiments.same_in_both(paper, experiment, store):
        return set()
    first = _first_accepted(store.papers / paper).get(experiment)
    if first:
        return {f"{first}^"}
    there = store.kept(paper, "quick", experiment, "first_losses").exists()
    return {UNKNOWN} if there else set()


@cache
def _first_accepted(folder: Path) -> Mapping[str, str]:
    """Experiment -> the commit that first accepted a quick result of it."""
    found: dict[str, str] = {}
    for commit, name in provenance.added(folder):
        *_, preset, file = ("", *Path(name).parts)
        if preset in _NAMES["quick"] and file.endswith(".first_losses.csv"):
            found[file.removesuffix(".first_losses.csv")] = commit
    return found


@cache
def _tests(paper: str, preset: str, commit: str, store: Store) -> frozenset[str] | None:
    """All that was tested under a preset at a commit; None where git does not know it."""
    texts = [
        provenance.text_at(commit, file) for file in (store.claims(paper), store.published(paper))
    ]
    if texts[0] is None:
        return None
    try:
        declared, numbers = (yaml.load(text or "[]", Loader) for text in texts)
    except yaml.YAMLError:
        return None
    known = _numbers(numbers)
    rules = list(_valid(Agreement, declared.get("agreement", [])))
    found = {_rule(rule, n) for rule in rules for n in known.values() if n.table == rule.table}
    for claim in declared["claims"]:
        own = {}
        for name, saying in (claim.get("presets") or {}).items():
            own[name] = [] if saying is None else saying.get("parts") or claim["parts"]
        parts = next((own[n] for n in _NAMES[preset] if n in own), claim["parts"])
        # The paper's number stood beside each part once.
        plain = [{k: v for k, v in part.items() if k != "published"} for part in parts]
        for part in _valid(Part, plain):
            value = published_value(part, known) if part.around == "published" else None
            found.add(_said(part if value is None else part.model_copy(update={"around": value})))
    return frozenset(found)


@cache
def _seeds(
    paper: str, preset: str, commit: str, experiment: str, arm: str, store: Store
) -> int | None:
    """How many runs of a cell were declared at a commit; None where that is not known."""
    text = provenance.text_at(commit, store.experiments(paper))
    try:
        content = yaml.load(text or "{}", Loader)
    except yaml.YAMLError:
        return None
    return experiments.declared_seeds(content, experiment, arm, _NAMES[preset])


def _valid(model: Any, items: Iterable[Any]) -> Iterable[Any]:
    """Those of ``items`` that say what they said: another form of old is another test."""
    for item in items:
        try:
            yield model.model_validate(item)
        except ValidationError:
            continue


def _numbers(rows: Iterable[Any]) -> Numbers:
    return {(n.experiment, n.arm, n.measure): n for n in _valid(Published, rows)}


def _said(part: Part) -> str:
    """A part without its level, and with its region as two numbers."""
    region = (part.around, part.margin) if part.around == "published" else tuple(part.region)
    dump = part.model_dump(exclude={"confidence", "below", "above", "around", "margin"})
    return json.dumps([dump, region], sort_keys=True)


def _rule(rule: Agreement, number: Published) -> str:
    """A published number, and by which rule it agrees."""
    said = number.model_dump(include={"experiment", "arm", "measure", "value", "unit", "sd", "n"})
    return json.dumps([rule.model_dump(exclude={"why"}), said], sort_keys=True)

"""The last words of a run: what came out, what moved, where to look. Reads JSON alone: it must be quick."""

from collections.abc import Iterable, Sequence
from typing import Any

from replications.harness.judging.accepted_verdicts import judged_as_accepted
from replications.harness.sealed import read_json
from replications.harness.showing.words import OF_CLAIM
from replications.harness.store import Store

JUDGE = "make it with `python -m replications judge`"
ORDER = ("reproduced", "inconclusive", "not reproduced", "incomplete", "not run")


def lines(papers: Sequence[str], presets: Iterable[str], store: Store = Store()) -> list[str]:
    """Five lines on what there is; none where nothing has been judged."""
    found = {preset: _judged(papers, preset, store) for preset in presets}
    if not any(found.values()):
        return []
    texts = {"quick": "this run, quick", "full": "full scale"}
    said = [f"{texts[p]:<16}{_score(claims)}" for p, claims in found.items() if claims]
    failed = dict.fromkeys(
        claim["id"]
        for claims in found.values()
        for claim in claims
        if claim["verdict"] == "not reproduced"
    )
    moved = [line for preset in found for line in _moved(papers, preset, store)]
    last = list(found)[-1]
    return [
        *said,
        f"{'failed':<16}{', '.join(failed) or 'none'}",
        f"{'moved':<16}{', '.join(moved) or 'nothing, against what was accepted'}",
        f"{'look':<16}{store.all_verdicts(last, 'html')}, {store.paper(last, '<paper>') / 'figures'}; "
        f"one page of all: snakemake --report {store.results / 'report.html'}",
    ]


def _judged(papers: Sequence[str], preset: str, store: Store) -> list[dict[str, Any]]:
    files = [store.verdicts(preset, paper) for paper in papers]
    return [claim for file in files if file.is_file() for claim in read_json(file, JUDGE)["claims"]]


def _score(claims: Sequence[dict[str, Any]]) -> str:
    own = [c for c in claims if not c["identity"] and (c["power"] or c["verdict"] != "reproduced")]
    counted = [f"{sum(c['verdict'] == v for c in own)} {OF_CLAIM[v]}" for v in ORDER]
    identities = [c["verdict"] == "reproduced" for c in claims if c["identity"]]
    return (
        f"{', '.join(counted)}; {len(claims) - len(own) - len(identities)} without power; "
        f"{sum(identities)} of {len(identities)} exact identities hold"
    )


def _moved(papers: Sequence[str], preset: str, store: Store) -> list[str]:
    """The claims and numbers whose verdict is another one than accepted."""
    moved = []
    for paper in papers:
        file = store.verdicts(preset, paper)
        before = _verdicts(judged_as_accepted(paper, preset, store))
        now = _verdicts(read_json(file, JUDGE)) if file.is_file() else {}
        moved += [
            f"{name} ({preset}) from {OF_CLAIM[before[name]]} to {OF_CLAIM[verdict]}"
            for name, verdict in now.items()
            if before.get(name, verdict) != verdict
        ]
    return moved


def _verdicts(judged: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    return {one["id"]: one["verdict"] for kind in judged.values() for one in kind}

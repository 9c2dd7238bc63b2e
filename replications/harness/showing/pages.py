"""Pages of the report: the scoreboard, the verdicts with their pictures, and where training ends.

As Markdown and as HTML that needs nothing from outside. Every number leads to the command that computes
it, its seeds, its commit and its machine.
"""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd
from markdown_it import MarkdownIt

import figures
from replications.harness.declared import experiments
from replications.harness.errors import UserError
from replications.harness.files import atomically
from replications.harness.judging import predictions, verdicts
from replications.harness.judging.end_table import end_table
from replications.harness.judging.verdicts import VERDICTS, Judged
from replications.harness.showing import origins, plotting, readme, scoreboard
from replications.harness.showing.markdown import table
from replications.harness.showing.words import (
    OF_CLAIM,
    OF_NUMBER,
    SYMBOLS,
    interval_of,
    legend,
    runs_of,
    short_name,
    verdict_of_claim,
    verdict_of_number,
)
from replications.harness.store import Store

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; padding: 0 1em; max-width: 70em; }
body { color: #222; background: #fff; }
table { border-collapse: collapse; margin: 0.5em 0 1.5em; font-size: 13px; }
th, td { border-bottom: 1px solid #ddd; padding: 0.3em 0.7em; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #888; }
td { font-variant-numeric: tabular-nums; }
td:first-child { white-space: nowrap; }
img { max-width: 100%; display: block; margin: 0.5em 0; }
h2 { border-top: 2px solid #222; padding-top: 0.6em; margin-top: 2em; }
h3 { margin-bottom: 0.2em; }
code { font-size: 12px; }
p.small, figcaption { font-size: 13px; color: #444; }
"""
_TYPES = {"svg": "svg+xml", "png": "png"}
PART_HEADS = (
    "verdict",
    "quantity",
    "published",
    "ours (95 % interval)",
    "runs",
    "declared",
    "older than its results",
    "from",
)
OLDER = (
    "*Older than its results*: whether the test (its quantity and region) stood in `claims.yaml` at the commit "
    "that the results record or, of what every run computes anew, before the first of them was accepted; from "
    "git's history, and without it unknown. The level of a margin became 95 % for everything later, from 90 %, "
    "which makes a verdict harder to get and changes no region."
)


def page(title: str, markdown: str, store: Store | None = None) -> str:
    """A whole page that needs nothing from outside: pictures of the ``store`` are put into it."""
    body = MarkdownIt("commonmark").enable("table").render(markdown)
    if store is not None:
        body = re.sub(r'src="([^"]+)"', lambda found: f'src="{_inside(found[1], store)}"', body)
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}</body></html>\n'


def _inside(address: str, store: Store) -> str:
    """A picture as part of the page."""
    file = store.results / address
    data = base64.b64encode(file.read_bytes()).decode()
    return f"data:image/{_TYPES[file.suffix[1:]]};base64,{data}"


def _picture(file: Path, store: Store) -> str:
    return file.relative_to(store.results).as_posix()


def write_scoreboard(store: Store) -> None:
    """Lay out the scoreboard under the picture of all papers, as md, html and rst."""
    from figures import overview

    picture = f"![{overview.NAME}]({_picture(store.overview('png'), store)})"
    score = f"{readme.score(store, f'../{readme.PAGE}')}\n\n{legend()}"
    tally = scoreboard.tally(scoreboard.accepted_scores(store))
    markdown = "\n\n".join(["# The score at full scale", tally, picture, overview.CAPTION, score])
    whole = page("The score", markdown, store)
    body = whole.split("<body>", 1)[1].rsplit("</body>", 1)[0]
    # Links lead out of the report, where nothing lies beside it.
    body = re.sub(r"<a href=[^>]*>(.*?)</a>", r"\1", body)
    # docutils refuses lines of more than 10,000 characters; browsers pass over a line's end in a picture.
    body = re.sub(rf"[\w+/]{{{_LINE}}}", r"\g<0>\n", body)
    lines = "\n".join(f"   {line}" for line in body.splitlines())
    for suffix, text in (
        ("md", markdown + "\n"),
        ("html", whole),
        ("rst", f".. raw:: html\n\n   <style>{_TABLES}</style>\n{lines}\n\n{_MORE}"),
    ):
        with atomically(store.scoreboard(suffix)) as temporary:
            temporary.write_text(text, encoding="utf-8")


_LINE = 4000
_TABLES = (
    "td, th { padding: 0.2em 0.6em; border-bottom: 1px solid #ddd; vertical-align: top; } "
    "img { max-width: 100%; } "
    # Snakemake would give the text half a page, cut off its top, and lay its graph of rules over the rest.
    ".prose.max-w-lg { max-width: 62rem; } .h-screen:has(#rulegraph) { align-items: flex-start; } "
    "div:has(> #rulegraph) { flex-direction: column; }"
)
_MORE = """*Claims*: every claim with its pictures, the published numbers, ours, interval, n and the margin that
was set in advance; every number leads to its command, seeds, commit and machine. Each paper has its
figures, its tables and the check against its accepted results. Published values are diamonds.
"""


def write_verdicts(papers: Sequence[str], preset: str, store: Store) -> None:
    """Gather the papers' verdicts and lay them out, as json, md and html. Raises UserError."""
    markdown = verdicts_markdown(verdicts.gather(papers, preset, store), preset, store)
    for suffix, text in (("md", markdown), ("html", page("Claims", markdown, store))):
        with atomically(store.all_verdicts(preset, suffix)) as temporary:
            temporary.write_text(text, encoding="utf-8")


def verdicts_markdown(judged: Judged, preset: str, store: Store = Store()) -> str:
    """Paper by paper: every claim with its parts and pictures, the numbers, and where all come from."""
    scale = "at full scale" if preset == "full" else "in the quick run"
    sections = [f"# Claims {scale}: {counts(judged['claims'])}", legend(), OLDER]
    papers = dict.fromkeys(one["paper"] for kind in judged.values() for one in kind)
    used: dict[str, list[str]] = {paper: [] for paper in papers}
    for paper in papers:
        sections.append(f"## {short_name(paper, store)}")
        drawn: set[str] = set()
        ages = predictions.of_claims(paper, preset, store)
        for claim in (one for one in judged["claims"] if one["paper"] == paper):
            sections += _claim(paper, claim, ages[claim["id"]], preset, store, drawn)
            used[paper] += [part["experiment"] for part in claim["parts"]]
        numbers = [one for one in judged["numbers"] if one["paper"] == paper]
        if numbers:
            older = predictions.of_numbers(paper, preset, store)
            sections.append(f"### Numbers of the paper: {counts(numbers, OF_NUMBER)}")
            heads = (PART_HEADS[0], "place", *PART_HEADS[1:])
            rows = []
            for number in numbers:
                (part,) = number["parts"]
                cells = _part(paper, part, verdict_of_number(number), older[number["id"]])
                rows.append([cells[0], f"{number['place']} ({number['certainty']})", *cells[1:]])
            sections.append(table(heads, rows))
            used[paper] += [one["parts"][0]["experiment"] for one in numbers]
    sections += ["## Where the numbers come from", origins.CHECK if preset == "full" else ""]
    sections += [origins.listed(paper, names, preset, store) for paper, names in used.items()]
    return "\n\n".join(part for part in sections if part) + "\n"


def _claim(
    paper: str,
    claim: Mapping[str, Any],
    older: Sequence[str],
    preset: str,
    store: Store,
    drawn: set[str],
) -> Iterator[str]:
    """A claim: its words, its parts, its pictures where they have not stood above."""
    yield f"### {claim['id']}, {claim['place']}: {verdict_of_claim(claim)}"
    yield claim["statement"]
    said = claim["published"]
    if said["text"]:
        yield f"The paper: {said['text']} ({said['certainty']}; {said['source']})."
    if not claim["power"]:
        yield f"Without power: {claim['control']}, passes as well."
    rows = zip(claim["parts"], older, strict=True)
    yield table(PART_HEADS, [_part(paper, part, _verdict(part), age) for part, age in rows])
    for name, figure in _pictures_of(paper).items():
        there = _drawn(paper, name, figure, preset, store) if claim["id"] in figure.claims else []
        if not there:
            continue
        if name in drawn:
            yield f"Picture: {name}, above."
            continue
        drawn.add(name)
        yield f"![{name}]({_picture(there[0], store)})"
        yield figure.caption


def _drawn(paper: str, name: str, figure: figures.Figure, preset: str, store: Store) -> list[Path]:
    """The files of a figure; at full scale, of what quick runs as it is, quick's."""
    alike = preset == "full" and plotting.of_quick(paper, figure, store)
    presets = [preset, "quick"] if alike else [preset]
    files = [store.figure(p, paper, name, suffix) for p in presets for suffix in ("png", "svg")]
    return [file for file in files if file.exists()]


def _pictures_of(paper: str) -> dict[str, figures.Figure]:
    """The figures of a paper; none where it has no module of figures yet."""
    try:
        return figures.of(paper)
    except UserError:
        return {}


def _verdict(part: Mapping[str, Any]) -> str:
    return f"{SYMBOLS[part['verdict']]} {OF_CLAIM[part['verdict']]}"


def _part(paper: str, part: Mapping[str, Any], verdict: str, older: str) -> list[str]:
    number = "" if part["published"] is None else f"{part['published']:.4g}"
    quantity = part["quantity"].replace("_", " ")
    ours = interval_of(part) + (
        f" at {100 * part['confidence']:g} %" if part["confidence"] != 0.95 else ""
    )
    where = origins.link(paper, part["experiment"])
    return [verdict, quantity, number, ours, runs_of(part), part["region"], older, where]


def counts(judged: Sequence[Mapping[str, Any]], words: Mapping[str, str] = OF_CLAIM) -> str:
    """``14 reproduced, 2 open``; exact identities and what is without power apart."""
    own = [one for one in judged if not one.get("identity") and one.get("power", True)]
    found = [one["verdict"] for one in own]
    texts = [f"{found.count(v)} {words[v]}" for v in VERDICTS if v in found]
    powerless = sum(not one.get("power", True) and not one.get("identity") for one in judged)
    identities = sum(bool(one.get("identity")) for one in judged)
    texts += [f"{powerless} without power"] if powerless else []
    texts += [f"{identities} exact identities"] if identities else []
    return ", ".join(texts)


def write_summary(paper: str, preset: str, store: Store, accepted: bool = False) -> None:
    """Lay out where every experiment of a paper ends. Raises UserError."""
    read = verdicts.tables(paper, preset, store, accepted)
    known = (
        experiments.accepted(paper, store) if accepted else experiments.names(paper, preset, store)
    )
    ends = end_table(paper, preset, known, read, {}, store)
    content = experiments.load(paper, store)
    title = f"{content.title}: the end of training"
    sections = [f"# {title}", content.reference + "."]
    for name, rows in ends.groupby("experiment", sort=False):
        one = content.experiments[str(name)]
        sections.append(f"## {name}\n\n{one.title}. {one.place[:1].upper()}{one.place[1:]}.")
        sections.append(f"[Where these numbers come from](#{origins.anchor(paper, str(name))})")
        sections.append(_ends_markdown(rows))
    sections += ["## Where the numbers come from", origins.listed(paper, known, preset, store)]
    with atomically(store.summary(preset, paper)) as temporary:
        temporary.write_text(page(title, "\n\n".join(sections)), encoding="utf-8")


def _ends_markdown(rows: pd.DataFrame) -> str:
    heads = ["arm", "measure", "layer", "unit", "mean", "sd", "n", "diverged", "published"]
    lines = []
    for one in rows.itertuples():
        sd, said = (f"{v:.4g}" if isfinite(v) else "" for v in (one.sd, one.published))
        cells = [one.arm, one.measure, one.layer, one.unit, f"{one.mean:.4g}", sd, str(one.n)]
        lines.append([*cells, str(one.diverged or ""), said])
    return table(heads, lines)

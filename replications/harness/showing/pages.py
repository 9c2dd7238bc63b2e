"""Pages of the report: the verdicts of all papers, and where training ends, as Markdown and as HTML."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import isfinite
from typing import Any

import pandas as pd
from markdown_it import MarkdownIt

from replications.harness.declared import experiments
from replications.harness.files import atomically
from replications.harness.judging import verdicts
from replications.harness.judging.end_table import end_table
from replications.harness.judging.verdicts import VERDICTS, Judged, Verdict
from replications.harness.store import Store

SYMBOLS: dict[str, str] = {
    "reproduced": "✔",
    "near": "≈",
    "inconclusive": "?",
    "incomplete": "…",
    "not run": "-",
    "not reproduced": "✘",
}
_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }
table { border-collapse: collapse; margin: 0.5em 0 1.5em; }
th, td { border-bottom: 1px solid #ddd; padding: 0.3em 0.8em; }
th, td { text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #888; white-space: nowrap; }
td { font-variant-numeric: tabular-nums; }
"""


def page(title: str, markdown: str) -> str:
    """A whole page that needs nothing from outside."""
    body = MarkdownIt("commonmark").enable("table").render(markdown)
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}</body></html>\n'


def row(cells: Iterable[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def write_verdicts(papers: Sequence[str], preset: str, store: Store) -> None:
    """Gather the papers' verdicts and lay them out, as json, md and html. Raises UserError."""
    markdown = verdicts_markdown(verdicts.gather(papers, preset, store), preset)
    for suffix, text in (("md", markdown), ("html", page("Verdicts", markdown))):
        with atomically(store.all_verdicts(preset, suffix)) as temporary:
            temporary.write_text(text, encoding="utf-8")


def verdicts_markdown(judged: Judged, preset: str) -> str:
    """One row per claim, and one per part below it; then the numbers that are to agree with the paper's."""
    heads = [
        "verdict",
        "id",
        "place",
        "claim",
        "published (certainty)",
        "ours [interval]",
        "n",
        "region",
    ]
    lines = [f"# Claims, preset `{preset}`: {_counts(judged['claims'])}", ""]
    lines += [row(heads), row(["---"] * len(heads))]
    for claim in judged["claims"]:
        said = claim["published"]
        published = f"{said['text']} ({said['certainty']})"
        head = [_of_claim(claim), f"**{claim['id']}**", claim["place"]]
        lines.append(row([*head, claim["statement"], published, "", "", ""]))
        lines += [_part(part) for part in claim["parts"]]
    if judged["numbers"]:
        lines += ["", f"# Numbers of the papers' tables: {_counts(judged['numbers'])}", ""]
        lines += [row(heads), row(["---"] * len(heads))]
        for number in judged["numbers"]:
            lines += [_part(part, number["place"]) for part in number["parts"]]
    return "\n".join(lines) + "\n"


def _of_claim(claim: Mapping[str, Any]) -> str:
    """A claim's verdict, and what it is worth."""
    text = shown(claim["verdict"])
    if claim["identity"]:
        return f"{text} (exact identity)"
    return text if claim["power"] else f"{text}, without power: {claim['control']} passes as well"


def _counts(judged: Sequence[Mapping[str, Any]]) -> str:
    found = [one["verdict"] for one in judged]
    seen = [v for v in VERDICTS if v in found or v != "not run"]
    return ", ".join(f"{found.count(v)} {v}" for v in seen)


def _part(part: Mapping[str, Any], place: str = "") -> str:
    number = "" if part["published"] is None else f"{part['published']:g}"
    n = f"{part['n']}"
    if part["n"] < part["declared"]:
        n += f" of {part['declared']} runs"
    n += f" ({part['diverged']} diverged)" if part["diverged"] else ""
    quantity = f"{part['experiment']}: {part['quantity']}"
    cells = [shown(part["verdict"]), "", place, quantity, number, ours(part), n, part["region"]]
    return row(cells)


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


def shown(verdict: Verdict) -> str:
    """A verdict with its symbol."""
    return f"{SYMBOLS[verdict]} {verdict}"


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
        sections.append(_ends_markdown(rows))
    with atomically(store.summary(preset, paper)) as temporary:
        temporary.write_text(page(title, "\n\n".join(sections)), encoding="utf-8")


def _ends_markdown(rows: pd.DataFrame) -> str:
    heads = ["arm", "measure", "layer", "unit", "mean", "sd", "n", "diverged", "published"]
    lines = [row(heads), row(["---"] * len(heads))]
    for one in rows.itertuples():
        sd, said = (f"{v:.4g}" if isfinite(v) else "" for v in (one.sd, one.published))
        cells = [one.arm, one.measure, one.layer, one.unit, f"{one.mean:.4g}", sd, str(one.n)]
        lines.append(row([*cells, str(one.diverged or ""), said]))
    return "\n".join(lines)

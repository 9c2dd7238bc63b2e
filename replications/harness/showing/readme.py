"""The results in README.md: accepted numbers beside the published ones, and the accepted verdicts.

Everything comes from ``replications/<paper>/accepted``, so the tables are true on every machine and
a test can hold the file to them.
"""

import shutil
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

import figures
from replications.harness.declared import experiments
from replications.harness.declared.claims import END, read_claims
from replications.harness.declared.published import read_published
from replications.harness.errors import UserError
from replications.harness.files import atomically
from replications.harness.judging import acceptance, drift, verdicts
from replications.harness.judging.end_table import end_table, end_table_of_aggregates, scale_of
from replications.harness.showing import plotting
from replications.harness.showing.pages import SYMBOLS
from replications.harness.store import PRESETS, ROOT, Store

BEGIN, END_MARK = "<!-- results: begin -->", "<!-- results: end -->"
HEAD = (
    "| experiment | rule or variant | measure | data | ours, mean ± sd (n) | 95 % interval | published "
    "| place, certainty | difference | agrees | claims |\n" + "| --- " * 11 + "|"
)
NO_BREAK = "\N{NO-BREAK SPACE}"
LEFT = "| not run | seeds left | core hours |\n| --- | --- | --- |"
VERDICTS = "| claim | full scale | quick | in words |\n| --- | --- | --- | --- |"


def write(file: Path, check: bool = False, store: Store = Store()) -> bool:
    """Renew the part of ``file`` between the markers; with ``check`` only say whether it is true."""
    old = file.read_text(encoding="utf-8")
    if BEGIN not in old or END_MARK not in old:
        raise UserError(f"{file}: no lines {BEGIN!r} and {END_MARK!r}")
    before, rest = old.split(BEGIN, 1)
    new = f"{before}{BEGIN}\n{results(store)}\n{END_MARK}{rest.split(END_MARK, 1)[1]}"
    if not check and new != old:
        with atomically(file) as temporary:
            temporary.write_text(new, encoding="utf-8")
    return new == old


def results(store: Store = Store()) -> str:
    """The results of all papers, as Markdown."""
    known = experiments.papers(store)
    papers = [p for p in known if any(store.accepted(p, q).is_dir() for q in PRESETS)]
    return "\n\n".join(_paper(paper, store) for paper in papers)


class Picture(NamedTuple):
    """The copy of a figure that README.md shows: an input, no rule writes it."""

    file: Path
    preset: str
    name: str
    figure: figures.Figure


def pictures(paper: str, store: Store = Store()) -> Iterator[Picture]:
    """A paper's tables, or else its first figure: of what was accepted at full scale, and of a quick run."""
    for preset, accepted in (("full", True), ("quick", False)):
        names = plotting.drawable(paper, preset, accepted, store)
        found = {name: figures.find(paper, name) for name in names}
        for name in [n for n in names if found[n].markdown] or names[:1]:
            yield Picture(store.picture(paper, preset, name), preset, name, found[name])


def take_pictures(store: Store) -> None:
    """Copy those figures of every paper that have been drawn."""
    for paper in experiments.papers(store):
        for picture in pictures(paper, store):
            drawn = store.figure(picture.preset, paper, picture.name, "png")
            if drawn.exists():
                with atomically(picture.file) as temporary:
                    shutil.copyfile(drawn, temporary)


def _paper(paper: str, store: Store) -> str:
    content = experiments.load(paper, store)
    parts = [f"### [{content.title}](replications/{paper}/README.md)", content.reference + "."]
    seen = set()
    for file, preset, name, figure in pictures(paper, store):
        # The same figure of a quick run says nothing more.
        if file.exists() and name not in seen:
            scale = "At full scale. " if preset == "full" else ""
            link = file.relative_to(ROOT)
            parts.append(f"![{name}]({link})\n\n{scale}{figure.caption}")
            seen.add(name)
    if rows := list(_numbers(paper, store)):
        parts.append("\n".join([HEAD, *rows]))
    if judged := list(_verdicts(paper, store)):
        parts.append("\n".join([VERDICTS, *judged]))
    parts += _not_run(paper, store)
    return "\n\n".join(parts)


def accepted_ends(paper: str, preset: str, store: Store = Store()) -> pd.DataFrame:
    """Where training ends, of what was accepted: the end table of a preset.

    Quick keeps no records: its aggregates stand in.
    """
    agreed = drift.accepted_verdicts(paper, preset, store)
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


def _numbers(paper: str, store: Store) -> Iterator[str]:
    """One row per published number that has an accepted counterpart: at full scale, or else quick."""
    found: dict[Any, tuple[str, Any]] = {}
    for preset in PRESETS:
        ends = accepted_ends(paper, preset, store)
        for one in ends.itertuples():
            place = f"{one.measure}/{one.layer}" if one.layer else one.measure
            found[one.experiment, one.arm, place] = preset, one
    judged = {preset: _judged(paper, preset, store) for preset in PRESETS}
    for key, published in read_published(paper, store).items():
        if key in found and published.value is not None:
            preset, one = found[key]
            yield _row(paper, preset, one, published, judged[preset].get(key, []), store)


def _judged(paper: str, preset: str, store: Store) -> dict[tuple[str, str, str], list[str]]:
    """The claims that a measure's end takes part in, with their accepted verdicts."""
    agreed = drift.accepted_verdicts(paper, preset, store)
    found: dict[tuple[str, str, str], list[str]] = {}
    for claim in read_claims(paper, store).claims:
        text = f"{claim.id}{NO_BREAK}{SYMBOLS[agreed.get(claim.id, 'not run')]}"
        ends = [q for part in claim.under(preset)[1] for q in part.quantities if q.at == END]
        for place in dict.fromkeys(q.key for q in ends):
            found.setdefault(place, []).append(text)
    return found


def _row(paper: str, preset: str, one: Any, published: Any, judged: list[str], store: Store) -> str:
    cell = experiments.cell(paper, one.experiment, one.arm, preset, store)
    value = published.scaled(scale_of(one.measure))
    spread = interval = ""
    if isfinite(one.sd):
        spread, interval = f" ± {one.sd:.2f}", f"{one.low:z.2f} to {one.high:z.2f}"
    runs = f"{one.n:.0f}" + (f", {one.diverged:.0f} diverged" if one.diverged else "")
    ours = f"{one.mean:.2f}{spread} ({runs})"
    data = f"{cell.dataset}, {preset}" if cell.dataset else "synthetic"
    name = f"{one.measure}, {one.layer}" if one.layer else one.measure
    agrees = SYMBOLS[one.verdict] if one.verdict else ""
    return (
        f"| {cell.experiment} | {cell.arm.replace('_', ' ')} | {name.replace('_', ' ')} ({one.unit}) | {data} "
        # In ten columns a number would take three lines.
        f"| {ours.replace(' ', NO_BREAK)} | {interval.replace(' ', NO_BREAK)} "
        f"| {value:.2f} | {published.place}, {published.certainty} | {one.mean - value:+z.2f} "
        f"| {agrees} | {', '.join(judged)} |"
    )


def _verdicts(paper: str, store: Store) -> Iterator[str]:
    """One row per claim; in the words of full scale, where it says anything."""
    full, quick = (drift.accepted_verdicts(paper, preset, store) for preset in ("full", "quick"))
    for claim in read_claims(paper, store).claims:
        words, _ = claim.under("full" if claim.id in full or claim.id not in quick else "quick")
        statement = " ".join(words.split()).replace("|", "\\|")
        found = [_shown(agreed.get(claim.id)) for agreed in (full, quick)]
        yield f"| {claim.id} | {found[0]} | {found[1]} | {statement} |"


def _shown(verdict: str | None) -> str:
    return f"{SYMBOLS[verdict]} {verdict}" if verdict else ""


def _not_run(paper: str, store: Store) -> list[str]:
    """What has not been run at full scale, and what it would cost."""
    lack = acceptance.read_not_run(paper, store)
    if lack.empty:
        return []
    rows = [
        f"| {name} | {_seeds(cells.seeds)} | {_hours(cells.core_hours)} |"
        for name, cells in lack.groupby("experiment", sort=False)
    ]
    return [
        f"Not run at full scale: at most {_hours(lack.core_hours)} core hours, as `plan` estimated them on "
        "the machine that ran the rest. A run that fits its training set may stop long before.",
        "\n".join([LEFT, *rows]),
    ]


def _seeds(left: pd.Series) -> str:
    fewest, most = left.min(), left.max()
    return f"{most}" if fewest == most else f"{fewest} to {most}"


def _hours(each: pd.Series) -> str:
    hours = each.sum()
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.1f}"

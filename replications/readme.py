"""The results in README.md: accepted numbers beside the published ones, and the accepted verdicts.

Everything comes from ``replications/<paper>/baselines``, so the tables are true on every machine and
a test can hold the file to them.
"""

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

import figures
from replications import accepted, baselines, claims, plotting, spec, statistics
from replications.errors import UserError
from replications.files import atomically
from replications.results import paper_folder

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
HEAD = (
    "| experiment | rule or variant | measure | data | ours, mean ± sd (n) | 95 % interval | published "
    "| place, certainty | difference | claims |\n" + "| --- " * 10 + "|"
)
NO_BREAK = "\N{NO-BREAK SPACE}"
LOGARITHM = "(log10)"  # ends the name of what was averaged as a logarithm
LEFT = "| not run | seeds left | core hours |\n| --- | --- | --- |"
VERDICTS = "| claim | full scale | quick | in words |\n| --- | --- | --- | --- |"


def write(file: Path, check: bool = False) -> bool:
    """Renew the part of ``file`` between the markers; with ``check`` only say whether it is true."""
    old = file.read_text()
    if BEGIN not in old or END not in old:
        raise UserError(f"{file}: no lines {BEGIN!r} and {END!r}")
    before, rest = old.split(BEGIN, 1)
    new = f"{before}{BEGIN}\n{results()}\n{END}{rest.split(END, 1)[1]}"
    if not check and new != old:
        with atomically(file) as temporary:
            temporary.write_text(new)
    return new == old


def results() -> str:
    """The results of all papers, as Markdown."""
    papers = [p for p in spec.papers() if any(_accepted(p, q) for q in spec.PRESETS)]
    return "\n\n".join(_paper(paper) for paper in papers)


def _accepted(paper: str, preset: str) -> bool:
    return baselines.folder_of(paper, preset).is_dir()


class Picture(NamedTuple):
    """The copy of a figure that README.md shows: an input, no rule writes it."""

    file: Path
    view: str
    name: str
    figure: figures.Figure


def pictures(paper: str) -> Iterator[Picture]:
    """A paper's tables, or else its first figure: of what was accepted at full scale, and of a quick run."""
    for view in (spec.ACCEPTED, spec.PRESETS[0]):
        names = plotting.drawable(paper, view)
        found = {name: figures.find(paper, name) for name in names}
        for name in [n for n in names if found[n].numbers] or names[:1]:
            yield Picture(spec.HERE / paper / f"{name}.{view}.png", view, name, found[name])


def take_pictures(folder: Path) -> None:
    """Copy those figures of every paper that have been drawn under ``folder``."""
    for paper in spec.papers():
        for picture in pictures(paper):
            drawn = paper_folder(folder, picture.view, paper) / "figures" / f"{picture.name}.png"
            if drawn.exists():
                with atomically(picture.file) as temporary:
                    shutil.copyfile(drawn, temporary)


def _paper(paper: str) -> str:
    content = spec.load(paper)
    rows = list(_numbers(paper))
    verdicts = list(_verdicts(paper))
    parts = [f"### [{content.title}](replications/{paper}/README.md)", content.reference + "."]
    shown = set()
    for file, view, name, figure in pictures(paper):
        # The same figure of a quick run says nothing more.
        if file.exists() and name not in shown:
            scale = "At full scale. " if view == spec.ACCEPTED else ""
            link = file.relative_to(spec.HERE.parent)
            parts.append(f"![{name}]({link})\n\n{scale}{figure.caption}")
            shown.add(name)
    if rows:
        parts.append("\n".join([HEAD, *rows]))
    if verdicts:
        parts.append("\n".join([VERDICTS, *verdicts]))
    parts += _not_run(paper)
    return "\n\n".join(parts)


def _numbers(paper: str) -> Iterator[str]:
    """One row per published number that has an accepted counterpart: at full scale, or else quick."""
    judged = {preset: _judged(paper, preset) for preset in spec.PRESETS}
    for key, published in plotting.published(paper).items():
        for preset in reversed(spec.PRESETS):
            row = _aggregate(paper, preset, published)
            if row is not None:
                yield _row(paper, preset, row, published, judged[preset].get(key, []))
                break


def _aggregate(paper: str, preset: str, published: plotting.Published) -> pd.Series | None:
    """What was accepted under a preset beside a published number, or beside its logarithm."""
    file = baselines.folder_of(paper, preset) / f"{published.experiment}.aggregates.csv"
    if not file.exists():
        return None
    found = baselines.read(file)
    name = f"{published.arm}/{published.measure}"
    return next((found.loc[n] for n in (name, f"{name} {LOGARITHM}") if n in found.index), None)


def _judged(paper: str, preset: str) -> dict[tuple[str, str, str], list[str]]:
    """The claims that a measure's end takes part in, with their accepted verdicts."""
    verdicts = baselines.accepted_verdicts(baselines.folder_of(paper, preset))
    found: dict[tuple[str, str, str], list[str]] = {}
    for claim in claims.load(paper):
        shown = f"{claim.id}{NO_BREAK}{claims.SYMBOLS[verdicts.get(claim.id, 'not run')]}"
        ends = [q for part in claim.under(preset)[1] for q in part.quantities if q.at == claims.END]
        for place in dict.fromkeys(
            (q.experiment, q.arm, f"{q.measure}/{q.layer}".rstrip("/")) for q in ends
        ):
            found.setdefault(place, []).append(shown)
    return found


def _row(
    paper: str, preset: str, row: pd.Series, published: plotting.Published, judged: list[str]
) -> str:
    cell = spec.cell(paper, published.experiment, published.arm, preset)
    percent = published.unit == "%"
    mean, sd = (100 * row["mean"], 100 * row["sd"]) if percent else (row["mean"], row["sd"])
    logarithmic = str(row.name).endswith(LOGARITHM)
    value = published.value
    if logarithmic and not published.unit.startswith("log10"):
        value = math.log10(value)
    spread = interval = ""
    ended = int(row["n"] - row["diverged"])
    if ended > 1:
        _, low, high = statistics.students_interval(mean, sd, ended)
        spread, interval = f" ± {sd:.2f}", f"{low:z.2f} to {high:z.2f}"
    runs = f"{row['n']:.0f}" + (f", {row['diverged']:.0f} diverged" if row["diverged"] else "")
    ours = f"{mean:.2f}{spread} ({runs})"
    data = f"{cell.dataset}, {preset}" if cell.dataset else "synthetic"
    unit = "log10" if logarithmic else published.unit
    measure = f"{published.measure.replace('_', ' ').replace('/', ', ')} ({unit})"
    return (
        f"| {cell.experiment} | {cell.arm.replace('_', ' ')} | {measure} | {data} "
        # In ten columns a number would take three lines.
        f"| {ours.replace(' ', NO_BREAK)} | {interval.replace(' ', NO_BREAK)} "
        f"| {value:.2f} | {published.place}, {published.certainty} | {mean - value:+z.2f} "
        f"| {', '.join(judged)} |"
    )


def _verdicts(paper: str) -> Iterator[str]:
    """One row per claim; in the words of the paper preset, where it says anything."""
    quick, full = (
        baselines.accepted_verdicts(baselines.folder_of(paper, preset)) for preset in spec.PRESETS
    )
    for claim in claims.load(paper):
        words, _ = claim.under("paper" if claim.id in full or claim.id not in quick else "quick")
        statement = " ".join(words.split()).replace("|", "\\|")
        shown = [_shown(verdicts.get(claim.id)) for verdicts in (full, quick)]
        yield f"| {claim.id} | {shown[0]} | {shown[1]} | {statement} |"


def _shown(verdict: str | None) -> str:
    return f"{claims.SYMBOLS[verdict]} {verdict}" if verdict else ""


def _not_run(paper: str) -> list[str]:
    """What of the preset paper has not been run, and what it would cost."""
    lack = accepted.not_run(paper)
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

"""From the tables of a paper to its picture files."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import figures
from replications.harness.declared import experiments
from replications.harness.declared.claims import read_claims
from replications.harness.declared.published import read_published
from replications.harness.declared.reading import check_name
from replications.harness.errors import UserError, nearest
from replications.harness.files import atomically
from replications.harness.store import Store

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FORMATS = ("pdf", "svg", "png")
# Tables of an experiment beside its records.
KINDS = ("arrays", "embedding")
# Dots per inch of the picture that README.md shows: twice a screen's.
SCREEN = 200


def drawable(paper: str, preset: str, accepted: bool = False, store: Store = Store()) -> list[str]:
    """The figures of a paper that are drawn of a preset's results, or of those accepted at full scale.

    Without accepted results of full scale in it a figure is the quick run's own.
    """
    there = experiments.accepted if accepted else _all_of(preset)
    known = set(there(paper, store=store))
    names = [name for name, figure in figures.of(paper).items() if figure.drawable(known)]
    if not accepted:
        return names
    kept = set(experiments.kept(paper, store))
    return [name for name in names if kept & figures.find(paper, name).experiments]


def of_quick(paper: str, figure: figures.Figure, store: Store = Store()) -> bool:
    """Whether quick runs all that a figure shows as full scale does, so that quick's picture is full scale's."""
    return all(experiments.same_in_both(paper, name, store) for name in figure.experiments)


def check_figures(paper: str, store: Store = Store()) -> None:
    """Raise UserError where a figure has no name for a file, or needs a table or shows a claim that its paper
    does not have."""
    known = experiments.load(paper, store).experiments
    claims = [claim.id for claim in read_claims(paper, store).claims]
    for name, figure in figures.of(paper).items():
        where = f"figures/{paper}.py: figure {name}"
        try:
            check_name(name, "figure")
        except ValueError as error:
            raise UserError(f"figures/{paper}.py: {error}") from None
        for table in figure.needs:
            experiment, _, kind = table.partition(".")
            if experiment not in known:
                raise UserError(f"{where}: unknown table {table!r}; {nearest(experiment, known)}")
            if kind not in ("", *KINDS):
                raise UserError(f"{where}: unknown table {table!r}; {nearest(kind, KINDS)}")
        for claim in figure.claims:
            if claim not in claims:
                raise UserError(f"{where}: unknown claim {claim!r}; {nearest(claim, claims)}")


def _all_of(preset: str):  # type: ignore[no-untyped-def]
    return lambda paper, store: experiments.names(paper, preset, store)


def draw(paper: str, name: str, tables: figures.Tables, store: Store = Store()) -> "Figure":
    """A figure in the suite's style, whatever the user's own matplotlib settings are."""
    from figures import style

    figure = figures.find(paper, name)
    with style.applied():
        drawing = figure.function(tables, read_published(paper, store))
        # Laid out once, so that all formats show the same, in a third of the time.
        drawing.draw_without_rendering()
        drawing.set_layout_engine("none")
        return drawing


def plot(
    paper: str,
    name: str,
    preset: str,
    store: Store,
    formats: Iterable[str] = FORMATS,
    accepted: bool = False,
) -> list[Path]:
    """Draw a figure from the tables and save it: same numbers, same bytes.

    Raises UserError for an unknown paper, figure or format, and for a table that is not there.
    """
    formats = list(formats)
    for one in formats:
        if one not in FORMATS:
            raise UserError(f"unknown format {one!r}; {nearest(one, FORMATS)}")
    figure = figures.find(paper, name)
    tables = tables_of(paper, name, preset, store, accepted)
    drawing = draw(paper, name, tables, store)
    paths = [store.figure(preset, paper, name, one) for one in formats]
    for path in paths:
        save(drawing, path)
    if figure.markdown is not None:
        # Beside the picture of a table, the same as CSV and as Markdown.
        with atomically(store.figure(preset, paper, name, "csv")) as temporary:
            tables["ends"].to_csv(temporary, index=False)
        with atomically(store.figure(preset, paper, name, "md")) as temporary:
            temporary.write_text(figure.markdown(tables["ends"]), encoding="utf-8")
    return paths


def tables_of(
    paper: str, name: str, preset: str, store: Store, accepted: bool = False
) -> dict[str, "pd.DataFrame"]:
    """The tables that a figure is drawn from, by name. Raises UserError where one is missing."""
    from replications.harness.judging import end_table, verdicts

    figure = figures.find(paper, name)
    known = (
        experiments.accepted(paper, store) if accepted else experiments.names(paper, preset, store)
    )
    read = verdicts.tables(paper, preset, store, accepted)
    needed = [table for table in figure.needs if table.partition(".")[0] in known]
    # Without enough of them, the first that is missing is named.
    wanted = needed if figure.drawable({t.partition(".")[0] for t in needed}) else figure.needs
    found = {table: content for table in wanted if (content := read(table)) is not None}
    if missing := [table for table in wanted if table not in found]:
        raise UserError(f"{paper}: figure {name} needs {missing[0]}, of which there is nothing")
    if not figure.ends:
        return found
    judged = verdicts.judge_numbers(paper, preset, read, store, found)
    agreeing = {one["id"]: one["verdict"] for one in judged}
    ends = end_table.end_table(paper, preset, list(found), read, agreeing, store)
    return {**found, "ends": ends}


def draw_overview(store: Store = Store()) -> "Figure":
    """The picture of all papers, of what was accepted at full scale."""
    from figures import overview, style
    from replications.harness.showing.paper_page import ends_at_full_scale

    ends = {paper: ends_at_full_scale(paper, store) for paper in experiments.papers(store)}
    if all(table.empty for table in ends.values()):
        raise UserError("nothing is accepted at full scale, of which there could be a picture")
    with style.applied():
        drawing = overview.overview(ends)
        drawing.draw_without_rendering()
        drawing.set_layout_engine("none")
        return drawing


def plot_overview(store: Store, formats: Iterable[str] = FORMATS) -> list[Path]:
    """Draw the picture of all papers and save it."""
    drawing = draw_overview(store)
    paths = [store.overview(one) for one in formats]
    for path in paths:
        save(drawing, path)
    return paths


def save(drawing: "Figure", path: Path, dpi: int | None = None) -> None:
    """Write a picture in the format of its name, whole or not at all, and without a date."""
    from figures import style

    date = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix, {})
    with style.applied(), atomically(path) as temporary:
        drawing.savefig(temporary, metadata=date, dpi=dpi or style.RC["savefig.dpi"])

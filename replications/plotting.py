"""From the tables of a paper to its picture files; and the published numbers drawn beside them."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import figures
from replications import spec
from replications.errors import UserError, nearest
from replications.files import atomically
from replications.schema import Strict, parse, read_yaml

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = Path(__file__).parent
FORMATS = ("pdf", "svg", "png")


class Published(Strict):
    """A number that a paper gives: where it stands there, and how sure it is."""

    experiment: str
    arm: str
    measure: str
    value: float
    unit: str
    at: str
    # A: the paper's own text, figure or code; B: a third party's report; C: not confirmed.
    certainty: Literal["A", "A-ab", "B", "C", "C+"]
    place: str
    source: str
    n: int | None = None
    sd: float | None = None


def published(paper: str) -> dict[tuple[str, str, str], Published]:
    """The published numbers of a paper by (experiment, arm, measure); none where it has no file."""
    path = HERE / paper / "published.yaml"
    rows = read_yaml(path) if path.is_file() else []
    numbers = [parse(Published, row, f"{path.name}: entry {i}") for i, row in enumerate(rows, 1)]
    return {(n.experiment, n.arm, n.measure): n for n in numbers}


def drawable(paper: str, view: str) -> list[str]:
    """The figures of a paper that are drawn of a preset's results, or of what was accepted at full scale.

    Without full-scale results in it a figure is the quick run's own.
    """
    known = set(spec.experiments(paper, view))
    names = [name for name, figure in figures.of(paper).items() if figure.drawable(known)]
    if view != spec.ACCEPTED:
        return names
    kept = set(spec.kept(paper))
    return [name for name in names if kept & figures.find(paper, name).experiments]


def draw(paper: str, name: str, tables: figures.Tables) -> "Figure":
    """A figure in the suite's style, whatever the user's own matplotlib settings are."""
    from figures import style

    figure = figures.find(paper, name)
    with style.applied():
        drawing = figure.function(tables, published(paper))
        # Laid out once, so that all formats show the same, in a third of the time.
        drawing.draw_without_rendering()
        drawing.set_layout_engine("none")
        return drawing


def plot(
    paper: str, name: str, preset: str, results: Path, formats: Iterable[str] = FORMATS
) -> list[Path]:
    """Draw a figure from the tables under ``results`` and save it: same numbers, same bytes.

    Raises UserError for an unknown paper, figure or format, and for a table that is not there.
    """
    from replications.results import paper_folder, read_table, table_file

    formats = list(formats)
    for one in formats:
        if one not in FORMATS:
            raise UserError(f"unknown format {one!r}; {nearest(one, FORMATS)}")
    figure = figures.find(paper, name)
    files = {e: table_file(results, preset, paper, e) for e in figure.needs}
    there = {e for e, file in files.items() if file.exists()}
    # Without enough of them, the first that is missing is named.
    wanted = there if figure.drawable(there) else files
    tables = {e: read_table(file) for e, file in files.items() if e in wanted}
    drawing = draw(paper, name, tables)
    folder = paper_folder(results, preset, paper) / "figures"
    paths = [folder / f"{name}.{one}" for one in formats]
    for path in paths:
        save(drawing, path)
    _write_numbers(figure, tables, published(paper), folder / name)
    return paths


def _write_numbers(
    figure: figures.Figure,
    tables: figures.Tables,
    published: figures.PublishedValues,
    stem: Path,
) -> None:
    """Beside the picture of a table, the same as CSV and as Markdown."""
    if figure.numbers is None or figure.markdown is None:
        return
    numbers = figure.numbers(tables, published)
    with atomically(stem.with_suffix(".csv")) as temporary:
        numbers.to_csv(temporary, index=False)
    with atomically(stem.with_suffix(".md")) as temporary:
        temporary.write_text(figure.markdown(numbers))


def save(drawing: "Figure", path: Path) -> None:
    """Write a picture in the format of its name, whole or not at all, and without a date."""
    from figures import style

    date = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix, {})
    with style.applied(), atomically(path) as temporary:
        drawing.savefig(temporary, metadata=date)

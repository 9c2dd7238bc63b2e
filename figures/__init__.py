"""The pictures of the papers: pure functions from tidy tables to figures, one module per paper.

Each module declares ``FIGURES``. Looking a figure up costs no import of matplotlib or pandas.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from replications.errors import UserError, nearest

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure as Drawing

    from replications.plotting import Published

# The tables that a figure needs by name, and the published number of an
# (experiment, arm, measure).
Tables = Mapping[str, "pandas.DataFrame"]
PublishedValues = Mapping[tuple[str, str, str], "Published"]


@dataclass(frozen=True)
class Figure:
    """One picture: the pure function that draws it, the tables it needs, its caption.

    A table is an experiment's (``linear``) or the embedding of its features (``linear.embedding``).
    A picture of a table also has its ``numbers``, and how to write them as ``markdown``; it says of what
    has not been run that it has not, and can do with some of the experiments.
    """

    function: Callable[[Tables, PublishedValues], "Drawing"]
    needs: tuple[str, ...]
    caption: str
    numbers: Callable[[Tables, PublishedValues], "pandas.DataFrame"] | None = None
    markdown: Callable[["pandas.DataFrame"], str] | None = None

    @property
    def experiments(self) -> set[str]:
        """The experiments that its tables are of."""
        return {table.partition(".")[0] for table in self.needs}

    def drawable(self, known: set[str]) -> bool:
        """Whether these experiments are enough."""
        missing = self.experiments - known
        return not missing if self.numbers is None else missing != self.experiments


def of(paper: str) -> dict[str, Figure]:
    """The figures of a paper by name. Raises UserError for a paper without any."""
    papers = [m.name for m in iter_modules(__path__) if m.name != "style"]
    if paper not in papers:
        raise UserError(f"no figures for paper {paper!r}; {nearest(paper, papers)}")
    figures: dict[str, Figure] = import_module(f"figures.{paper}").FIGURES
    return figures


def find(paper: str, name: str) -> Figure:
    """One figure of a paper. Raises UserError, with the nearest name, for an unknown one."""
    figures = of(paper)
    if name not in figures:
        raise UserError(f"{paper} has no figure {name!r}; {nearest(name, figures)}")
    return figures[name]

"""The pictures of the papers: pure functions from tidy tables to figures, one module per paper.

Each module declares ``FIGURES``. Looking a figure up costs no import of matplotlib or pandas. Nothing
here reads a file, estimates a number or judges one: that is done before (``replications.harness``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from replications.harness.errors import UserError, nearest

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure as Drawing

    from replications.harness.declared.published import Published

# The tables that a figure needs by name, and the published number of an
# (experiment, arm, measure).
Tables = Mapping[str, "pandas.DataFrame"]
PublishedValues = Mapping[tuple[str, str, str], "Published"]


# The modules of this package that are no paper's.
SHARED = ("dots", "overview", "style")


@dataclass(frozen=True)
class Figure:
    """One picture: the pure function that draws it, the tables it needs, its caption.

    A table is an experiment's (``linear``) or the embedding of its features (``linear.embedding``). With
    ``ends`` it is drawn from ``tables["ends"]``, the end table of its experiments
    (replications.harness.judging.end_table). The picture of a table of the paper can also write that as
    ``markdown``; it can do with some of the experiments, and says of what has not been run that it has not.

    ``claims`` are those whose picture this is; ``shown``: the paper's README shows it.
    """

    function: Callable[[Tables, PublishedValues], "Drawing"]
    needs: tuple[str, ...]
    caption: str
    markdown: Callable[["pandas.DataFrame"], str] | None = None
    ends: bool = False
    claims: tuple[str, ...] = ()
    shown: bool = False

    @property
    def experiments(self) -> set[str]:
        """The experiments that its tables are of."""
        return {table.partition(".")[0] for table in self.needs}

    def drawable(self, known: set[str]) -> bool:
        """Whether these experiments are enough."""
        missing = self.experiments - known
        return not missing if self.markdown is None else missing != self.experiments


def of(paper: str) -> dict[str, Figure]:
    """The figures of a paper by name. Raises UserError for a paper without any."""
    modules = [m.name for m in iter_modules(__path__)]
    papers = [name for name in modules if name not in SHARED and not name.startswith("_")]
    if paper not in papers:
        raise UserError(f"no figures for paper {paper!r}; {nearest(paper, papers)}")
    where = f"figures/{paper}.py"
    try:
        module = import_module(f"figures.{paper}")
    except Exception as error:  # whatever somebody's module raises
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{where}: cannot be imported: {said}") from error
    figures = getattr(module, "FIGURES", None)
    if figures is None:
        raise UserError(f"{where}: no FIGURES, which names the figures of the paper")
    if not isinstance(figures, dict) or not all(isinstance(f, Figure) for f in figures.values()):
        raise UserError(f"{where}: FIGURES is no dict of Figure(...) by name")
    return figures


def find(paper: str, name: str) -> Figure:
    """One figure of a paper. Raises UserError, with the nearest name, for an unknown one."""
    figures = of(paper)
    if name not in figures:
        raise UserError(f"{paper} has no figure {name!r}; {nearest(name, figures)}")
    return figures[name]

"""The pictures of the paper: pure functions from tidy tables to figures. Replace all of them."""

from typing import TYPE_CHECKING

from figures import Figure, PublishedValues, Tables, style
from replications.harness.catalogue.rules import RULES

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


def line(tables: Tables, published: PublishedValues) -> "Drawing":
    """The error over updates, every run a line; the published value at the end as a diamond."""
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(style.COLUMN, 2.4), layout="constrained")
    axes = drawing.subplots()
    for arm, rows in tables["line"].groupby("arm", sort=False):
        look = RULES[str(arm)]
        for seed, run in rows.groupby("seed"):
            label = look.label if seed == 0 else None
            axes.semilogy(run["step"], run["value"], color=look.colour, linewidth=0.8, label=label)
    end = tables["line"]["step"].max()
    for (_, arm, measure), number in published.items():
        if measure == "test_nse" and number.plain is not None:
            axes.plot(end, number.plain, "D", color=RULES[arm].colour, markerfacecolor="white")
    axes.set(xlabel="updates", ylabel="test error (NSE)")
    axes.legend()
    return drawing


FIGURES = {
    "line": Figure(
        line, ("line",), "The test error of every run; diamond: published.", claims=("X1",)
    ),
}

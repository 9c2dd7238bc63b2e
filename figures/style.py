"""One look for all pictures: a colour per rule, how spread is drawn, how published values are."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from replications.harness.catalogue.rules import RULES, of_arm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from replications.harness.declared.published import Published
    from replications.harness.statistics import Band, Solved

COLUMN, PAGE = 3.46, 7.09  # inches: the 88 and 180 mm of a journal's one and two columns

# Classes, not rules: the ten of Petroff 2021 (arXiv 2107.02270), told apart by hue and lightness with every
# kind of colour vision; in an order in which digits that look alike (4 and 9, 3, 5 and 8) lie far apart.
CLASSES = (
    "#B9AC70",
    "#94A4A2",
    "#717581",
    "#BD1F01",
    "#A96B59",
    "#832DB6",
    "#92DADD",
    "#E76300",
    "#FFA90E",
    "#3F90DA",
)
FAILED = "#882255"  # belongs to no rule: a run that ended in the wrong place
# A training error below one in 10,000 is drawn as that.
FLOOR = 0.01
FAINT, TEXT = "#C8C8C8", "#444444"

# Nothing here may depend on the machine: matplotlib's own font, and one salt for the SVG's ids.
RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.xmargin": 0.02,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "legend.handlelength": 2.4,
    "legend.labelspacing": 0.35,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    "lines.markeredgewidth": 1.0,
    "savefig.dpi": 300,
    "svg.fonttype": "path",
    "svg.hashsalt": "bioflax",
    "pdf.fonttype": 42,
}


class Look(NamedTuple):
    """An arm in a picture. Its rule gives the colour; line and diamond tell variants apart."""

    arm: str
    label: str
    line: Literal["-", "--", ":"] = "-"
    half: bool = False  # the published diamond is half filled, not open
    shade: str = ""  # one of ``shades``, for an arm of a sweep
    published: bool = True  # there are published values of it: the legend shows their diamond

    @property
    def colour(self) -> str:
        """The colour of the arm's rule, or its shade of it."""
        return self.shade or RULES[of_arm(self.arm)].colour

    @property
    def diamond(self) -> dict[str, Any]:
        """The marker of the arm's published values."""
        from matplotlib.markers import MarkerStyle

        return {
            "marker": MarkerStyle("D", "left" if self.half else "full", joinstyle="round"),
            "markerfacecolor": self.colour if self.half else "white",
            "markerfacecoloralt": "white",
            "markeredgecolor": self.colour,
        }


def shades(rule: str, n: int) -> list[str]:
    """``n`` colours from light to dark through the rule's own, for a sweep of one of its scales."""
    import seaborn

    return list(seaborn.blend_palette(["#D9E021", RULES[rule].colour, "#00140E"], n).as_hex())


def panels(
    columns: int, width: float, height: float, **options: Any
) -> tuple["Figure", list["Axes"]]:
    """A figure of ``width`` x ``height`` inches and its row of axes, lettered if several."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = list(figure.subplots(1, columns, squeeze=False, **options)[0])
    for letter, one in zip("abcd", axes if columns > 1 else [], strict=False):
        one.set_title(letter, fontweight="bold")
        one.locator_params(axis="x", nbins=5, steps=[1, 2, 5, 10])
    return figure, axes


def runs(
    table: "DataFrame", arm: str, measure: str, layer: str = "", x: str = "step"
) -> "DataFrame":
    """A row per recorded ``x`` (step or epoch), a column per seed. NaN: the run has diverged."""
    from replications.harness import tables

    return tables.runs(table, arm, measure, layer, x)


def band(runs: "DataFrame", spread: Literal["quartiles", "sd"]) -> "Band":
    """Centre and edges over seeds, of every record: median and quartiles, or mean +- 1 SD.

    A diverged run counts as infinitely bad in the quartiles, and is left out of the mean.
    """
    from replications.harness import statistics

    return (statistics.quartiles if spread == "quartiles" else statistics.mean_and_sd)(runs)


def solved(errors: "DataFrame") -> "Solved":
    """Of runs that can get everything right: how many do, and how soon."""
    from replications.harness import statistics

    return statistics.solved(errors)


def trace(
    axes: "Axes", runs: "DataFrame", look: Look, spread: Literal["quartiles", "sd"], unit: float = 1
) -> None:
    """The centre over seeds and its ``band``. ``unit`` divides x."""
    low, centre, high = band(runs, spread)
    x = runs.index / unit
    axes.fill_between(x, low, high, color=look.colour, alpha=0.2, linewidth=0)
    axes.plot(x, centre, color=look.colour, linestyle=look.line, label=look.label)


def published(
    axes: "Axes", look: Look, value: float, x: float | None = None, stand: int = 0
) -> None:
    """A published value: a diamond at ``x``, or right of the axes, equal ones apart."""
    axes.plot(
        1.02 + 0.04 * stand if x is None else x,
        value,
        transform=axes.get_yaxis_transform() if x is None else axes.transData,
        clip_on=False,
        zorder=5,
        linestyle="none",
        **look.diamond,
    )


def legend(figure: "Figure", looks: Iterable[Look], columns: int) -> None:
    """Above all panels: a line per arm, with its published diamond on it if it has one."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=one.colour,
            linestyle=one.line,
            label=one.label,
            **(one.diamond if one.published else {}),
        )
        for one in looks
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=columns)


def right_angle(axes: "Axes") -> None:
    """The angle axis of all pictures: degrees, with the 90 that chance gives."""
    axes.axhline(90, color=FAINT, linewidth=0.8, linestyle=(0, (4, 2)), zorder=0)
    axes.set_ylim(0, max(100, axes.get_ylim()[1]))
    axes.set_yticks(range(0, 91, 15))


def error_axis(axes: "Axes", name: str, ticks: tuple[float, ...]) -> None:
    """A logarithmic axis of errors in percent, from the first of ``ticks`` to 100."""
    axes.set_yscale("log")
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(ticks[0], 100)
    axes.set_ylabel(f"{name} error (%)")


def learning_curves(
    table: "DataFrame", looks: Iterable[Look], columns: int | None = None
) -> tuple["Figure", list["Axes"], list["DataFrame"]]:
    """Test and training error over passes, side by side; the figure, its axes and what is drawn.

    ``columns`` of the legend: one per look where none is given.
    """
    looks = list(looks)
    figure, axes = panels(2, PAGE, 2.7)
    drawn = []
    for one, name in zip(axes, ("test", "train"), strict=True):
        for look in looks:
            errors = 100 * runs(table, look.arm, f"{name}_error", x="epoch").iloc[1:]
            drawn.append(errors)
            trace(one, errors.clip(lower=FLOOR), look, "sd")
        one.set_xlabel("passes through the training set")
    error_axis(axes[0], "test", (1, 2, 5, 10, 20, 50, 100))
    error_axis(axes[1], "training", (FLOOR, 0.1, 1, 10, 100))
    legend(figure, looks, columns or len(looks))
    return figure, axes, drawn


def seeds(*drawn: "DataFrame") -> str:
    """How many runs were drawn, and how many of them have diverged."""
    counts = [len(runs.columns) for runs in drawn]
    fewest, most = min(counts), max(counts)
    n = f"{most}" if fewest == most else f"{fewest} to {most}"
    text = f"n = {n} seed{'s' if most > 1 else ''}"
    lost = sum(int(runs.iloc[-1].isna().sum()) for runs in drawn)
    return f"{text} ({lost} of {sum(counts)} runs diverged)" if lost else text


def sources(values: Iterable["Published"]) -> str:
    """What the diamonds are, and how sure: ``diamonds: published, Fig. 2a (L14, certainty A)``."""
    places = dict.fromkeys(f"{v.place} ({v.source}, certainty {v.certainty})" for v in values)
    return "diamonds: published, " + "; ".join(places)


def footer(figure: "Figure", *parts: str) -> None:
    """Small print below the axes: n, spread, sources. Wrapped to the figure's width."""
    characters = int(figure.get_figwidth() * 22)
    text = fill("; ".join(parts), characters)
    figure.supxlabel(text, fontsize=6, color=TEXT, x=0.01, ha="left")


def applied() -> AbstractContextManager[None]:
    """The style for a ``with``, free of whatever settings the user or the machine has."""
    import matplotlib.style

    return matplotlib.style.context(RC, after_reset=True)

"""Rows of numbers as dots: ours, filled, over the paper's, an open diamond; a mark for the verdict.

What a table says, as a picture in which a miss can be seen. Drawn from rows of the end table
(replications.harness.judging.end_table); every number and every verdict is in them.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from figures import style
from replications.harness.catalogue.rules import RULES, of_arm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

MARKS = {
    "reproduced": "✔",
    "near": "≈",
    "inconclusive": "?",
    "incomplete": "…",
    "not reproduced": "✘",
}
KEY = "✔ agrees, ≈ near, ? open, ✘ differs, … too few runs yet"
# Rows of the end table, and where a row's rules lie around its middle.
HEIGHT = 0.72
INCH = 0.26  # of one row


class Row(NamedTuple):
    """One line of the picture: its name and, per rule, a row of the end table."""

    label: str
    ends: Sequence[Any]


def find(
    ends: "DataFrame", experiment: str, measure: str, arms: Iterable[str], layer: str = ""
) -> list[Any]:
    """The rows of the end table of an experiment's ``arms``, in their order; those that there are."""
    by_arm = {
        one.arm: one
        for one in ends.itertuples()
        if (one.experiment, one.measure, one.layer) == (experiment, measure, layer)
    }
    return [by_arm[arm] for arm in arms if arm in by_arm]


def draw(axes: "Axes", rows: Sequence[Row], marks: bool = True) -> None:
    """The rows from top to bottom: means and 1 SD of ours and, where there is one, of the paper's."""
    if not rows:
        axes.set_visible(False)
        return
    most = max(len(row.ends) for row in rows)
    for k, row in enumerate(rows):
        if k % 2:
            axes.axhspan(k - 0.5, k + 0.5, color="#F4F4F4", linewidth=0, zorder=0)
        step = HEIGHT / max(most, 2)
        for i, one in enumerate(row.ends):
            y = k + (i - (len(row.ends) - 1) / 2) * step
            _dot(axes, one, y)
            if marks and one.verdict in MARKS:
                axes.annotate(
                    MARKS[one.verdict],
                    (1, k),
                    xycoords=axes.get_yaxis_transform(),
                    xytext=(9 + 9 * i, 0),
                    textcoords="offset points",
                    color=_colour(one.arm),
                    weight="bold" if one.verdict == "not reproduced" else "normal",
                    ha="center",
                    va="center_baseline",
                )
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=style.FAINT, linewidth=0.4, zorder=0)
    axes.set_axisbelow(True)
    axes.margins(x=0.07)


def _colour(arm: str) -> str:
    return RULES[of_arm(arm)].colour


def _dot(axes: "Axes", one: Any, y: float) -> None:
    colour = _colour(one.arm)
    if isfinite(one.published):
        if isfinite(one.published_sd):
            ends = [one.published - one.published_sd, one.published + one.published_sd]
            axes.plot(ends, [y, y], color=colour, alpha=0.3, linewidth=3, solid_capstyle="butt")
        axes.plot(
            one.published,
            y,
            "D",
            color=colour,
            markerfacecolor="white",
            markersize=4.2,
            markeredgewidth=0.8,
        )
    if isfinite(one.sd):
        axes.plot(
            [one.mean - one.sd, one.mean + one.sd], [y, y], color=colour, linewidth=0.9, zorder=4
        )
    axes.plot(one.mean, y, "o", color=colour, markersize=3, markeredgewidth=0, zorder=5)


def two_scales(axes: "Axes", points: Mapping[float, float]) -> None:
    """An axis whose scale changes on the way: value -> place, straight between; a line at the first change."""
    import numpy as np

    values, places = list(points), list(points.values())
    axes.set_xscale(
        "function",
        functions=(
            lambda x: np.interp(x, values, places),
            lambda place: np.interp(place, places, values),
        ),
    )
    axes.set_xlim(values[0], values[-1])
    axes.axvline(values[1], color=style.TEXT, linewidth=0.6, linestyle=(0, (1, 2)), zorder=1)


def legend(figure: "Figure", rules: Iterable[str], columns: int, published: bool = True) -> None:
    """The rules' colours, and what is ours and what the paper's, where there is any of it."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=style.TEXT, marker="o", markersize=3, linewidth=0.9, label="ours, mean ± 1 SD"),
        Line2D(
            [], [], color=style.TEXT, marker="D", markerfacecolor="white", markersize=4.2, markeredgewidth=0.8,
            linestyle="none", label="published (bar: its SD)",
        ),
    ][: 1 + published]  # fmt: skip
    for rule in rules:
        handles.append(
            Line2D(
                [],
                [],
                color=RULES[rule].colour,
                marker="s",
                linestyle="none",
                markersize=4,
                label=RULES[rule].label,
            )
        )
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0, 1.005), ncols=columns,
        columnspacing=1.2, handletextpad=0.4,
    )  # fmt: skip

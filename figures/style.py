"""One look for all pictures: a colour per rule, how spread is drawn, how published values are."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from replications.harness.catalogue.rules import RULES, of_arm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from replications.harness.declared.published import Published
    from replications.harness.statistics import Band, Solved

PublishedValues = Mapping[tuple[str, str, str], "Published"]

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
    axes: "Axes",
    runs: "DataFrame",
    look: Look,
    spread: Literal["quartiles", "sd"],
    unit: float = 1,
    width: float = 1.3,
) -> None:
    """The centre over seeds and its ``band``. ``unit`` divides x; ``width`` of the line in points."""
    low, centre, high = band(runs, spread)
    x = runs.index / unit
    axes.fill_between(x, low, high, color=look.colour, alpha=0.2, linewidth=0)
    axes.plot(x, centre, color=look.colour, linestyle=look.line, label=look.label, linewidth=width)


def published(
    axes: "Axes", look: Look, value: float, x: float, stand: int = 0, size: float = 4.5
) -> None:
    """A published value: a diamond at its ``x``; equal ones stand side by side."""
    from matplotlib.transforms import ScaledTranslation

    aside = ScaledTranslation(0.05 * stand, 0, axes.figure.dpi_scale_trans)
    axes.plot(
        x,
        value,
        transform=axes.transData + aside,
        zorder=5,
        linestyle="none",
        markersize=size,
        **look.diamond,
    )


def published_curve(axes: "Axes", look: Look, points: Mapping[float, float]) -> None:
    """A published curve at its own x: small diamonds on a thin line."""
    axes.plot(
        list(points),
        list(points.values()),
        color=look.colour,
        linestyle=(0, (1, 1.5)),
        linewidth=0.7,
        markersize=2.8,
        zorder=4,
        **(look.diamond | {"markeredgewidth": 0.6}),
    )


def points_of(
    values: PublishedValues, experiment: str, arm: str, measure: str, scale: float = 1
) -> dict[float, float]:
    """The published curve of a measure: number of updates -> value, in order. A window stands at its middle."""
    found = {}
    for (where, of, name), one in values.items():
        base, at, when = name.partition("@")
        if (where, of, base) == (experiment, arm, measure) and at and one.plain is not None:
            ends = [float(word) for word in when.split() if word.isdigit()]
            found[sum(ends) / len(ends)] = scale * one.plain
    return dict(sorted(found.items()))


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
    """A logarithmic axis of errors in percent, between those of ``ticks`` that hold what is drawn.

    A line at the lowest tick, and the diamonds near it, are seen whole.
    """
    left, right = axes.get_xlim()
    points = [point for line in axes.get_lines() for point in line.get_xydata().tolist()]  # type: ignore[union-attr]
    drawn = [y for x, y in points if left <= x <= right and y > 0]
    low = max((tick for tick in ticks if tick <= min(drawn)), default=ticks[0])
    high = min((tick for tick in ticks if tick >= max(drawn)), default=ticks[-1])
    axes.set_yscale("log")
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(low * (low / high) ** 0.02, high)
    axes.set_ylabel(f"{name} error (%)")


def learning_curves(
    table: "DataFrame",
    looks: Iterable[Look],
    said: Mapping[Look, "Published"],
    passes: float,
    columns: int | None = None,
) -> "Figure":
    """Test error, its end once more on an axis of its own, and training error, over passes.

    ``said``: the published test errors after ``passes``. ``columns`` of the legend: one per look where
    none is given.
    """
    looks = list(looks)
    figure, axes = panels(3, PAGE, 2.8)
    tests = [100 * runs(table, look.arm, "test_error", x="epoch").iloc[1:] for look in looks]
    trained = [100 * runs(table, look.arm, "train_error", x="epoch").iloc[1:] for look in looks]
    for one, drawn in zip(axes, (tests, tests, trained), strict=True):
        for look, errors in zip(looks, drawn, strict=True):
            width = 0.8 if one is axes[1] else 1.3
            if one is axes[1] and look.shade:  # its colour alone tells it; dashes are lost in noise
                look = look._replace(line="-")
            trace(one, errors.clip(lower=FLOOR), look, "sd", width=width)
        one.set_xlabel("passes")
        one.set_xscale("log")
        # Room for the diamonds that stand aside.
        one.set_xlim(0.9, 1.8 * passes)
        ticks_of_log(one)
    for one in axes[:2]:
        for stand, (look, value) in enumerate(said.items()):
            published(one, look, value.number, passes, stand)
    error_axis(axes[0], "test", (1, 2, 5, 10, 20, 50, 100))
    zoom(axes[1], tests, passes, [value.number for value in said.values()])
    axes[1].set_ylabel("test error (%), the end")
    error_axis(axes[2], "training", (FLOOR, 0.1, 1, 10, 100))
    legend(figure, looks, columns or len(looks))
    footer(figure, seeds(*tests), "mean ± 1 SD", sources(said.values()))
    return figure


def zoom(
    axes: "Axes",
    drawn: Iterable["DataFrame"],
    last: float,
    points: Iterable[float],
    share: float = 6,
) -> None:
    """Limit ``axes`` to the end of what is drawn, from ``last / share`` on, and to the published ``points``.

    Up to one record in 50 may stand out: a single bad one would flatten all others.
    """
    late = [one[one.index >= min(last, one.index[-1]) / share] for one in drawn]
    lows = [sorted(band(one, "sd").low)[len(one) // 50] for one in late] + list(points)
    highs = [sorted(band(one, "sd").high)[-1 - len(one) // 50] for one in late] + list(points)
    axes.set_xlim(0.9 * min(float(one.index[0]) for one in late), 1.35 * last)
    room = 0.06 * (max(highs) - min(lows))
    axes.set_ylim(min(lows) - room, max(highs) + room)
    if axes.get_xscale() == "log":
        ticks_of_log(axes)


def ticks_of_log(axes: "Axes") -> None:
    """At most five round numbers on a logarithmic x axis."""
    low, high = axes.get_xlim()
    decades = [10.0**k for k in range(-2, 7)]
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = [d * f for d in decades for f in factors if low <= d * f <= high]
        if len(ticks) <= 5:
            break
    while len(ticks) > 5:
        ticks = ticks[::2]
    axes.minorticks_off()
    axes.set_xticks(ticks, [f"{tick:g}" if tick < 1e4 else _power(tick) for tick in ticks])


def _power(tick: float) -> str:
    """``10⁴`` or ``3·10⁴``."""
    digits, _, power = f"{tick:.0e}".partition("e")
    raised = "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(digit)] for digit in f"{int(power)}")
    return f"10{raised}" if digits == "1" else f"{digits}·10{raised}"


def seeds(*drawn: "DataFrame") -> str:
    """How many runs were drawn, and how many of them have diverged."""
    counts = [len(runs.columns) for runs in drawn]
    fewest, most = min(counts), max(counts)
    n = f"{most}" if fewest == most else f"{fewest} to {most}"
    text = f"n = {n} seed{'s' if most > 1 else ''}"
    lost = sum(int(runs.iloc[-1].isna().sum()) for runs in drawn)
    return f"{text} ({lost} of {sum(counts)} runs diverged)" if lost else text


def sources(values: Iterable["Published"]) -> str:
    """What the diamonds are, and how sure: ``diamonds: published, Fig. 2a (L14); certainty A``."""
    by_certainty: dict[str, dict[str, None]] = {}
    for value in values:
        by_certainty.setdefault(value.certainty, {})[f"{value.place} ({value.source})"] = None
    texts = [f"{', '.join(places)}, certainty {sure}" for sure, places in by_certainty.items()]
    return "diamonds: published, " + "; ".join(texts)


def footer(figure: "Figure", *parts: str) -> None:
    """Small print below the axes: n, spread, sources. In lines of one length, of the figure's width at most."""
    text = "; ".join(parts)
    width = int(figure.get_figwidth() * 18.5)
    lines = wrap(text, width)
    while len(shorter := wrap(text, width - 1)) == len(lines) > 1:
        lines, width = shorter, width - 1
    figure.supxlabel("\n".join(lines), fontsize=7, color=TEXT, x=0.01, ha="left")


def applied() -> AbstractContextManager[None]:
    """The style for a ``with``, free of whatever settings the user or the machine has."""
    import matplotlib.style

    return matplotlib.style.context(RC, after_reset=True)

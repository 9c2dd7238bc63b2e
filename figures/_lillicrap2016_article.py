"""The pictures of the 2016 article's own figures: printed curves in the axes of ours, at their own x."""

from collections.abc import Sequence
from functools import partial
from math import ceil, floor, isfinite, log10
from typing import TYPE_CHECKING

from figures import Figure, PublishedValues, Tables, style
from figures.style import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing
    from pandas import DataFrame

SHALLOW = Look("shallow", "shallow")
BACKPROP = Look("backprop", "backprop")
FEEDBACK = Look("feedback_alignment", "feedback alignment")
SPARSE = Look("sparse_feedback_alignment", "feedback alignment, 50 % sparse", "--", half=True)
PERTURBATION = Look("node_perturbation", "node perturbation")
LINEAR = (SHALLOW, PERTURBATION, BACKPROP, FEEDBACK)
DIGITS = (SHALLOW, BACKPROP, FEEDBACK, SPARSE)
DEPTH = (
    Look("backprop_3", "backprop, 3 layers", "--", half=True),
    Look("backprop_4", "backprop, 4 layers"),
    Look("feedback_alignment_3", "feedback alignment, 3 layers", "--", half=True),
    Look("feedback_alignment_4", "feedback alignment, 4 layers"),
    Look("feedback_alignment_4_frozen", "the same, first layer frozen", ":", published=False),
    SHALLOW,
)
LEARNERS = {look.arm: look for look in DEPTH[:4]}
SPIKING = (
    SHALLOW._replace(label="no feedback", published=False),
    FEEDBACK._replace(published=False),
)
SPIKING_500 = (
    Look("feedback_alignment_rate_0.01", "feedback alignment, rate 0.01", "--", published=False),
    FEEDBACK._replace(label="rate 0.001, as printed", published=False),
)
LAYERS = ("input", "hidden_1", "hidden_2", "hidden_3", "readout")
DIAMONDS = "diamonds: published"
QUARTILES, SD = "median and quartiles", "mean ± 1 SD"
# Of a picture's receptive fields: the first so many units, 28 x 28 pixels each.
FIELDS, SIDE = 12, 28


def printed(
    axes: "Axes",
    look: Look,
    published: PublishedValues,
    experiment: str,
    measure: str,
    end: float | None = None,
    unit: float = 1,
) -> None:
    """The published curve of an arm as small diamonds: of ``measure@x`` at x, of ``measure`` at ``end``.

    A mean over a window of examples stands at the window's middle. ``unit`` divides x.
    """
    for (where, arm, key), number in published.items():
        name, _, place = key.partition("@")
        value = number.plain
        if (where, arm, name) != (experiment, look.arm, measure) or value is None:
            continue
        digits = [int(word) for word in place.split() if word.isdigit()]
        x = sum(digits) / len(digits) if digits else end
        if x is not None:
            shown = 100 * value if number.unit == "%" else value
            axes.plot(x / unit, shown, linestyle="none", zorder=5, **look.diamond, markersize=3)


def _certainty(published: PublishedValues, experiment: str, *measures: str) -> str:
    """What the diamonds are: ``diamonds: published, Fig. 3a (NC16, certainty A)``."""
    return style.sources(
        number
        for (where, _, key), number in published.items()
        if where == experiment and key.partition("@")[0] in measures
    )


def _nse(axes: "Axes", label: str = "test error (NSE)") -> None:
    axes.set_yscale("log")
    axes.set_ylabel(label)


def _angle(axes: "Axes", label: str, x: str) -> None:
    style.right_angle(axes)
    axes.set_ylabel(label)
    axes.set_xlabel(x)


def rates(tables: Tables, published: PublishedValues) -> "Drawing":
    """What the learning rate decides on the linear task: the error after 2,000 examples."""
    table = tables["linear_search"]
    figure, panels = style.panels(4, style.PAGE, 2.4)
    drawn = []
    for axes, look in zip(panels, LINEAR, strict=True):
        arms = {float(a.rsplit("_", 1)[1]): a for a in set(table.arm) if a.startswith(look.arm)}
        x = sorted(arms)
        last = [style.runs(table, arms[rate], "test_nse").iloc[-1:] for rate in x]
        drawn += last
        bands = [style.band(one, "quartiles") for one in last]
        axes.plot(x, [b.centre.item() for b in bands], "o-", color=look.colour, label=look.label)
        low, high = ([getattr(b, edge).item() for b in bands] for edge in ("low", "high"))
        axes.vlines(x, low, high, color=look.colour)
        number = 10 ** published["linear", look.arm, "test_nse"].number
        axes.axhline(number, color=look.colour, linewidth=0.8, linestyle=(0, (4, 2)))
        axes.set_xscale("log")
        # Each rule has decades of its own.
        decades = range(
            floor(log10(min(number, *(low for low in low if low > 0)))),
            ceil(log10(max(number, *(high for high in high if isfinite(high))))) + 1,
        )
        axes.set_yscale("log")
        axes.set_yticks([10.0**d for d in decades[:: ceil(len(decades) / 5)]])
        axes.set_ylim(10.0 ** decades[0], 10.0 ** decades[-1])
        axes.minorticks_off()
        axes.set_xticks(x, [f"{rate:g}" for rate in x])
        axes.margins(x=0.08)
        axes.set_xlabel("learning rate")
    panels[0].set_ylabel("test error (NSE)")
    style.legend(figure, [look._replace(published=False) for look in LINEAR], columns=4)
    source = _certainty(published, "linear", "test_nse").replace("diamonds", "dashed lines")
    style.footer(figure, style.seeds(*drawn), QUARTILES, source)
    return figure


def digits(tables: Tables, published: PublishedValues) -> "Drawing":
    """Fig. 3a, b: the test error on digits by the printed rule, and FA's angle to backprop."""
    table = tables["digits"]
    figure, (error, end, angle) = style.panels(3, style.PAGE, 2.9)
    drawn, late = [], []
    last, share = float(table.step.max()) / 1e5, 6.5
    for look in DIGITS:
        drawn.append(100 * style.runs(table, look.arm, "test_error").iloc[1:])
        style.trace(error, drawn[-1], look, "sd")
        printed(error, look, published, "digits", "test_error", end=1_800_000)
        # The shallow net ends far above the others: its end would hide theirs.
        if look != SHALLOW:
            style.trace(end, drawn[-1], look, "sd", unit=1e5)
            printed(end, look, published, "digits", "test_error", end=1_800_000, unit=1e5)
            curve = style.points_of(published, "digits", look.arm, "test_error", 100)
            late += [value for x, value in curve.items() if last / share <= x / 1e5 <= last]
    style.error_axis(error, "test", (1.5, 2, 3, 5, 10, 20, 50, 100))
    error.set_xlabel("examples")
    style.zoom(end, [one.set_axis(one.index / 1e5) for one in drawn[1:]], last, late, share)
    end.set_xlim(last / share, 1.03 * last)
    end.set_ylabel("test error (%), the end")
    end.set_xlabel("examples (10⁵)")
    style.legend(figure, DIGITS, columns=4)
    for look in (FEEDBACK, SPARSE):
        found = style.runs(table, look.arm, "delta_angle", "hidden_1").iloc[1:]
        style.trace(angle, found, look, "sd")
    printed(angle, FEEDBACK, published, "digits", "delta_angle/hidden_1")
    _angle(angle, "angle to backprop (°)", "examples")
    for axes in (error, angle):
        axes.set_xscale("log")
        style.ticks_of_log(axes)
    source = _certainty(published, "digits", "test_error", "delta_angle/hidden_1")
    style.footer(figure, style.seeds(*drawn), SD, source)
    return figure


def depth(tables: Tables, published: PublishedValues) -> "Drawing":
    """Fig. 3d: nets with one and two hidden layers, taught by the printed teacher."""
    table = tables["depth"]
    figure, (error, end) = style.panels(2, style.PAGE, 2.9)
    drawn = [style.runs(table, look.arm, "test_nse_variance").iloc[1:] for look in DEPTH]
    for look, runs in reversed(list(zip(DEPTH, drawn, strict=True))):
        # The frozen nets end on the shallow one, whose line is the broader and lies below.
        style.trace(error, runs, look, "quartiles", unit=1e5, width=3 if look == SHALLOW else 1.3)
        printed(error, look, published, "depth", "test_nse_variance", end=395_000, unit=1e5)
    deep = [runs for look, runs in zip(DEPTH, drawn, strict=True) if look.arm in LEARNERS]
    for look, runs in zip(LEARNERS.values(), deep, strict=True):
        style.trace(end, runs, look, "quartiles", unit=1e5)
        printed(end, look, published, "depth", "test_nse_variance", end=395_000, unit=1e5)
    for axes in (error, end):
        axes.set_xlabel("examples (10⁵)")
    _nse(error, "test error (NSE by variance)")
    error.set_xscale("log")
    style.ticks_of_log(error)
    last = float(drawn[0].index[-1]) / 1e5
    tops = [float(style.band(runs, "quartiles").high.iloc[len(runs) // 3 :].max()) for runs in deep]
    end.set(xlim=(0, 1.04 * last), ylim=(-0.03 * max(tops), 1.08 * max(tops)))
    end.set_ylabel("test error, the end")
    style.legend(figure, DEPTH, columns=3)
    source = _certainty(published, "depth", "test_nse_variance")
    style.footer(figure, style.seeds(*drawn), QUARTILES, source)
    return figure


def function_of_depth(tables: Tables, published: PublishedValues) -> "Drawing":
    """How FA with four layers compares with backprop where depth helps backprop by so much."""
    import numpy as np

    table = tables["nonlinear_search"]
    figure, (axes,) = style.panels(1, style.COLUMN, 3.2)

    def ratio(one: str, other: str) -> list[float]:
        """Of the errors at the end, seed by seed: the geometric mean, and one SD of it down and up."""
        logs = np.log(style.runs(table, one, "test_nse")) - np.log(
            style.runs(table, other, "test_nse")
        )
        return [float(np.exp(edge.iloc[-1])) for edge in style.band(logs, "sd")]

    drawn = []
    for scale in ("0.18", "0.2", "0.22", "0.25"):
        three, four, ours = (
            f"{arm}_teacher_{scale}" for arm in ("backprop_3", "backprop_4", "feedback_alignment_4")
        )
        drawn.append(style.runs(table, ours, "test_nse"))
        (left, x, right), (low, y, high) = ratio(three, four), ratio(ours, four)
        axes.plot([left, right], [y, y], color=FEEDBACK.colour, linewidth=0.9)
        axes.plot([x, x], [low, high], color=FEEDBACK.colour, linewidth=0.9)
        axes.plot(x, y, "o", color=FEEDBACK.colour)
        # The first two lie near each other: the name of one above its dot, of the other below.
        aside, side = ((-4, -10), "right") if scale == "0.18" else ((4, 4), "left")
        axes.annotate(scale, (x, y), xytext=aside, textcoords="offset points", ha=side)
    said = {arm: published["depth", arm, "test_nse_variance"].number for arm in (
        "backprop_3", "backprop_4", "feedback_alignment_4")}  # fmt: skip
    x = said["backprop_3"] / said["backprop_4"]
    y = said["feedback_alignment_4"] / said["backprop_4"]
    axes.plot(x, y, linestyle="none", **FEEDBACK.diamond)
    axes.axhline(1, color=style.FAINT, linewidth=0.8, zorder=0)
    axes.set(xscale="log", yscale="log")
    axes.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes.set_yticks([0.5, 1, 2, 5, 10, 20], ["0.5", "1", "2", "5", "10", "20"])
    axes.minorticks_off()
    axes.margins(0.12)
    axes.set_xlabel("backprop's error, 3 layers over 4")
    axes.set_ylabel("4 layers, feedback alignment over backprop")
    style.footer(
        figure,
        style.seeds(*drawn),
        "geometric means at the end, ± 1 SD over seeds",
        "numbers: scale of the teacher",
        _certainty(published, "depth", "test_nse_variance").replace("diamonds", "diamond"),
    )
    return figure


def spiking(
    tables: Tables, published: PublishedValues, experiment: str, looks: Sequence[Look]
) -> "Drawing":
    """Fig. 4: the test error of a spiking net, pass by pass."""
    table = tables[experiment]
    figure, (axes,) = style.panels(1, style.COLUMN, 2.7)
    drawn = []
    for look in looks:
        drawn.append(100 * style.runs(table, look.arm, "test_error", x="epoch"))
        style.trace(axes, drawn[-1], look, "sd")
    number = published["spiking", FEEDBACK.arm, "test_error"]
    # The article does not say how long it trained: a line, which is at no pass.
    axes.axhline(number.number, color=FEEDBACK.colour, linewidth=0.8, linestyle=(0, (4, 2)))
    style.error_axis(axes, "test", (1, 2, 5, 10, 20, 50, 100))
    axes.set_xlabel("passes through the training set")
    style.legend(figure, looks, columns=2)
    source = style.sources([number]).replace("diamonds", "dashed line")
    style.footer(figure, style.seeds(*drawn), SD, source)
    return figure


def rasters(tables: Tables, published: PublishedValues) -> "Drawing":
    """Fig. 4: spikes of some units of every layer, and one unit's potential and signal, as training goes on."""
    import numpy as np
    from matplotlib.figure import Figure as Canvas

    del published  # the article's rasters have no numbers
    table = tables["spiking.arrays"]
    table = table[table.measure == "traces"]
    steps = sorted(table.step.unique())
    figure = Canvas(figsize=(style.PAGE, 5), layout="constrained")
    axes = figure.subplots(3, len(steps), sharex=True, sharey="row", height_ratios=[4, 1, 1])
    for column, step in enumerate(steps):
        rows, (raster, *traces) = table[table.step == step], axes[:, column]
        raster.set_title(f"after {step:,} images" if step else "before learning")
        base, ticks = 0, []
        for layer in LAYERS:
            spikes = _rows(rows, f"spikes_{layer}")
            if spikes.empty:
                continue
            units = int(max(int(place.split("/")[1]) for place in spikes.place)) + 1
            unit, when = np.nonzero(np.array(_matrix(spikes, units)))
            raster.plot(when, base + unit, "|", color="black", markersize=0.9, markeredgewidth=0.5)
            ticks.append((base + units / 2, layer.replace("_", " ")))
            base += units + 4
        raster.set_yticks(*zip(*ticks, strict=True))
        raster.tick_params(axis="y", length=0)
        for one, kind in zip(traces, ("potential", "signal"), strict=True):
            found = [_numbers(text) for text in _rows(rows, f"{kind}_hidden_2")["values"]]
            one.plot(np.concatenate(found), color="black", linewidth=0.8)
            if column == 0:
                one.set_ylabel(kind)
        for edge in range(1, len(found)):
            for one in axes[:, column]:
                one.axvline(edge * len(found[0]), color=style.FAINT, linewidth=0.8, zorder=0)
        traces[-1].set_xlabel("time step")
    style.footer(
        figure,
        "one run",
        "two test images one after the other, nothing learns meanwhile",
        "potential and modulatory signal: one unit of hidden layer 2",
    )
    return figure


def _rows(table: "DataFrame", layer: str) -> "DataFrame":
    found = table[table.layer == layer]
    return found.assign(place=found.place.astype(str))


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.split()]


def _matrix(spikes: "DataFrame", units: int) -> list[list[float]]:
    """A row for each unit, the images one after the other."""
    rows: list[list[float]] = [[] for _ in range(units)]
    for place, text in zip(spikes.place, spikes["values"], strict=True):
        rows[int(place.split("/")[1])] += _numbers(text)
    return rows


def mechanics(tables: Tables, published: PublishedValues) -> "Drawing":
    """Fig. 5a, c: how W comes to align with B', and what that is good for when layers learn in turn."""
    table, turns = tables["mechanics"], tables["phases"]
    figure, (angle, error) = style.panels(2, style.PAGE, 2.8)
    drawn = style.runs(table, FEEDBACK.arm, "weight_angle", "readout")
    units = [f"unit_{k}" for k in range(1, 11)]
    for name in units:
        one = style.runs(table, FEEDBACK.arm, "unit_angle", name)
        angle.plot(one.index / 1e5, one.iloc[:, 0], color=style.FAINT, linewidth=0.8, zorder=1)
    angle.plot([], [], color=style.FAINT, linewidth=0.8, label="ten single units, one net")
    all_of = FEEDBACK._replace(label="all synapses")
    style.trace(angle, drawn, all_of, "sd", unit=1e5)
    printed(angle, FEEDBACK, published, "mechanics", "weight_angle/readout", 200_000, 1e5)
    angle.legend(loc="upper right")
    _angle(angle, "angle between W and Bᵀ (°)", "examples (10⁵)")
    angle.set_yticks(range(0, 136, 15))
    rows = {}
    for look in (BACKPROP._replace(published=False), FEEDBACK):
        rows[look] = style.runs(turns, look.arm, "test_nse_variance")
        phase = rows[look].index.max() / 3
        style.trace(error, rows[look], look, "sd", unit=phase)
    # Print's phases are of 250,000 examples each, whatever ours are.
    printed(error, FEEDBACK, published, "phases", "test_nse_variance", 750_000, 250_000)
    learns = ("hidden weights", "readout", "hidden weights")
    for k, who in enumerate(learns):
        error.text(k + 0.5, 1.02, who, ha="center", va="bottom", fontsize=7, color=style.TEXT,
                   transform=error.get_xaxis_transform())  # fmt: skip
        error.axvline(k, color=style.FAINT, linewidth=0.8, zorder=0)
    error.set_ylim(bottom=0)
    error.set_xticks(range(4))
    error.set_xlabel(f"phases of {phase:,.0f} examples; above: what learns")
    error.set_ylabel("test error (NSE by variance)")
    style.legend(figure, list(rows), columns=2)
    places = _certainty(published, "mechanics", "weight_angle/readout")
    more = _certainty(published, "phases", "test_nse_variance").removeprefix(f"{DIAMONDS}, ")
    style.footer(figure, style.seeds(drawn, *rows.values()), SD, f"{places}; {more}")
    return figure


def fields(tables: Tables, published: PublishedValues) -> "Drawing":
    """Supplement: what some hidden units see, under three rules."""
    import numpy as np
    from matplotlib.figure import Figure as Canvas

    del published  # a picture without numbers
    table = tables["digits.arrays"]
    looks = (BACKPROP, FEEDBACK, SPARSE)
    figure = Canvas(figsize=(style.PAGE, 2.3), layout="constrained")
    axes = figure.subplots(len(looks), FIELDS)
    for row, look in zip(axes, looks, strict=True):
        found = table[(table.arm == look.arm) & (table.measure == "fields")]
        images = [np.reshape(_numbers(text), (SIDE, SIDE)) for text in found["values"]]
        for one, image in zip(row, images, strict=True):
            most = float(np.abs(image).max())
            one.imshow(image, cmap="gray", vmin=-most, vmax=most)
            one.set(xticks=[], yticks=[])
            for edge in one.spines.values():
                edge.set_visible(False)
        label = look.label.replace(", 50 % sparse", ",\n50 % sparse").replace(
            "feedback a", "feedback\na"
        )
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", color=look.colour)
    style.footer(
        figure, "weights into the first 12 hidden units of one net each at the end of training",
        "grey: 0, each to its own largest weight",
    )  # fmt: skip
    return figure


FIGURES = {
    "fig2_rates": Figure(
        rates,
        ("linear_search",),
        "What the learning rates of the linear task decide, which the article chose by hand for speed: "
        "the error after 2,000 examples, median and quartiles over seeds; dashed lines, the printed "
        "ends.",
        claims=("L1",),
    ),
    "fig3_digits": Figure(
        digits,
        ("digits",),
        "Fig. 3a, b of the article: handwritten digits, 784-1000-10, by the printed rule. a, Test error, "
        "mean and 1 SD over seeds; diamonds, the printed curves at their own x and, last, the printed "
        "ends. b, Its end, on an axis of its own. c, Angle between the hidden updates of feedback "
        "alignment and of backprop at the same weights; diamonds, the printed curve. In a quick "
        "run 4,000 digits stand for 60,000.",
        claims=("L4-printed", "L4-curve", "L5-printed", "L6-printed"),
        shown=True,
    ),
    "fig3_depth": Figure(
        depth,
        ("depth",),
        "Fig. 3d of the article, with the printed scale of the teacher (0.5): nets with one and two "
        "hidden layers learn a tanh net's map. a, Error on held-out examples, over the targets' variance, as "
        "the article says: median and quartiles over seeds; diamonds, the printed curves. b, The nets that "
        "learn in every layer, on an axis of its own.",
        claims=("L7-printed", "L7-frozen"),
    ),
    "fig3_function": Figure(
        function_of_depth,
        ("nonlinear_search",),
        "Fig. 3d as a function of how much depth helps backprop: the error of feedback alignment over "
        "that of backprop, both with two hidden layers, for four scales of the teacher; diamond, print.",
        claims=("L7-function",),
    ),
    "fig4_spiking": Figure(
        partial(spiking, experiment="spiking", looks=SPIKING),
        ("spiking",),
        "Fig. 4 of the article: a net of stochastic binary units whose error travels down through fixed "
        "random weights while spikes travel up. Test error, mean and 1 SD over seeds; dashed, print. In "
        "a quick run a net of 100 units a layer learns 4,000 digits at a hundred times the printed rate.",
        claims=("L9",),
    ),
    "fig4_spiking_500": Figure(
        partial(spiking, experiment="spiking_500", looks=SPIKING_500),
        ("spiking_500",),
        "Fig. 4 of the article with 500 units in each hidden layer in place of 1,500, at the printed rate "
        "and at ten times as much: test error, mean and 1 SD over seeds; dashed line, print, whose net is "
        "the larger one.",
        claims=("L9-500",),
    ),
    "fig4_rasters": Figure(
        rasters,
        ("spiking.arrays",),
        "Fig. 4 of the article, as training goes on: the spikes of up to 50 units of every layer while "
        "two test images are shown, and the potential and the modulatory signal of one unit of the "
        "second hidden layer.",
    ),
    "fig5_mechanics": Figure(
        mechanics,
        ("mechanics", "phases"),
        "Fig. 5a, c of the article: a 20-1000-20 net learns quadratic forms. a, Angle between W and the "
        "transpose of B over all synapses, mean and 1 SD over seeds, and of ten single hidden units; "
        "diamonds, print. b, Error where the layers learn in turn, under feedback alignment and, as a "
        "control, under backprop; diamonds, print, whose phases are of 250,000 examples.",
        claims=("L10", "L10-levels", "L11", "L11-aligned", "L11-levels"),
    ),
    "suppl_fields": Figure(
        fields,
        ("digits.arrays",),
        "Supplement of the article: receptive fields. The weights into twelve hidden units after "
        "learning digits by backprop, by feedback alignment, and with half of the elements of W and of B "
        "removed.",
    ),
}

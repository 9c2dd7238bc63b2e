"""The tables and pictures of Nøkland 2016, ours beside the published numbers."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from figures import Figure, PublishedValues, Tables, dots, style
from figures.style import FLOOR, Look

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing
    from pandas import DataFrame

BACKPROP = Look("backprop", "backprop")
FEEDBACK = Look("feedback_alignment", "feedback alignment")
DIRECT = Look("direct_feedback_alignment", "direct feedback alignment")
INDIRECT = Look("indirect_feedback_alignment", "indirect feedback alignment")
LOOKS = (BACKPROP, FEEDBACK, DIRECT, INDIRECT)
# Where feedback alignment starts in seven layers: that of the code, and the experiment's others.
STARTS = (
    FEEDBACK._replace(label="first layer drawn (the code)"),
    Look("feedback_alignment_zeros", "all at zero", "--", published=False),
    Look("feedback_alignment_uniform", "all drawn", ":", published=False),
)
# Rates: the constant one of the tables, and those that halve every 50 passes (of the experiment beside).
HALVED_7X240 = (
    BACKPROP,
    FEEDBACK,
    Look("backprop_halved", "backprop, rate halved every 50 passes", "--", published=False),
    Look("feedback_alignment_halved", "feedback alignment, halved", "--", published=False),
)
HALVED_DROPOUT = (
    BACKPROP,
    DIRECT,
    Look("backprop_halved", "backprop, halved from 1e-4", "--", published=False),
    Look("direct_feedback_alignment_halved", "direct, halved from 1e-4", "--", published=False),
    Look("backprop_0.0004_halved", "backprop, halved from 4e-4", ":", published=False),
    Look(
        "direct_feedback_alignment_0.0004_halved", "direct, halved from 4e-4", ":", published=False
    ),
)

MNIST = {
    "mnist_7x240": "7x240 tanh",
    "mnist_100x240": "100x240 tanh",
    "mnist_1x800": "1x800 tanh",
    "mnist_2x800": "2x800 tanh",
    "mnist_3x800": "3x800 tanh",
    "mnist_4x800": "4x800 tanh",
    "mnist_2x800_logistic": "2x800 logistic",
    "mnist_2x800_relu": "2x800 ReLU",
    "mnist_2x800_dropout": "2x800 tanh + DO",
    "mnist_2x800_adversarial": "2x800 tanh + ADV",
}
CIFAR = {
    "1x1000": "1x1000 tanh",
    "3x1000": "3x1000 tanh",
    "3x1000_dropout": "3x1000 tanh + DO",
    "conv": "CONV tanh",
}
# The tanh nets of Table 1 by depth.
DEPTHS = {"mnist_1x800": 1, "mnist_2x800": 2, "mnist_3x800": 3, "mnist_4x800": 4, "mnist_7x240": 7}
# The loop of the author's code runs epochs 1 to 299.
PASSES = 299
# A column that has an experiment of its own.
APART = {("mnist_100x240", INDIRECT.arm): "mnist_100x240_indirect"}


def _cells(ends: "DataFrame", rows: Mapping[str, str]) -> list["_Cell"]:
    """Every cell of a table of the paper that there is."""
    by_place = {(e.experiment, e.arm, e.measure): e for e in ends.itertuples()}
    cells = []
    for experiment, model in rows.items():
        for look in LOOKS:
            place = APART.get((experiment, look.arm), experiment)
            test = by_place.get((place, look.arm, "test_error"))
            if test is not None:
                trained = by_place[place, look.arm, "train_error"]
                cells.append(_Cell(model, look, test, trained))
    return cells


class _Cell(NamedTuple):
    """One cell: a row of the end table for the test error, and one for the training error."""

    model: str
    look: Look
    test: Any
    train: Any

    @property
    def texts(self) -> tuple[str, str, str]:
        """Ours, the paper's and the difference, in words."""
        test = self.test
        spread = f" ± {test.sd:.2f}" if isfinite(test.sd) else ""
        ours = f"{test.mean:.2f}{spread} ({self.train.mean:.2f}), n = {test.n}"
        ours += f", {test.diverged} diverged" if test.diverged else ""
        mark = f" {dots.MARKS[test.verdict]}" if test.verdict in dots.MARKS else ""
        if not test.place:  # no cell of the paper's
            return ours, "", ""
        if not isfinite(test.published):
            return ours, f"no convergence{mark}", ""
        digits = 2 if test.published < 10 else 1
        theirs = f"{test.published:.{digits}f} ± {test.published_sd:.{digits}f}"
        theirs += f" ({self.train.published:g})" if isfinite(self.train.published) else ""
        theirs += f" [{test.certainty}]" if test.certainty != "C" else ""
        return ours, theirs, f"{test.difference:+z.2f}{mark}"


def markdown(rows: Mapping[str, str], ends: "DataFrame") -> str:
    """The table as the paper has it, a column of ours and of the paper's for each rule."""
    cells = _cells(ends, rows)
    looks = list(dict.fromkeys(cell.look for cell in cells))
    heads = [part for look in looks for part in (f"{look.label}: ours", "published", "difference")]
    lines = [_row(["model", *heads]), _row(["---"] * (1 + len(heads)))]
    for model in dict.fromkeys(cell.model for cell in cells):
        texts = {cell.look: cell.texts for cell in cells if cell.model == model}
        lines.append(_row([model, *(t for look in looks for t in texts.get(look, ("", "", "")))]))
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def table(rows: Mapping[str, str], tables: Tables, published: PublishedValues) -> "Drawing":
    """The test errors of a table of the paper: ours over the paper's, a row a net, a colour a rule."""
    from matplotlib.figure import Figure as Drawing

    cells = _cells(tables["ends"], rows)
    shown = {
        model: [cell.test for cell in cells if cell.model == model]
        for model in rows.values()
        if model in {cell.model for cell in cells}
    }
    figure = Drawing(figsize=(style.PAGE, 1.45 + 0.34 * len(shown)))
    bottom, top = 0.85 / figure.get_figheight(), 1 - 0.45 / figure.get_figheight()
    axes = figure.add_axes((0.21, bottom, 0.67, top - bottom))
    lines = [dots.Row(f"{model}, {_runs(ends)}", ends) for model, ends in shown.items()]
    dots.draw(axes, lines)
    if (
        max(one.mean for ends in shown.values() for one in ends)
        > 60
        > min(one.mean for ends in shown.values() for one in ends)
    ):
        low = min(one.mean for ends in shown.values() for one in ends)
        bend = (
            1.15 * sorted(one.mean for ends in shown.values() for one in ends if one.mean < 60)[-1]
        )
        dots.two_scales(axes, {0.85 * low: 0.0, bend: 0.9, 100.0: 1.0})
        axes.set_xticks([*_ticks(low, bend), 90])
    axes.set_xlabel("test error at the end of training (%)")
    arms = dict.fromkeys(one.arm for ends in shown.values() for one in ends)
    absent = [model for model in rows.values() if model not in shown]
    place = next(p.table for key, p in published.items() if key[0] in rows)
    judged = any(cell.test.verdict for cell in cells)
    dots.legend(figure, arms, 3, published=judged)
    surer = [
        f"{cell.test.certainty}: {cell.model}, {cell.look.label}"
        for cell in cells
        if cell.test.place and cell.test.certainty != "C"
    ]
    style.footer(
        figure,
        *([f"published: {place}, certainty C", *surer] if judged else []),
        dots.KEY if judged else "no marks: another training set than the paper's",
        *([f"not run: {', '.join(absent)}"] if absent else []),
    )
    return figure


def _runs(ends: Sequence[Any]) -> str:
    fewest, most = min(one.n for one in ends), max(one.n for one in ends)
    return f"n = {most}" if fewest == most else f"n = {fewest} to {most}"


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between the two, at most five of them."""
    step = next(s for s in (0.5, 1, 2, 5, 10, 20) if (high - low) / s <= 5.5)
    first = int(low / step) + 1
    return [step * k for k in range(first, int(high / step) + 1)]


def excess(tables: Tables, published: PublishedValues) -> "Drawing":
    """Ours over print by depth, for the tanh nets of Table 1: feedback alignment's excess grows with depth."""
    del published  # it is in the end table
    figure, (axes,) = style.panels(1, style.PAGE, 2.8)
    ends = tables["ends"]
    for aside, look in zip((-0.06, 0, 0.06), LOOKS[:3], strict=True):
        found = [
            dots.find(ends, name, "test_error", [look.arm])[0]
            for name in DEPTHS
            if _there(ends, name)
        ]
        x = [DEPTHS[one.experiment] + aside for one in found]
        for place, one in zip(x, found, strict=True):
            span = [one.low - one.published, one.high - one.published]
            axes.plot([place, place], span, color=look.colour, linewidth=0.9)
        axes.plot(
            x,
            [one.difference for one in found],
            "o-",
            color=look.colour,
            label=look.label,
            markersize=3.5,
        )
    axes.axhline(0, color=style.TEXT, linewidth=0.8, linestyle=(0, (4, 2)), zorder=0)
    axes.text(5.5, 0.012, "print", ha="center", color=style.TEXT)
    axes.set_xticks(list(DEPTHS.values()))
    axes.set_xlim(0.6, 7.4)
    axes.set_xlabel("hidden layers (of 800 tanh units; 7: of 240)")
    axes.set_ylabel("test error over print (points)")
    figure.legend(loc="outside upper left", ncols=3)
    counts = [
        one.n for name in DEPTHS for one in dots.find(ends, name, "test_error", [FEEDBACK.arm])
    ]
    style.footer(
        figure,
        f"n = {min(counts)} to {max(counts)} runs",
        "bars: our 95 % interval",
        "print: Table 1, certainty C",
    )
    return figure


def _there(ends: "DataFrame", experiment: str) -> bool:
    return bool(dots.find(ends, experiment, "test_error", [FEEDBACK.arm]))


def error_curves(tables: Tables, published: PublishedValues) -> "Drawing":
    """Fig. 3: a 2x800 net whose first hidden layer is frozen at first, and one that is not."""
    lines: dict[str, Literal["-", ":"]] = {"test_error": "-", "train_error": ":"}
    figure, panels = style.panels(3, style.PAGE, 2.9)
    drawn, late = [], []
    for axes, experiment in zip(panels[:2], ("mnist_2x800_frozen", "mnist_2x800"), strict=True):
        for look in LOOKS[:3]:
            for measure, line in lines.items():
                runs = 100 * style.runs(tables[experiment], look.arm, measure, x="epoch").iloc[1:]
                drawn.append(runs)
                style.trace(axes, runs.clip(lower=FLOOR), look._replace(line=line), "sd")
                if (experiment, measure) == ("mnist_2x800", "test_error"):
                    style.trace(panels[2], runs, look, "sd")
                    late.append(runs)
    said = {look: published["mnist_2x800", look.arm, "test_error"] for look in LOOKS[:3]}
    last = min(float(late[0].index[-1]), PASSES)
    if last < PASSES:  # a short run: its axes end before the paper's training does
        said = {}
    for axes in panels[1:]:
        for stand, (look, value) in enumerate(said.items()):
            style.published(axes, look, value.number, PASSES, stand)
    for axes in panels:
        axes.set_xscale("log")
        # Room for the diamonds that stand aside.
        axes.set_xlim(0.9, 1.8 * last)
        axes.set_xlabel("passes")
        style.ticks_of_log(axes)
    fitted = min(float(runs.iloc[-1].min()) for runs in drawn) < 1
    ticks = (FLOOR, 0.1, 1, 10, 100) if fitted else (1, 2, 5, 10, 20, 50, 100)
    for axes in panels[:2]:
        style.error_axis(axes, "", ticks)
        axes.set_ylabel("")
    lows, highs = zip(*(axes.get_ylim() for axes in panels[:2]), strict=True)
    for axes in panels[:2]:
        axes.set_ylim(min(lows), max(highs))
    style.zoom(panels[2], late, last, [value.number for value in said.values()])
    panels[0].set_ylabel("error (%): test (lines), training (dots)")
    panels[2].set_ylabel("test error (%), the end")
    style.legend(figure, [look._replace(published=look in said) for look in LOOKS[:3]], columns=3)
    said_by = style.sources(said.values()) if said else f"print, after {PASSES} passes, is outside"
    style.footer(figure, style.seeds(*drawn), "mean ± 1 SD", said_by)
    return figure


def angles(experiment: str, depth: int, tables: Tables, published: PublishedValues) -> "Drawing":
    """Angle between the error signal of each hidden layer and backprop's, over training."""
    del published  # the paper gives no angle
    figure, panels = style.panels(2, style.PAGE, 2.7, sharey=True)
    drawn = []
    for axes, look in zip(panels, (DIRECT, FEEDBACK), strict=True):
        shades = style.shades(look.arm, depth)
        for layer, shade in enumerate(shades, 1):
            one = style.Look(look.arm, f"{layer}", shade=shade)
            runs = style.runs(
                tables[experiment], look.arm, "delta_angle", f"hidden_{layer}", "epoch"
            )
            drawn.append(runs)
            style.trace(axes, runs, one, "sd")
        axes.set_xlabel("passes through the training set")
        axes.legend(
            title=f"{look.label}: hidden layer",
            loc="lower right",
            ncols=4,
            columnspacing=1,
            handlelength=1.6,
        )
    # After both are drawn: they share the axis.
    for axes in panels:
        style.right_angle(axes)
    panels[0].set_ylabel("angle to backprop (°)")
    style.footer(
        figure,
        style.seeds(*drawn),
        "mean ± 1 SD",
        "no angle at the start, where the weights above are zero and backprop sends nothing",
    )
    return figure


def starts(tables: Tables, published: PublishedValues) -> "Drawing":
    """Feedback alignment in seven hidden layers from three starts: test error and training error."""
    import pandas as pd

    table = pd.concat([tables["mnist_7x240"], tables["mnist_7x240_starts"]])
    # The inner ones: the darkest is next to backprop's black.
    shades = style.shades(FEEDBACK.arm, len(STARTS) + 2)[1:-1]
    looks = [look._replace(shade=shade) for look, shade in zip(STARTS, shades, strict=True)]
    return _variants("mnist_7x240", table, looks, published)


def halved(
    experiment: str, looks: Sequence[Look], tables: Tables, published: PublishedValues
) -> "Drawing":
    """Rules at the constant rate and at rates that halve on the way: test error and training error."""
    import pandas as pd

    other = tables[f"{experiment}_halved"]
    table = pd.concat([tables[experiment], other.assign(arm=other.arm + "_halved")])
    return _variants(experiment, table, looks, published, columns=len(looks) // 2)


def _variants(
    experiment: str,
    table: "DataFrame",
    looks: Sequence[Look],
    published: PublishedValues,
    columns: int | None = None,
) -> "Drawing":
    """An experiment's arms and others beside them, the published ends where training ends."""
    said = {look: published[experiment, look.arm, "test_error"] for look in looks if look.published}
    return style.learning_curves(table, looks, said, PASSES, columns)


def features(tables: Tables, published: PublishedValues) -> "Drawing":
    """What the hidden layers put out, in the plane: a row a rule, a column a layer, a colour a digit."""
    from matplotlib.figure import Figure as Drawing
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke

    from replications.harness.projection import PERPLEXITY

    del published  # the paper gives a picture, no numbers
    table = tables["mnist_3x400.embedding"]
    layers = sorted(set(table.layer))
    figure = Drawing(figsize=(style.PAGE, 5.1), layout="constrained")
    rows = figure.subplots(2, len(layers))
    halo = withStroke(linewidth=2, foreground="white")
    bold: dict[str, Any] = {"weight": "bold", "path_effects": [halo]}
    for row, look in zip(rows, (BACKPROP, DIRECT), strict=True):
        row[0].set_ylabel(look.label, color=look.colour, weight="bold", fontsize=8)
        for axes, layer in zip(row, layers, strict=True):
            axes.set(xticks=[], yticks=[])
            points = table[(table.arm == look.arm) & (table.layer == layer)]
            if points.x.isna().any():
                axes.text(0.5, 0.5, "diverged", transform=axes.transAxes, ha="center")
                continue
            # In an order by chance: else the last class would lie on top.
            mixed = points.sample(frac=1, random_state=0)
            colours = [style.CLASSES[label] for label in mixed.label]
            axes.scatter(mixed.x, mixed.y, s=5, c=colours, linewidths=0)
            axes.set_aspect("equal", "datalim")
            for label, middle in points.groupby("label")[["x", "y"]].median().iterrows():
                axes.text(*middle, f"{label}", ha="center", va="center", **bold)
    for axes, layer in zip(rows[0], layers, strict=True):
        axes.set_title(layer.replace("_", " layer "))
    handles = [
        Line2D([], [], linestyle="none", marker="o", color=colour, label=f"{digit}")
        for digit, colour in enumerate(style.CLASSES)
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=10, handlelength=1)
    style.footer(
        figure,
        f"n = {table.example.nunique():,} held-out digits, the same in every panel; one run of "
        f"each rule",
        "a number stands at the median of its points",
        f"t-SNE of each layer by itself, perplexity {PERPLEXITY}: its axes have no units, and distances "
        "between groups mean little",
    )
    return figure


def _table(rows: Mapping[str, str], caption: str, claims: tuple[str, ...] = ()) -> Figure:
    needs = (*rows, *(place for (row, _), place in APART.items() if row in rows))
    shown = rows is MNIST
    return Figure(
        partial(table, rows), needs, caption, partial(markdown, rows), True, claims, shown
    )


_CELLS = (
    "Test error at the end of training. Filled dots: the mean of our runs, with 1 SD. Open "
    "diamonds: the paper's, "
    "with its SD. Marks, by rule: ✔ the two means differ by no more than both spreads explain "
    "and than the "
    "published spread of the row; ≈ by more than the spreads explain; ? by more than the "
    "row's spread; ✘ by more "
    "than either; … runs are lacking. Where the paper saw no convergence there is no diamond, "
    "and every run of ours must be "
    "above 50 %. Indirect feedback is a column of ours. The same as a table, with the "
    "training errors: the files .md and .csv beside it."
)


_HALVED = (
    "a, Test error. b, Its end, on an axis of its own. c, Training error, at least 0.01 %, "
    "where training stops. Diamonds: the "
    "published test errors, where the paper's training ends."
)


def _angles(net: str, depth: int) -> Figure:
    return Figure(
        partial(angles, f"mnist_{net}", depth),
        (f"mnist_{net}",),
        "Angle between the error signal of each hidden layer and the one that backprop would "
        "send at the same "
        f"weights, in a {net} tanh net on MNIST. a, Direct feedback from zeros. b, Feedback "
        f"alignment. Mean and "
        "1 SD over seeds. At full scale a run stops when it has fitted the training digits, "
        "and its lines go on "
        "as they were.",
        claims=("N8",),
    )


FIGURES = {
    "table1_mnist": _table(
        MNIST,
        f"Table 1. MNIST. {_CELLS} The quick preset has some of the rows, on 4,000 "
        "digits and in fewer updates, so that its levels are not the paper's.",
        claims=("N1", "N2", "N3", "N5"),
    ),
    "excess": Figure(
        excess,
        tuple(DEPTHS),
        "How far our test error is over the printed one, by depth, for the tanh nets of Table 1. Dots: "
        "difference of the means; bars: our 95 % interval. Backprop and direct feedback "
        "scatter about print at every "
        "depth; feedback alignment's excess grows with depth.",
        ends=True,
        claims=("N2",),
        shown=True,
    ),
    "table2_cifar10": _table(
        {f"cifar10_{row}": model for row, model in CIFAR.items()},
        f"Table 2. CIFAR-10. {_CELLS}",
        claims=("N6", "N7"),
    ),
    "table3_cifar100": _table(
        {f"cifar100_{row}": model for row, model in CIFAR.items()},
        f"Table 3. CIFAR-100. {_CELLS}",
    ),
    "fig3_error_curves": Figure(
        error_curves,
        ("mnist_2x800", "mnist_2x800_frozen"),
        "Fig. 3. Test error (lines) and training error (dots) of a 2x800 tanh net on MNIST. "
        "a, The first "
        "hidden layer, drawn at random, does not learn at first (in the full preset for 100 passes of "
        "299, in the quick one for 5 of 10) and then does. b, Normal training. c, The end of "
        "b, on an axis of its own. Diamonds: the published test "
        "error at the end of training on 60,000 digits; the quick preset has 4,000, so its "
        "curves end higher.",
    ),
    "angles_7x240": _angles("7x240", 7),
    "angles_3x800": _angles("3x800", 3),
    "starts_7x240": Figure(
        starts,
        ("mnist_7x240", "mnist_7x240_starts"),
        "Feedback alignment in a 7x240 tanh net on MNIST, from three starts: the first layer "
        "drawn and the "
        "others at zero, as in the author's code; all at zero, as we recall the paper; all "
        "drawn, as for "
        "backprop. a, Test error. b, Its end, on an axis of its own. c, Training error, at "
        "least 0.01 %, where training stops. Diamond: the "
        "published test error.",
        claims=("N2",),
        shown=True,
    ),
    "halved_7x240": Figure(
        partial(halved, "mnist_7x240", HALVED_7X240),
        ("mnist_7x240", "mnist_7x240_halved"),
        f"A 7x240 tanh net on MNIST at the constant rate of the paper, and at one that halves. "
        f"{_HALVED}",
        claims=("N2",),
    ),
    "halved_dropout": Figure(
        partial(halved, "mnist_2x800_dropout", HALVED_DROPOUT),
        ("mnist_2x800_dropout", "mnist_2x800_dropout_halved"),
        "A 2x800 tanh net with dropout on MNIST at the constant rate of 1e-4, and at two that "
        "halve every 50 "
        f"passes; the paper's decayed in a way that it does not give. {_HALVED}",
        claims=("N5",),
    ),
    "features": Figure(
        features,
        ("mnist_3x400.embedding",),
        "What the hidden layers of a 3x400 tanh net put out for held-out MNIST digits, placed "
        "in the plane by "
        "t-SNE. Every point is a digit; its class, which t-SNE does not know, gives the "
        "colour. Top, backprop. "
        "Bottom, direct feedback from zeros.",
    ),
}

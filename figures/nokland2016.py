"""The tables and pictures of Nøkland 2016, ours beside the published numbers."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import isfinite
from textwrap import dedent
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from figures import Figure, PublishedValues, Tables, style
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
    Look("backprop_halved", "halved every 50 passes", "--", published=False),
    Look("feedback_alignment_halved", "halved every 50 passes", "--", published=False),
)
HALVED_DROPOUT = (
    BACKPROP,
    DIRECT,
    Look("backprop_halved", "halved, from 1e-4", "--", published=False),
    Look("direct_feedback_alignment_halved", "halved, from 1e-4", "--", published=False),
    Look("backprop_0.0004_halved", "halved, from 4e-4", ":", published=False),
    Look("direct_feedback_alignment_0.0004_halved", "halved, from 4e-4", ":", published=False),
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
# A column that has an experiment of its own.
APART = {("mnist_100x240", INDIRECT.arm): "mnist_100x240_indirect"}

TINTS = {
    "reproduced": "#CDEBDF",
    "near": "#D6E6F2",
    "inconclusive": "#F6E7C1",
    "incomplete": "#EFEFEF",
    "not reproduced": "#EBCFDD",
}
MARKS = {
    "reproduced": "✔",
    "near": "≈",
    "inconclusive": "?",
    "incomplete": "…",
    "not reproduced": "✘",
}


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
        mark = f" {MARKS[test.verdict]}" if test.verdict in MARKS else ""
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
    """A table of the paper: in each cell ours, the paper's, the difference, the verdict's colour."""
    from matplotlib.figure import Figure as Drawing
    from matplotlib.patches import Rectangle

    cells = _cells(tables["ends"], rows)
    models = list(dict.fromkeys(cell.model for cell in cells))
    shown = [look for look in LOOKS if look in {cell.look for cell in cells}]
    figure = Drawing(figsize=(style.PAGE, 0.95 + 0.42 * len(models)), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(0, 0.8 + len(shown)), ylim=(len(models), -0.5))
    axes.axis("off")
    for i, look in enumerate(shown):
        label = look.label.replace("direct ", "direct\n")
        axes.text(0.85 + i, -0.08, label, color=look.colour, weight="bold", fontsize=6.8)
    for k, model in enumerate(models):
        axes.text(0, k + 0.5, model, va="center")
        axes.axhline(k, color=style.FAINT, linewidth=0.5)
    for cell in cells:
        k, i = models.index(cell.model), shown.index(cell.look)
        if cell.test.verdict in TINTS:
            tint = TINTS[cell.test.verdict]
            axes.add_patch(Rectangle((0.8 + i, k), 1, 1, facecolor=tint, edgecolor="white"))
        ours, theirs, difference = cell.texts
        axes.text(0.85 + i, k + 0.27, ours, va="center", fontsize=6.2)
        small: dict[str, Any] = {"va": "center", "fontsize": 5.6, "color": style.TEXT}
        if theirs:
            axes.text(0.85 + i, k + 0.6, f"paper: {theirs}", **small)
        if difference:
            axes.text(0.85 + i, k + 0.85, f"difference: {difference}", **small)
    place = next(p.table for key, p in published.items() if key[0] in rows)
    absent = [model for model in rows.values() if model not in models]
    colours = (
        "green ✔: agrees with the paper, blue ≈: near, sand ?: open, rose ✘: differs, grey …: too few runs"
        if any(cell.test.verdict for cell in cells)
        else "no colours: another training set than the paper's"
    )
    style.footer(
        figure,
        "test error at the end in %, mean ± 1 SD over n seeds, in brackets the training error",
        f"paper: {place}, certainty C where no other is given",
        colours,
        *([f"not run: {', '.join(absent)}"] if absent else []),
    )
    return figure


def error_curves(tables: Tables, published: PublishedValues) -> "Drawing":
    """Fig. 3: a 2x800 net whose first hidden layer is frozen at first, and one that is not."""
    lines: dict[str, Literal["-", ":"]] = {"test_error": "-", "train_error": ":"}
    figure, panels = style.panels(2, style.PAGE, 2.9, sharey=True)
    drawn = []
    for axes, experiment in zip(panels, ("mnist_2x800_frozen", "mnist_2x800"), strict=True):
        for look in LOOKS[:3]:
            for measure, line in lines.items():
                runs = 100 * style.runs(tables[experiment], look.arm, measure, x="epoch")
                drawn.append(runs)
                style.trace(axes, runs.iloc[1:].clip(lower=FLOOR), look._replace(line=line), "sd")
            if experiment == "mnist_2x800":
                said = published[experiment, look.arm, "test_error"]
                style.published(axes, look, said.number, stand=LOOKS.index(look))
        axes.set_yscale("log")
        axes.set_xlabel("passes through the training set")
    low = panels[0].get_ylim()[0]
    ticks = [tick for tick in (0.01, 0.1, 1, 10, 100) if tick >= low]
    for axes in panels:
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_ylim(low, 100)
    panels[0].set_ylabel("error (%): test (lines), training (dots)")
    style.legend(figure, LOOKS[:3], columns=3)
    style.footer(
        figure,
        style.seeds(*drawn),
        "mean ± 1 SD",
        style.sources(published["mnist_2x800", look.arm, "test_error"] for look in LOOKS[:3]),
    )
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
        axes.legend(title=f"{look.label}: hidden layer", loc="lower right", ncols=4, fontsize=6)
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
    """An experiment's arms and others beside them, the published ends at the side."""
    figure, panels, drawn = style.learning_curves(table, looks, columns)
    said = {look: published[experiment, look.arm, "test_error"] for look in looks if look.published}
    for stand, (look, value) in enumerate(said.items()):
        style.published(panels[0], look, value.number, stand=stand)
    style.footer(figure, style.seeds(*drawn), "mean ± 1 SD", style.sources(said.values()))
    return figure


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
        f"n = {table.example.nunique():,} held-out digits, the same in every panel; one run of each rule",
        "a number stands at the median of its points",
        f"t-SNE of each layer by itself, perplexity {PERPLEXITY}: its axes have no units, and distances "
        "between groups mean little",
    )
    return figure


def _table(rows: Mapping[str, str], caption: str) -> Figure:
    needs = (*rows, *(place for (row, _), place in APART.items() if row in rows))
    return Figure(partial(table, rows), needs, caption, partial(markdown, rows))


_CELLS = dedent("""\
    Test error at the end of training in %, mean and 1 SD over seeds, the training error in
    brackets; below it the published number, and the difference. Colour: the two means differ by no more
    than both spreads explain and than the published spread of the row (green), by more than the spreads
    explain (blue: near), by more than the row's spread (sand: open), or by more than either (rose); grey
    where runs are lacking. Where the paper saw no convergence, every run is above 50 %. Indirect feedback
    is a column of ours.""").replace("\n", " ")


_HALVED = (
    "a, Test error. b, Training error, at least 0.01 %, where training stops. Diamonds: the published "
    "test errors."
)


def _angles(net: str, depth: int) -> Figure:
    return Figure(
        partial(angles, f"mnist_{net}", depth),
        (f"mnist_{net}",),
        "Angle between the error signal of each hidden layer and the one that backprop would send at the same "
        f"weights, in a {net} tanh net on MNIST. a, Direct feedback from zeros. b, Feedback alignment. Mean and "
        "1 SD over seeds. At full scale a run stops when it has fitted the training digits, and its lines go on "
        "as they were.",
    )


FIGURES = {
    "table1_mnist": _table(
        MNIST,
        f"Table 1. MNIST. {_CELLS} The quick preset has some of the rows, on 4,000 "
        "digits and in fewer updates, so that its levels are not the paper's.",
    ),
    "table2_cifar10": _table(
        {f"cifar10_{row}": model for row, model in CIFAR.items()},
        f"Table 2. CIFAR-10. {_CELLS}",
    ),
    "table3_cifar100": _table(
        {f"cifar100_{row}": model for row, model in CIFAR.items()},
        f"Table 3. CIFAR-100. {_CELLS}",
    ),
    "fig3_error_curves": Figure(
        error_curves,
        ("mnist_2x800", "mnist_2x800_frozen"),
        "Fig. 3. Test error (lines) and training error (dots) of a 2x800 tanh net on MNIST. a, The first "
        "hidden layer, drawn at random, does not learn at first (in the full preset for 100 passes of "
        "299, in the quick one for 5 of 10) and then does. b, Normal training. Diamonds: the published test "
        "error at the end of training on 60,000 digits; the quick preset has 4,000, so its curves end higher.",
    ),
    "angles_7x240": _angles("7x240", 7),
    "angles_3x800": _angles("3x800", 3),
    "starts_7x240": Figure(
        starts,
        ("mnist_7x240", "mnist_7x240_starts"),
        "Feedback alignment in a 7x240 tanh net on MNIST, from three starts: the first layer drawn and the "
        "others at zero, as in the author's code; all at zero, as we recall the paper; all drawn, as for "
        "backprop. a, Test error. b, Training error, at least 0.01 %, where training stops. Diamond: the "
        "published test error.",
    ),
    "halved_7x240": Figure(
        partial(halved, "mnist_7x240", HALVED_7X240),
        ("mnist_7x240", "mnist_7x240_halved"),
        f"A 7x240 tanh net on MNIST at the constant rate of the paper, and at one that halves. {_HALVED}",
    ),
    "halved_dropout": Figure(
        partial(halved, "mnist_2x800_dropout", HALVED_DROPOUT),
        ("mnist_2x800_dropout", "mnist_2x800_dropout_halved"),
        "A 2x800 tanh net with dropout on MNIST at the constant rate of 1e-4, and at two that halve every 50 "
        f"passes; the paper's decayed in a way that it does not give. {_HALVED}",
    ),
    "features": Figure(
        features,
        ("mnist_3x400.embedding",),
        "What the hidden layers of a 3x400 tanh net put out for held-out MNIST digits, placed in the plane by "
        "t-SNE. Every point is a digit; its class, which t-SNE does not know, gives the colour. Top, backprop. "
        "Bottom, direct feedback from zeros.",
    ),
}

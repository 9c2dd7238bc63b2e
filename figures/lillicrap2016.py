"""The pictures of Lillicrap et al. 2016, with the article's curves at their own x."""

from math import ceil, log10
from typing import TYPE_CHECKING

from figures import Figure, PublishedValues, Tables, style
from figures._lillicrap2016_article import FIGURES as ARTICLE
from figures.style import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

SHALLOW = Look("shallow", "shallow")
BACKPROP = Look("backprop", "backprop")
FEEDBACK = Look("feedback_alignment", "feedback alignment")
SPARSE = Look("sparse_feedback_alignment", "feedback alignment, 50 % sparse", "--", half=True)
PERTURBATION = Look("node_perturbation", "node perturbation")
LINEAR = (SHALLOW, PERTURBATION, BACKPROP, FEEDBACK)
MNIST = (SHALLOW, BACKPROP, FEEDBACK, SPARSE)
NONLINEAR = (
    Look("backprop_3", "backprop, 3 layers", "--", half=True),
    Look("backprop_4", "backprop, 4 layers"),
    Look("feedback_alignment_3", "feedback alignment, 3 layers", "--", half=True),
    Look("feedback_alignment_4", "feedback alignment, 4 layers"),
    SHALLOW,
)
# Where the axes of the article's figure of the digits end: 30 passes.
EXAMPLES = 1_805_000
TEACHER = 0.22
# What `nonlinear_search` changes, and what it changes it from.
CHOICES = (
    ("teacher", "scale of the teacher", TEACHER),
    ("rate", "learning rate", 0.04),
    ("w", "initial weights, w", 0.1),
    ("b", "feedback, b", 0.5),
)
QUARTILES, SD = "NSE: median and quartiles", "angle: mean ± 1 SD"


def linear(tables: Tables, published: PublishedValues) -> "Drawing":
    """Fig. 2a, b of the article: the error of four learners on a linear task, and FA's angle to backprop."""
    table = tables["linear"]
    figure, (error, start, angle) = style.panels(3, style.PAGE, 2.9)
    drawn = []
    for look in LINEAR:
        drawn.append(style.runs(table, look.arm, "test_nse"))
        end = 10 ** published["linear", look.arm, "test_nse"].number
        curve = style.points_of(published, "linear", look.arm, "test_nse") | {2000: end}
        for axes in (error, start):
            style.trace(axes, drawn[-1], look, "quartiles")
            style.published_curve(axes, look, curve)
    _nse(error)
    _nse(start)
    start.set(xlim=(0, 620), ylim=(1e-5, 3))
    start.set_yticks([10.0**-d for d in range(6)])
    start.set_ylabel("")
    for axes in (error, start):
        axes.set_xlabel("examples")
    style.legend(figure, LINEAR, columns=4)
    style.trace(angle, style.runs(table, FEEDBACK.arm, "delta_angle", "hidden_1"), FEEDBACK, "sd")
    _windows(angle, published)
    _angle(angle, "backprop", "examples")
    sources = style.sources(v for (where, _, _), v in published.items() if where == "linear")
    style.footer(figure, style.seeds(*drawn), QUARTILES, SD, sources)
    return figure


def _windows(axes: "Axes", published: PublishedValues) -> None:
    """The published angle, of one run: a mean over each window of examples, drawn as long as it is."""
    for (where, _, name), value in published.items():
        ends = [float(word) for word in name.partition("@")[2].split() if word.isdigit()]
        if where == "linear" and name.startswith("delta_angle") and len(ends) == 2:
            axes.plot(ends, [value.number] * 2, color=FEEDBACK.colour, linewidth=0.7, zorder=4)
            middle = sum(ends) / 2
            style.published(axes, FEEDBACK, value.number, x=middle, size=2.8)


def mnist(tables: Tables, published: PublishedValues) -> "Drawing":
    """Fig. 3a, b of the article: the test error on MNIST, dense and sparse, and FA's angle to backprop."""
    table = tables["mnist"]
    figure, (error, end, angle) = style.panels(3, style.PAGE, 2.9)
    drawn, late = [], []
    last = float(table.step.max()) / 1e5
    for look in MNIST:
        drawn.append(100 * style.runs(table, look.arm, "test_error"))
        drawn[-1].index /= 1e5
        curve = style.points_of(published, "digits", look.arm, "test_error", 100)
        curve = {x / 1e5: value for x, value in curve.items()}
        late += [value for x, value in curve.items() if last / 6 <= x <= last and look != SHALLOW]
        # The shallow net ends far above the others: its end would hide theirs.
        for axes in (error, end) if look != SHALLOW else (error,):
            style.trace(axes, drawn[-1].iloc[1:], look, "sd")
            style.published_curve(axes, look, curve)
            # The number of the text stands where the axes of the article's figure end.
            said = published["mnist", look.arm, "test_error"].number
            style.published(axes, look, said, x=EXAMPLES / 1e5, stand=look == SPARSE)
    style.error_axis(error, "test", (2, 5, 10, 20, 50, 100))
    error.set_ylim(1.6, 100)
    style.zoom(end, drawn[1:], last, late)
    end.set_ylabel("test error (%), the end")
    for axes in (error, angle):
        axes.set_xlim(-0.03 * last, 1.03 * last)
    end.set_xlim(last / 6, 1.03 * last)
    style.legend(figure, MNIST, columns=4)
    for look in (FEEDBACK, SPARSE):
        style.trace(
            angle, style.runs(table, look.arm, "delta_angle", "hidden_1"), look, "sd", unit=1e5
        )
    curve = style.points_of(published, "digits", FEEDBACK.arm, "delta_angle/hidden_1")
    style.published_curve(angle, FEEDBACK, {x / 1e5: value for x, value in curve.items()})
    _angle(angle, "backprop", "examples (10⁵)")
    for axes in (error, end):
        axes.set_xlabel("examples (10⁵)")
    sources = style.sources(
        v for (where, _, _), v in published.items() if where in ("mnist", "digits")
    )
    style.footer(figure, style.seeds(*drawn), "mean ± 1 SD", sources)
    return figure


def nonlinear(tables: Tables, published: PublishedValues) -> "Drawing":
    """Fig. 3d of the article: the error of nets with one and two hidden layers taught by a tanh net."""
    table = tables["nonlinear"]
    figure, (error, end, angle) = style.panels(3, style.PAGE, 3.1, sharex=True)
    drawn = []
    for look in NONLINEAR:
        drawn.append(style.runs(table, look.arm, "test_nse"))
        curve = style.points_of(published, "depth", look.arm, "test_nse_variance")
        curve |= {4e5: published["nonlinear", look.arm, "test_nse"].number}
        for axes, times in ((error, 1), (end, 1e3)):
            style.trace(axes, times * drawn[-1], look, "quartiles", unit=1e5)
            style.published_curve(axes, look, {x / 1e5: times * y for x, y in curve.items()})
    _nse(error)
    end.set_ylim(0, 5)
    end.set_ylabel("test error (10⁻³ NSE)")
    for axes in (error, end):
        axes.set_xlabel("examples (10⁵)")
    style.legend(figure, NONLINEAR, columns=3)
    for look, layer in (
        (Look("feedback_alignment_3", "3 layers, hidden 1", "--"), "hidden_1"),
        (Look("feedback_alignment_4", "4 layers, hidden 1"), "hidden_1"),
        (Look("feedback_alignment_4", "4 layers, hidden 2", ":"), "hidden_2"),
    ):
        style.trace(angle, style.runs(table, look.arm, "delta_angle", layer), look, "sd", unit=1e5)
    angle.legend(loc="lower right")
    _angle(angle, "backprop", "examples (10⁵)")
    sources = style.sources(
        v for (where, _, _), v in published.items() if where in ("nonlinear", "depth")
    )
    style.footer(figure, style.seeds(*drawn), QUARTILES, SD, sources)
    return figure


def flow_field(tables: Tables, published: PublishedValues) -> "Drawing":
    """Fig. 3: where learning takes the two weights of a 1-1-1 net, T = 1 and B = 1.

    ``dW0 = B e x = 1 - W W0`` and ``dW = e h = (1 - W W0) W0`` on average, so that
    ``W - W0^2 / 2`` is constant along a path. The branch ``W < 0`` of the hyperbola attracts where
    ``W0 < -1``: it is reached from below the path that touches it at (-1, -1).
    """
    import numpy as np
    from matplotlib.collections import LineCollection

    del published  # the paper's figure has no numbers
    table = tables["flow_field"]
    w0 = style.runs(table, FEEDBACK.arm, "weight", "hidden_1")
    w = style.runs(table, FEEDBACK.arm, "weight", "readout")
    figure, (axes,) = style.panels(1, style.COLUMN, 3.9)
    limit = 3.2
    x, y = np.meshgrid(*[np.linspace(-3, 3, 21)] * 2)
    slope = np.sign(1 - x * y) / np.hypot(1, x)
    axes.quiver(x, y, slope, slope * x, color=style.FAINT, scale=34, width=0.0035, zorder=0)
    for sign, label in ((1, "W₀W = 1: no error"), (-1, None)):
        branch = sign * np.linspace(1 / limit, limit, 99)
        axes.plot(branch, 1 / branch, color="black", label=label)
    edge = np.linspace(-limit, -1, 50)
    axes.plot(
        edge, edge**2 / 2 - 1.5, "--", color="black", linewidth=0.8, label="edge between the two"
    )
    ended = abs(1 - w0.iloc[-1] * w.iloc[-1]) < 0.05
    ends = {
        "end at W > 0": (ended & (w.iloc[-1] > 0), FEEDBACK.colour),
        "end at W < 0": (ended & (w.iloc[-1] < 0), style.FAILED),
        "end elsewhere": (~ended, style.TEXT),
    }
    # All paths together would hide the arrows: every fourth row and column of the grid has its own.
    rows, columns = (np.unique(start.iloc[0], return_inverse=True)[1] for start in (w, w0))
    shown = (rows % 4 == 0) & (columns % 4 == 0)
    for label, (reached, colour) in ends.items():
        if not reached.any():
            continue
        paths = [np.column_stack([w0[seed], w[seed]]) for seed in w0.columns[reached & shown]]
        axes.add_collection(LineCollection(paths, colors=colour, linewidths=1))
        axes.plot(w0.iloc[0][reached], w.iloc[0][reached], ".", color=colour, markersize=2)
        axes.plot([], [], ".-", color=colour, linewidth=1, label=f"{reached.sum()} starts {label}")
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    axes.set_xlabel("hidden weight W₀")
    axes.set_ylabel("readout weight W")
    figure.legend(loc="outside upper left", ncols=2)
    style.footer(
        figure,
        f"n = {len(w0.columns)} starts (dots)",
        f"paths: {shown.sum()} of them",
        "arrows: direction only",
    )
    return figure


def sweep(tables: Tables, published: PublishedValues) -> "Drawing":
    """Fig. 4: the linear task from nine scales of initial weights, w."""
    del published  # the paper's figure has no numbers
    table = tables["scale_sweep"]
    arms = sorted(set(table.arm), key=_scale)
    shades = style.shades("feedback_alignment", len(arms))
    looks = [Look(a, f"{_scale(a):g}", shade=c) for a, c in zip(arms, shades, strict=True)]
    figure, (error, exact, pseudo) = style.panels(3, style.PAGE, 2.5, sharex=True)
    drawn = []
    for look in looks:
        drawn.append(style.runs(table, look.arm, "test_nse"))
        style.trace(error, drawn[-1], look, "quartiles", unit=1e4)
        for axes, measure in ((exact, "delta_angle"), (pseudo, "pseudo_angle")):
            style.trace(
                axes, style.runs(table, look.arm, measure, "hidden_1"), look, "sd", unit=1e4
            )
    _nse(error)
    error.set_xlabel("examples (10⁴)")
    _angle(exact, "backprop", "examples (10⁴)")
    _angle(pseudo, "pseudo-backprop", "examples (10⁴)")
    pseudo.legend(title="w", loc="center left", bbox_to_anchor=(1, 0.5))
    style.footer(figure, style.seeds(*drawn), QUARTILES, SD)
    return figure


def search(tables: Tables, published: PublishedValues) -> "Drawing":
    """The search over w, on backprop, and then over b, on feedback alignment."""
    del published  # the paper names no scale
    table = tables["mnist_search"]
    figure, panels = style.panels(2, style.PAGE, 2.5, sharey=True)
    drawn = []
    for axes, look, label in zip(
        panels, (BACKPROP, FEEDBACK), ("initial weights, w", "feedback weights, b"), strict=True
    ):
        arms = sorted((a for a in set(table.arm) if a.startswith(look.arm)), key=_scale)
        last = [100 * style.runs(table, arm, "test_error", x="epoch").iloc[-1:] for arm in arms]
        drawn += last
        x, bands = [_scale(a) for a in arms], [style.band(r, "sd") for r in last]
        mean = [band.centre.item() for band in bands]
        sd = [(band.high - band.centre).item() for band in bands]
        axes.plot(x, mean, "o-", color=look.colour, label=look.label)
        axes.errorbar(x, mean, sd, fmt="none", color=look.colour, capsize=2)
        best = min(range(len(arms)), key=mean.__getitem__)
        axes.plot(x[best], mean[best], "o", markersize=10, fillstyle="none", color=look.colour)
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.set_xticks(x, [f"{one:g}" for one in x])
        axes.margins(x=0.06)
        axes.margins(y=0.12)
        axes.locator_params(axis="y", nbins=6)
        axes.set_xlabel(f"scale of the {label}")
        axes.legend()
    panels[0].set_ylabel("test error (%)")
    style.footer(
        figure, style.seeds(*drawn), "mean ± 1 SD at the end of training", "ring: lowest mean"
    )
    return figure


def regimes(tables: Tables, published: PublishedValues) -> "Drawing":
    """Fig. 2d's task with one choice changed at a time: which of them decide who is ahead."""
    del published  # the paper names none of the choices
    table = tables["nonlinear_search"]
    figure, panels = style.panels(4, style.PAGE, 2.6, sharey=True)
    looks = [look._replace(published=False) for look in NONLINEAR[:4]]
    drawn = []
    for axes, (kind, label, usual) in zip(panels, CHOICES, strict=True):
        for look in looks:
            arms = {_scale(a): a for a in set(table.arm) if a.startswith(f"{look.arm}_{kind}_")}
            if not arms:
                continue
            # The arm that all changes start from is the teacher's.
            arms[usual] = f"{look.arm}_teacher_{TEACHER}"
            x = sorted(arms)
            last = [style.runs(table, arms[one], "test_nse").iloc[-1:] for one in x]
            drawn += last
            bands = [style.band(r, "quartiles") for r in last]
            median = [band.centre.item() for band in bands]
            axes.plot(x, median, "o", color=look.colour, linestyle=look.line)
            low, high = ([getattr(b, edge).item() for b in bands] for edge in ("low", "high"))
            axes.vlines(x, low, high, color=look.colour)
        axes.axvline(usual, color=style.FAINT, linewidth=0.8, zorder=0)
        axes.set_xticks(x, [f"{one:g}" for one in x])
        axes.set_xlabel(label)
        axes.margins(x=0.08)
    _nse(panels[0])
    style.legend(figure, looks, columns=4)
    style.footer(
        figure, style.seeds(*drawn), QUARTILES, "grey: the choices of the experiment nonlinear"
    )
    return figure


def _scale(arm: str) -> float:
    return float(arm.rsplit("_", 1)[1])


def _nse(axes: "Axes") -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    decades = ceil(-log10(low))
    # Whole powers of ten, the 1 of an untrained net always among them.
    axes.set_yticks([10.0**-d for d in range(0, decades, max(1, ceil(decades / 8)))])
    axes.set_ylim(low, min(high, 10))
    axes.set_ylabel("test error (NSE)")


def _angle(axes: "Axes", reference: str, x: str) -> None:
    style.right_angle(axes)
    axes.set_ylabel(f"angle to {reference} (°)")
    axes.set_xlabel(x)


FIGURES = {
    **ARTICLE,
    "fig1_linear": Figure(
        linear,
        ("linear",),
        "Fig. 2a, b of the article (1d, e of the preprint). A linear 30-20-10 net learns a "
        "linear map, one example at a time. a, Error "
        "on held-out examples, over the squared length of the targets: median and quartiles "
        "over seeds. b, Its "
        "first 600 examples. c, Angle between the hidden updates of feedback alignment and of "
        "backprop at the "
        "same weights: mean and 1 SD. Diamonds: the article's curves, of one run; in c means "
        "over the windows "
        "that the bars span. In print feedback alignment is ahead throughout; here backprop "
        "overtakes it (L1).",
        claims=("L1", "L1-order", "L2"),
        shown=True,
    ),
    "fig2_mnist": Figure(
        mnist,
        ("mnist",),
        "Fig. 3a, b of the article (2a, b of the preprint). MNIST digits, 784-1000-10 "
        "logistic units. a, Test error. Sparse: half of "
        "the readout's weights and of its feedback removed. b, Its end, on an axis of its "
        "own. c, Angle between the hidden updates "
        "of feedback alignment and of backprop at the same weights. Lines and bands: mean and "
        "1 SD over seeds. "
        "Small diamonds: the article's curves; large ones: the numbers of its text, where its "
        "axes end (30 passes). At full "
        "scale ours are of 60,000 digits for 40 passes; the quick preset has 4,000, so its curves end "
        "early and higher.",
        claims=("L4", "L4-same-w", "L5", "L6"),
    ),
    "fig2_nonlinear": Figure(
        nonlinear,
        ("nonlinear",),
        "Fig. 3d of the article (2d of the preprint). Tanh nets of three layers (30-20-10) "
        "and of four (30-20-10-10) learn from a "
        "fixed random net of four. a, Error on held-out examples, over the squared length of "
        "the targets: median and quartiles "
        "over seeds. b, The same on a linear axis. c, Angle between the hidden updates of "
        "feedback alignment and of "
        "backprop at the same weights: mean and 1 SD. Diamonds: the article's curves, means "
        "of 20 runs. In print four "
        "layers end lower under feedback alignment than under backprop; here they end higher (L7).",
        claims=("L7",),
        shown=True,
    ),
    "nonlinear_search": Figure(
        regimes,
        ("nonlinear_search",),
        "What decides who is ahead in Fig. 2d: the error after 400,000 examples when one "
        "choice that the "
        "paper made by hand, and does not report, is another. a, The teacher's weights and "
        "biases are drawn "
        "from U[-s, s]. b, Learning rate. c, d, Initial weights from U[-w, w] and feedback "
        "from U[-b, b]. "
        "Median and quartiles over seeds; grey lines: the choices of Fig. 2d here.",
        claims=("L7",),
    ),
    "fig3_flow_field": Figure(
        flow_field,
        ("flow_field",),
        "Fig. 3. The two weights of a linear 1-1-1 net under feedback alignment, for the target "
        "T = 1 and the feedback B = 1. Arrows: direction of the expected update. Dots: starts of "
        "training, coloured by where they end; lines: the paths of some. The error is 0 on the "
        "hyperbola; on its branch W < 0 the feedback has the wrong sign. The dashed line is where "
        "theory puts the edge between the two.",
    ),
    "fig4_sweep": Figure(
        sweep,
        ("scale_sweep",),
        "Fig. 4. Feedback alignment on the linear task, from weights drawn from U[-w, w]. a, Error "
        "on held-out examples: median and quartiles over seeds. b, Angle between its hidden "
        "updates and those of backprop at the same weights, c, of pseudo-backprop, which sends the "
        "error through the pseudo-inverse of the readout: mean and 1 SD.",
        claims=("L3",),
    ),
    "mnist_search": Figure(
        search,
        ("mnist_search",),
        "The search for the scales on MNIST, which the paper did by hand and does not report: a, "
        "of the initial weights, on backprop; b, of the feedback, on feedback alignment. Test "
        "error at the end, mean and 1 SD over seeds; a ring marks the lowest.",
    ),
}

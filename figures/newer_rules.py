"""The pictures of the newer rules: one control experiment each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from figures import Figure, PublishedValues, Tables, style
from figures.style import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing
    from pandas import DataFrame

DIRECT = Look("direct_feedback_alignment", "direct feedback")
CENTRING = (DIRECT, Look("error_centring", "centred"))
CONDITIONING = (
    DIRECT,
    Look("conditioned_feedback", "by activity"),
    Look("conditioned_feedback_both", "by both", "--", half=True),
)
PRODUCT = (Look("feedback_alignment", "feedback alignment"), Look("product_feedback", "product"))
LAYERS = {"hidden_2": "W and B, layer 2 (°)", "readout": "W and B, readout (°)"}
PEAK = "activity_cosine/hidden_3@max over the run"
SIZE = (style.PAGE, 2.6)


def centring(tables: Tables, published: PublishedValues) -> "Drawing":
    """The common mode of the third hidden layer, and the test error."""
    drawing, (common, error) = style.panels(2, *SIZE)
    drawn = []
    for look in CENTRING:
        drawn.append(_curve(common, tables, "centring", look, "activity_cosine", "hidden_3"))
        peak = published.get(("centring", look.arm, PEAK))
        if peak is not None and peak.plain is not None:
            common.axhline(peak.plain, color=look.colour, linestyle=":", linewidth=0.8)
    common.set(xlabel="updates", ylabel="cosine between digits, layer 3", ylim=(0, 1.02))
    _tested(error, tables, published, "centring", CENTRING, "test_error", 100)
    error.set(ylabel="test error (%)", ylim=(0, None))
    error.legend()
    _footer(drawing, drawn, published, "centring")
    return drawing


def conditioning(tables: Tables, published: PublishedValues) -> "Drawing":
    """The test error and the test loss."""
    drawing, (error, loss) = style.panels(2, *SIZE)
    drawn = _tested(error, tables, published, "conditioning", CONDITIONING, "test_error", 100)
    error.set(ylabel="test error (%)", ylim=(0, None))
    error.legend()
    _tested(loss, tables, published, "conditioning", CONDITIONING, "test_loss", 1)
    loss.set(ylabel="test loss", yscale="log")
    _footer(drawing, drawn, published, "conditioning")
    return drawing


def product(tables: Tables, published: PublishedValues) -> "Drawing":
    """The angles between the backward and the forward weights of the second hidden layer and the readout."""
    drawing, panels = style.panels(2, *SIZE, sharey=True)
    drawn = []
    for axes, (layer, name) in zip(panels, LAYERS.items(), strict=True):
        for look in PRODUCT:
            drawn.append(_curve(axes, tables, "product", look, "weight_angle", layer))
            value = published.get(("product", look.arm, f"weight_angle/{layer}"))
            if value is not None and value.plain is not None:
                style.published(axes, look, value.plain, tables["product"]["step"].max())
        axes.set(xlabel="updates", ylabel=name, ylim=(0, 95))
    panels[0].legend()
    _footer(drawing, drawn, published, "product")
    return drawing


def _footer(
    drawing: "Drawing",
    drawn: Sequence["DataFrame"],
    published: PublishedValues,
    experiment: str,
) -> None:
    """Small print: n, spread, and where the published values are from."""
    reached = max(runs.index.max() for runs in drawn)
    values = [
        value
        for (where, _, measure), value in published.items()
        for at in [measure.partition("@")[2]]
        if where == experiment and not (at.isdigit() and int(at) > reached)
    ]
    parts = [style.seeds(*drawn), "median and quartiles"]
    style.footer(drawing, *parts, *([style.sources(values)] if values else []))


def _tested(
    axes: "Axes",
    tables: Tables,
    published: PublishedValues,
    experiment: str,
    looks: Sequence[Look],
    measure: str,
    scale: float,
) -> list["DataFrame"]:
    """Curves, and the published points up to where they end; the runs that were drawn."""
    last, drawn = tables[experiment]["step"].max(), []
    for look in looks:
        drawn.append(_curve(axes, tables, experiment, look, measure, scale=scale))
        for x, y in style.points_of(published, experiment, look.arm, measure, scale).items():
            if x <= last:
                style.published(axes, look, y, x)
    axes.set_xlabel("updates")
    return drawn


def _curve(
    axes: "Axes",
    tables: Tables,
    experiment: str,
    look: Look,
    measure: str,
    layer: str = "",
    scale: float = 1,
) -> "DataFrame":
    """Draw an arm's median and quartiles; its runs."""
    runs = scale * style.runs(tables[experiment], look.arm, measure, layer)
    style.trace(axes, runs, look, "quartiles")
    return runs


SPREAD = "Diamonds: the authors', on all of MNIST."
FIGURES = {
    "centring": Figure(
        centring,
        ("centring",),
        "Error centring. Left, the mean cosine between two digits' activities in the third hidden layer; "
        f"dotted, the published peaks. Right, the test error. {SPREAD}",
        claims=("C1", "C2", "C3"),
        shown=True,
    ),
    "conditioning": Figure(
        conditioning,
        ("conditioning",),
        f"Conditioned direct feedback: test error and test loss. {SPREAD}",
        claims=("D1", "D2"),
    ),
    "product": Figure(
        product,
        ("product",),
        f"Product feedback alignment: the angle between forward and backward weights. {SPREAD}",
        claims=("P1",),
    ),
}

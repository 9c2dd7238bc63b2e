"""The pictures of the newer rules: one control experiment each."""

from typing import TYPE_CHECKING

from figures import Figure, PublishedValues, Tables, style
from figures.style import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

DIRECT = Look("direct_feedback_alignment", "direct feedback")
CENTRING = (DIRECT, Look("error_centring", "centred"))
CONDITIONING = (
    DIRECT,
    Look("conditioned_feedback", "by activity"),
    Look("conditioned_feedback_both", "by both", "--", half=True),
)
PRODUCT = (Look("feedback_alignment", "feedback alignment"), Look("product_feedback", "product"))
PEAK = "activity_cosine/hidden_3@max over the run"


def centring(tables: Tables, published: PublishedValues) -> "Drawing":
    """The common mode of the third hidden layer, and the test error."""
    drawing, (common, error) = style.panels(2, style.PAGE, 2.4)
    for look in CENTRING:
        _curve(common, tables, "centring", look, "activity_cosine", "hidden_3")
        peak = published.get(("centring", look.arm, PEAK))
        if peak is not None and peak.value is not None:
            common.axhline(peak.value, color=look.colour, linestyle=":", linewidth=0.8)
    common.set(xlabel="updates", ylabel="cosine between digits, layer 3", ylim=(0, 1.02))
    _errors(error, tables, published, "centring", CENTRING)
    return drawing


def conditioning(tables: Tables, published: PublishedValues) -> "Drawing":
    """The test error and the test loss."""
    drawing, (error, loss) = style.panels(2, style.PAGE, 2.4)
    _errors(error, tables, published, "conditioning", CONDITIONING)
    loss.set_yscale("log")
    for look in CONDITIONING:
        _curve(loss, tables, "conditioning", look, "test_loss")
        for x, y in style.points_of(published, "conditioning", look.arm, "test_loss").items():
            style.published(loss, look, y, x)
    loss.set(xlabel="updates", ylabel="test cross-entropy")
    return drawing


def product(tables: Tables, published: PublishedValues) -> "Drawing":
    """The angles between the backward and the forward weights of the second hidden layer and the readout."""
    drawing, panels = style.panels(2, style.PAGE, 2.4, sharey=True)
    for axes, layer in zip(panels, ("hidden_2", "readout"), strict=True):
        for look in PRODUCT:
            _curve(axes, tables, "product", look, "weight_angle", layer)
            value = published.get(("product", look.arm, f"weight_angle/{layer}"))
            if value is not None and value.value is not None:
                style.published(axes, look, value.value, tables["product"]["step"].max())
        axes.set(xlabel="updates", ylim=(0, 95))
    panels[0].set_ylabel("W and B, layer 2 (degrees)")
    panels[1].set_ylabel("W and B, readout (degrees)")
    panels[0].legend()
    return drawing


def _errors(
    axes: "Axes",
    tables: Tables,
    published: PublishedValues,
    experiment: str,
    looks: tuple[Look, ...],
) -> None:
    last = tables[experiment]["step"].max()
    for look in looks:
        _curve(axes, tables, experiment, look, "test_error", scale=100)
        points = style.points_of(published, experiment, look.arm, "test_error", 100)
        for x, y in points.items():
            if x <= last:
                style.published(axes, look, y, x)
    axes.set(xlabel="updates", ylabel="test error (%)", ylim=(0, None))
    axes.legend()


def _curve(
    axes: "Axes",
    tables: Tables,
    experiment: str,
    look: Look,
    measure: str,
    layer: str = "",
    scale: float = 1,
) -> None:
    style.trace(
        axes, scale * style.runs(tables[experiment], look.arm, measure, layer), look, "quartiles"
    )


FIGURES = {
    "centring": Figure(
        centring,
        ("centring",),
        "Error centring. Left, the mean cosine between two digits' activities in the third hidden layer; dotted, the "
        "published peaks. Right, the test error. Medians and quartiles of all runs; diamonds: the authors'.",
        claims=("C1", "C2", "C3"),
        shown=True,
    ),
    "conditioning": Figure(
        conditioning,
        ("conditioning",),
        "Conditioned direct feedback: test error and test loss. Medians and quartiles of all runs; diamonds: the "
        "authors', after 1,000 updates.",
        claims=("D1", "D2"),
    ),
    "product": Figure(
        product,
        ("product",),
        "Product feedback alignment: the angle between forward and backward weights. Medians and quartiles of all "
        "runs; diamonds: the authors', after the first pass.",
        claims=("P1",),
    ),
}

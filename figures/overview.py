"""The picture of all papers: every number of ours that is to agree with print, over the published one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from figures import dots, style
from figures.dots import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing
    from pandas import DataFrame

NAME = "overview"
CAPTION = (
    "Ours over the published numbers, at full scale, as far as it has been run. Filled dots: means of our runs, "
    "with 1 SD. Open diamonds: the papers', with their SD where they give one. Marks: ✔ the two agree, ≈ near, "
    "? open, ✘ they differ, … not all declared runs are there yet. Left, Lillicrap et al. 2016. Middle, Nøkland "
    "2016. Right, Kolen and Pollack 1994, with the logs of Akrout et al. 2019."
)

LINEAR = {
    "shallow": "shallow",
    "node_perturbation": "node perturbation",
    "backprop": "backprop",
    "feedback_alignment": "FA",
}
DIGITS = {
    "shallow": "shallow",
    "backprop": "backprop",
    "feedback_alignment": "FA",
    "sparse_feedback_alignment": "FA, sparse",
}
NONLINEAR = {
    "shallow": "shallow",
    "backprop_3": "backprop, 3 layers",
    "feedback_alignment_3": "FA, 3 layers",
    "backprop_4": "backprop, 4 layers",
    "feedback_alignment_4": "FA, 4 layers",
}
THREE = ("backprop", "feedback_alignment", "direct_feedback_alignment")
TABLE1 = {
    "mnist_7x240": "7x240",
    "mnist_100x240": "100x240",
    "mnist_1x800": "1x800",
    "mnist_2x800": "2x800",
    "mnist_3x800": "3x800",
    "mnist_4x800": "4x800",
    "mnist_2x800_logistic": "logistic",
    "mnist_2x800_relu": "ReLU",
    "mnist_2x800_dropout": "dropout",
    "mnist_2x800_adversarial": "adversarial",
}
TABLE2 = {
    "cifar10_1x1000": "1x1000",
    "cifar10_3x1000": "3x1000",
    "cifar10_3x1000_dropout": "dropout",
    "cifar10_conv": "conv",
}
AKROUT = {
    "backprop": "backprop",
    "feedback_alignment": "FA",
    "kolen_pollack_no_decay": "Kolen-Pollack",
    "weight_mirror_logged": "weight mirror",
}
ANGLES = {
    ("delta_angle", "hidden_1"): "error signals",
    ("weight_angle", "readout"): "W, B readout",
    ("weight_angle", "hidden_1"): "W, B input",
}
# Where the axis of Table 1 changes its scale.
BEND = {0.85: 0.0, 2.95: 0.8, 4.5: 0.9, 100.0: 1.0}


def overview(ends: Mapping[str, "DataFrame"]) -> "Drawing":
    """Draw it from the end table of every paper."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(style.PAGE, 7.6))
    across = {"top": 0.916, "bottom": 0.097}
    empty = next(iter(ends.values())).iloc[:0]
    papers = ("lillicrap2016", "nokland2016", "kolen_pollack1994")
    lillicrap, nokland, kolen = (ends.get(paper, empty) for paper in papers)

    left = figure.add_gridspec(
        5, 1, left=0.152, right=0.285, hspace=0.95, height_ratios=(4, 4, 4, 5, 5), **across
    )
    linear, digits, variant, nonlinear, depth = (figure.add_subplot(left[i]) for i in range(5))
    for axes, experiment, measure, arms, title in (
        (linear, "linear", "test_nse", LINEAR, "a  Lillicrap 2016: linear task"),
        (digits, "digits", "test_error", DIGITS, "b  digits, the printed rule"),
        (variant, "mnist", "test_error", DIGITS, "c  digits, the variant"),
        (nonlinear, "nonlinear", "test_nse", NONLINEAR, "d  nonlinear task"),
        (depth, "depth", "test_nse_variance", NONLINEAR, "e  the printed teacher"),
    ):
        dots.draw(axes, _by_arm(lillicrap, experiment, measure, arms))
        axes.set_xlabel("test error (%)" if arms is DIGITS else "log₁₀ test error (NSE)")
        _title(figure, axes, title, 0.005)

    middle = figure.add_gridspec(
        2, 1, left=0.425, right=0.645, hspace=0.38, height_ratios=(11, 4.6), **across
    )
    table1, table2 = (figure.add_subplot(middle[i]) for i in range(2))
    for axes, models in ((table1, TABLE1), (table2, TABLE2)):
        rows = [
            Row(text, dots.find(nokland, name, "test_error", THREE))
            for name, text in models.items()
        ]
        dots.draw(axes, [row for row in rows if row.ends])
        axes.set_xlabel("test error (%)")
    dots.two_scales(table1, BEND)
    table1.set_xticks([1, 1.5, 2, 2.5, 50], ["1", "1.5", "2", "2.5", "50"])
    _title(figure, table1, "f  Nøkland 2016: Table 1, MNIST", 0.335)
    _title(figure, table2, "g  Table 2, CIFAR-10", 0.335)

    right = figure.add_gridspec(
        2, 1, left=0.84, right=0.965, hspace=0.42, height_ratios=(5, 9), **across
    )
    errors, angles = (figure.add_subplot(right[i]) for i in range(2))
    dots.draw(errors, _by_arm(kolen, "mnist", "test_error", AKROUT))
    errors.set_xlabel("test error (%)")
    _title(figure, errors, "h  Kolen-Pollack 1994: digits", 0.735)
    rows = [
        Row(text, dots.find(kolen, "mnist", measure, list(AKROUT)[1:], layer))
        for (measure, layer), text in ANGLES.items()
    ]
    dots.draw(angles, rows)
    angles.set_xscale("log")
    angles.set_xticks([3, 10, 30, 90], ["3", "10", "30", "90"])
    angles.minorticks_off()
    angles.set_xlabel("angle (°)")
    _title(figure, angles, "i  angles at the end", 0.735)

    rules = ("backprop", "feedback_alignment", "direct_feedback_alignment")
    dots.legend(figure, (*rules, "kolen_pollack", "weight_mirror"), 4)
    shown = [int(n) for table in ends.values() for n in table.n[table.published.notna()]]
    style.footer(
        figure,
        dots.KEY,
        f"n = {min(shown)} to {max(shown)} runs a number",
        "FA: feedback alignment",
        "left of the dotted line in f: linear, right of it: compressed",
        "i has no marks: print is one noisy example",
    )
    return figure


def _title(figure: "Drawing", axes: "Axes", text: str, x: float) -> None:
    """Above the axes, and left of their labels."""
    top = axes.get_position().y1
    figure.text(x, top + 0.012, text, weight="bold", fontsize=8)


def _by_arm(ends: "DataFrame", experiment: str, measure: str, arms: Mapping[str, str]) -> list[Row]:
    found = dots.find(ends, experiment, measure, arms)
    return [Row(arms[one.arm], [one]) for one in found]

"""The pictures of the newer rules: every arm a curve, every published number within reach a mark."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

import figures
from figures import newer_rules, style
from replications.harness.declared.published import read_published
from replications.harness.errors import UserError
from replications.harness.showing import plotting
from tests.figures.curves import Curves

PAPER = "newer_rules"
PUBLISHED = read_published(PAPER)
LOOKS = {
    "centring": newer_rules.CENTRING,
    "conditioning": newer_rules.CONDITIONING,
    "product": newer_rules.PRODUCT,
}


@pytest.fixture(scope="module")
def tables():
    made = {name: Curves(np.arange(0, 1501, 50), 3) for name in LOOKS}
    for name, looks in LOOKS.items():
        for i, look in enumerate(looks, 1):
            made[name].add(look.arm, "test_error", lambda t, i=i: i * np.exp(-t / 500) / 5, 0)
            made[name].add(look.arm, "test_loss", lambda t, i=i: i * np.exp(-t / 500), 0)
            made[name].add(
                look.arm, "activity_cosine", lambda t, i=i: 0.4 / i + 0 * t, 0, "hidden_3"
            )
            for layer in newer_rules.LAYERS:
                made[name].add(look.arm, "weight_angle", lambda t, i=i: 90 / i + 0 * t, 0, layer)
    return {name: curves.table for name, curves in made.items()}


@pytest.fixture(scope="module")
def drawings(tables):
    return {name: plotting.draw(PAPER, name, tables) for name in LOOKS}


def lines(axes, length):
    """The lines of so many points, or more, by colour and style; each colour's y."""
    long = [line for line in axes.get_lines() if (len(line.get_xdata()) > 2) == (length > 2)]
    return [(to_hex(line.get_color()).upper(), line) for line in long]


@pytest.mark.parametrize("name", LOOKS)
def test_every_arm_is_a_curve_of_its_rules_colour_in_every_panel(drawings, name):
    assert list(figures.of(PAPER)) == list(LOOKS)
    for axes in drawings[name].axes:
        colours = [colour for colour, _ in lines(axes, 3)]
        assert colours == [look.colour for look in LOOKS[name]]
    labels = [text.get_text() for axes in drawings[name].axes if axes.get_legend()
              for text in axes.get_legend().get_texts()]  # fmt: skip
    assert labels == [look.label for look in LOOKS[name]]


def test_errors_are_percents_and_losses_stand_on_a_logarithmic_axis(drawings):
    error, loss = drawings["conditioning"].axes
    (_, first), *_ = lines(error, 3)
    assert first.get_ydata()[0] == pytest.approx(20)
    assert (error.get_yscale(), loss.get_yscale()) == ("linear", "log")


def marks(axes):
    """Published values: (x, y, colour)."""
    found = [line for line in axes.get_lines() if line.get_linestyle() == "None"]
    return {
        (one.get_xdata()[0], round(float(one.get_ydata()[0]), 4), to_hex(one.get_markeredgecolor()).upper())
        for one in found
    }  # fmt: skip


def test_published_numbers_are_drawn_up_to_the_end_of_the_run(drawings):
    wanted = {"test_error": set(), "test_loss": set(), "weight_angle": set()}
    for (experiment, arm, measure), number in PUBLISHED.items():
        name, _, after = measure.partition("@")
        if after.isdigit() and int(after) <= 1500:
            mark = (int(after), number.value, style.Look(arm, "").colour)
            wanted[name].add((experiment, *mark))
        if name.partition("/")[2] in newer_rules.LAYERS:
            wanted["weight_angle"].add((experiment, 1500, number.value, style.Look(arm, "").colour))
    found = {
        "test_error": {("centring", *m) for m in marks(drawings["centring"].axes[1])}
        | {("conditioning", *m) for m in marks(drawings["conditioning"].axes[0])},
        "test_loss": {("conditioning", *m) for m in marks(drawings["conditioning"].axes[1])},
        "weight_angle": {("product", *m) for axes in drawings["product"].axes for m in marks(axes)},
    }
    assert found == wanted
    assert all(found.values())


def test_the_published_peaks_are_dotted_lines(drawings):
    dotted = {
        (to_hex(line.get_color()).upper(), line.get_ydata()[0])
        for line in drawings["centring"].axes[0].get_lines()
        if line.get_linestyle() == ":"
    }
    assert dotted == {
        (look.colour, PUBLISHED["centring", look.arm, newer_rules.PEAK].value)
        for look in newer_rules.CENTRING
    }


def test_an_arm_missing_from_the_table_is_an_error_and_no_gap(tables):
    table = tables["product"]
    with pytest.raises(UserError, match="no weight_angle of arm 'product_feedback'"):
        plotting.draw(PAPER, "product", {"product": table[table.arm != "product_feedback"]})

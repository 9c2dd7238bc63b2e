"""The pictures of the 2016 article: printed curves stand in the axes of ours, at their own x."""

import numpy as np
import pandas as pd
import pytest

import figures
from figures import _lillicrap2016_article as article
from figures import style
from replications.harness.declared.experiments import cells
from replications.harness.declared.published import read_published
from replications.harness.showing import plotting

PAPER = "lillicrap2016"
PUBLISHED = read_published(PAPER)
STEPS = (0, 1000, 150_000)


def records(experiment, *quantities):
    """A tidy table with two seeds and three records of every arm that a preset has."""
    rows = []
    preset = "full" if experiment.endswith(("search", "500")) else "quick"
    arms = {c.arm: c.spec for c in cells(PAPER, preset) if c.experiment == experiment}
    for arm, spec in arms.items():
        for name, layer in quantities:
            if name not in spec.measures:
                continue
            for seed in (0, 1):
                for k, step in enumerate(STEPS):
                    value = (0.9 / 3**k + 0.01 * seed) * (50 if "angle" in name else 1)
                    rows.append((arm, seed, step, step / 4000, name, layer, value))
    columns = ["arm", "seed", "step", "epoch", "measure", "layer", "value"]
    return pd.DataFrame(rows, columns=columns)


def traces():
    rows = []
    for step in STEPS:
        for layer in article.LAYERS:
            for image in (0, 1):
                for unit in (0, 1, 2):
                    text = " ".join("1" if t % (unit + 2) == 0 else "0" for t in range(6))
                    rows.append((step, "traces", f"spikes_{layer}", f"{image}/{unit}", text))
                for kind in ("potential", "signal"):
                    rows.append((step, "traces", f"{kind}_{layer}", f"{image}", "0 1 2 1 0 1"))
    table = pd.DataFrame(rows, columns=["step", "measure", "layer", "place", "values"])
    return table.assign(arm="feedback_alignment", seed=0)


def seen():
    image = " ".join(f"{x:.3f}" for x in np.linspace(-1, 1, article.SIDE**2))
    arms = [look.arm for look in (article.BACKPROP, article.FEEDBACK, article.SPARSE)]
    rows = [(arm, "fields", "hidden_1", k, image) for arm in arms for k in range(article.FIELDS)]
    return pd.DataFrame(rows, columns=["arm", "measure", "layer", "place", "values"])


@pytest.fixture(scope="module")
def tables():
    nse, angle = ("test_nse_variance", ""), ("delta_angle", "hidden_1")
    units = [("unit_angle", f"unit_{k}") for k in range(1, 11)]
    return {
        "linear": records("linear", ("test_nse", ""), angle),
        "linear_search": records("linear_search", ("test_nse", "")),
        "digits": records("digits", ("test_error", ""), angle),
        "depth": records("depth", nse, ("test_nse", "")),
        "nonlinear_search": records("nonlinear_search", ("test_nse", "")),
        "spiking": records("spiking", ("test_error", "")),
        "spiking_500": records("spiking_500", ("test_error", "")),
        "spiking.arrays": traces(),
        "digits.arrays": seen(),
        "mechanics": records("mechanics", ("weight_angle", "readout"), *units),
        "phases": records("phases", nse),
    }


@pytest.fixture(scope="module")
def drawings(tables):
    return {name: plotting.draw(PAPER, name, tables) for name in article.FIGURES}


def diamonds(axes):
    """Where single markers stand, with their colours."""
    lone = [line for line in axes.get_lines() if str(line.get_linestyle()) == "None"]
    return {
        (round(float(line.get_xdata()[0]), 6), round(float(line.get_ydata()[0]), 12))
        for line in lone
        if len(line.get_xdata()) == 1
    }


def test_every_figure_is_drawn(drawings):
    assert set(drawings) == set(article.FIGURES) <= set(figures.of(PAPER))


def test_the_printed_curve_of_digits_stands_at_its_own_examples(drawings):
    error, end, angle = drawings["fig3_digits"].axes[:3]
    for x, y in ((10_000, 8.4), (500_000, 2.7), (1_780_000, 7.3), (1_800_000, 2.1)):
        assert (x, y) in diamonds(error)
    assert (17.8, 2.5) in diamonds(end)
    assert (17.8, 7.3) not in diamonds(end)
    assert (30_000, 41.0) in diamonds(angle)
    assert (1_780_000, 29.9) in diamonds(angle)


def test_the_end_of_depth_has_the_nets_that_learn_and_their_print(drawings):
    error, end = drawings["fig3_depth"].axes[:2]
    assert (3.95, 0.00108) in diamonds(error) & diamonds(end)
    labels = {line.get_label() for line in end.get_lines() if len(line.get_xdata()) > 1}
    assert labels == {look.label for look in article.LEARNERS.values()}
    assert end.get_yscale() == "linear"


def test_the_function_of_depth_shows_its_spread(drawings):
    (axes,) = drawings["fig3_function"].axes
    bars = [line.get_xydata() for line in axes.get_lines() if len(line.get_xdata()) == 2]
    # The two ends of a bar, for both directions of each of the four teachers; and the line at 1.
    assert len(bars) == 2 * 4 + 1


def test_phases_of_print_and_ours_stand_over_each_other(drawings):
    angle, error = drawings["fig5_mechanics"].axes[:2]
    assert (2, 36.6) in diamonds(angle)
    assert {(1, 1.08), (2, 0.76), (3, 0.56)} <= diamonds(error)


def test_a_raster_has_a_mark_for_every_spike(drawings):
    raster = drawings["fig4_rasters"].axes[0]
    layers = [line for line in raster.get_lines() if line.get_marker() == "|"]
    # Two images of six steps; units 0, 1, 2 spike in 3, 2 and 2 of them.
    assert [len(marks.get_xdata()) for marks in layers] == [2 * 7] * 5
    assert [t.get_text() for t in raster.get_yticklabels()][1] == "hidden 1"


def test_a_receptive_field_stands_as_its_image(drawings):
    images = [image for axes in drawings["suppl_fields"].axes for image in axes.get_images()]
    assert len(images) == 3 * article.FIELDS
    assert images[0].get_array().shape == (28, 28)
    assert images[0].get_array()[0, 0] == -1


def test_every_figure_says_whose_numbers_it_shows(drawings):
    for name in ("fig3_digits", "fig3_depth", "fig4_spiking", "fig4_spiking_500", "fig5_mechanics"):
        text = drawings[name].get_supxlabel().replace("\n", " ")
        assert "(NC16)" in text
        assert "certainty A" in text


def test_their_colours_are_the_rules(drawings):
    line = drawings["fig5_mechanics"].axes[1].get_lines()[1]
    assert line.get_color() == style.Look("feedback_alignment", "").colour

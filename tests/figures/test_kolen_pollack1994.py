"""The pictures of Kolen and Pollack: the law is drawn, not fitted, and the logs are all there."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import figures
from figures import kolen_pollack1994, style
from replications.harness.declared import experiments
from replications.harness.declared.published import read_published
from replications.harness.errors import UserError
from replications.harness.showing import plotting
from replications.harness.tables import COLUMNS

PAPER = "kolen_pollack1994"
NAMES = list(figures.of(PAPER))
PUBLISHED = read_published(PAPER)
STEPS = np.array([0, 10, 100, 1000, 3000])


def table(curves, seeds, steps_per_epoch=1, steps=STEPS):
    """{(arm, measure, layer): value(t, seed)} as a tidy table."""
    rows = [
        (arm, seed, step, step / steps_per_epoch, measure, layer, float(value(step, seed)))
        for (arm, measure, layer), value in curves.items()
        for seed, step in product(range(seeds), steps)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def law_table():
    curves = {}
    for cell in experiments.cells_of(PAPER, "law", "quick"):
        decay = cell.spec.optimizer.weight_decay
        layers = [f"hidden_{i + 1}" for i in range(len(cell.spec.network.hidden))]
        for layer in [*layers, "readout"]:
            curves[cell.arm, "gap", layer] = lambda t, s, d=decay: (3 + s) * (1 - d) ** t
    return table(curves, 3)


def image_table():
    curves = {}
    for look in kolen_pollack1994.AKROUT:
        for name in ("test_error", "train_error"):
            curves[look.arm, name, ""] = lambda t, s: 0.1 + 0.8 * np.exp(-t / 200) + 0.001 * s
    for look, name in product(kolen_pollack1994.ALIGNED, kolen_pollack1994.ANGLES):
        curves[look.arm, *name.split("/")] = lambda t, s: 10 + s + 80 * np.exp(-t / 300)
    return table(curves, 3, 250)


def rates_table():
    arms = ("backprop_0.05", "weight_mirror_0.2")
    curves = {
        (arm, f"{name}_error", ""): lambda t, s: 0.02 for arm in arms for name in ("test", "train")
    }
    return table(curves, 1, 469)


def period_table():
    """Seed s of 20 is solved from epoch 100 on; the last two never are."""

    def error(t, seed):
        return 0.25 if seed >= 18 or t < 100 else 0.0

    return table({(look.arm, "test_error", ""): error for look in kolen_pollack1994.PERIOD}, 20)


@pytest.fixture(scope="module")
def tables():
    tasks = ("xor", "encoder_4_2_4", "encoder_8_3_8")
    images = ("mnist", "cifar10")
    return {
        "law": law_table(),
        **{name: period_table() for name in tasks},
        **{name: image_table() for name in images},
        "mnist_mirror_rates": rates_table(),
    }


@pytest.fixture(scope="module")
def drawings(tables):
    return {name: plotting.draw(PAPER, name, tables) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_that_a_figure_needs_exists_in_the_full_preset(name):
    assert set(figures.find(PAPER, name).needs) <= set(experiments.names(PAPER, "full"))


def test_the_figures_of_quick_are_those_without_a_download_or_a_rate_of_full_scale_alone():
    known = set(experiments.names(PAPER, "quick"))
    drawn = [name for name in NAMES if known.issuperset(figures.find(PAPER, name).needs)]
    assert drawn == plotting.drawable(PAPER, "quick")
    assert drawn == [name for name in NAMES if name not in ("cifar10", "mirror_rates")]


def test_the_lines_of_the_law_are_those_of_the_decays_of_the_experiments(drawings):
    shown = drawings["law"].axes[0].get_lines()
    lines = [line for line in shown if not str(line.get_label()).startswith("_")]
    cells = {cell.arm: cell for cell in experiments.cells_of(PAPER, "law", "quick")}
    for line, arm in zip(lines, kolen_pollack1994.LAW, strict=True):
        decay = cells[arm].spec.optimizer.weight_decay
        np.testing.assert_allclose(line.get_ydata(), (1 - decay) ** STEPS)


def test_a_measured_point_off_the_line_is_drawn_off_the_line(tables):
    off = tables["law"].copy()
    # Seed 0 starts at 3; the record at update 10 is the readout's first marker after the start.
    off.loc[(off.arm == "sgd_0.01") & (off.seed == 0), "value"] = 3.0
    drawing = plotting.draw(PAPER, "law", {"law": off})
    points = [line for line in drawing.axes[0].get_lines() if line.get_linestyle() == "None"]
    ends = [line.get_ydata()[-1] for line in points[:6]]
    assert 1.0 in ends
    assert min(ends) < 0.01


def test_the_share_of_solved_runs_and_the_time_to_it_are_told(drawings):
    for axes in drawings["period"].axes:
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert labels == [
            f"{kolen_pollack1994.SHORT[look.arm]}: 18, 100 epochs"
            for look in kolen_pollack1994.PERIOD
        ]
        assert axes.get_lines()[0].get_ydata()[-1] == 90


def test_a_task_that_most_runs_never_solve_has_no_median_time(tables):
    never = {name: tables[name].copy() for name in ("xor", "encoder_4_2_4", "encoder_8_3_8")}
    for one in never.values():
        one.loc[one.seed >= 5, "value"] = 0.5
    drawing = plotting.draw(PAPER, "period", never)
    (first, *_) = drawing.axes[0].get_legend().get_texts()
    assert first.get_text() == "backprop: 5, median never"


@pytest.mark.parametrize("key", PUBLISHED)
def test_every_published_value_is_drawn_in_its_panel_at_its_update(drawings, key):
    experiment, arm, measure = key
    name, _, after = measure.partition("@")
    number = PUBLISHED[key]
    panel = ["test_error", "its end", *kolen_pollack1994.ANGLES].index(name)
    # The program of the logged mirror drops the last part of a pass.
    steps = {"mnist": 469, "cifar10": 391}[experiment] - (arm == "weight_mirror_logged")
    # Epochs of the logs count from 0, and are written at their end.
    epoch = int(number.at.removeprefix("epoch "))
    assert int(after or 400 * steps) == (epoch + 1) * steps
    diamonds = [
        to_hex(line.get_markeredgecolor())
        for line in drawings[experiment].axes[panel].get_lines()
        if line.get_linestyle() == "None"
        and (line.get_xdata()[0], line.get_ydata()[0]) == ((epoch + 1) * steps, number.value)
    ]
    assert style.Look(arm, "").colour.lower() in diamonds


def test_only_arms_with_published_values_have_a_diamond_in_the_legend(drawings):
    known = {arm for _, arm, _ in PUBLISHED}
    (legend,) = drawings["mnist"].legends
    for look, line in zip(kolen_pollack1994.AKROUT, legend.get_lines(), strict=True):
        assert (line.get_marker() not in ("None", None, "")) == (look.arm in known)


def test_each_rule_keeps_its_colour(drawings):
    for name in ("mnist", "synchronisation", "cifar10"):
        (legend,) = drawings[name].legends
        labels = {look.label: look.colour for look in kolen_pollack1994.AKROUT}
        for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True):
            assert to_hex(line.get_color()).upper() == labels[text.get_text()]


def test_an_arm_missing_from_the_table_is_an_error_and_no_gap(tables):
    mnist = tables["mnist"]
    with pytest.raises(UserError, match="no test_error of arm 'weight_mirror'"):
        plotting.draw(PAPER, "mnist", {"mnist": mnist[mnist.arm != "weight_mirror"]})


def test_each_rule_is_drawn_at_both_rates_beside_the_log_of_backprop(drawings):
    for axes in drawings["mirror_rates"].axes:
        lines = [line for line in axes.get_lines() if len(line.get_xdata()) > 1]
        assert [line.get_label() for line in lines] == [
            look.label for look in kolen_pollack1994.RATES
        ]
        ends = {line.get_label(): line.get_ydata()[-1] for line in lines}
        assert ends["backprop, 0.05"] == ends["bounded weight mirror, 0.2"] == pytest.approx(2)
        assert ends["backprop, rate 0.2"] == pytest.approx(10.1, abs=0.1)
    diamonds = [
        line for line in drawings["mirror_rates"].axes[0].get_lines() if len(line.get_xdata()) == 1
    ]
    # The log of the mirror is that of another mirror.
    said = PUBLISHED["mnist", "backprop", "test_error"].value
    assert [line.get_ydata()[0] for line in diamonds] == [said]

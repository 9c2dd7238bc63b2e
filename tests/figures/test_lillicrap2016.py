"""Lillicrap's pictures: one colour a rule, published values in place, nothing hidden."""

import builtins

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import figures
from figures import style
from figures._lillicrap2016_article import FIGURES as ARTICLE
from replications.harness.catalogue.rules import RULES
from replications.harness.declared.published import read_published
from replications.harness.errors import UserError
from replications.harness.showing import plotting

PAPER = "lillicrap2016"
# The article's own pictures have tables and tests of their own: test_lillicrap2016_article.py.
NAMES = [name for name in figures.of(PAPER) if name not in ARTICLE]
PUBLISHED = read_published(PAPER)


@pytest.fixture(scope="module")
def drawings(tables):
    return {name: plotting.draw(PAPER, name, tables) for name in NAMES}


def lines(drawing):
    """All lines of the axes and legends of a drawing."""
    for axes in drawing.axes:
        yield from axes.get_lines()
    for legend in [*drawing.legends, *(a.get_legend() for a in drawing.axes)]:
        yield from legend.get_lines() if legend else ()


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_has_its_one_colour_in_every_picture(drawings, name):
    rules = {rule.replace("_", " "): row.colour for rule, row in RULES.items()}
    named = [(line, r) for line in lines(drawings[name]) for r in rules if _names(line, r)]
    # Fig. 3 and 4 show one rule, and name starts and scales instead.
    assert named or name in ("fig3_flow_field", "fig4_sweep")
    for line, rule in named:
        assert to_hex(line.get_color()).upper() == rules[rule]


def _names(line, rule):
    return str(line.get_label()).startswith(rule)


# What the pictures say


SHOWN = {"linear": "fig1_linear", "mnist": "fig2_mnist", "nonlinear": "fig2_nonlinear"}
# Whose published curve stands in the picture of an experiment of the same task.
CURVES = {"digits": "fig2_mnist", "depth": "fig2_nonlinear"}


@pytest.mark.parametrize("key", [k for k in PUBLISHED if k[0] in SHOWN | CURVES])
def test_every_published_value_is_drawn_in_the_colour_of_its_rule_at_its_own_x(drawings, key):
    experiment, arm, measure = key
    number = PUBLISHED[key]
    _, at, place = measure.partition("@")
    if experiment in CURVES and not at:
        pytest.skip("an end of the article's own experiment: in its own picture")
    times = 1e-5 if experiment != "linear" else 1
    drawing = drawings[(SHOWN | CURVES)[experiment]]
    scale = 100 if number.unit == "%" else 1
    found = [
        float(x)
        for axes in drawing.axes
        for line in axes.get_lines()
        if line.get_marker() not in ("None", None)
        and to_hex(line.get_markeredgecolor()) == style.Look(arm, "").colour.lower()
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
        if y == pytest.approx(scale * number.plain, rel=1e-9)
    ]
    assert found
    if at:
        ends = [float(word) for word in place.split() if word.isdigit()]
        assert any(x == pytest.approx(times * sum(ends) / len(ends)) for x in found)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fig1_linear", "n = 20 seeds; NSE: median and quartiles; angle: mean ± 1 SD"),
        ("fig1_linear", "published, Fig. 2a (NC16), Fig. 2b (NC16), certainty A"),
        ("fig2_mnist", "n = 5 seeds; mean ± 1 SD"),
        ("fig3_flow_field", "n = 441 starts"),
    ],
)
def test_the_small_print_tells_n_spread_and_certainty(drawings, name, text):
    assert text in drawings[name].get_supxlabel().replace("\n", " ")


def test_diverged_runs_are_told_and_never_flatter_the_rest(tables):
    linear = tables["linear"].copy()
    lost = (linear.arm == "feedback_alignment") & (linear.seed < 11) & (linear.step >= 1000)
    linear.loc[lost, "value"] = np.nan
    drawing = plotting.draw(PAPER, "fig1_linear", {"linear": linear})
    assert "(11 of 80 runs diverged)" in drawing.get_supxlabel()
    label = "feedback alignment"
    (curve,) = [c for c in drawing.axes[0].get_lines() if c.get_label() == label]
    steps, median = curve.get_data()
    # With 11 of 20 runs lost there is no median run left to draw.
    assert np.isnan(median[steps >= 1000]).all()
    assert np.isfinite(median[steps < 1000]).all()


def test_the_flow_field_counts_the_starts_on_each_branch(drawings, tables):
    weight = tables["flow_field"].query("layer == 'readout'")
    bad = int((weight[weight.step == weight.step.max()].value < 0).sum())
    labels = [str(line.get_label()) for line in lines(drawings["fig3_flow_field"])]
    assert {f"{441 - bad} starts end at W > 0", f"{bad} starts end at W < 0"} <= set(labels)


def test_an_arm_missing_from_the_table_is_an_error_and_no_gap(tables):
    linear = tables["linear"]
    with pytest.raises(UserError, match="no test_nse of arm 'backprop'"):
        plotting.draw(PAPER, "fig1_linear", {"linear": linear[linear.arm != "backprop"]})


# Drawing and saving


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_reads_no_file_and_leaves_its_tables_alone(tables, name, monkeypatch):
    before = {e: table.copy() for e, table in tables.items()}

    def refuse(path, *_, **__):
        raise AssertionError(f"a figure opened {path}")

    with style.applied():
        monkeypatch.setattr(builtins, "open", refuse)
        figures.find(PAPER, name).function(tables, PUBLISHED)
        monkeypatch.undo()
    for experiment, table in tables.items():
        pd.testing.assert_frame_equal(table, before[experiment])

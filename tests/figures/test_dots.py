"""Rows of numbers as dots: every number of the end table is where it says, and each verdict has its mark."""

from math import nan

import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from figures import dots
from figures.dots import Row
from replications.harness.catalogue.rules import RULES
from replications.harness.showing.words import SYMBOLS

ARMS = ("backprop", "feedback_alignment")


def table(**columns):
    """An end table of two rules of the experiment ``net``: ours at 2 and 3, the paper's at 2.5 and 3.5."""
    return pd.DataFrame(
        {
            "experiment": "net", "arm": ARMS, "measure": "test_error", "layer": "",
            "mean": [2.0, 3.0], "sd": [0.1, 0.2], "published": [2.5, 3.5], "published_sd": [0.3, nan],
            "verdict": ["near", "not reproduced"], **columns,
        }
    )  # fmt: skip


def drawn(ends, arms=ARMS, **options):
    axes = Figure().subplots()
    dots.draw(axes, [Row("a net", dots.find(ends, "net", "test_error", arms))], **options)
    return axes


def markers(axes, marker):
    """Where the markers of a kind stand, by the colour of their rule."""
    lines = [line for line in axes.get_lines() if line.get_marker() == marker]
    return {to_hex(line.get_color()).upper(): float(line.get_xdata()[0]) for line in lines}


def spans(axes):
    """From where to where the bars go."""
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) == 2]
    return sorted(tuple(round(float(x), 9) for x in line.get_xdata()) for line in lines)


def test_rules_come_in_the_order_they_are_asked_for_and_those_that_are_missing_are_left_out():
    asked = ("feedback_alignment", "shallow", "backprop")
    found = dots.find(table(), "net", "test_error", asked)
    assert [one.arm for one in found] == ["feedback_alignment", "backprop"]


@pytest.mark.parametrize("key", [("other", "test_error"), ("net", "train_error")])
def test_rows_of_another_experiment_or_measure_are_not_found(key):
    assert dots.find(table(), *key, ARMS) == []
    assert dots.find(table(layer="hidden_1"), "net", "test_error", ARMS) == []


def test_ours_are_dots_and_the_papers_are_open_diamonds_in_the_colour_of_their_rule():
    axes = drawn(table())
    colours = [RULES[arm].colour for arm in ARMS]
    assert markers(axes, "o") == dict(zip(colours, (2.0, 3.0), strict=True))
    assert markers(axes, "D") == dict(zip(colours, (2.5, 3.5), strict=True))
    diamonds = [line for line in axes.get_lines() if line.get_marker() == "D"]
    assert {line.get_markerfacecolor() for line in diamonds} == {"white"}


def test_bars_are_one_standard_deviation_where_there_is_one():
    assert spans(drawn(table())) == [(1.9, 2.1), (2.2, 2.8), (2.8, 3.2)]
    assert spans(drawn(table(sd=nan, published_sd=nan))) == []


def test_where_the_paper_gives_no_number_there_is_no_diamond():
    axes = drawn(table(published=[nan, 3.5], published_sd=nan))
    assert list(markers(axes, "D").values()) == [3.5]
    assert len(markers(axes, "o")) == 2


def test_every_verdict_has_the_mark_that_the_readmes_have():
    assert {v: symbol for v, symbol in SYMBOLS.items() if v != "not run"} == dots.MARKS
    marks = {text.get_text(): text for text in drawn(table()).texts}
    assert set(marks) == {"≈", "✘"}
    assert marks["✘"].get_color() == RULES["feedback_alignment"].colour
    assert all(mark in dots.KEY for mark in dots.MARKS.values())


@pytest.mark.parametrize("verdict", ["", "not run"])
def test_without_a_verdict_there_is_no_mark(verdict):
    assert not drawn(table(verdict=verdict)).texts
    assert not drawn(table(), marks=False).texts


def test_rows_go_from_top_to_bottom_and_bear_their_names():
    axes = Figure().subplots()
    ends = dots.find(table(), "net", "test_error", ARMS)
    dots.draw(axes, [Row("first", ends), Row("second", ends[:1])])
    assert [text.get_text() for text in axes.get_yticklabels()] == ["first", "second"]
    bottom, top = axes.get_ylim()
    assert bottom > top
    heights = [float(line.get_ydata()[0]) for line in axes.get_lines() if line.get_marker() == "o"]
    assert len(set(heights)) == 3, "no dot hides another"
    assert heights[:2] == [-heights[1], heights[1]]
    assert heights[2] == 1, "one alone stands in the middle of its row"


def test_without_rows_there_is_no_panel():
    axes = Figure().subplots()
    dots.draw(axes, [])
    assert not axes.get_visible()


def test_an_axis_of_two_scales_puts_its_values_where_it_is_told():
    axes = Figure().subplots()
    dots.two_scales(axes, {1.0: 0.0, 3.0: 0.8, 100.0: 1.0})
    to_axes = axes.transData + axes.transAxes.inverted()
    for value, place in ((1.0, 0.0), (2.0, 0.4), (3.0, 0.8), (51.5, 0.9), (100.0, 1.0)):
        assert to_axes.transform((value, 0))[0] == pytest.approx(place)
    (bend,) = axes.get_lines()
    assert set(bend.get_xdata()) == {3.0}


def test_the_legend_names_every_rule_in_its_colour():
    figure = Figure()
    dots.legend(figure, ARMS, 2)
    (legend,) = figure.legends
    pairs = zip(legend.get_texts(), legend.get_lines(), strict=True)
    shown = {text.get_text(): line.get_color() for text, line in pairs}
    assert {RULES[arm].label: RULES[arm].colour for arm in ARMS}.items() <= shown.items()

"""The picture of all papers: what it names exists, and what there is stands in it."""

from itertools import product
from math import nan

import pandas as pd
import pytest

from figures import dots, overview
from replications.harness.declared import experiments
from replications.harness.showing.paper_page import ends_at_full_scale

# Paper -> (experiment, arm, measure, layer) of every number that has its place in the picture.
PLACES = {
    "lillicrap2016": [
        (experiment, arm, measure, "")
        for experiment, measure, arms in (
            ("linear", "test_nse", overview.LINEAR),
            ("digits", "test_error", overview.DIGITS),
            ("mnist", "test_error", overview.DIGITS),
            ("nonlinear", "test_nse", overview.NONLINEAR),
            ("depth", "test_nse_variance", overview.NONLINEAR),
        )
        for arm in arms
    ],
    "nokland2016": [
        (experiment, arm, "test_error", "")
        for experiment, arm in product(overview.TABLE1 | overview.TABLE2, overview.THREE)
    ],
    "kolen_pollack1994": [
        *(("mnist", arm, "test_error", "") for arm in overview.AKROUT),
        *(
            ("mnist", arm, *place)
            for arm, place in product(list(overview.AKROUT)[1:], overview.ANGLES)
        ),
    ],
}


def made(paper):
    """An end table with a number at every place."""
    rows = [(*place, 1 + k / 100, 2 + k / 100) for k, place in enumerate(PLACES[paper])]
    columns = ["experiment", "arm", "measure", "layer", "mean", "published"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(sd=nan, published_sd=nan, verdict="near", n=range(3, 3 + len(table)))


def points(drawing, marker):
    """Where the markers of a kind stand, in all panels."""
    return sorted(
        round(float(line.get_xdata()[0]), 9)
        for axes in drawing.axes
        for line in axes.get_lines()
        if line.get_marker() == marker and len(line.get_xdata()) == 1
    )


@pytest.fixture(scope="module")
def tables():
    return {paper: made(paper) for paper in PLACES}


def test_all_that_it_names_is_run_at_full_scale_and_recorded():
    for paper, places in PLACES.items():
        known = {
            (cell.experiment, cell.arm, measure)
            for cell in experiments.cells(paper, "full")
            for measure in cell.spec.measures
        }
        assert {place[:3] for place in places} <= known


def test_every_number_is_a_dot_over_its_diamond(tables):
    drawing = overview.overview(tables)
    for marker, column in (("o", "mean"), ("D", "published")):
        wanted = sorted(x for table in tables.values() for x in table[column].round(9))
        assert points(drawing, marker) == wanted


@pytest.mark.parametrize("paper", PLACES)
def test_every_number_of_full_scale_that_is_to_agree_with_print_has_its_place(paper):
    ends = ends_at_full_scale(paper)
    named = ["experiment", "arm", "measure", "layer"]
    there = ends[ends.verdict != ""][named].itertuples(index=False, name=None)
    assert set(there) - set(PLACES[paper]) == set()


def test_every_verdict_has_its_mark_and_the_small_print_tells_how_many_runs(tables):
    drawing = overview.overview(tables)
    texts = [text.get_text() for axes in drawing.axes for text in axes.texts]
    assert texts.count(dots.MARKS["near"]) == sum(map(len, PLACES.values()))
    most = max(map(len, PLACES.values())) + 2
    assert f"n = 3 to {most} runs" in drawing.get_supxlabel().replace("\n", " ")


def test_of_a_paper_that_has_not_been_run_there_are_no_panels(tables):
    drawing = overview.overview({"kolen_pollack1994": tables["kolen_pollack1994"]})
    assert [axes.get_visible() for axes in drawing.axes] == [False] * 7 + [True] * 2


def test_a_number_without_a_place_of_its_own_changes_nothing(tables):
    more = made("kolen_pollack1994").assign(experiment="other", mean=50.0)
    with_more = {**tables, "kolen_pollack1994": pd.concat([tables["kolen_pollack1994"], more])}
    assert points(overview.overview(with_more), "o") == points(overview.overview(tables), "o")

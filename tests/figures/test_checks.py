"""A figure that its paper cannot draw is told before anything runs."""

import pytest

import figures
from figures import Figure
from replications.harness.declared import experiments
from replications.harness.errors import UserError
from replications.harness.showing import plotting
from tests.harness.papers import CLAIM, write_toy


@pytest.mark.parametrize("paper", experiments.papers())
def test_every_figure_of_every_paper_can_be_drawn(paper):
    plotting.check_figures(paper)


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ({"a": Figure(print, ("toi",), "")}, "figure a: unknown table 'toi'; did you mean 'toy'?"),
        ({"a": Figure(print, ("toy.embeding",), "")}, "did you mean 'embedding'?"),
        (
            {"a": Figure(print, ("toy",), "", claims=("T2",))},
            "unknown claim 'T2'; did you mean 'T1'?",
        ),
        ({"../a": Figure(print, ("toy",), "")}, "figure '../a': a name is letters"),
    ],
)
def test_a_mistake_in_figures_is_one_line_that_names_the_nearest(
    tmp_path, monkeypatch, found, line
):
    monkeypatch.setattr(figures, "of", lambda paper: found)
    with pytest.raises(UserError) as caught:
        plotting.check_figures("toy", write_toy(tmp_path, CLAIM))
    assert str(caught.value).startswith("figures/toy.py: ")
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)

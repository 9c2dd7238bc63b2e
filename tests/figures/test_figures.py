"""The figures of a paper by name, and what looking one up costs."""

import subprocess
import sys

import pytest

import figures
from replications.harness.declared import experiments
from replications.harness.errors import UserError

PAPER = "lillicrap2016"
FIGURES = [(paper, name) for paper in experiments.papers() for name in figures.of(paper)]


@pytest.mark.parametrize(("paper", "name"), FIGURES)
def test_every_experiment_that_a_figure_needs_exists(paper, name):
    assert figures.find(paper, name).experiments <= set(experiments.names(paper, "full"))


def test_looking_a_figure_up_imports_neither_matplotlib_nor_pandas_nor_jax():
    code = f"import figures, sys; figures.of({PAPER!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"matplotlib", "pandas", "jax"}.isdisjoint(done.stdout.split())


@pytest.mark.parametrize(
    ("paper", "name", "hint"),
    [(PAPER, "fig1_liner", "fig1_linear"), ("lilicrap2016", "fig1_linear", PAPER)],
)
def test_an_unknown_figure_or_paper_is_refused_with_the_nearest_name(paper, name, hint):
    with pytest.raises(UserError, match=f"did you mean '{hint}'"):
        figures.find(paper, name)


def test_helper_modules_of_figures_are_no_papers():
    assert "_lillicrap2016_article" not in str(list(figures.of(PAPER)))
    with pytest.raises(UserError, match="no figures for paper '_lillicrap2016_article'"):
        figures.of("_lillicrap2016_article")

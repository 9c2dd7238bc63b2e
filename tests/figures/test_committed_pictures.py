"""The pictures that READMEs show are those that the suite draws today."""

import io

import numpy as np
import pytest
from PIL import Image

from replications.harness.declared import experiments
from replications.harness.errors import UserError
from replications.harness.showing import plotting, readme
from replications.harness.store import ROOT, Store
from tests.regression.check_accepted import unlike

STORE = Store(ROOT / "results")
PICTURES = [(paper, one) for paper in experiments.papers() for one in readme.pictures(paper)]
# Of the pixels, how many may differ visibly: another processor's round-off moves a line by less.
SHARE, STEP = 0.002, 64


def pixels(image):
    return np.asarray(image.convert("RGB"), dtype=int)


def assert_same(drawing, file, dpi):
    from figures import style

    drawn = io.BytesIO()
    with style.applied():
        drawing.savefig(drawn, format="png", dpi=dpi)
    now, kept = pixels(Image.open(drawn)), pixels(Image.open(file))
    assert now.shape == kept.shape, f"{file.name}: run `python -m replications readme`"
    differing = (np.abs(now - kept).max(axis=-1) > STEP).mean()
    assert differing < SHARE, f"{file.name}: run `python -m replications readme`"


def test_the_picture_of_all_papers_is_the_one_that_is_drawn_today(tmp_path):
    # Of accepted numbers alone: under one Matplotlib every pixel, for a dot that moved is a few of them.
    drawn = tmp_path / "overview.png"
    plotting.save(plotting.draw_overview(STORE), drawn, dpi=plotting.SCREEN)
    assert unlike(STORE.overview_picture(), drawn, exact=True) == ""


@pytest.mark.parametrize(("paper", "picture"), PICTURES, ids=lambda one: getattr(one, "name", one))
def test_a_kept_picture_is_the_one_that_is_drawn_today(paper, picture):
    accepted = picture.preset == "full"
    try:
        tables = plotting.tables_of(paper, picture.name, picture.preset, STORE, accepted)
    except UserError as error:
        assert not accepted, "accepted records are in the repository"
        pytest.skip(f"needs a quick run: {error}")
    assert_same(plotting.draw(paper, picture.name, tables, STORE), picture.file, 300)


@pytest.mark.parametrize(("paper", "picture"), PICTURES, ids=lambda one: getattr(one, "name", one))
def test_its_type_is_of_seven_points_or_more_at_print_width(paper, picture):
    import matplotlib.text

    accepted = picture.preset == "full"
    try:
        tables = plotting.tables_of(paper, picture.name, picture.preset, STORE, accepted)
    except UserError as error:
        pytest.skip(f"needs a quick run: {error}")
    drawing = plotting.draw(paper, picture.name, tables, STORE)
    sizes = {
        text.get_fontsize() for text in drawing.findobj(matplotlib.text.Text) if text.get_text()
    }
    assert min(sizes) >= 7
    assert drawing.get_figwidth() <= 7.1

"""The pictures that READMEs show are those that the suite draws today."""

import functools
import io

import matplotlib.text
import numpy as np
import pytest
from PIL import Image

from replications.harness.declared import experiments
from replications.harness.errors import UserError
from replications.harness.showing import plotting, readme
from replications.harness.store import PRESETS, ROOT, Store
from tests.regression.check_accepted import unlike

STORE = Store(ROOT / "results")
PICTURES = [(paper, one) for paper in experiments.papers() for one in readme.pictures(paper)]
# Of the pixels, how many may differ visibly: another processor's round-off moves a line by less.
SHARE, STEP = 0.002, 64


@functools.cache
def draw(paper, preset, name):
    """One figure of the suite: of the accepted records, or of a quick run where there is one. Drawn once."""
    accepted = preset == "full"
    try:
        tables = plotting.tables_of(paper, name, preset, STORE, accepted)
    except UserError as error:
        assert not accepted, "accepted records are in the repository"
        pytest.skip(f"needs a quick run: {error}")
    return plotting.draw(paper, name, tables, STORE)


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
    assert_same(draw(paper, picture.preset, picture.name), picture.file, 300)


DRAWN = [
    (paper, preset, name)
    for paper in experiments.papers()
    for preset in PRESETS
    for name in plotting.drawable(paper, preset, accepted=preset == "full")
]


@pytest.fixture(scope="module")
def drawing(request):
    """One figure of the suite."""
    return draw(*request.param)


each_figure = pytest.mark.parametrize("drawing", DRAWN, ids="-".join, indirect=True)


@each_figure
def test_its_type_is_of_seven_points_or_more_at_print_width(drawing):
    texts = drawing.findobj(matplotlib.text.Text)
    assert min(text.get_fontsize() for text in texts if text.get_text()) >= 7
    assert drawing.get_figwidth() <= 7.1


@each_figure
def test_a_diamond_is_within_its_axes_or_not_to_be_seen(drawing):
    for axes in drawing.axes:
        box = axes.get_window_extent()
        for line in axes.get_lines():
            if line.get_marker() in ("None", None, "", "o", "s", "^", "v", ".", "|"):
                continue
            radius = line.get_markersize() / 2 * drawing.dpi / 72
            for x, y in line.get_transform().transform(line.get_xydata()):
                inside = min(x - box.x0, box.x1 - x, y - box.y0, box.y1 - y)
                assert inside >= radius - 0.5 or inside <= -radius, line.get_xydata()


@each_figure
def test_what_is_drawn_uses_both_halves_of_its_axes(drawing):
    for axes in drawing.axes:
        box = axes.get_window_extent()
        lines = [line for line in axes.get_lines() if len(line.get_xdata())]
        points = [p for line in lines for p in line.get_transform().transform(line.get_xydata())]
        seen = np.array([(x, y) for x, y in points if box.x0 <= x <= box.x1])
        if len(seen):
            assert seen[:, 0].max() > (box.x0 + box.x1) / 2
            assert seen[:, 0].min() < (box.x0 + box.x1) / 2

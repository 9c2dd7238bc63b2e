"""The generated parts of the READMEs, and the pictures that they show: all from what was accepted."""

import re
import shutil

import pytest

from replications.harness.declared import experiments
from replications.harness.errors import UserError
from replications.harness.showing import readme
from replications.harness.store import PAPERS, ROOT, Store

PAPER = "kolen_pollack1994"


@pytest.fixture
def store(tmp_path):
    """The folder of one paper, to change, and no results."""
    shutil.copytree(PAPERS / PAPER, tmp_path / "papers" / PAPER)
    return Store(tmp_path / "results", tmp_path / "papers")


def test_the_score_names_every_paper_run_at_full_scale_with_a_link():
    text = readme.score(page="there/{}.md")
    run = [paper for paper in experiments.papers() if experiments.accepted(paper)]
    assert len(run) >= 3
    for paper in experiments.papers():
        assert (f"(there/{paper}.md)" in text) == (paper in run)


def test_what_is_generated_is_written_between_its_markers_and_then_true(store, tmp_path):
    file = tmp_path / "README.md"
    part = re.compile(r"(<!-- (\w+): begin -->\n).*?\n(<!-- \2: end -->)", re.DOTALL)
    empty = part.sub(r"\1\3", (ROOT / "README.md").read_text(encoding="utf-8"))
    file.write_text(empty, encoding="utf-8")
    assert not readme.write(file, check=True, store=store)
    readme.write(file, store=store)
    assert readme.write(file, check=True, store=store)
    text = file.read_text(encoding="utf-8")
    assert readme.score(store) in text
    assert part.sub(r"\1\3", text) == empty


def test_a_papers_page_that_is_not_true_is_named_and_made_true(store):
    assert readme.write_pages(store, check=True) == []
    file = store.readme(PAPER)
    text = file.read_text(encoding="utf-8")
    begin = "<!-- numbers: begin -->\n"
    file.write_text(text.replace(begin, f"{begin}| edited |\n"), encoding="utf-8")
    assert readme.write_pages(store, check=True) == [PAPER]
    assert readme.write_pages(store) == [PAPER]
    assert file.read_text(encoding="utf-8") == text


def test_a_paper_without_a_page_is_named(store):
    store.readme(PAPER).unlink()
    with pytest.raises(UserError, match=r"kolen_pollack1994/README\.md: no such file"):
        readme.write_pages(store)


def test_a_picture_is_of_full_scale_where_that_was_accepted_and_of_quick_elsewhere(store):
    pictures = {one.name: one for one in readme.pictures(PAPER, store)}
    assert all(one.figure.shown for one in pictures.values())
    kept = set(experiments.kept(PAPER, store))
    of_full = {name for name, one in pictures.items() if one.figure.experiments & kept}
    assert of_full
    assert of_full == {name for name, one in pictures.items() if one.preset == "full"}
    shutil.rmtree(store.accepted(PAPER, "full"))
    assert {one.preset for one in readme.pictures(PAPER, store)} == {"quick"}


def test_only_what_has_been_drawn_is_copied_and_the_picture_of_all_papers_is_drawn(store):
    first, *others = readme.pictures(PAPER, store)
    before = {one.file: one.file.read_bytes() for one in others}
    drawn = store.figure(first.preset, PAPER, first.name, "png")
    drawn.parent.mkdir(parents=True)
    drawn.write_bytes(b"drawn anew")
    readme.take_pictures(store)
    assert first.file.read_bytes() == b"drawn anew"
    assert {file: file.read_bytes() for file in before} == before
    assert store.overview_picture().read_bytes().startswith(b"\x89PNG")

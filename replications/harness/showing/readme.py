"""The generated parts of README.md and of the papers' READMEs, and the pictures that they show.

Everything comes from ``replications/<paper>/accepted``, so what they say is true on every machine and a
test can hold the files to it.
"""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import figures
from replications.harness.declared import experiments
from replications.harness.errors import UserError
from replications.harness.files import atomically
from replications.harness.showing import paper_page, plotting, scoreboard
from replications.harness.showing.markdown import fill
from replications.harness.store import Store

PAGE = "replications/{}/README.md"


def write(file: Path, check: bool = False, store: Store = Store()) -> bool:
    """Renew tally and score in ``file`` (README.md); with ``check`` only say whether they are true."""
    tally = scoreboard.tally(scoreboard.accepted_scores(store))
    return fill(file, {"tally": tally, "score": score(store)}, check)


def score(store: Store = Store(), page: str = PAGE) -> str:
    """The scoreboard of all papers, and the claims by name.

    ``page``: where a paper's README lies.
    """
    scores = scoreboard.accepted_scores(store)
    failed = scoreboard.failures(scores)
    parts = [scoreboard.scoreboard(scores, store, page)]
    if failed:
        parts.append("Failed, by name:\n\n" + "\n".join(f"- {line}" for line in failed))
    parts.append(scoreboard.named(scores))
    return "\n\n".join(parts)


def write_pages(
    store: Store = Store(), check: bool = False, papers: Iterable[str] | None = None
) -> list[str]:
    """Renew the tables in the READMEs of ``papers`` (default: all); those whose page was not true."""
    stale = []
    for paper in experiments.papers(store) if papers is None else papers:
        file = store.readme(paper)
        if not file.is_file():
            raise UserError(f"{file}: no such file; every paper has a README.md")
        if not fill(file, paper_page.parts(paper, store), check):
            stale.append(paper)
    return stale


class Picture(NamedTuple):
    """The copy of a figure that a README shows: an input, no rule writes it."""

    file: Path
    preset: str
    name: str
    figure: figures.Figure


def pictures(paper: str, store: Store = Store()) -> Iterator[Picture]:
    """The figures that a paper's README shows: of full scale where it has been run, else of a quick run."""
    seen = set()
    for preset, accepted in (("full", True), ("quick", False)):
        for name in plotting.drawable(paper, preset, accepted, store):
            figure = figures.find(paper, name)
            if figure.shown and name not in seen:
                seen.add(name)
                yield Picture(store.picture(paper, preset, name), preset, name, figure)


def take_pictures(store: Store) -> None:
    """Copy those shown figures of every paper that have been drawn, and draw the one of all papers."""
    for paper in experiments.papers(store):
        for picture in pictures(paper, store):
            drawn = store.figure(picture.preset, paper, picture.name, "png")
            if drawn.exists():
                with atomically(picture.file) as temporary:
                    shutil.copyfile(drawn, temporary)
    plotting.save(plotting.draw_overview(store), store.overview_picture(), dpi=plotting.SCREEN)

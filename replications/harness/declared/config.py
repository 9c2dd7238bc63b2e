"""workflow/config.yaml as a typed object, checked whole before anything is planned or written."""

import keyword
import re
from typing import Any, Literal

from pydantic import Field

from replications.harness.declared.claims import check_claims
from replications.harness.declared.experiments import cells, papers
from replications.harness.declared.reading import MISSING, Strict, parse, shown
from replications.harness.errors import UserError, nearest
from replications.harness.store import PRESETS

# Names of the workflow's rules and of its shared modules of figures, which no paper can have.
TAKEN = (
    "all", "arrays", "artifact", "check", "dataset", "dots", "embed", "experiment", "fingerprint", "judge",
    "overview", "plot", "scoreboard", "simulate", "site", "style", "summarize", "tabulate", "times", "verdicts",
)  # fmt: skip
WHERE = "config (workflow/config.yaml or --config)"


class Config(Strict):
    """What a run of the workflow is asked for. Threads, memory and machines belong in a profile."""

    preset: Literal["quick", "full"]
    papers: list[str] = Field(min_length=1)
    # The report shows the first one.
    figure_formats: list[Literal["svg", "pdf", "png"]] = Field(min_length=1)


def check_paper(name: str) -> None:
    """Raise UserError for a name that a paper cannot have: its figures are a module, its rule has its name."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name in MISSING:
        raise UserError(f"paper {shown(name)}: a paper's name is small letters, digits and '_'")
    if name in TAKEN:
        raise UserError(f"paper {name!r}: a rule of the workflow has this name; choose another")


def read(data: dict[str, Any]) -> Config:
    """The configuration that Snakemake has read. Raises UserError for it or for what it leads to:
    an unknown key, a wrong type, an unknown preset or paper, a bad ``experiments.yaml``."""
    config = parse(Config, data, WHERE)
    known = papers()
    for paper in config.papers:
        if paper not in known:
            raise UserError(
                f"{WHERE}: papers: unknown paper {shown(paper)}; {nearest(paper, known)}"
            )
        check_paper(paper)
    for name in ("papers", "figure_formats"):
        values = getattr(config, name)
        twice = [value for value in values if values.count(value) > 1]
        if twice:
            raise UserError(f"{WHERE}: {name}: {twice[0]!r} is named twice; name it once")
    for paper in config.papers:
        for preset in PRESETS:
            cells(paper, preset)
            check_claims(paper, preset)
    return config

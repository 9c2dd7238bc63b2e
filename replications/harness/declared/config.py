"""workflow/config.yaml as a typed object, checked whole before anything is planned or written."""

from typing import Any, Literal

from pydantic import Field

from replications.harness.declared.claims import check_claims
from replications.harness.declared.experiments import cells, papers
from replications.harness.declared.reading import Strict, parse
from replications.harness.errors import UserError, nearest
from replications.harness.store import PRESETS

WHERE = "config (workflow/config.yaml or --config)"


class Config(Strict):
    """What a run of the workflow is asked for. Threads, memory and machines belong in a profile."""

    preset: Literal["quick", "full"]
    papers: list[str] = Field(min_length=1)
    # The report shows the first one.
    figure_formats: list[Literal["svg", "pdf", "png"]] = Field(min_length=1)


def read(data: dict[str, Any]) -> Config:
    """The configuration that Snakemake has read. Raises UserError for it or for what it leads to:
    an unknown key, a wrong type, an unknown preset or paper, a bad ``experiments.yaml``."""
    config = parse(Config, data, WHERE)
    known = papers()
    for paper in config.papers:
        if paper not in known:
            raise UserError(f"{WHERE}: papers: unknown paper {paper!r}; {nearest(paper, known)}")
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

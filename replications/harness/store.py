"""Where everything lies: inputs below ``replications``, results below the folder of results.

Every part of an address may also be a pattern (``{paper}``), from which the workflow makes its rules.
"""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAPERS = ROOT / "replications"
PRESETS = ("quick", "full")


@dataclass(frozen=True)
class Store:
    """The addresses of the suite.

    Attributes:
      results: the folder of all results.
      papers: the folder with a folder for every paper.
      data: the folder of the data sets' arrays; below the results where none is given.
    """

    results: Path = Path("results")
    papers: Path = PAPERS
    data: Path | None = None

    # What people write.

    def experiments(self, paper: str) -> Path:
        """The experiments of a paper."""
        return self.papers / paper / "experiments.yaml"

    def claims(self, paper: str) -> Path:
        """What it claims, and what would count as seeing it again."""
        return self.papers / paper / "claims.yaml"

    def published(self, paper: str) -> Path:
        """Its published numbers."""
        return self.papers / paper / "published.yaml"

    def accepted(self, paper: str, preset: str) -> Path:
        """The folder of its accepted results. Only ``accept`` writes there."""
        return self.papers / paper / "accepted" / preset

    def kept(self, paper: str, preset: str, experiment: str, kind: str) -> Path:
        """One accepted table of an experiment: records, first_losses, aggregates, fingerprints, embedding."""
        return self.accepted(paper, preset) / f"{experiment}.{kind}.csv"

    def kept_verdicts(self, paper: str, preset: str) -> Path:
        """Its claims and numbers as they were judged when they were accepted: what READMEs say."""
        return self.accepted(paper, preset) / "verdicts.json"

    def readme(self, paper: str) -> Path:
        """What a paper claims, what we find, and how."""
        return self.papers / paper / "README.md"

    def picture(self, paper: str, preset: str, figure: str) -> Path:
        """The copy of a figure that a README shows."""
        return self.papers / paper / f"{figure}.{preset}.png"

    def overview_picture(self) -> Path:
        """The copy of the picture of all papers, which README.md shows first."""
        return self.papers / "overview.png"

    # What commands write.

    def dataset(self, name: str) -> Path:
        """A data set's arrays."""
        return (self.data or self.results / "datasets") / f"{name}.npz"

    def preset(self, preset: str) -> Path:
        """The folder of all that one preset gives."""
        return self.results / preset

    def paper(self, preset: str, paper: str) -> Path:
        """The folder of one paper in it."""
        return self.preset(preset) / paper

    def runs(self, preset: str, paper: str, experiment: str) -> Path:
        """The folder of an experiment's cells."""
        return self.paper(preset, paper) / "runs" / experiment

    def run(self, preset: str, paper: str, experiment: str, arm: str) -> Path:
        """The numbers of one cell."""
        return self.runs(preset, paper, experiment) / f"{arm}.npz"

    def table(self, preset: str, paper: str, table: str) -> Path:
        """A tidy table: an experiment's records or, as ``<experiment>.embedding``, its features in the
        plane, as ``<experiment>.arrays`` what its pictures show of spikes or weights."""
        return self.paper(preset, paper) / "tables" / f"{table}.csv"

    def fingerprints(self, preset: str, paper: str, experiment: str) -> Path:
        """The fingerprints of an experiment's cells, as they are now."""
        return self.all_fingerprints(preset, paper) / f"{experiment}.csv"

    def all_fingerprints(self, preset: str, paper: str) -> Path:
        """The folder of a paper's fingerprints."""
        return self.paper(preset, paper) / "fingerprints"

    def figure(self, preset: str, paper: str, figure: str, suffix: str) -> Path:
        """A picture, in one format."""
        return self.paper(preset, paper) / "figures" / f"{figure}.{suffix}"

    def summary(self, preset: str, paper: str) -> Path:
        """Every experiment at the end of training, as a page."""
        return self.paper(preset, paper) / "tables" / "summary.html"

    def verdicts(self, preset: str, paper: str) -> Path:
        """A paper's judged claims."""
        return self.paper(preset, paper) / "claims.json"

    def all_verdicts(self, preset: str, suffix: str) -> Path:
        """The judged claims of all papers, as json, md or html."""
        return self.preset(preset) / f"claims.{suffix}"

    def overview(self, suffix: str) -> Path:
        """The picture of all papers, of what was accepted."""
        return self.preset("full") / f"overview.{suffix}"

    def scoreboard(self, suffix: str) -> Path:
        """The scoreboard, on which the report opens, as html, md or rst."""
        return self.results / f"scoreboard.{suffix}"

    def times(self, suffix: str) -> Path:
        """Where the time of a run went, as html or md."""
        return self.results / f"times.{suffix}"

    def artifact(self) -> Path:
        """One archive of all that others need."""
        return self.results / "artifact.zip"

    def report(self) -> Path:
        """The report: one page of all that a run gave."""
        return self.results / "report.html"

    def check(self, preset: str, paper: str) -> Path:
        """What the check said, where all is as accepted."""
        return self.paper(preset, paper) / "check.txt"

    def log(self, preset: str, rule: str, *parts: str) -> Path:
        """What a job said."""
        return self._of_job(preset, "logs", rule, *parts, suffix="log")

    def benchmarks(self, preset: str) -> Path:
        """The folder of what a preset's jobs cost."""
        return self.preset(preset) / "benchmarks"

    def benchmark(self, preset: str, rule: str, *parts: str) -> Path:
        """What a job cost."""
        return self._of_job(preset, "benchmarks", rule, *parts, suffix="tsv")

    def _of_job(self, preset: str, *parts: str, suffix: str) -> Path:
        # No ``with_suffix``: the name of an arm may have a dot in it.
        *folders, name = parts
        return self.preset(preset).joinpath(*folders, f"{name}.{suffix}")

"""Where the time of a run went: what its jobs cost, and how much of that was compiled training."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from replications.harness import records
from replications.harness.errors import UserError
from replications.harness.files import atomically
from replications.harness.showing.markdown import table
from replications.harness.showing.pages import page
from replications.harness.store import PRESETS, Store

TITLE = "Where the time went"
HEADS = ("step", "jobs", "core seconds", "compiled training", "tracing and compiling", "the rest")
NOTE = (
    "Every job when it last ran, from its start to its end, on one core. *Compiled training*: drawing, "
    "shuffling, updates, tests and angles. *Tracing and compiling* is JAX's. *The rest*: starting Python, "
    "importing, reading, drawing pictures, writing."
)
# The rules whose jobs train, and where their jobs' results lie: an experiment, or a cell of it.
TRAINING = ("experiment", "simulate")


class Cost(NamedTuple):
    """Seconds of one job, or of several."""

    jobs: int = 0
    whole: float = 0.0
    training: float = 0.0
    compiling: float = 0.0


def total(costs: Iterable[Cost]) -> Cost:
    """The sum of costs."""
    return Cost(*map(sum, zip(Cost(), *costs, strict=True)))


def write_times(store: Store) -> None:
    """Lay out where the time went, as md and html. Raises UserError."""
    markdown = times_markdown(store)
    for suffix, text in (("md", markdown), ("html", page(TITLE, markdown))):
        with atomically(store.times(suffix)) as temporary:
            temporary.write_text(text, encoding="utf-8")


def times_markdown(store: Store) -> str:
    """The share of compiled training; the steps, the dearest first; the experiments, the dearest first."""
    jobs = sorted(_jobs(store))
    steps = {rule: total(c for _, _, c in of) for rule, of in groupby(jobs, lambda job: job[0])}
    trained = {name: cost for rule, name, cost in jobs if rule in TRAINING}
    everything = total(steps.values())
    share = everything.training / everything.whole if everything.whole else 0.0
    return (
        "\n\n".join(
            [
                f"# {TITLE}",
                f"{everything.whole:.0f} core seconds in {everything.jobs} jobs, {share:.0%} of it training.",
                NOTE,
                table(HEADS, [*_rows(steps), _row("all", everything)]),
                "## Experiment by experiment",
                table(HEADS, _rows(trained)),
            ]
        )
        + "\n"
    )


def _rows(costs: Mapping[str, Cost]) -> list[list[str]]:
    return [_row(name, cost) for name, cost in sorted(costs.items(), key=lambda one: -one[1].whole)]


def _row(name: str, cost: Cost) -> list[str]:
    parts = (cost.whole, cost.training, cost.compiling, cost.whole - cost.training - cost.compiling)
    return [name, str(cost.jobs), *(f"{seconds:.1f}" for seconds in parts)]


def _jobs(store: Store) -> Iterator[tuple[str, str, Cost]]:
    """Rule, name and cost of every job that left its benchmark."""
    for preset in PRESETS:
        folder = store.benchmarks(preset)
        for file in sorted(folder.glob("**/*.tsv")):
            rule, *places = file.relative_to(folder).with_suffix("").parts
            name = "/".join([*places, preset] if preset == "full" else places)
            whole = _seconds(file)
            training = compiling = 0.0
            if rule in TRAINING:
                training, compiling = _trained(_results(store, preset, places), whole)
            yield rule, name, Cost(1, whole, training, compiling)


def _seconds(file: Path) -> float:
    """What Snakemake measured of a job. Raises UserError."""
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            return float(next(csv.DictReader(opened, delimiter="\t"))["s"])
    except (KeyError, StopIteration, TypeError, ValueError):
        raise UserError(
            f"{file}: no benchmark of Snakemake; delete it and run its job again"
        ) from None


def _results(store: Store, preset: str, places: list[str]) -> list[Path]:
    paper, experiment, *arm = places
    folder = store.runs(preset, paper, experiment)
    return [store.run(preset, paper, experiment, arm[0])] if arm else sorted(folder.glob("*.npz"))


def _trained(files: Iterable[Path], whole: float) -> tuple[float, float]:
    """Seconds of compiled training, and of tracing and compiling, of a job that took ``whole`` seconds. Where
    nobody has measured them apart, or earlier jobs had begun the work, they count as the rest: the share of
    training is never said too high."""
    own = [
        seed
        for file in files
        for origin in records.read_run(file).manifest["origins"]
        for seed in origin["seeds"].values()
        if seed.get("compile_seconds") is not None
    ]
    wall, compiling = (
        sum(_number(seed, f"{kind}_seconds") for seed in own) for kind in ("wall", "compile")
    )
    return (wall - compiling, compiling) if wall <= whole else (0.0, 0.0)


def _number(seed: Mapping[str, Any], key: str) -> float:
    return float(seed[key] or 0.0)

"""Train the first passes of accepted seeds again, and compare them with the kept records digit by digit.

A record that today's code gives again was computed by such code, from that spec, that seed and those data.
How far it may be off depends on where it was computed: see ``TIERS``. Records after the last pass that was
trained again are not reached, and that is said.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from replications.harness.catalogue.measures import MEASURES
from replications.harness.declared import experiments
from replications.harness.declared.experiments import Cell
from replications.harness.errors import UserError, nearest
from replications.harness.judging import drift, manifests
from replications.harness.judging.verdicts import read_records
from replications.harness.records import Run
from replications.harness.store import Store
from replications.harness.tables import KEYS
from replications.harness.training import datasets, provenance, tasks
from replications.harness.training.run import Trainer, stops
from replications.harness.training.streams import precision

# Where a record was computed -> how far the number of today's code may be from it, as a share of
# itself in float32; in float64 a thousandth of that. Records are kept with six digits.
SAME = "the same kind of machine"
TIERS = {
    # The same processor, instructions and versions: every printed digit.
    SAME: 0.0,
    # Sums in another order. Seen after 1 to 3 passes, of 938 to 60,000 updates: on another EPYC and a
    # Xeon with another jax all digits but one in a hundred equal, that one within 2e-6; with SSE4.2 for
    # AVX-512 within 7e-5 (seven layers of 240 units), with AVX2 the same bits.
    "another processor": 1e-4,
    # The same, and seeds together (vmap). Seen after as many, on an H200: within 2e-6.
    "a GPU": 1e-4,
}
# Round-off grows with the updates that carry it on: all of it is allowed from so many updates on, before in
# proportion, and SHARE_AT_FIRST of it at least. (SSE4.2 for AVX-512 after 10 to 469 updates: within 1e-6.)
GROWN, SHARE_AT_FIRST = 1000, 0.02
# Beside it: the last printed digit, two of 10,000 test examples that go to another class, and for an angle what
# the round-off of its cosine makes of it, which is most near 0 and 180 degrees.
EXAMPLES, COSINE, FLAT = 2.5e-4, 2e-5, 1e-2
DIGITS = 6
Say = Callable[[str], None]
# A cell and seeds of it.
Asked = tuple[Cell, list[int]]
# (step, name of the measure and layer) -> number, of one seed.
Numbers = Mapping[tuple[int, str], float]


class Kept(NamedTuple):
    """What is known of a seed: its numbers, its first losses if they were kept, where they are from."""

    numbers: Numbers
    first_losses: np.ndarray | None
    origin: Mapping[str, Any]


class Compared(NamedTuple):
    """A seed trained again: numbers compared, those whose digits are all equal, and what differs."""

    numbers: int
    equal: int
    differ: list[str]
    records: int
    of: int


def accepted_seeds(
    paper: str | None = None,
    experiment: str | None = None,
    arm: str | None = None,
    store: Store = Store(),
) -> list[Asked]:
    """The accepted seeds of full scale, of all cells or of those named. Raises UserError if there are none."""
    if paper is not None and experiment is not None:
        cells = experiments.cells_of(paper, experiment, "full", store)
        arms = [cell.arm for cell in cells]
        if arm is not None and arm not in arms:
            raise UserError(f"{paper}/{experiment}: unknown arm {arm!r}; {nearest(arm, arms)}")
        cells = [cell for cell in cells if arm in (None, cell.arm)]
    else:
        papers = experiments.papers(store) if paper is None else [paper]
        cells = [cell for one in papers for cell in experiments.cells(one, "full", store)]
    found = []
    for cell in cells:
        known = manifests.read_manifest(cell.paper, "full", store).cells.get(cell.key)
        if known is not None:
            found.append((cell, sorted(provenance.of_seeds(known["origins"]))))
    if not found:
        named = "/".join(part for part in (paper, experiment, arm) if part)
        raise UserError(f"{named or 'all papers'}: nothing is accepted at full scale")
    return found


def verify(
    asked: Sequence[Asked],
    store: Store,
    passes: int = 3,
    sample: int | None = None,
    say: Say = print,
) -> int:
    """Train the first ``passes`` of accepted seeds again and say how they compare, a line each.

    ``sample``: only so many of the seeds, drawn at random. 0 where every number that was reached is the
    kept one, else 1. Raises UserError where nothing could be reached.
    """
    pairs = [(i, seed) for i, (_, seeds) in enumerate(asked) for seed in seeds]
    if sample is not None and sample < len(pairs):
        # Nobody shall know which: the generator of the system, not one of ours.
        pairs = random.SystemRandom().sample(pairs, sample)
    drawn = set(pairs)
    chosen = [
        (cell, [seed for seed in seeds if (i, seed) in drawn])
        for i, (cell, seeds) in enumerate(asked)
    ]
    chosen = [(cell, seeds) for cell, seeds in chosen if seeds]
    total = sum(len(seeds) * last_update(cell, passes) for cell, seeds in chosen)
    results, unreached, bad = [], [], 0
    with tqdm(total=total, desc="verify", unit=" updates", disable=None, leave=False) as bar:
        for cell, seeds in chosen:
            try:
                kept = accepted(cell, seeds, store)
                found = compare(cell, kept, store, passes, bar.update)
            except UserError as error:
                unreached.append(f"{cell.name}: {error}")
                continue
            for seed, one in found.items():
                results.append(one)
                bad += bool(one.differ)
                say(_line(cell, seed, one, tier(kept[seed].origin)))
    for line in unreached:
        say(f"not reached: {line}")
    if not results:
        raise UserError("nothing was verified: see above")
    say(_summary(results, sum(len(seeds) for _, seeds in asked), bad))
    return int(bad > 0 or bool(unreached))


def _line(cell: Cell, seed: int, one: Compared, where: str) -> str:
    start = f"{cell.name}, seed {seed}: {one.records} of {one.of} records, {one.numbers} numbers"
    if one.differ:
        return f"{start}: DIFFERENT: {manifests.names_of(one.differ, 5)}"
    if one.equal == one.numbers:
        return f"{start}, equal in every digit"
    return f"{start}, {one.equal} equal in every digit, the rest to rounding ({where})"


def _summary(results: Sequence[Compared], seeds: int, bad: int) -> str:
    reached, of = (sum(getattr(one, name) for one in results) for name in ("records", "of"))
    said = f"{bad} of them differ" if bad else "none differs"
    late = "" if reached == of else f"; not reached: {of - reached} later records of theirs"
    return f"{len(results)} of {seeds} accepted seeds trained again, {said}{late}"


def accepted(cell: Cell, seeds: Sequence[int], store: Store) -> dict[int, Kept]:
    """Seed -> what was accepted of it. Raises UserError where an accepted file is damaged."""
    text = store.kept(cell.paper, "full", cell.experiment, "runs")
    table = read_records(text)
    rows = table[table["arm"] == cell.arm]
    known = manifests.read_manifest(cell.paper, "full", store).cells[cell.key]
    origins = provenance.of_seeds(known["origins"])
    losses = drift.read_numbers(store.kept(cell.paper, "full", cell.experiment, "first_losses"))
    first = losses.get(f"{cell.arm} ({cell.spec.dtype})")
    lowest = rows["seed"].min()
    return {
        seed: Kept(
            _numbers(rows[rows["seed"] == seed]),
            first.to_numpy() if first is not None and seed == lowest else None,
            origins[seed],
        )
        for seed in seeds
    }


def _numbers(rows: pd.DataFrame) -> dict[tuple[int, str], float]:
    names = [name for name in rows.columns if name not in KEYS]
    # A column without any number is another arm's.
    names = [name for name in names if rows[name].notna().any()]
    return {
        (int(step), name): float(value)
        for name in names
        for step, value in zip(rows["step"], rows[name], strict=True)
    }


def records_of(cell: Cell, run: Run) -> dict[int, Kept]:
    """Seed -> the numbers of a run, as ``accepted`` has them."""
    origins = provenance.of_seeds(run.manifest["origins"])
    found = {}
    for i, seed in enumerate(run.seeds.tolist()):
        numbers = {
            (int(step), name): float(value)
            for name, values in run.measures.items()
            if values.ndim == 2  # no arrays: features, fields, traces
            for step, value in zip(run.step, values[i], strict=True)
        }
        found[seed] = Kept(numbers, run.first_losses[i], origins[seed])
    return found


def check_seeds(
    cell: Cell, seeds: Sequence[int], kept: Mapping[int, Kept], store: Store, passes: int
) -> None:
    """Raise UserError where today's code does not give the first records of these seeds."""
    for seed, one in compare(cell, {s: kept[s] for s in seeds}, store, passes).items():
        if one.differ:
            more = f" (and {len(one.differ) - 1} more)" if len(one.differ) > 1 else ""
            raise UserError(
                f"{cell.name}, seed {seed}: today's code gives another run: {one.differ[0]}{more}; run it again"
            )


def compare(
    cell: Cell,
    kept: Mapping[int, Kept],
    store: Store,
    passes: int,
    progress: Callable[[int], Any] = lambda updates: None,
) -> dict[int, Compared]:
    """Train seeds again and compare. Raises UserError where their data set is not there."""
    with precision(cell.spec.dtype):
        task = tasks.build(cell.spec, partial(datasets.load, store=store))
        trainer = Trainer(cell.spec, task, "map")
        last = last_update(cell, passes)
        return {
            seed: _compared(cell, one, trainer, trainer.train([seed], None, progress, last))
            for seed, one in kept.items()
        }


def _compared(
    cell: Cell, kept: Kept, trainer: Trainer, again: Mapping[str, np.ndarray]
) -> Compared:
    where, numbers, equal, differ = tier(kept.origin), 0, 0, []
    reached = len(again["train_loss"][0])
    when = trainer.when[:reached]
    there = {name for _, name in kept.numbers}
    for name in sorted(there - again.keys()):
        differ.append(f"{name}: kept, but not measured now")
    for name in sorted(again.keys() - {"first_losses"}):
        if again[name].ndim != 2:
            continue  # an array, of which no records are kept
        for step, now in zip(when, again[name][0], strict=True):
            before = kept.numbers.get((step, name))
            if before is None:
                # What no record of a run has is printed nowhere.
                if not np.isnan(now):
                    differ.append(f"step {step}, {name}: not kept, now {now:.6g}")
                continue
            numbers += 1
            same = f"{before:.6g}" == f"{now:.6g}"
            equal += same
            measure = name.partition("/")[0]
            allowed = tolerance(measure, cell.spec.dtype, before, where, step)
            if not same and not np.isclose(now, before, rtol=0, atol=allowed, equal_nan=True):
                differ.append(f"step {step}, {name}: kept {before:.6g}, now {now:.6g}")
    if kept.first_losses is not None:
        limit = drift.FIRST_LOSSES[cell.spec.dtype]
        # As far as it was trained again.
        far = when[-1]
        ours, theirs = again["first_losses"][0][:far], kept.first_losses[:far]
        losses = np.isclose(ours, theirs, **limit, equal_nan=True)
        if not losses.all():
            differ.insert(0, f"first losses: another from update {int(np.argmin(losses)) + 1} on")
    if extra := {step for step, _ in kept.numbers} - set(trainer.when):
        differ.append(f"step {min(extra)}: kept, but the spec has no such record")
    return Compared(numbers, equal, differ, reached, len(trainer.when))


def tier(origin: Mapping[str, Any]) -> str:
    """Where a seed was computed, as seen from this machine: a name of ``TIERS``."""
    if provenance.same_kind(origin, provenance.machine_once()):
        return SAME
    return "another processor" if origin.get("device") == "cpu" else "a GPU"


def tolerance(measure: str, dtype: str, value: float, where: str, step: int) -> float:
    """How far from ``value``, after ``step`` updates, a number may be whose printed digits are not the same."""
    if where == SAME:
        return 0.0
    size = abs(np.nan_to_num(value))
    grown = min(1.0, max(step / GROWN, SHARE_AT_FIRST))
    share = TIERS[where] * grown * (1e-3 if dtype == "float64" else 1)
    last_digit = 10.0 ** (np.floor(np.log10(size)) + 1 - DIGITS) if size else 0.0
    unit = MEASURES[measure].unit
    own = EXAMPLES if unit == "%" else 1e-9
    if unit == "°":
        own = COSINE / max(abs(np.sin(np.radians(size))), FLAT)
    return float(share * size + last_digit + own)


def stops_of(cell: Cell) -> list[int]:
    """After which numbers of updates a cell is measured; without its data."""
    return stops(cell.spec, cell.spec.steps, cell.spec.steps_per_epoch)


def last_update(cell: Cell, passes: int) -> int:
    """How far to train for so many passes: at least to the first record, at most to the end."""
    spec = cell.spec
    first = stops_of(cell)[1:2] or [spec.steps]
    return min(spec.steps, max(passes * spec.steps_per_epoch, *first))

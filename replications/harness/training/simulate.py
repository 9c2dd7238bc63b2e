"""Compute a cell: the seeds that are not there yet, beside those that are."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from replications.harness import records
from replications.harness.catalogue.datasets import DATASETS
from replications.harness.declared.experiments import Cell
from replications.harness.errors import UserError, nearest
from replications.harness.files import locked
from replications.harness.store import Store
from replications.harness.training import datasets, provenance, tasks
from replications.harness.training.checkpoints import Checkpoint, Clock
from replications.harness.training.compiling import COMPILING
from replications.harness.training.devices import on_a_free_device
from replications.harness.training.measures import TESTS
from replications.harness.training.run import BATCHINGS, Trainer, groups
from replications.harness.training.streams import precision

# What a run that diverges has no number for.
LOSSES = ("train_loss", *TESTS)


def simulate(
    cell: Cell,
    store: Store,
    seeds: Sequence[int] | None = None,
    batching: str = "map",
    checkpoint_seconds: float = 60,
) -> Path:
    """Compute the cell's seeds that are not there yet; the path of the file they stand in.

    A result of the same spec and sources with other seeds is kept and joined. One of another spec or
    of other sources is replaced by a whole cell; single ``seeds`` do not take its place. Raises
    UserError.
    """
    if batching not in BATCHINGS:
        raise UserError(f"unknown batching {batching!r}; {nearest(batching, BATCHINGS)}")
    path = store.run(cell.preset, cell.paper, cell.experiment, cell.arm)
    checkpoint = Checkpoint(path, cell, batching, checkpoint_seconds)
    wanted = list(range(cell.spec.seeds)) if seeds is None else list(seeds)
    kept = _kept(path, cell)
    if seeds is not None and kept is None and path.exists():
        raise UserError(
            f"{path}: a result of another spec or of other code stands here; move it away, or leave out"
            " --seeds to compute the whole cell anew"
        )
    missing = [seed for seed in wanted if kept is None or seed not in kept.seeds]
    if missing or kept is None:
        # The bound on time between checkpoints is the only clock in here; it moves no number.
        with precision(cell.spec.dtype), on_a_free_device():
            run = _compute(cell, missing, store, batching, checkpoint)
        with locked(path.parent):
            # Anew: another process may have written other seeds meanwhile.
            kept = _kept(path, cell)
            run = run if kept is None else _join(kept, run)
            records.write_run(path, run)
        whole = set(range(cell.spec.seeds)) <= set(run.seeds.tolist())
        checkpoint.remove(groups(missing, batching), whole)
    return path


def _kept(path: Path, cell: Cell) -> records.Run | None:
    if not path.exists():
        return None
    run = records.read_run(path)
    now = provenance.source_digest(cell)
    same_code = all(origin["source_digest"] == now for origin in run.manifest["origins"])
    return run if same_code and run.manifest["spec_digest"] == cell.digest else None


def _join(old: records.Run, new: records.Run) -> records.Run:
    """The seeds of both, those of ``new`` where both have them; each with its own origin."""
    left = ~np.isin(old.seeds, new.seeds)
    seeds = np.concatenate([old.seeds[left], new.seeds])
    order = np.argsort(seeds)

    def both(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([a[left], b])[order]

    others = provenance.without(old.manifest["origins"], new.seeds.tolist())
    manifest = new.manifest | {"origins": [*new.manifest["origins"], *others]}
    measures = {name: both(old.measures[name], new.measures[name]) for name in new.measures}
    losses = both(old.first_losses, new.first_losses)
    return records.Run(seeds[order], new.step, losses, measures, manifest)


def _compute(
    cell: Cell, seeds: Sequence[int], store: Store, batching: str, checkpoint: Checkpoint
) -> records.Run:
    spec = cell.spec
    task = tasks.build(spec, partial(datasets.load, store=store))
    trainer = Trainer(spec, task, batching)
    waiting = groups(seeds, batching)
    total = len(waiting) * trainer.program.steps
    recorded, clocks, compiled = [], [], []
    with tqdm(total=total, desc=cell.name, unit=" updates", disable=None, leave=False) as bar:
        for group in waiting:
            checkpoint.begin()
            before = COMPILING.seconds
            done = checkpoint.finished(group)
            if done is None:
                done = trainer.train(group, checkpoint, bar.update)
                checkpoint.finish(group, done)
            recorded.append(done)
            clocks.append(checkpoint.clock)
            compiled.append(COMPILING.seconds - before)
    measures = {name: np.concatenate([r[name] for r in recorded]) for name in recorded[0]}
    first_losses = measures.pop("first_losses")
    run = records.Run(np.asarray(seeds), np.asarray(trainer.when), first_losses, measures, {})
    origin = {
        "source_digest": provenance.source_digest(cell),
        "claims_commit": provenance.claims_commit(cell.paper, store),
        "batching": batching,
        "dataset": _data(cell, task),
        **provenance.machine(),
        "seeds": _own(run, waiting, clocks, compiled),
    }
    if batching == "vmap":
        clock = clocks[0]
        origin["together"] = {"seeds": list(seeds), "wall_seconds": round(clock.seconds, 3)}
    manifest = {
        "paper": cell.paper,
        "experiment": cell.experiment,
        "arm": cell.arm,
        "preset": cell.preset,
        "spec": spec.model_dump(exclude_none=True),
        "spec_digest": cell.digest,
        "batch": spec.batch,
        "steps_per_epoch": trainer.program.steps_per_epoch,
        "origins": [origin],
    }
    return run._replace(manifest=manifest)


def _data(cell: Cell, task: tasks.Task) -> dict[str, str | None]:
    """The data set: its file's sha256, and that of its content, which the catalogue pins."""
    pinned = DATASETS[cell.dataset].digest if cell.dataset else None
    return {"name": cell.dataset, "sha256": task.sha256, "content": pinned}


def _own(
    run: records.Run,
    waiting: Sequence[Sequence[int]],
    clocks: Sequence[Clock],
    compiled: Sequence[float],
) -> dict[str, dict[str, Any]]:
    """What a manifest says of each seed alone. Of seeds that ran at once only the sum of their
    seconds is known."""
    found = {}
    diverged = dict(zip(run.seeds.tolist(), diverged_at(run), strict=True))
    for group, clock, compiling in zip(waiting, clocks, compiled, strict=True):
        alone = len(group) == 1
        for seed in group:
            found[str(seed)] = {
                "wall_seconds": round(clock.seconds, 3) if alone else None,
                "compile_seconds": round(compiling, 3) if alone else None,
                "resumes": clock.resumes,
                "diverged_at": diverged[seed],
            }
    return found


def diverged_at(run: records.Run) -> list[int | None]:
    """For each seed the update at which its numbers ceased to be finite; None where they never did.

    To the update within the first losses, then to the record.
    """
    found: list[int | None] = []
    first = min(run.first_losses.shape[1], int(run.step[-1]))
    # At the start nothing has been trained on: there these have no number.
    losses = [values for name, values in run.measures.items() if name in LOSSES]
    for i in range(len(run.seeds)):
        early = np.flatnonzero(~np.isfinite(run.first_losses[i, :first]))
        late = [np.flatnonzero(~np.isfinite(values[i, 1:])) for values in losses]
        records_of = [int(run.step[1 + at[0]]) for at in late if len(at)]
        found.append(int(early[0]) + 1 if len(early) else min(records_of, default=None))
    return found

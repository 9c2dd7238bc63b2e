"""Compute a cell: the seeds that are not there yet, beside those that are."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

from replications.harness import records
from replications.harness.declared.experiments import Cell
from replications.harness.errors import UserError, nearest
from replications.harness.files import locked
from replications.harness.store import Store
from replications.harness.training import datasets, provenance, tasks
from replications.harness.training.checkpoints import Checkpoint
from replications.harness.training.run import BATCHINGS, Trainer, groups


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
        with jax.enable_x64(cell.spec.dtype == "float64"):
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
    same = run.manifest["spec_digest"] == cell.digest and run.manifest[
        "source_digest"
    ] == provenance.source_digest(cell)
    return run if same else None


def _join(old: records.Run, new: records.Run) -> records.Run:
    """The seeds of both, those of ``new`` where both have them. The manifest is the new one's; those
    of the other seeds are its ``earlier``."""
    left = ~np.isin(old.seeds, new.seeds)
    seeds = np.concatenate([old.seeds[left], new.seeds])
    order = np.argsort(seeds)

    def both(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([a[left], b])[order]

    manifest = new.manifest | {
        "seeds": seeds[order].tolist(),
        "wall_seconds": old.manifest["wall_seconds"] + new.manifest["wall_seconds"],
        "earlier": provenance.origins(old.manifest),
    }
    measures = {name: both(old.measures[name], new.measures[name]) for name in new.measures}
    losses = both(old.first_losses, new.first_losses)
    return records.Run(seeds[order], new.step, losses, measures, manifest)


def _compute(
    cell: Cell, seeds: Sequence[int], store: Store, batching: str, checkpoint: Checkpoint
) -> records.Run:
    began = time.monotonic()
    spec = cell.spec
    task = tasks.build(spec, partial(datasets.load, store=store))
    trainer = Trainer(spec, task, batching)
    waiting = groups(seeds, batching)
    total = len(waiting) * trainer.program.steps
    recorded = []
    with tqdm(total=total, desc=cell.name, unit=" updates", disable=None, leave=False) as bar:
        for group in waiting:
            done = checkpoint.finished(group)
            if done is None:
                done = trainer.train(group, checkpoint, bar.update)
                checkpoint.finish(group, done)
            recorded.append(done)
    measures = {name: np.concatenate([r[name] for r in recorded]) for name in recorded[0]}
    first_losses = measures.pop("first_losses")
    manifest = {
        "paper": cell.paper,
        "experiment": cell.experiment,
        "arm": cell.arm,
        "preset": cell.preset,
        "spec": spec.model_dump(exclude_none=True),
        "spec_digest": cell.digest,
        "source_digest": provenance.source_digest(cell),
        "batching": batching,
        "dataset": {"name": cell.dataset, "sha256": task.sha256},
        "seeds": list(seeds),
        "batch": spec.batch,
        "steps_per_epoch": trainer.program.steps_per_epoch,
        "wall_seconds": round(time.monotonic() - began, 3),
        **provenance.machine(),
    }
    return records.Run(
        np.asarray(seeds), np.asarray(trainer.when), first_losses, measures, manifest
    )

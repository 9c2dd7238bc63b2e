"""Run a cell: its seeds one after the other through one executable, or all at once under vmap.

Under ``map`` every seed passes through the same compiled functions alone, so its bits depend on
nothing but itself. ``vmap`` is for accelerators; it changes low bits, so the manifest records it.
"""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from replications import provenance, results, tasks
from replications.checkpoints import Checkpoint
from replications.datasets import load
from replications.errors import UserError, nearest
from replications.files import locked
from replications.spec import Cell, RunSpec
from replications.streams import drawing
from replications.training import Program, State, program

BATCHINGS = ("map", "vmap")
Records = dict[str, np.ndarray]


def stops(spec: RunSpec, steps: int, steps_per_epoch: int) -> list[int]:
    """The numbers of updates after which a cell is measured: 0 first, the end last."""
    when = {0, steps, *spec.record.at}
    every = spec.record.every or (spec.record.epochs or 0) * steps_per_epoch
    if every:
        when.update(range(0, steps, every))
    late = [step for step in when if not 0 <= step <= steps]
    if late:
        raise UserError(f"record.at: {late[0]} is not among the {steps} updates of the run")
    return sorted(when)


def simulate(
    cell: Cell,
    folder: Path,
    seeds: Sequence[int] | None = None,
    datasets: Path | None = None,
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
    path = results.run_file(folder, cell)
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
            run = _compute(
                cell,
                missing,
                datasets or folder / "datasets",
                batching,
                checkpoint,
            )
        with locked(path.parent):
            # Anew: another process may have written other seeds meanwhile.
            kept = _kept(path, cell)
            run = run if kept is None else _join(kept, run)
            results.write_run(path, run)
        whole = set(range(cell.spec.seeds)) <= set(run.seeds.tolist())
        checkpoint.remove(_groups(missing, batching), whole)
    return path


def _groups(seeds: Sequence[int], batching: str) -> list[list[int]]:
    """The seeds that pass through the executable together."""
    return [[seed] for seed in seeds] if batching == "map" else [list(seeds)]


def _kept(path: Path, cell: Cell) -> results.Run | None:
    if not path.exists():
        return None
    run = results.read_run(path)
    same = run.manifest["spec_digest"] == cell.digest and run.manifest[
        "source_digest"
    ] == provenance.source_digest(cell)
    return run if same else None


def _join(old: results.Run, new: results.Run) -> results.Run:
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
    return results.Run(seeds[order], new.step, losses, measures, manifest)


class _Compiled(NamedTuple):
    """A program's functions, compiled once, for one seed or for a row of seeds."""

    start: Any
    order: Any
    advance: Any
    measure: Any
    features: Any


def _compile(functions: Program, batching: str) -> _Compiled:
    start, order, advance, measure, features = functions[:5]
    if batching == "vmap":
        start, order = jax.vmap(start), jax.vmap(order, in_axes=(0, None))
        advance = jax.vmap(advance, in_axes=(0, 0, 0, None, None))
        measure = jax.vmap(measure, in_axes=(0, 0, None))
        features = jax.vmap(features, in_axes=(0, None))
    advance = jax.jit(advance, donate_argnums=0)
    return _Compiled(drawing(start), drawing(order), advance, jax.jit(measure), jax.jit(features))


def _compute(
    cell: Cell, seeds: Sequence[int], datasets: Path, batching: str, checkpoint: Checkpoint
) -> results.Run:
    began = time.monotonic()
    spec = cell.spec
    task = tasks.build(spec, partial(load, folder=datasets))
    functions = program(spec, task)
    when = stops(spec, functions.steps, functions.steps_per_epoch)
    compiled = _compile(functions, batching)
    groups = _groups(seeds, batching)
    total = len(groups) * functions.steps
    recorded = []
    with tqdm(total=total, desc=cell.name, unit=" updates", disable=None, leave=False) as bar:
        for group in groups:
            done = checkpoint.finished(group)
            if done is None:
                done = _run(spec, functions, compiled, task, when, group, batching, checkpoint, bar)
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
        "steps_per_epoch": functions.steps_per_epoch,
        "wall_seconds": round(time.monotonic() - began, 3),
        **provenance.machine(),
    }
    return results.Run(np.asarray(seeds), np.asarray(when), first_losses, measures, manifest)


def _run(
    spec: RunSpec,
    functions: Program,
    compiled: _Compiled,
    task: tasks.Task,
    when: list[int],
    group: list[int],
    batching: str,
    checkpoint: Checkpoint,
    bar: Any,
) -> Records:
    """All records of a group of seeds: measure -> (seeds, records); and what is only at the end."""
    seed = jnp.asarray(group if batching == "vmap" else group[0], jnp.uint32)
    data = task.data
    # A start of its own: what ``advance`` is given, it uses up.
    first = compiled.start(seed)
    state, values = compiled.measure(compiled.start(seed), first, data)
    records = [_on_host(values, batching)]
    resumed = checkpoint.resume(group, state)
    if resumed is not None:
        state, records = resumed
        bar.update(when[len(records) - 1])
    indices, drawn = None, -1
    goal = spec.stop_below_train_error
    for begin, end in zip(when[len(records) - 1 : -1], when[len(records) :], strict=True):
        before = jax.tree.map(jnp.copy, state) if goal is not None else None
        for epoch, updates in functions.stretches(begin, end):
            if epoch != drawn:
                indices, drawn = compiled.order(seed, jnp.int32(epoch)), epoch
            state = compiled.advance(state, seed, indices, data, jnp.int32(updates))
        state, values = compiled.measure(state, first, data)
        new = _on_host(values, batching)
        if goal is not None and before is not None:
            # A run that has reached its goal stays as it was while others of its group go on.
            stopped = before.average_error <= goal
            state = _where(stopped, before, state)
            at_rest = np.atleast_1d(np.asarray(stopped))
            new = {name: np.where(at_rest, records[-1][name], value) for name, value in new.items()}
            if bool(jnp.all(state.average_error <= goal)):
                records += [new] * (len(when) - len(records))
                bar.update(when[-1] - begin)
                break
        records.append(new)
        bar.update(end - begin)
        checkpoint.save(group, state, records)
    done = {name: np.stack([r[name] for r in records], axis=1) for name in records[0]}
    if "features" in spec.measures:
        done |= _on_host(compiled.features(state, data), batching)
    losses = np.asarray(state.first_losses)
    return done | {"first_losses": losses if batching == "vmap" else losses[None]}


def _where(stopped: jax.Array, old: State, new: State) -> State:
    def choose(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(stopped.reshape(stopped.shape + (1,) * (a.ndim - stopped.ndim)), a, b)

    def leaf(a: jax.Array, b: jax.Array) -> jax.Array:
        # Keys of random streams are advanced the same way whether or not a run has stopped.
        return b if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else choose(a, b)

    return jax.tree.map(leaf, old, new)


def _on_host(values: dict[str, jax.Array], batching: str) -> dict[str, np.ndarray]:
    return {
        name: np.asarray(value) if batching == "vmap" else np.asarray(value)[None]
        for name, value in values.items()
    }

"""Train a cell's seeds: one after the other through one executable, or all at once under vmap.

Under ``map`` every seed passes through the same compiled functions alone, so its bits depend on
nothing but itself. ``vmap`` is for accelerators; it changes low bits, so the manifest records it.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from replications.harness.errors import UserError
from replications.harness.training import tasks
from replications.harness.training.program import Program, State, program
from replications.harness.training.streams import drawing

if TYPE_CHECKING:
    from replications.harness.declared.spec import RunSpec
    from replications.harness.training.checkpoints import Checkpoint

BATCHINGS = ("map", "vmap")
Records = dict[str, np.ndarray]


def stops(spec: "RunSpec", steps: int, steps_per_epoch: int) -> list[int]:
    """The numbers of updates after which a cell is measured: 0 first, the end last."""
    when = {0, steps, *spec.record.at}
    if every := spec.record.period(steps_per_epoch):
        when.update(range(0, steps, every))
    late = [step for step in when if not 0 <= step <= steps]
    if late:
        raise UserError(f"record.at: {late[0]} is not among the {steps} updates of the run")
    return sorted(when)


def groups(seeds: Sequence[int], batching: str) -> list[list[int]]:
    """The seeds that pass through the executable together."""
    return [[seed] for seed in seeds] if batching == "map" else [list(seeds)]


class _Compiled(NamedTuple):
    """A program's functions, compiled once, for one seed or for a row of seeds."""

    start: Any
    order: Any
    advance: Any
    measure: Any
    features: Any


def advancing(functions: Program, batching: str = "map") -> Any:
    """``advance``, compiled; it uses up the state that it is given.

    XLA for the CPU has fast code for the backward pass of a convolution everywhere but in a loop
    (jax-ml/jax#12868): there every update is a call of its own.
    """
    several = batching == "vmap"
    if functions.update is None or jax.default_backend() != "cpu":
        axes = (0, 0, 0, None, None)
        advance = jax.vmap(functions.advance, axes) if several else functions.advance
        return jax.jit(advance, donate_argnums=0)
    one = jax.vmap(functions.update, (0, 0, 0, None)) if several else functions.update
    update = jax.jit(one, donate_argnums=0)

    def repeated(state: State, seed: Any, indices: Any, data: Any, updates: Any) -> State:
        for _ in range(int(updates)):
            state = update(state, seed, indices, data)
        return state

    return repeated


def _compile(functions: Program, batching: str) -> _Compiled:
    start, order, _, measure, features = functions[:5]
    if batching == "vmap":
        start, order = jax.vmap(start), jax.vmap(order, in_axes=(0, None))
        measure = jax.vmap(measure, in_axes=(0, 0, None))
        features = jax.vmap(features, in_axes=(0, None))
    advance = advancing(functions, batching)
    return _Compiled(drawing(start), drawing(order), advance, jax.jit(measure), jax.jit(features))


class Trainer:
    """A cell's program on its task, compiled once for all groups of seeds."""

    def __init__(self, spec: "RunSpec", task: tasks.Task, batching: str) -> None:
        self.spec, self.task, self.batching = spec, task, batching
        self.program = program(spec, task)
        self.when = stops(spec, self.program.steps, self.program.steps_per_epoch)
        self.compiled = _compile(self.program, batching)

    def train(
        self,
        group: list[int],
        checkpoint: "Checkpoint | None",
        progress: Callable[[int], Any],
        last: int | None = None,
    ) -> Records:
        """All records of a group of seeds: measure -> (seeds, records); and what is only at the end.

        ``progress`` is told of updates as they are done. ``last``: only the records up to this update,
        as the whole run has them.
        Without a ``checkpoint`` nothing is kept on disk.
        """
        when = self.when if last is None else [step for step in self.when if step <= last]
        data, compiled = self.task.data, self.compiled
        seed = jnp.asarray(group if self.batching == "vmap" else group[0], jnp.uint32)
        # A start of its own: what ``advance`` is given, it uses up.
        first = compiled.start(seed)
        state, values = compiled.measure(compiled.start(seed), first, data)
        records = [self._on_host(values)]
        resumed = checkpoint.resume(group, state) if checkpoint else None
        if resumed is not None:
            state, records = resumed
            progress(when[len(records) - 1])
        goal = self.spec.stop_below_train_error
        order = _Order(compiled, seed)
        for begin, end in zip(when[len(records) - 1 : -1], when[len(records) :], strict=True):
            before = jax.tree.map(jnp.copy, state) if goal is not None else None
            for epoch, updates in self.program.stretches(begin, end):
                state = compiled.advance(state, seed, order(epoch), data, jnp.int32(updates))
            state, values = compiled.measure(state, first, data)
            new = self._on_host(values)
            if goal is not None and before is not None:
                # A run that has reached its goal stays as it was while others of its group go on.
                stopped = before.average_error <= goal
                state = _where(stopped, before, state)
                at_rest = np.atleast_1d(np.asarray(stopped))
                new = {name: np.where(at_rest, records[-1][name], v) for name, v in new.items()}
                if bool(jnp.all(state.average_error <= goal)):
                    records += [new] * (len(when) - len(records))
                    progress(when[-1] - begin)
                    break
            records.append(new)
            progress(end - begin)
            if checkpoint:
                checkpoint.save(group, state, records)
        done = {name: np.stack([r[name] for r in records], axis=1) for name in records[0]}
        if "features" in self.spec.measures and last is None:
            done |= self._on_host(compiled.features(state, data))
        losses = np.asarray(state.first_losses)
        return done | {"first_losses": losses if self.batching == "vmap" else losses[None]}

    def _on_host(self, values: dict[str, jax.Array]) -> Records:
        one = self.batching == "map"
        return {name: np.asarray(v)[None] if one else np.asarray(v) for name, v in values.items()}


class _Order:
    """The examples' order in an epoch, drawn when the epoch begins."""

    def __init__(self, compiled: _Compiled, seed: jax.Array) -> None:
        self.compiled, self.seed, self.epoch = compiled, seed, -1

    def __call__(self, epoch: int) -> jax.Array:
        if epoch != self.epoch:
            self.indices, self.epoch = self.compiled.order(self.seed, jnp.int32(epoch)), epoch
        return self.indices


def _where(stopped: jax.Array, old: State, new: State) -> State:
    def choose(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(stopped.reshape(stopped.shape + (1,) * (a.ndim - stopped.ndim)), a, b)

    def leaf(a: jax.Array, b: jax.Array) -> jax.Array:
        # Keys of random streams are advanced the same way whether or not a run has stopped.
        return b if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else choose(a, b)

    return jax.tree.map(leaf, old, new)

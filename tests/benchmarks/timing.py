"""What the benchmarks share: one thread, goes in turns, and a table of what was seen beside its goal."""

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from replications.harness.declared import experiments
from replications.harness.declared.experiments import Cell
from replications.harness.showing import markdown
from replications.harness.training import datasets, tasks
from replications.harness.training.costs import layers
from replications.harness.training.program import Program, State, program
from replications.harness.training.run import advancing
from replications.harness.training.streams import drawing

# The nets of Nokland 2016 that the goals are stated for.
NETS = {"2x800": "mnist_2x800", "7x240": "mnist_7x240", "100x240": "mnist_100x240"}


class Row(NamedTuple):
    """One line of a table. ``met``: whether the goal is met; None where there is none."""

    cells: Sequence[str]
    goal: str = ""
    met: bool | None = None


class Table(NamedTuple):
    """What one benchmark found."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Row]
    note: str

    def __str__(self) -> str:
        """As Markdown."""
        met = {True: "yes", False: "**no**", None: ""}
        goals = any(row.goal for row in self.rows)
        heads = [*self.columns, *(["goal", "met"] if goals else [])]
        rows = [[*row.cells, *([row.goal, met[row.met]] if goals else [])] for row in self.rows]
        return f"### {self.title}\n\n{markdown.table(heads, rows)}\n\n{self.note}\n"


def in_turns(runs: Mapping[Any, Callable[[], float | None]], rounds: int = 7) -> dict[Any, float]:
    """The best seconds of each, measured in turns: what else the machine does hits all of them.

    A run that measures itself returns its seconds.
    """
    for run in runs.values():
        run()  # compiles
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            own = run()
            passed = time.perf_counter() - began if own is None else own
            best[name] = min(best[name], passed)
    return best


def cell(net: str, rule: str, **changed: Any) -> Cell:
    """A net of Nokland 2016 at full scale, one seed, under any of the rules, with some of its spec changed."""
    declared = experiments.cell("nokland2016", NETS.get(net, net), "backprop", "full")
    spec = declared.spec.model_copy(update={"rule": rule, "seeds": 1, **changed})
    return declared._replace(spec=spec)


class Training:
    """A cell on noise in the shape of its data, by the functions that train it for a replication."""

    def __init__(self, chosen: Cell):
        self.task = tasks.build(chosen.spec, datasets.stand_in)
        self.program: Program = program(chosen.spec, self.task)
        self.seed = jnp.uint32(0)
        self._start = drawing(self.program.start)
        self.state: State = self._start(self.seed)
        self.first = jax.tree.map(jnp.copy, self.state)
        self._order = drawing(self.program.order)
        self._advance = advancing(self.program)
        self._measure = jax.jit(self.program.measure)
        self.indices = self._order(self.seed, jnp.int32(0))

    def seeds(self, n: int, updates: int) -> None:
        """Train so many seeds, one after the other, each from its own start and in its own order."""
        for seed in range(n):
            self.seed = jnp.uint32(seed)
            self.state = self._start(self.seed)
            self.indices = self._order(self.seed, jnp.int32(0))
            self.updates(updates)

    def updates(self, n: int) -> None:
        """Train for ``n`` updates."""
        self.state = jax.block_until_ready(
            self._advance(self.state, self.seed, self.indices, self.task.data, jnp.int32(n))
        )

    def epoch(self) -> None:
        """One pass as a replication makes it: a new order, its updates, all measures."""
        self.indices = self._order(self.seed, jnp.int32(1))
        self.updates(self.program.steps_per_epoch)
        self.state, values = self._measure(self.state, self.first, self.task.data)
        jax.block_until_ready(values)


def products(chosen: Cell) -> dict[str, Callable[[int], None]]:
    """Only the matrix products of a net's updates under backprop, at its own shapes, by NumPy and by XLA.

    The faster of the two is sgemm's rate on this core.
    """
    batch = chosen.spec.batch
    random = np.random.default_rng(0)

    def some(*shape: int) -> np.ndarray:
        return random.standard_normal(shape).astype(np.float32)

    calls = []
    for i, layer in enumerate(layers(chosen.spec, chosen.spec.size)):
        w, x = some(layer.inputs, layer.outputs), some(batch, layer.inputs)
        d = some(batch, layer.outputs)
        calls += [(x, w, some(*d.shape)), (x.T, d, some(*w.shape))]
        calls += [(d, w.T, some(*x.shape))] if i else []

    def by_numpy(n: int) -> None:
        for _ in range(n):
            for a, b, out in calls:
                np.matmul(a, b, out=out)

    def once(_: Any, carried: jax.Array) -> jax.Array:
        # A sum of each goes into the next, so that none is taken out of the loop, or cut down.
        for a, b, _ in calls:
            carried = 1e-9 * jnp.sum((jnp.asarray(a) + carried) @ jnp.asarray(b))
        return carried

    many = jax.jit(lambda n: jax.lax.fori_loop(0, n, once, jnp.float32(0)))

    def by_xla(n: int) -> None:
        jax.block_until_ready(many(n))

    return {"NumPy": by_numpy, "XLA": by_xla}


def machine() -> str:
    """The machine and the versions, for the page of results."""
    name, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.is_file():
        models = [x for x in info.read_text(encoding="utf-8").splitlines() if "model name" in x]
        name = models[0].split(":")[1].strip() if models else name
    return f"{name}, one thread; Python {platform.python_version()}, jax {jax.__version__}"

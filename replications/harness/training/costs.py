"""What cells will cost, before they run: updates, operations, and time on this machine.

Counted are the products with weights, two operations for each multiplication: forward, for the gradient
of the weights, and for the error on its way back (direct feedback sends it through n_out rows a block).
Every distinct layer (examples, inputs, outputs) is timed here on its own, the update of its weights
included, for a few hundredths of a second; a cell's time is that of its layers, by what its rule leaves
out, and its tests. A first layer that is written once a block is timed with a block. Convolutions are timed
as the matrix products that they are. A spiking net does all this in every time step. Compilation (5 s a cell)
is not in it, and a run may stop before its last epoch.
"""

import functools
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from replications.harness.catalogue.rules import DEEP, RULES
from replications.harness.declared import experiments
from replications.harness.declared.experiments import Cell
from replications.harness.declared.spec import RunSpec, Size

# A deep net's layers are compiled as one, in a scan, which moves its stacked arrays once more: measured on
# 100x240, for 7x240 beside it.
STACKED = 1.7
# Seconds for which each distinct layer is timed.
ENOUGH = 0.05


class Layer(NamedTuple):
    """A product of (rows per example) x inputs with inputs x outputs. ``units``: of its block."""

    rows: int
    inputs: int
    outputs: int
    units: int

    @property
    def products(self) -> int:
        """Multiplications for one example."""
        return self.rows * self.inputs * self.outputs


class Cost(NamedTuple):
    """Of all seeds of a cell."""

    updates: int
    operations: float
    seconds: float


# Seconds of an update of one layer: (rows, inputs, outputs, type of number, whether its optimiser
# keeps averages) -> seconds.
Timer = Callable[[int, int, int, str, bool], float]


def layers(chosen: RunSpec, of: Size) -> list[Layer]:
    """The layers of a cell's net, the readout last."""
    found = []
    features, spatial = of.inputs[-1], of.inputs[:-1]
    for width in chosen.network.convolutions:
        pooled = tuple((n - 3) // 2 + 1 for n in spatial)
        units = width * math.prod(pooled)
        found.append(Layer(math.prod(spatial), 25 * features, width, units))
        features, spatial = width, pooled
    features *= math.prod(spatial)
    # A class has a group of output units in a spiking net.
    outputs = of.outputs * (chosen.spiking.group if chosen.spiking else 1)
    for width in [*chosen.network.hidden, outputs]:
        found.append(Layer(1, features, width, width))
        features = width
    return found


def operations(chosen: RunSpec, of: Size) -> int:
    """Of one update."""
    net = layers(chosen, of)
    products = [layer.products for layer in net]
    forward, below = sum(products), sum(products[1:])
    rule = RULES[chosen.rule]
    if rule.readout_only:
        total = forward + products[-1]
    elif rule.direct and not rule.carried:
        total = 2 * forward + sum(of.outputs * layer.units for layer in net[:-1])
    else:
        total = 2 * forward + below
    if chosen.adversarial:
        total += 2 * forward
    steps = chosen.spiking.steps if chosen.spiking else 1
    return 2 * total * min(chosen.batch, of.train) * steps


def cost(cell: Cell, timer: Timer) -> Cost:
    """What a cell takes if it runs to its last epoch."""
    chosen, of = cell.spec, cell.spec.size
    net, batch = layers(chosen, of), min(chosen.batch, of.train)
    per_epoch = chosen.updates_per_pass(of.train)
    updates = per_epoch * chosen.epochs
    every = chosen.record.period(per_epoch)
    records = 2 + len(chosen.record.at) + (updates // every if every else 0)
    forward = sum(layer.products for layer in net)
    steps = chosen.spiking.steps if chosen.spiking else 1
    tested = of.test * records * steps / batch  # in batches
    plain = chosen.optimizer.sgd is not None
    several = chosen.block or 1
    first, *others = net
    one = (
        timer(batch * first.rows * several, first.inputs, first.outputs, chosen.dtype, not plain)
        / several
    )
    one += sum(timer(batch * n.rows, n.inputs, n.outputs, chosen.dtype, not plain) for n in others)
    one *= STACKED if len(net) > DEEP + 1 else 1
    left = operations(chosen, of) / (6 * forward * batch)
    return Cost(
        updates * chosen.seeds,
        float(chosen.seeds * (updates * operations(chosen, of) + 2 * forward * batch * tested)),
        chosen.seeds * one * (updates * left + tested / 3),
    )


@functools.cache
def time_layer(rows: int, inputs: int, outputs: int, dtype: str, averages: bool) -> float:
    """Seconds of one layer's products, forward and back, and of SGD or RMSprop; the best go."""
    import jax
    import jax.numpy as jnp

    ready: Any = jax.block_until_ready
    # What else the machine does takes a slice of a single go, hence the best of three; and the clock on the
    # wall runs on meanwhile, which this process's own does not. A GPU's work is on the wall's alone.
    on_a_cpu = jax.default_backend() == "cpu"
    clocks = [time.perf_counter, *([time.process_time] if on_a_cpu else [])]

    def update(_: Any, state: Any) -> Any:
        w, m, x = state
        d = jnp.tanh(x @ w)
        g = x.T @ d
        if averages:
            m = 0.99 * m + 0.01 * g * g
            g = g / (jnp.sqrt(m) + 1e-8)
        # Stays where it is: numbers on their way to 0 would become slow.
        return w - 1e-9 * g, m, 0.999 * x + 1e-3 * jnp.tanh(d @ w.T)

    with jax.enable_x64(dtype == "float64"):
        w = jnp.full((inputs, outputs), 0.01, dtype)
        state = (w, jnp.ones_like(w), jnp.full((rows, inputs), 0.1, dtype))
        many = jax.jit(lambda repeats, state: jax.lax.fori_loop(0, repeats, update, state))
        repeats = 1
        ready(many(repeats, state))
        while True:
            passed = math.inf
            for _ in range(3):
                began = [clock() for clock in clocks]
                ready(many(repeats, state))
                passed = min(passed, *(clock() - t for clock, t in zip(clocks, began, strict=True)))
            if passed > ENOUGH / 4:
                return passed / repeats
            repeats *= 4


def report(papers: Sequence[str], preset: str) -> Iterable[str]:
    """One line a cell, and totals."""
    known = {paper: experiments.cells(paper, preset) for paper in papers}
    yield f"{'cell':62} {'seeds':>5} {'updates':>11} {'TFLOP':>9} {'time':>9}"
    everything = []
    for paper, cells in known.items():
        costs = [cost(cell, time_layer) for cell in cells]
        for cell, one in zip(cells, costs, strict=True):
            yield _line(cell.name, str(cell.spec.seeds), one)
        everything += costs
        yield _line(f"{paper}: {len(cells)} cells", "", _total(costs))
    if len(known) > 1:
        yield _line(f"all: {len(everything)} cells", "", _total(everything))


def _total(costs: Sequence[Cost]) -> Cost:
    return Cost(*(sum(column) for column in zip(*costs, strict=True))) if costs else Cost(0, 0, 0)


def _line(name: str, seeds: str, one: Cost) -> str:
    return f"{name:62} {seeds:>5} {one.updates:>11,} {one.operations / 1e12:>9.3g} {_time(one.seconds):>9}"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

"""Updates of a single example, 784-1000-10, beside a plain copy of the bytes that they must move.

python -m tests.benchmarks batch_one
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from replications.harness.declared import experiments
from tests.benchmarks.timing import Row, Table, Training, in_turns

UPDATES, WITHIN = 500, 1.3
ARMS = ("backprop", "feedback_alignment")
# An update reads the weights for the output, reads them again and writes them for what was learnt.
READS, WRITES = 2, 1


def measure() -> list[Table]:
    runs: dict[Any, Callable[[], Any]] = {}
    for arm in ARMS:
        declared = experiments.cell("lillicrap2016", "digits", arm, "full")
        for block in (None, declared.spec.block):
            chosen = declared._replace(spec=declared.spec.model_copy(update={"block": block}))
            runs[arm, block] = functools.partial(Training(chosen).updates, UPDATES)
    runs["copy"] = _copy(784 * 1000 + 1000 * 10)
    best = {name: 1e6 * seconds / UPDATES for name, seconds in in_turns(runs).items()}
    copy = best.pop("copy")
    rows = []
    for (arm, block), seconds in best.items():
        ratio = seconds / copy
        how = f"blocks of {block}" if block else "one by one"
        cells = [arm.replace("_", " "), how, f"{seconds:.0f}", f"{copy:.0f}", f"{ratio:.2f}"]
        rows.append(Row(cells, f"<= {WITHIN}", ratio <= WITHIN))
    return [Table(
        "Batch 1",
        ["rule", "first layer written", "us an update", "us for the copy", "ratio"],
        rows,
        "784-1000-10 in float32 with weight decay, the digits of Lillicrap et al. The copy moves as many "
        f"bytes as an update one by one must: all weights read {READS} times and written once. In blocks is "
        "the same training but for rounding, for fewer bytes: tests/harness/training/test_blocked.py proves "
        "it in float64.",
    )]  # fmt: skip


def _copy(weights: int) -> Callable[[], None]:
    """``UPDATES`` copies of as many bytes as an update moves, through one executable."""
    n = weights * (READS + WRITES) // 2

    @jax.jit
    def many(x: jax.Array) -> jax.Array:
        # Numbers change, or the copy would be none; one operation each costs nothing beside memory.
        return jax.lax.fori_loop(0, UPDATES, lambda i, x: x + 1, x)

    x = jnp.zeros(n, jnp.float32)

    def run() -> None:
        jax.block_until_ready(many(x))

    return run

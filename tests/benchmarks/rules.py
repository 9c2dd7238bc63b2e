"""A transformer's step and compilation under each rule, beside backprop's.

python -m tests.benchmarks rules
"""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import bioflax
from tests.benchmarks.timing import Row, Table, in_turns

LAYERS, WIDTH, BATCH, LENGTH, STEPS = 4, 128, 8, 32, 10
RULES = {
    "feedback alignment": bioflax.FeedbackAlignment(),
    "Kolen-Pollack": bioflax.KolenPollack(),
    "sign symmetry, uniform": bioflax.SignSymmetry(magnitude="uniform"),
    "sign symmetry, fixed": bioflax.SignSymmetry(magnitude="fixed"),
    "sign symmetry, batch": bioflax.SignSymmetry(magnitude="batch"),
}


class Block(nnx.Module):
    """Pre-norm attention and a perceptron."""

    def __init__(self, rngs: nnx.Rngs):
        self.attention = nnx.MultiHeadAttention(4, WIDTH, decode=False, rngs=rngs)
        self.norms = nnx.List([nnx.LayerNorm(WIDTH, rngs=rngs) for _ in range(2)])
        self.up = nnx.Linear(WIDTH, 4 * WIDTH, rngs=rngs)
        self.down = nnx.Linear(4 * WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.attention(self.norms[0](x))
        return x + self.down(jax.nn.gelu(self.up(self.norms[1](x))))


def measure() -> list[Table]:
    made = {"backprop": _steps(None)} | {name: _steps(rule) for name, rule in RULES.items()}
    best = in_turns({name: run for name, (run, _) in made.items()})
    compiled = {name: seconds for name, (_, seconds) in made.items()}
    rows = []
    for name in made:
        step, once = best[name] / best["backprop"], compiled[name] / compiled["backprop"]
        cells = [
            name,
            f"{1e3 * best[name] / STEPS:.1f}",
            f"{step:.2f}",
            f"{compiled[name]:.1f}",
            f"{once:.2f}",
        ]
        rows.append(Row(cells))
    return [Table(
        "A transformer under the rules",
        ["rule", "ms a step", "of backprop", "s to compile", "of backprop"],
        rows,
        f"{LAYERS} blocks of width {WIDTH}, {BATCH} x {LENGTH} positions, SGD.",
    )]  # fmt: skip


def _steps(rule: bioflax.Rule | None) -> tuple[Callable[[], None], float]:
    """Some steps, and how long their compilation took."""
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(*(Block(rngs) for _ in range(LAYERS)), nnx.Linear(WIDTH, 64, rngs=rngs))
    if rule is not None:
        model = bioflax.convert(model, rule, rngs=nnx.Rngs(feedback=1))
    optimizer = nnx.Optimizer(model, optax.sgd(1e-2), wrt=nnx.Param)
    x = jax.random.normal(jax.random.key(0), (BATCH, LENGTH, WIDTH))
    y = jnp.zeros((BATCH, LENGTH), int)

    def loss(model: nnx.Module) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

    @nnx.jit
    def step(model: nnx.Module, optimizer: nnx.Optimizer) -> jax.Array:
        value, gradient = nnx.value_and_grad(loss)(model)
        optimizer.update(model, gradient)
        return value

    def run() -> None:
        for _ in range(STEPS):
            value = step(model, optimizer)
        jax.block_until_ready(value)

    began = time.perf_counter()
    jax.block_until_ready(step(model, optimizer))
    return run, time.perf_counter() - began

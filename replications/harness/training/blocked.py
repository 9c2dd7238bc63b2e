"""Updates of single examples whose first layer is read and written once for a block of them, exactly.

A net that learns from one example at a time is bound by memory: it reads the weights W of its first layer for an
output, reads them again and writes them for what was learnt. Between two examples only W's product with the next
input is needed. With inputs x_t, changes u_t = -rate * delta_t at the layer's units and decay d,

    x_t W_t = (1 - d)^t x_t W_0 + sum_{i<t} (1 - d)^(t-1-i) (x_t . x_i) u_i

and after a block of n examples W_n = (1 - d)^n W_0 + sum_i (1 - d)^(n-1-i) x_i^T u_i. So W is read and written
once a block, in products of matrices, and all else happens as ever: a net of one input of 1, whose first kernel
is x_t W_t, learns from one example after the other. In exact arithmetic it is the same training; in float32
sums are rounded in another order.

Reference: Benesty and Duhamel 1992, "A fast exact least mean square adaptive algorithm", IEEE Transactions on
Signal Processing 40(12).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import nnx

from replications.harness.training.tasks import Data

if TYPE_CHECKING:
    from replications.harness.declared.spec import Optimizer

# One update: (state, inputs (1, features), targets (1, outputs)) -> state, what was added to trained weights.
Learn = Callable[[Any, jax.Array, jax.Array], tuple[Any, Any]]


def decay_of(optimizer: "Optimizer") -> float:
    """The fraction of a kernel that an update of SGD takes away."""
    assert optimizer.sgd is not None
    return optimizer.weight_decay * (optimizer.sgd.learning_rate if optimizer.coupled else 1)


def advance(
    state: Any,
    indices: jax.Array,
    data: Data,
    updates: jax.Array,
    learn: Learn,
    block: int,
    decay: float,
) -> Any:
    """``updates`` more updates, the first layer's in blocks of ``block``.

    ``state`` has ``step``, and the net's variables in ``trained`` and ``rest``; ``indices``: the examples' order
    in the epoch.
    """
    epoch = len(indices)
    trained = _found(state.trained, "kernel") is not None
    decay = decay if trained else 0.0
    # How much of a weight has decayed after 0, 1, ... block updates.
    gone = -jnp.expm1(jnp.arange(block + 1) * jnp.log1p(-decay))

    def one_block(carry: tuple[jax.Array, Any]) -> tuple[jax.Array, Any]:
        done, state = carry
        count = jnp.minimum(block, updates - done)
        # Those beyond the last update are not used.
        chosen = indices[(state.step + jnp.arange(block)) % epoch]
        x, y = data.train_x[chosen], data.train_y[chosen]
        kernel = _get(state, "kernel")
        product, gram = x @ kernel, x @ x.T
        zero = jnp.zeros((1, kernel.shape[1]), kernel.dtype)
        one = jnp.ones((1, 1), x.dtype)

        def one_example(t: jax.Array, carry: tuple[jax.Array, Any]) -> tuple[jax.Array, Any]:
            changes, small = carry
            now = product[t] - gone[t] * product[t] + gram[t] @ changes
            small, added = learn(_with(small, "kernel", now[None]), one, y[t][None])
            if trained:
                # The small net's optimiser has let x_t W_t decay, which is W's to do.
                change = _found(added, "kernel")[...][0] + decay * now
                changes = (changes - decay * changes).at[t].set(change)
            return changes, small

        small = _with(_with(state, "kernel", zero), "feedback", zero)
        changes = jnp.zeros((block, kernel.shape[1]), kernel.dtype)
        changes, small = jax.lax.fori_loop(0, count, one_example, (changes, small))
        if trained:
            kernel = kernel - gone[count] * kernel + x.T @ changes
        big = _with(small, "kernel", kernel)
        if (feedback := _found(state.rest, "feedback")) is not None:
            big = _with(big, "feedback", feedback[...])
        return done + count, big

    return jax.lax.while_loop(lambda carry: carry[0] < updates, one_block, (jnp.int32(0), state))[1]


def _is_first(path: tuple[Any, ...], name: str) -> bool:
    return path[:2] == ("blocks", 0) and path[-1] == name


def _found(variables: Any, name: str) -> Any:
    """The first layer's variable of this name; None where it is not among these."""
    flat = nnx.to_flat_state(variables)
    return next((variable for path, variable in flat if _is_first(path, name)), None)


def _get(state: Any, name: str) -> jax.Array:
    found = [_found(part, name) for part in (state.trained, state.rest)]
    return next(variable for variable in found if variable is not None)[...]


def _with(state: Any, name: str, value: jax.Array) -> Any:
    """``state`` with another array as the first layer's variable of this name, wherever it stands."""

    def put(variables: Any) -> Any:
        flat = nnx.to_flat_state(variables)
        return nnx.from_flat_state(
            [(p, v.replace(value) if _is_first(p, name) else v) for p, v in flat]
        )

    return state._replace(trained=put(state.trained), rest=put(state.rest))

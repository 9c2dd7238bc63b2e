"""From output to loss and to right or wrong: the two output layers of the papers."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import optax

if TYPE_CHECKING:
    from replications.harness.declared.spec import RunSpec


OnOutput = Callable[[jax.Array, jax.Array], jax.Array]


def example_loss(spec: "RunSpec") -> OnOutput:
    """``(z, y) -> loss`` per example, from the output before its nonlinearity.

    Its gradient is the output error e: ``z - y`` for linear outputs; for logistic ones
    ``s(z) - y`` (raw) or ``(s(z) - y) s'(z)`` (mse).
    """
    if spec.network.output == "linear":
        return lambda z, y: 0.5 * jnp.sum((z - y) ** 2, axis=-1)
    if spec.output_error == "raw":
        return lambda z, y: jnp.sum(optax.sigmoid_binary_cross_entropy(z, y), axis=-1)
    return lambda z, y: 0.5 * jnp.sum((jax.nn.sigmoid(z) - y) ** 2, axis=-1)


def is_wrong(outputs: int) -> OnOutput:
    """``(z, y) -> 1 or 0`` per example: the largest output is not the class, or the only output is
    on the wrong side of one half (a logistic output's z of 0). NaN where an output is: a run that
    diverged has no error, which no claim can take for a large one."""

    def wrong(z: jax.Array, y: jax.Array) -> jax.Array:
        single = outputs == 1
        missed = (
            ((z > 0) != (y > 0.5))[..., 0] if single else jnp.argmax(z, -1) != jnp.argmax(y, -1)
        )
        return jnp.where(jnp.isnan(z).any(-1), jnp.nan, missed.astype(jnp.float32))

    return wrong

"""The initial distributions that the three papers use, as jax initializers."""

import math

import jax
import jax.numpy as jnp

from replications.spec import Init

GRID = 21


def initializer(init: Init, fan_in: int | None = None) -> jax.nn.initializers.Initializer:
    """``init`` as ``(key, shape, dtype) -> array``. ``shape`` is a kernel's: inputs before outputs.

    ``fan_in``: of the layer, for a bias, whose shape does not tell it.
    """

    def draw(key, shape, dtype=jnp.float32, out_sharding=None):
        del out_sharding
        # A grid, and feedback equal to the forward weights, are filled in by ``networks.build``.
        if init.kind in ("zeros", "grid", "forward_weights"):
            return jnp.zeros(shape, dtype)
        if init.kind == "constant":
            return jnp.full(shape, init.value, dtype)
        if init.kind == "normal":
            return init.value * jax.random.normal(key, shape, dtype)
        inputs = fan_in or math.prod(shape[:-1])
        if init.kind == "fan_sum_normal":
            fan_out = math.prod(shape[:-2]) * shape[-1]
            return jax.random.normal(key, shape, dtype) / math.sqrt(inputs + fan_out)
        scale = {
            "uniform": init.value,
            "fan_in_uniform": 1 / math.sqrt(inputs),
            # Direct feedback has the shape (outputs of the net, *units that receive it).
            "receiver_uniform": 1 / math.sqrt(math.prod(shape[1:])),
        }[init.kind]
        return jax.random.uniform(key, shape, dtype, -scale, scale)

    return draw


def grid_start(seed: jax.Array, half_width: float) -> tuple[jax.Array, jax.Array]:
    """The two weights that a ``grid`` init gives to seed number ``seed``, row by row."""
    place = jnp.linspace(-half_width, half_width, GRID)
    return place[seed // GRID % GRID], place[seed % GRID]


def sparse(draw: jax.nn.initializers.Initializer, absent: float) -> jax.nn.initializers.Initializer:
    """``draw`` with a fraction ``absent`` of the elements set to zero at random."""

    def masked(key, shape, dtype=jnp.float32, out_sharding=None):
        del out_sharding
        present = jax.random.bernoulli(jax.random.fold_in(key, 1), 1 - absent, shape)
        return draw(key, shape, dtype) * present

    return masked

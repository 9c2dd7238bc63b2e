"""The starts of the catalogue as jax initializers, and those that are more than a draw."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from replications.harness.catalogue.starts import STARTS, Fan

if TYPE_CHECKING:
    from replications.harness.declared.spec import Init

GRID = 21


class _Draws:
    """Draws of one array."""

    def __init__(self, key: jax.Array, shape: Any, dtype: Any) -> None:
        self.key, self.shape, self.dtype = key, shape, dtype

    def uniform(self, bound: float) -> jax.Array:
        return jax.random.uniform(self.key, self.shape, self.dtype, -bound, bound)

    def normal(self) -> jax.Array:
        return jax.random.normal(self.key, self.shape, self.dtype)

    def full(self, value: float) -> jax.Array:
        return jnp.full(self.shape, value, self.dtype)


def initializer(init: "Init", fan_in: int | None = None) -> jax.nn.initializers.Initializer:
    """``init`` as ``(key, shape, dtype) -> array``. ``shape`` is a kernel's: inputs before outputs.

    ``fan_in``: of the layer, for a bias, whose shape does not tell it.
    """
    start = STARTS[init.kind]

    def draw(key, shape, dtype=jnp.float32, out_sharding=None):
        del out_sharding
        if start.draw is None:  # filled in by ``networks.build``
            return jnp.zeros(shape, dtype)
        return start.draw(_Draws(key, shape, dtype), init.value, Fan.of(shape, fan_in))

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

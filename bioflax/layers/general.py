"""Dense layers over any axes."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from bioflax.layers.product import Decoupled, Swapped, shows_options
from bioflax.rules.base import Initializer


class _SwappedClass(Swapped):
    """The same for a class whose instances are products."""

    def decoupled(self, layer: Decoupled, product: Any) -> Any:
        if product is None:
            return None
        of_instance = super().decoupled
        return lambda: of_instance(layer, product())


@shows_options
class LinearGeneral(Decoupled, nnx.LinearGeneral):
    """``nnx.LinearGeneral`` under a rule: a dense layer over several axes, with batch axes.

    Takes all arguments of ``nnx.LinearGeneral``, and ``rule``. Attributes: ``kernel`` and
    ``feedback`` of shape ``(*batch, *in_features, *out_features)``, ``bias``, ``rule``.

    >>> layer = LinearGeneral((2, 3), (4, 5), axis=(-2, -1), rngs=nnx.Rngs(0))
    >>> layer.feedback.shape
    (2, 3, 4, 5)
    """

    dot_general = Swapped(lax.dot_general)
    dot_general_cls = _SwappedClass(None)

    def draw(self, init: Initializer, key: jax.Array) -> jax.Array:
        """As Flax: the initializer sees a matrix."""
        shape, outputs = self.kernel.shape, math.prod(self.out_features)
        return init(key, (math.prod(shape) // outputs, outputs), self.kernel.dtype).reshape(shape)


@shows_options
class Einsum(Decoupled, nnx.Einsum):
    """``nnx.Einsum`` under a rule: any contraction of the input with a kernel.

    Takes all arguments of ``nnx.Einsum``, and ``rule``. Attributes: ``kernel`` and ``feedback`` of
    shape ``kernel_shape``, ``bias``, ``rule``.

    >>> layer = Einsum("nta,hab->nthb", (8, 2, 4), (8, 4), rngs=nnx.Rngs(0))
    >>> layer.feedback.shape
    (8, 2, 4)
    """

    einsum_op = Swapped(jnp.einsum, first=1)

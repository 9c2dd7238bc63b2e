"""Convolutions."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from bioflax.layers.product import Decoupled, Swapped, shows_options


@shows_options
class Conv(Decoupled, nnx.Conv):
    """``nnx.Conv`` under a rule: the transposed convolution of the backward pass is with ``B``.

    Takes all arguments of ``nnx.Conv`` (strides, padding, dilations, groups, mask, ...), and
    ``rule``. A mask holds for ``B`` as for the kernel.

    Attributes: ``kernel`` and ``feedback`` of shape ``(*kernel_size, in / groups, out)``, ``bias``
    of shape ``(out,)``, ``rule``.

    >>> layer = Conv(3, 8, (5, 5), rngs=nnx.Rngs(0))
    >>> layer.feedback.shape
    (5, 5, 3, 8)
    """

    conv_general_dilated = Swapped(lax.conv_general_dilated)


@shows_options
class ConvTranspose(Decoupled, nnx.ConvTranspose):
    """``nnx.ConvTranspose`` under a rule: the convolution of the backward pass is with ``B``.

    Takes all arguments of ``nnx.ConvTranspose``, and ``rule``. A mask holds for ``B`` as for the
    kernel. Attributes as in ``Conv``.

    >>> layer = ConvTranspose(8, 3, (4, 4), strides=2, rngs=nnx.Rngs(0))
    >>> layer.feedback.shape
    (4, 4, 8, 3)
    """

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Flax's own, whose product cannot be given: so all of it but the bias is the product."""

        def op(x: jax.Array, kernel: jax.Array) -> jax.Array:
            layer: Any = SimpleNamespace(
                **(vars(self) | {"kernel": kernel, "bias": None, "use_bias": False})
            )
            return nnx.ConvTranspose.__call__(layer, x)

        y = self.carry(op, inputs, self.kernel[...])
        if self.bias is None:
            return y
        (bias,) = self.promote_dtype((self.bias[...],), dtype=self.dtype)
        return y + jnp.reshape(bias, (1,) * (y.ndim - 1) + (-1,))

"""Convolutions."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bioflax._layers.base import Ruled
from bioflax._product import Product
from bioflax._tap import Spy


class Conv(Ruled, nnx.Conv):
    """``nnx.Conv`` under a rule: the transposed convolution of the backward pass is with ``B``.

    Args:
      in_features, out_features, kernel_size, strides: as in ``nnx.Conv``.
      **options: those of ``nnx.Conv``, by name: padding, input_dilation, kernel_dilation,
        feature_group_count, use_bias, mask, dtype, param_dtype, precision, kernel_init, bias_init,
        conv_general_dilated, promote_dtype, preferred_element_type, kernel_metadata, bias_metadata.
        A mask holds for ``B`` as for the kernel: the one that the layer is made or converted with.
      rule, rngs: as in ``Linear``.

    Attributes: ``kernel`` and ``feedback`` of shape ``(*kernel_size, in / groups, out)``, ``bias``
    of shape ``(out,)``, ``rule``. The rule and ``B`` lie in ``conv_general_dilated``, a ``Product``.

    >>> layer = Conv(3, 8, (5, 5), rngs=nnx.Rngs(0))
    >>> layer.feedback.shape
    (5, 5, 3, 8)
    """

    slot = "conv_general_dilated"

    @staticmethod
    def _product_of(layer: Any, given: Any) -> Product:
        product = Product(given, ndim=len(layer.kernel_shape))
        product.mask = nnx.data(layer.mask)
        return product

    def __call__(self, inputs: jax.Array, out_sharding: Any = None) -> jax.Array:
        """Flax's own."""
        y = super().__call__(inputs, out_sharding)
        # Flax makes one axis of all batch axes before the product; a signal has the output's shape.
        tap = getattr(self.conv_general_dilated, "tap", None)
        if isinstance(tap, Spy):
            tap.see_output(y)
        return y


class ConvTranspose(Ruled, nnx.ConvTranspose):
    """``nnx.ConvTranspose`` under a rule: the convolution of the backward pass is with ``B``.

    Args:
      in_features, out_features, kernel_size, strides: as in ``nnx.ConvTranspose``.
      **options: those of ``nnx.ConvTranspose``, by name: padding, kernel_dilation, use_bias, mask,
        dtype, param_dtype, precision, kernel_init, bias_init, transpose_kernel, promote_dtype,
        preferred_element_type, kernel_metadata, bias_metadata. A mask holds for ``B`` as for the
        kernel.
      rule, rngs: as in ``Linear``.

    Attributes: as in ``Conv``. The rule and ``B`` lie in ``product``, a ``Product``.

    >>> layer = ConvTranspose(8, 3, (4, 4), strides=2, rngs=nnx.Rngs(0))
    >>> layer.feedback.shape
    (4, 4, 8, 3)
    """

    @staticmethod
    def _product_of(layer: Any, given: Any) -> Product:
        return Product(_without_bias, ndim=len(layer.kernel_shape))

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Flax's own, whose product cannot be given: so all of it but the bias is the product."""

        def op(x: jax.Array, kernel: jax.Array) -> jax.Array:
            return _without_bias(x, kernel, vars(self))

        y = self.product._carry(op, inputs, self.kernel[...])
        if self.bias is None:
            return y
        (bias,) = self.promote_dtype((self.bias[...],), dtype=self.dtype)
        return y + jnp.reshape(bias, (1,) * (y.ndim - 1) + (-1,))


def _without_bias(x: jax.Array, kernel: jax.Array, attributes: dict[str, Any]) -> jax.Array:
    own = {"kernel": kernel, "bias": None, "use_bias": False}
    layer: Any = SimpleNamespace(**(attributes | own))
    return nnx.ConvTranspose.__call__(layer, x)

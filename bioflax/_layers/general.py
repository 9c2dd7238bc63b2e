"""Dense layers over any axes."""

import dataclasses
from collections.abc import Callable
from typing import Any

from flax import nnx
from jax import lax

from bioflax._layers.base import Ruled
from bioflax._product import Product


class LinearGeneral(Ruled, nnx.LinearGeneral):
    """``nnx.LinearGeneral`` under a rule: a dense layer over several axes, with batch axes.

    Args:
      in_features, out_features: numbers of units, for each axis.
      **options: those of ``nnx.LinearGeneral``, by name: axis, batch_axis, use_bias, dtype,
        param_dtype, kernel_init, bias_init, precision, promote_dtype, dot_general, dot_general_cls,
        preferred_element_type, kernel_metadata, bias_metadata.
      rule, rngs: as in ``Linear``.

    Attributes: ``kernel`` and ``feedback`` of shape ``(*batch, *in_features, *out_features)``,
    ``bias``, ``rule``. The rule and ``B`` lie in ``dot_general``, a ``Product``.

    >>> layer = LinearGeneral((2, 3), (4, 5), axis=(-2, -1), rngs=nnx.Rngs(0))
    >>> layer.feedback.shape
    (2, 3, 4, 5)
    """

    slot = "dot_general"

    @staticmethod
    def _product_of(layer: Any, given: Any) -> Product:
        if layer.dot_general_cls is not None:
            # Flax would ask it first, and pass the product by.
            given, layer.dot_general_cls = _Made(layer.dot_general_cls), None
        sizes = (layer.batch_axis, layer.in_features, layer.out_features)
        product = Product(given or lax.dot_general, ndim=sum(map(len, sizes)))
        # As in Flax, the initializer sees a matrix.
        product.outputs = len(layer.out_features)
        return product


@dataclasses.dataclass(frozen=True)
class _Made:
    """The product of a class whose instances are products: a new one for each call, as in Flax."""

    cls: Callable[[], Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.cls()(*args, **kwargs)


class Einsum(Ruled, nnx.Einsum):
    """``nnx.Einsum`` under a rule: any contraction of the input with a kernel.

    Args:
      einsum_str, kernel_shape, bias_shape: as in ``nnx.Einsum``.
      **options: those of ``nnx.Einsum``, by name: dtype, param_dtype, precision, kernel_init,
        bias_init, promote_dtype, einsum_op, preferred_element_type, kernel_metadata, bias_metadata.
      rule, rngs: as in ``Linear``.

    Attributes: ``kernel`` and ``feedback`` of shape ``kernel_shape``, ``bias``, ``rule``. The rule
    and ``B`` lie in ``einsum_op``, a ``Product``.

    >>> layer = Einsum("nta,hab->nthb", (8, 2, 4), (8, 4), rngs=nnx.Rngs(0))
    >>> layer.feedback.shape
    (8, 2, 4)
    """

    slot = "einsum_op"

    @staticmethod
    def _product_of(layer: Any, given: Any) -> Product:
        # Before the input comes the string.
        return Product(given, first=1, ndim=len(layer.kernel_shape))

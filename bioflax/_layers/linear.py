"""Dense layers."""

from typing import Any

from flax import nnx

from bioflax._layers.base import Ruled
from bioflax._product import Product


class Linear(Ruled, nnx.Linear):
    """``nnx.Linear`` under a rule: ``y = x W + b``, backward ``dx = dy B'``, ``dW = x' dy``.

    Args:
      in_features, out_features: numbers of units.
      **options: those of ``nnx.Linear``, by name: use_bias, dtype, param_dtype, precision,
        kernel_init, bias_init, dot_general, promote_dtype, preferred_element_type, kernel_metadata,
        bias_metadata. A ``dot_general`` of your own is the one whose error goes through ``B``.
      rule: where ``B`` comes from; default ``FeedbackAlignment()``.
      rngs: streams ``params`` and ``feedback``. With ``nnx.Rngs(params=0, feedback=1)`` the forward
        weights are those of ``nnx.Linear(..., rngs=nnx.Rngs(params=0))``.

    Attributes: ``kernel`` and ``feedback`` of shape ``(in_features, out_features)``, ``bias`` of
    shape ``(out_features,)``, ``rule``. The rule and ``B`` lie in ``dot_general``, a ``Product``.

    >>> layer = Linear(3, 4, rngs=nnx.Rngs(0))
    >>> layer.feedback.shape
    (3, 4)
    """

    slot = "dot_general"

    @staticmethod
    def _product_of(layer: Any, given: Any) -> Product:
        return Product(given, ndim=2)

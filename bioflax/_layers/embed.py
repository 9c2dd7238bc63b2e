"""Embeddings."""

from types import SimpleNamespace
from typing import Any

import jax
from flax import nnx

from bioflax._layers.base import Ruled
from bioflax._product import Product


class Embed(Ruled, nnx.Embed):
    """``nnx.Embed`` under a rule: ``attend`` sends its error through ``B``.

    Looking up sends no error further, so it is Flax's own. With tied embeddings the table also
    learns from the look-ups, which ``B`` does not see: Kolen-Pollack's law does not hold there.

    Args:
      num_embeddings, features: shape of the table.
      dtype, param_dtype, promote_dtype, embedding_init, embedding_metadata: as in ``nnx.Embed``, by
        name.
      rule, rngs: as in ``Linear``.

    Attributes: ``embedding`` and ``feedback`` of shape ``(num_embeddings, features)``, ``rule``. The
    rule and ``B`` lie in ``product``, a ``Product``.

    >>> layer = Embed(10, 4, rngs=nnx.Rngs(0))
    >>> layer.feedback.shape
    (10, 4)
    """

    carrier = "attend"

    @staticmethod
    def _product_of(layer: Any, given: Any) -> Product:
        product = Product(_attend, "embedding", ndim=2)
        # The kernel of ``attend`` is the table's transpose.
        product.transposed = True
        return product

    def attend(self, query: jax.Array, out_sharding: Any = None) -> jax.Array:
        """Flax's own, ``query . embedding'``, with the error going through ``B``."""

        def op(query: jax.Array, table: jax.Array) -> jax.Array:
            return _attend(query, table, vars(self), out_sharding)

        return self.product._carry(op, query, self.embedding[...])


def _attend(
    query: jax.Array, table: jax.Array, attributes: dict[str, Any], out_sharding: Any
) -> jax.Array:
    layer: Any = SimpleNamespace(**(attributes | {"embedding": table}))
    return nnx.Embed.attend(layer, query, out_sharding)

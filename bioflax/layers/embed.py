"""Embeddings."""

from types import SimpleNamespace
from typing import Any

import jax
from flax import nnx

from bioflax.layers.product import Decoupled, shows_options
from bioflax.rules.base import Initializer


@shows_options
class Embed(Decoupled, nnx.Embed):
    """``nnx.Embed`` under a rule: ``attend`` sends its error through ``B``.

    Looking up sends no error further, so it is Flax's own. With tied embeddings the table also
    learns from the look-ups, which ``B`` does not see: Kolen-Pollack's law does not hold there.

    Takes all arguments of ``nnx.Embed``, and ``rule``. Attributes: ``embedding`` and ``feedback``
    of shape ``(num_embeddings, features)``, ``rule``.

    >>> layer = Embed(10, 4, rngs=nnx.Rngs(0))
    >>> layer.feedback.shape
    (10, 4)
    """

    kernel_name = "embedding"
    carrier = "attend"

    def draw(self, init: Initializer, key: jax.Array) -> jax.Array:
        """The kernel of ``attend`` is the table's transpose."""
        return init(key, self.embedding.shape[::-1], self.embedding.dtype).T

    def attend(self, query: jax.Array, out_sharding: Any = None) -> jax.Array:
        """Flax's own, ``query . embedding'``, with the error going through ``B``."""

        def op(query: jax.Array, table: jax.Array) -> jax.Array:
            layer: Any = SimpleNamespace(**(vars(self) | {"embedding": table}))
            return nnx.Embed.attend(layer, query, out_sharding)

        return self.carry(op, query, self.embedding[...])

"""Attention."""

from flax import nnx

from bioflax.layers.product import shows_options
from bioflax.layers.swap import Composite


@shows_options
class MultiHeadAttention(Composite, nnx.MultiHeadAttention):
    """``nnx.MultiHeadAttention`` whose projections are under a rule.

    The query, key, value and output projections (``LinearGeneral``) each have a ``feedback``. The
    attention itself has no weights: the error passes it as in backpropagation. Takes all arguments
    of ``nnx.MultiHeadAttention``, and ``rule``.

    >>> layer = MultiHeadAttention(num_heads=2, in_features=4, rngs=nnx.Rngs(0))
    >>> layer.query.feedback.shape
    (4, 2, 2)
    """

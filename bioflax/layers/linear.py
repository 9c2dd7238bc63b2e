"""Dense layers."""

from flax import nnx
from jax import lax

from bioflax.layers.product import Decoupled, Swapped, shows_options


@shows_options
class Linear(Decoupled, nnx.Linear):
    """``nnx.Linear`` under a rule: ``y = x W + b``, backward ``dx = dy B'``, ``dW = x' dy``.

    Takes all arguments of ``nnx.Linear``, and these:

    Args:
      rule: where ``B`` comes from; default ``FeedbackAlignment()``.
      rngs: streams ``params`` and ``feedback``. With ``nnx.Rngs(params=0, feedback=1)`` the forward
        weights are those of ``nnx.Linear(..., rngs=nnx.Rngs(params=0))``.

    Attributes: ``kernel`` and ``feedback`` of shape ``(in_features, out_features)``, ``bias`` of
    shape ``(out_features,)``, ``rule``.

    >>> layer = Linear(3, 4, rngs=nnx.Rngs(0))
    >>> layer.feedback.shape
    (3, 4)
    """

    dot_general = Swapped(lax.dot_general)

"""Sign symmetry: backward weights that share the signs of the forward weights."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bioflax._feedback import Feedback
from bioflax._rules.base import DrawnRule, Layer

MAGNITUDES = ("uniform", "batch", "fixed")


@dataclasses.dataclass(frozen=True)
class SignSymmetry(DrawnRule):
    """Sign symmetry: the error learns the signs of the forward weights, not their sizes.

    Backward ``dx = B dy`` with ``B = M * sign(W)``, elementwise, and magnitudes ``M >= 0``:

        magnitude="uniform"  M = one number, the root mean square of a draw of feedback_init  (uSF)
        magnitude="batch"    M = |draw of feedback_init|, dealt anew in every call           (brSF)
        magnitude="fixed"    M = |draw of feedback_init|, the same for ever                  (frSF)

    With ``"batch"`` a layer draws once. Each call shifts what was drawn, as one cyclic row, by a random
    number of places: its ``M`` has the law of a fresh draw, all shifts together give every weight every
    size, and a call costs a copy of the weights instead of a random number for each.

    The layer's ``feedback`` is ``M``; with ``"batch"`` it is ``[M, stream]``, and the stream of random
    numbers advances in every call like that of a dropout layer.

    Args:
      feedback_init: initializer that sets the scale of ``M``; default ``lecun_normal()``.
      magnitude: as above.

    Raises:
      ValueError: an unknown ``magnitude``.

    Reference: Liao, Leibo, Poggio 2016; the three variants as in Moskovitz et al. 2018:

        @inproceedings{liao2016important,
          title={How important is weight symmetry in backpropagation?},
          author={Liao, Qianli and Leibo, Joel Z. and Poggio, Tomaso},
          booktitle={AAAI Conference on Artificial Intelligence}, year={2016}}

        @article{moskovitz2018feedback,
          title={Feedback alignment in deep convolutional networks},
          author={Moskovitz, Theodore H. and Litwin-Kumar, Ashok and Abbott, L. F.},
          journal={arXiv:1812.06488}, year={2018}}
    """

    magnitude: str = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.magnitude not in MAGNITUDES:
            raise ValueError(f"magnitude={self.magnitude!r} is not known; valid: {MAGNITUDES}")

    def feedback(self, layer: Layer, rngs: nnx.Rngs) -> Any:
        drawn = layer.draw(self.feedback_init, rngs.feedback())
        if self.magnitude == "uniform":
            drawn = jnp.full_like(drawn, jnp.sqrt(jnp.mean(drawn**2)))
        sizes = Feedback(jnp.abs(drawn), **layer.placed())
        return nnx.List([sizes, rngs.feedback.fork()]) if self.magnitude == "batch" else sizes

    def weights(self, layer: Layer, kernel: jax.Array) -> jax.Array | None:
        if self.magnitude == "batch":
            drawn, stream = layer.feedback
            # The key of a call is a random number by itself: to draw one from it for each of a
            # transformer's kernels would double the time that it takes to compile.
            number = jax.random.key_data(stream())[-1]
            sizes = jnp.roll(drawn[...], (number % drawn.size).astype(int))
        else:
            sizes = layer.feedback[...]
        return sizes * jnp.sign(kernel).astype(sizes.dtype)

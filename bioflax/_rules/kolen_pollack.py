"""Kolen-Pollack: backward weights that learn as the forward weights do."""

import dataclasses
from typing import Any, ClassVar

from flax import nnx

from bioflax._rules.base import DrawnRule, Layer


@dataclasses.dataclass(frozen=True)
class KolenPollack(DrawnRule):
    """Kolen-Pollack: ``B`` is a parameter and receives exactly the gradient of ``W``.

    Backward ``dx = B dy`` and ``dB = dW``. When one optimiser decays both at the rate ``d``:

        W(t) - B(t) = (1 - d)^t (W(0) - B(0))

    whatever the data, the loss and the network. The decay must be decoupled from the gradient and
    the same for ``W`` and ``B``: ``optax.adamw``; ``optax.add_decayed_weights`` before plain SGD, and
    after the momentum (``optax.chain(optax.trace(0.9), optax.add_decayed_weights(d),
    optax.scale(-rate))``), never before it. Without decay the gap stays as it is. ``gap`` measures
    it, ``Law`` says when the law fails and by what, and ``alike`` makes a mask that treats ``W`` and
    ``B`` alike. ``B`` counts in ``optax.global_norm``, so clipping by it clips harder than under
    backpropagation; ``global_norm`` is the norm without it.

    ``convert`` leaves layers inside ``nnx.SpectralNorm`` and ``nnx.WeightNorm`` alone: these learn
    another kernel than the layer multiplies with, and the law would not hold.

    Args:
      feedback_init: initializer of ``B``, called as a kernel's; default ``lecun_normal()``.

    Reference: Kolen and Pollack 1994; in this form Akrout et al. 2019, eq. (16) and (17):

        @inproceedings{kolen1994backpropagation,
          title={Backpropagation without weight transport},
          author={Kolen, John F. and Pollack, Jordan B.},
          booktitle={International Conference on Neural Networks}, volume={3},
          pages={1375--1380}, year={1994}}
    """

    shared: ClassVar[bool] = True

    def feedback(self, layer: Layer, rngs: nnx.Rngs) -> Any:
        return nnx.Param(layer.draw(self.feedback_init, rngs.feedback()), **layer.placed())

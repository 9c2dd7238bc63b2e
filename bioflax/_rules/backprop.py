"""Backpropagation: the error goes through the forward weights."""

import dataclasses
from typing import Any

import jax
from flax import nnx

from bioflax._rules.base import Layer, Rule


@dataclasses.dataclass(frozen=True)
class Backprop(Rule):
    """Backpropagation: the layer is Flax's own, and has no feedback.

    Backward ``dx = W' dy``.

    Reference: Rumelhart, Hinton, Williams 1986:

        @article{rumelhart1986learning,
          title={Learning representations by back-propagating errors},
          author={Rumelhart, David E. and Hinton, Geoffrey E. and Williams, Ronald J.},
          journal={Nature}, volume={323}, pages={533--536}, year={1986}}
    """

    def feedback(self, layer: Layer, rngs: nnx.Rngs) -> Any:
        del layer, rngs
        return None

    def weights(self, layer: Layer, kernel: jax.Array) -> jax.Array | None:
        del layer, kernel
        return None

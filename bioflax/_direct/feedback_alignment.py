"""Direct feedback alignment: the output error goes to every block through its own weights."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import jax

from bioflax._direct.base import Direct


@dataclasses.dataclass(frozen=True)
class DirectFeedbackAlignment(Direct):
    """Direct feedback alignment (``"dfa"``): block ``l`` receives ``B_l e``.

    ``e = dL/dy`` is the error at the net's output, ``B_l`` drawn once. With ``send`` block ``l``
    receives ``B_l send(e)``: any function of the error, such as its signs, or a centred or normalised
    one. The readout has its true gradient all the same.

    Args:
      send: ``e -> array`` of the same shape, with the batch first; default ``e`` itself.

    Reference: Nokland 2016, Fig. 1c:

        @inproceedings{nokland2016direct,
          title={Direct feedback alignment provides learning in deep neural networks},
          author={N{\\o}kland, Arild},
          booktitle={Advances in Neural Information Processing Systems}, volume={29}, year={2016}}
    """

    name: ClassVar[str] = "dfa"
    send: Callable[[jax.Array], jax.Array] | None = None

    def sent(self, e: jax.Array, target: Any) -> jax.Array:
        del target
        if self.send is None:
            return e
        changed = self.send(e)
        if changed.shape != e.shape:
            raise ValueError(
                f"send makes an array of shape {changed.shape} of an error of {e.shape}"
            )
        return changed

"""Direct random target projection: the target is sent, and no error."""

import dataclasses
from typing import Any, ClassVar

import jax

from bioflax._direct.base import Direct


@dataclasses.dataclass(frozen=True)
class DirectRandomTargetProjection(Direct):
    """Direct random target projection (``"drtp"``): block ``l`` receives ``B_l y*``.

    ``y*`` is the ``target`` the net is called with, of the output's shape and of any type. It goes as
    it is, whatever the size of the error: where the loss is a mean over the batch, scale it.

    Raises:
      ValueError: a target of another shape than the output.

    Reference: Frenkel, Lefebvre, Bol 2021:

        @article{frenkel2021learning,
          title={Learning without feedback: Fixed random learning signals allow for feedforward
                 training of deep neural networks},
          author={Frenkel, Charlotte and Lefebvre, Martin and Bol, David},
          journal={Frontiers in Neuroscience}, volume={15}, pages={629892}, year={2021}}
    """

    name: ClassVar[str] = "drtp"
    needs_target: ClassVar[bool] = True

    def sent(self, e: jax.Array, target: Any) -> jax.Array:
        if target.shape != e.shape:
            raise ValueError(f"target has shape {target.shape}, the net's output {e.shape}")
        return target

"""Error-sign-based direct feedback alignment: only the signs of the error are sent."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from bioflax._direct.base import Direct


@dataclasses.dataclass(frozen=True)
class ErrorSignFeedback(Direct):
    """Error-sign-based direct feedback alignment (``"sdfa"``): block ``l`` receives ``B_l sign(e)``.

    ``sign(e)`` goes as it is, whatever the size of ``e``: a loss that is a mean over the batch makes
    ``e`` small and leaves this, so take the sum.

    Reference: Frenkel, Lefebvre, Bol 2021:

        @article{frenkel2021learning,
          title={Learning without feedback: Fixed random learning signals allow for feedforward
                 training of deep neural networks},
          author={Frenkel, Charlotte and Lefebvre, Martin and Bol, David},
          journal={Frontiers in Neuroscience}, volume={15}, pages={629892}, year={2021}}
    """

    name: ClassVar[str] = "sdfa"

    def sent(self, e: jax.Array, target: Any) -> jax.Array:
        del target
        return jnp.sign(e)

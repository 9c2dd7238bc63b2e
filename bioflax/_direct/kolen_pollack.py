"""Direct Kolen-Pollack: the weights from the output to the blocks learn."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from bioflax._direct.base import Direct, Pass
from bioflax._direct.stage import Block
from bioflax._direct.weights import met


@dataclasses.dataclass(frozen=True)
class DirectKolenPollack(Direct):
    """Direct Kolen-Pollack (``"dkp"``): block ``l`` receives ``B_l e``, and ``dB_l = e h_l'``.

    ``B_l`` is a parameter; decayed as the forward weights are, it forgets its start as they do.

    Raises:
      ValueError: ``shared`` or ``broadcast``; no ``example`` where the shapes are not known.

    Reference: Webster, Choi, Ahn 2021:

        @misc{webster2021learning,
          title={Learning the connections in direct feedback alignment},
          author={Webster, Matthew Bailey and Choi, Jonghyun and Ahn, Changwook},
          howpublished={OpenReview}, year={2021}}
    """

    name: ClassVar[str] = "dkp"
    kind: ClassVar[type[nnx.Variable[Any]]] = nnx.Param

    def check(self, stages: Sequence[Block], *, shared: bool, broadcast: bool) -> None:
        if shared or broadcast:
            raise ValueError("mode='dkp' learns one weight per unit: no shared=, no broadcast=")

    def gradients(self, e: jax.Array, forward: Pass, stored: Any) -> list[jax.Array]:
        def outer(h: jax.Array, b: jax.Array) -> jax.Array:
            # The gradient of e . (B h), so that JAX sums it over devices where it must.
            sent = met(e, h.shape)
            units = list(range(sent.ndim - 1, h.ndim))

            def onto(b: jax.Array) -> jax.Array:
                to = list(range(1, b.ndim))
                return jnp.tensordot(h.astype(e.dtype), b.astype(e.dtype), (units, to))

            (db,) = jax.linear_transpose(onto, b)(sent)
            return db

        return [
            stage.each(outer)(h, b)
            for stage, h, b in zip(forward.stages, forward.hs, stored, strict=False)
        ]

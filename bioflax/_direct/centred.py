"""Error centring: what all examples' errors have in common is not sent."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from bioflax._direct.base import Direct


@dataclasses.dataclass(frozen=True)
class CentredFeedback(Direct):
    """Error centring (``"cdfa"``): block ``l`` receives ``B_l (e - mean(e))``, the mean over the batch.

    Sent is the error less its mean over the first axis, so ``mean(B_l e)`` is taken from every
    example's signal, and the readout has its true gradient. Early in training that mean is most of
    the error, and would drive the hidden units to activities that do not depend on the input. Not
    always a gain: the classes' prior is fitted more slowly.

    It needs the whole batch in one call; of one example (under ``jax.vmap``) nothing would be left.

    Raises:
      ValueError: an error without an axis of examples.

    Reference: Reddy, Sabatini, Safaai 2026:

        @misc{reddy2026common,
          title={Common-mode collapse and recovery in direct feedback alignment},
          author={Reddy, Varun and Sabatini, Bernardo L. and Safaai, Houman},
          year={2026}, eprint={2609.31589}, archivePrefix={arXiv}, primaryClass={cs.LG}}
    """

    name: ClassVar[str] = "cdfa"

    def sent(self, e: jax.Array, target: Any) -> jax.Array:
        del target
        if e.ndim < 2:
            raise ValueError(f"mode='cdfa' needs a batch: an error of shape {e.shape} has none")
        return e - jnp.mean(e, 0, keepdims=True)

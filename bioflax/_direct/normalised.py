"""Normalised direct feedback: weights whose norm is 1 whatever the number of units."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp


def normalised(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
    """``N(0, 1 / size)``, an initializer for the ``B_l`` of ``DirectFeedback``: ``E |B_l|^2 = 1``.

    With it block ``l`` receives ``B_l e`` of about the length ``|e| / sqrt(n_out)``, narrow or wide, where
    a fixed scale lets it grow with the root of the units. Give it to nets without ``shared``, whose
    matrix is drawn for the widest block.

    It is the normalisation in the code of Launay et al. 2019, without two more things there: their blocks
    share one matrix, each block's columns rescaled, and hidden layers learn from the sum over the
    batch where the readout learns from the mean. Two others have the name: their code of 2020 divides
    all projections by the root of the widest block, and a library rescales each example's signal to
    the length of its error.

    Reference: Launay, Poli, Krzakala 2019:

        @misc{launay2019principled,
          title={Principled training of neural networks with direct feedback alignment},
          author={Launay, Julien and Poli, Iacopo and Krzakala, Florent},
          year={2019}, eprint={1906.04554}, archivePrefix={arXiv}, primaryClass={stat.ML}}

    >>> import bioflax
    >>> from flax import nnx
    >>> rngs = nnx.Rngs(0)
    >>> blocks = [nnx.Linear(3, 800, rngs=rngs), jnp.tanh]
    >>> readout = nnx.Linear(800, 10, rngs=rngs)
    >>> net = bioflax.DirectFeedback(blocks, readout, feedback_init=bioflax.normalised, rngs=rngs)
    >>> round(float(jnp.linalg.norm(net.feedback[0][...])), 1)
    1.0
    """
    return jax.random.normal(key, shape, dtype) / math.sqrt(math.prod(shape))

"""Alignments over training."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from bioflax._alignment import Alignment


def history(records: Sequence[Alignment]) -> Alignment:
    """Alignments measured one after the other as one, whose arrays have a leading axis for time.

    It is what ``jax.lax.scan`` makes of a step that returns an ``Alignment``, for loops in Python:
    append ``alignment(...)`` to a list in every epoch, and give the list.

    Args:
      records: alignments of one model, at least one.

    Returns:
      An ``Alignment`` whose fields map the path of a layer to an array ``(len(records), ...)``.

    Raises:
      ValueError: no records, or records of different layers.

    >>> import bioflax
    >>> from flax import nnx
    >>> model = nnx.Sequential(bioflax.Linear(3, 2, rngs=nnx.Rngs(0)))
    >>> def loss(model, x):
    ...     return jnp.sum(model(x) ** 2)
    >>> measure = nnx.jit(bioflax.alignment, static_argnums=1)
    >>> records = [measure(model, loss, jnp.ones((4, 3))) for epoch in range(5)]
    >>> {path: degrees.shape for path, degrees in history(records).weights.items()}
    {'layers/0': (5,)}
    """
    if not records:
        raise ValueError("records is empty: a history needs at least one alignment")
    return jax.tree.map(lambda *values: jnp.stack(values), *records)

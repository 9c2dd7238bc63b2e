"""Why a rule fails in a layer: what its units let through, and what its error signal looks like."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from bioflax._law import gap
from bioflax._signals import Measured

# A unit is saturated where it passes on less than this share of what the layer's best passes.
LITTLE = 0.1


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Diagnostics:
    """What the units and the error signals of each layer are like, at one batch.

    Each field: path of the layer -> scalar (inside a ``Stack``, one entry per layer). A unit is an
    entry of the last axis of the layer's output, over all examples and positions.

    Attributes:
      saturation: share of all outputs from which a small change reaches the inputs of the next
        layers by less than a tenth of what the best of the layer's outputs passes: of ``tanh``
        those with ``f'(a) < max f' / 10``, of ReLU those below 0. NaN where no layer with weights
        comes after.
      acting: share of units from which a change reaches them for one example at least; the others
        are dead. NaN as above.
      ranks: effective rank of the error signal, ``(tr C)^2 / tr C^2`` with ``C`` the covariance of its
        units: 1 where all errors point along one line, the number of units where they are white.
      means: squared norm of the mean error over ``tr C``: above 1 the layer is pushed more by what
        all examples have in common than by what tells them apart.
      gaps: ``|W - B|`` of layers under ``KolenPollack``; see ``gap``.
    """

    saturation: dict[str, jax.Array]
    acting: dict[str, jax.Array]
    ranks: dict[str, jax.Array]
    means: dict[str, jax.Array]
    gaps: dict[str, jax.Array]


def diagnose(model: Any, ours: Measured, exact: Measured, local: Measured) -> Diagnostics:
    """``ours``, ``exact``: measured under the model's rule and backpropagation. ``local``: under the
    latter with the error 1 at every input of a layer, so that a signal is what reaches the next ones."""
    passed = {
        path: _passed(
            _units(jnp.abs(s), ours.depth[path]), _units(exact.deltas[path], ours.depth[path])
        )
        for path, s in local.deltas.items()
    }
    spread = {path: _spread(_units(d, ours.depth[path])) for path, d in ours.deltas.items()}
    return Diagnostics(
        saturation={path: saturation for path, (saturation, _) in passed.items()},
        acting={path: acting for path, (_, acting) in passed.items()},
        ranks={path: rank for path, (rank, _) in spread.items()},
        means={path: mean for path, (_, mean) in spread.items()},
        gaps=gap(model),
    )


def _units(x: jax.Array, depth: int) -> jax.Array:
    """A signal as ``(*stacked, examples and positions, units)``, in float32 at least."""
    x = x.reshape(*x.shape[:depth], -1, x.shape[-1])
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _passed(local: jax.Array, exact: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Saturation and the share of units that act."""
    most = jnp.max(local, (-2, -1), keepdims=True)
    saturation = jnp.mean(local <= LITTLE * most, (-2, -1))
    acting = jnp.mean(jnp.any(local > 0, -2), -1)
    # What no layer comes after has the loss's own error in both, which says nothing of its units.
    last = jnp.all(jnp.isclose(local, jnp.abs(exact)), (-2, -1)) & (most[..., 0, 0] > 0)
    return jnp.where(last, jnp.nan, saturation), jnp.where(last, jnp.nan, acting)


def _spread(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Effective rank, and the mean against the covariance."""
    scale = jnp.max(jnp.abs(x), (-2, -1), keepdims=True)
    x = x / jnp.where(scale > 0, scale, 1)
    mean = jnp.mean(x, -2, keepdims=True)
    x = x - mean
    # Both products have the same traces; the smaller one is cheaper.
    other = jnp.conj(jnp.swapaxes(x, -1, -2))
    c = other @ x if x.shape[-1] <= x.shape[-2] else x @ other
    total = jnp.trace(c, axis1=-2, axis2=-1).real
    rank = total**2 / jnp.sum(jnp.abs(c) ** 2, (-2, -1))
    return rank, jnp.sum(jnp.abs(mean) ** 2, (-2, -1)) * x.shape[-2] / total

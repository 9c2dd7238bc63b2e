"""The shapes and the draws of the weights that lead from the output to the blocks."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx


def uniform_by_units(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
    """``U[-a, a]`` with ``a = 1 / sqrt(units of the receiving block)``, as in Nokland's code."""
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def shapes(net: Any, y: Any, hs: Sequence[Any]) -> list[tuple[int, ...]]:
    """The shape of each block's ``B_l``, ``(n_out, *units)``, for an output and blocks' outputs."""
    found = []
    batch = y.shape[:-1]
    for i, (stage, h) in enumerate(zip(net._stages(), hs, strict=False)):
        _, shape = stage.split(h.shape)
        if shape[: len(batch)] != batch or len(shape) == len(batch):
            raise ValueError(
                f"blocks[{i}] puts out an array of shape {shape}, the net one of shape {y.shape}: "
                f"the axes {batch} before the last must lead every block's output too"
            )
        units = shape[-1:] if net.broadcast else shape[len(batch) :]
        found.append((y.shape[-1], *units))
    return found


def draw(net: Any, key: jax.Array, y: Any, hs: Sequence[Any]) -> list[jax.Array]:
    """The feedback as it is stored: one matrix per block, or one that all share."""
    needed = shapes(net, y, hs)
    if net.shared:
        widest = max(math.prod(shape[1:]) for shape in needed)
        return [net.feedback_init(key, (y.shape[-1], widest), y.dtype)]
    drawn, before = [], 0
    for stage, shape, h in zip(net._stages(), needed, hs, strict=False):
        layers = math.prod(stage.split(h.shape)[0])
        fold = jax.vmap(functools.partial(jax.random.fold_in, key))
        keys = fold(jnp.arange(before, before + layers))
        before += layers
        # What learns has the precision of what learns beside it, not of the block's output.
        beside = jax.tree.leaves(nnx.state(stage.module, nnx.Param))
        dtype = beside[0].dtype if net.mode.learns and beside else h.dtype
        init = functools.partial(net.feedback_init, shape=shape, dtype=dtype)
        drawn.append(stage.each(init)(stage.own(keys)))
    return drawn


def matrices(net: Any, y: Any, hs: Sequence[Any], stored: Any = None) -> list[jax.Array]:
    """Each block's ``B_l``, for arrays shaped like the output and like every block's output.

    ``stored``: the stored feedback, or the key it is drawn from in every call; default the net's.
    """
    stored = net._stored() if stored is None else stored
    if not isinstance(stored, list):
        stored = draw(net, stored, y, hs)
    needed, stages = shapes(net, y, hs), net._stages()
    if net.shared:
        found = []
        for stage, shape, h in zip(stages, needed, hs, strict=False):
            b = stored[0][:, : math.prod(shape[1:])].reshape(shape)
            found.append(jnp.broadcast_to(b, stage.split(h.shape)[0] + shape))
        return found
    for i, (stage, b, shape) in enumerate(zip(stages, stored, needed, strict=False)):
        _, one = stage.split(b.shape)
        if one != shape:
            raise ValueError(
                f"feedback[{i}] has shape {one}, but blocks[{i}] needs {shape}: (outputs, "
                "*units); give example= with the input's full shape, batch axes included"
            )
    return stored

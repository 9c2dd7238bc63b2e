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
    if jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError(
            f"no uniform draw of {jnp.dtype(dtype)}: for complex nets give feedback_init="
        )
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    return jax.random.uniform(key, shape, dtype, -bound, bound)


OWN, RESIZED, WHOLE = "own", "resized", "whole"


def way_to(y: tuple[int, ...], h: tuple[int, ...]) -> str | None:
    """How the error at an output of shape ``y`` meets a block's output of shape ``h``.

    ``OWN``: all axes of the output but its last lead the block's too. ``RESIZED``: the block has
    other numbers of positions. ``WHOLE``: it has no positions, and receives those of the output at
    once. None: they do not meet.
    """
    batch = y[:-1]
    if h[: len(batch)] == batch:
        return OWN if len(h) > len(batch) else None
    if len(y) > 2 and len(h) > 1 and h[0] == y[0]:
        return RESIZED if len(h) == len(y) else WHOLE if len(h) < len(y) else None
    return None


def met(e: jax.Array, h: tuple[int, ...]) -> jax.Array:
    """``e`` as it meets a block's output of shape ``h``: per example and position.

    Resized, the errors of the output's positions that one of the block's stands for add up.
    """
    way = way_to(e.shape, h)
    if way == RESIZED:
        positions = math.prod(e.shape[1:-1]) / math.prod(h[1:-1])
        return jax.image.resize(e, (*h[:-1], e.shape[-1]), "linear") * positions
    return e.reshape(e.shape[0], -1) if way == WHOLE else e


def shapes(net: Any, y: Any, hs: Sequence[Any]) -> list[tuple[int, ...]]:
    """The shape of each block's ``B_l``, ``(n_out, *units)``, for an output and blocks' outputs."""
    if not y.shape:
        raise ValueError("the net puts out a scalar: direct feedback needs an axis of outputs")
    found = []
    batch = y.shape[:-1]
    for i, (stage, h) in enumerate(zip(net._stages(), hs, strict=False)):
        _, shape = stage.split(h.shape)
        way = way_to(y.shape, shape)
        if way is None:
            raise ValueError(
                f"{net._name(i)} puts out an array of shape {shape}, the net one of shape {y.shape}: "
                f"the axes {batch} before the last must lead every block's output too, or both "
                "must be images of one batch"
            )
        if not batch and len(shape) > 1:
            raise ValueError(
                f"the net puts out an array of shape {y.shape}, one axis, and {net._name(i)} one of shape "
                f"{shape}: that axis would be taken for the outputs of one example, and mix examples; "
                "give the output an axis of units (h[:, None]), and call the net on a batch"
            )
        if way == WHOLE:
            if net.shared:
                raise ValueError(f"{net._name(i)} has no positions, the output has: no shared=")
            found.append((math.prod(y.shape[1:]), *shape[1:]))
        else:
            one = way == RESIZED or net.broadcast
            found.append((y.shape[-1], *(shape[-1:] if one else shape[len(batch) :])))
    return found


def check_examples(net: Any, shaped: Any, x: Any, y: Any, hs: Sequence[Any]) -> None:
    """Raise ValueError where the axes that lead the output and the blocks' outputs are not all of the
    examples: found by doubling their number in ``shaped(x)``, where that can be called so."""
    if not x.shape:
        return
    double = jax.ShapeDtypeStruct((2 * x.shape[0], *x.shape[1:]), x.dtype)  # type: ignore[no-untyped-call]
    try:
        y2, hs2 = shaped(double)
    except Exception:  # of a single example, or beside another input with that axis
        return
    if y.shape and y2.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"the net puts out an array of shape {y.shape} whose last axis is that of the examples: they "
            "would be taken for outputs and mixed; give the output an axis of units (h[:, None])"
        )
    grows = y2.shape[:1] != y.shape[:1]
    for i, (stage, h, h2) in enumerate(zip(net._stages(), hs, hs2, strict=False)):
        one, two = stage.split(h.shape)[1], stage.split(h2.shape)[1]
        if (one[:1] != two[:1]) != grows:
            raise ValueError(
                f"{net._name(i)} puts out an array of shape {one}, the net one of shape {y.shape}, and "
                "their first axes are not the same: one is of examples, the other is not (time, "
                "positions); put the batch first"
            )


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
                f"feedback[{i}] has shape {one}, but {net._name(i)} needs {shape}: (outputs, "
                "*units); give example= with the input's full shape, batch axes included"
            )
    return stored


def signals(net: Any, e: jax.Array, done: Any, stored: Any) -> list[jax.Array]:
    """What the way of ``net`` sends, through every block's own matrix."""
    # Of integers or floats: a target may be a one-hot vector of any type.
    sent = net.mode.sent(e, done.target).astype(e.dtype)

    def send(b: jax.Array, h: jax.Array) -> jax.Array:
        signal = jnp.tensordot(met(sent, h.shape), b.astype(sent.dtype), 1).astype(h.dtype)
        if signal.ndim < h.ndim:  # the same for all positions, whose number does not make it larger
            over = tuple(range(e.ndim - 1, h.ndim - 1))
            scaled = signal / math.sqrt(math.prod(h.shape[i] for i in over))
            signal = jnp.broadcast_to(jnp.expand_dims(scaled, over), h.shape)
        place = jax.typeof(h).sharding
        if jax.typeof(signal).sharding != place:
            signal = jax.sharding.reshard(signal, place)  # type: ignore[no-untyped-call]
        return signal

    bs = matrices(net, e, done.hs, stored)
    return [one.each(send)(b, h) for one, b, h in zip(done.stages, bs, done.hs, strict=False)]

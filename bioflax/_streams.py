"""Streams of random numbers for feedback, apart from those that draw the forward weights."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

# Folded into a key that may be that of forward weights too. Any number does.
APART = 0x0B


def apart(rngs: Any) -> Any:
    """``rngs`` with a stream ``feedback`` that no other of its streams repeats.

    Where feedback has no stream of its own, a constant is folded into a key of the default stream;
    where its stream has the key of another one, into that key. Otherwise no draw changes.
    """
    if "feedback" not in rngs:
        return nnx.Rngs(feedback=jax.random.fold_in(rngs.feedback(), APART))
    key = rngs.feedback.key
    own = jax.random.key_data(key[...])
    same = [
        jnp.all(jax.random.key_data(stream.key[...]) == own)
        for name, stream in rngs.items()
        if name != "feedback" and stream.key[...].shape == key[...].shape
    ]
    if same:
        clash = jnp.any(jnp.stack(same))
        if isinstance(clash, jax.core.Tracer) or clash:
            key[...] = _choose(clash, folded(key[...]), key[...])
    return rngs


def folded(keys: jax.Array) -> jax.Array:
    """``keys`` of any shape, each another one."""
    fold: Any = functools.partial(jax.random.fold_in, data=APART)
    for _ in keys.shape:
        fold = jax.vmap(fold)
    chosen: jax.Array = fold(keys)
    return chosen


def _choose(condition: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    impl = jax.random.key_impl(b)
    data = jnp.where(condition, jax.random.key_data(a), jax.random.key_data(b))
    chosen: jax.Array = jax.random.wrap_key_data(data, impl=impl)
    return chosen


def repeats(drawn: Any, weights: Any) -> Any:
    """Whether one of ``drawn`` is one of ``weights``, up to its signs.

    ``drawn``: pairs of an array and the number of axes that it has in one layer. Arrays are compared
    by 18 of their entries: two draws do not share these, and constants do not count.
    """
    marks = functools.cache(lambda i, n: _marks(weights[i], n))
    found = [
        jnp.any(jnp.all(_marks(b, n)[:, None] == marks(i, n)[None], -1))
        for b, n in drawn
        for i, w in enumerate(weights)
        if w.ndim >= n and w.shape[w.ndim - n :] == b.shape[b.ndim - n :] and b.size
    ]
    return jnp.any(jnp.stack(found)) if found else np.False_


def _marks(array: jax.Array, ndim: int) -> jax.Array:
    """Sizes of some entries of each layer; NaN, which equals nothing, where all are the same."""
    x = jnp.abs(array).reshape(-1, math.prod(array.shape[array.ndim - ndim :]))
    picked = np.unique(np.linspace(0, x.shape[1] - 1, 16).astype(int))
    most, least = x.max(1)[:, None], x.min(1)[:, None]
    return jnp.where(most == least, jnp.nan, jnp.concatenate([most, least, x[:, picked]], 1))

"""Running a module as a pure function of its arrays."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx


def is_float(path: Any, value: Any) -> bool:
    """A filter for ``nnx.split``: what can have a gradient, parameter or not."""
    del path
    return all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(value))


def split(module: Any, *filters: Any) -> tuple[Any, ...]:
    """``nnx.split``: graph, what the filters take, what can have a gradient, and the rest."""
    return nnx.split(module, *filters, is_float, ...)


def apply(graph: Any, floats: Any, rest: Any, x: jax.Array) -> tuple[jax.Array, Any]:
    """The module's output for ``x``, and the part of its state that the call changed."""
    module = nnx.merge(graph, floats, rest, copy=True)
    before = {path: jax.tree.leaves(v) for path, v in nnx.to_flat_state(nnx.state(module))}
    y = module(x)
    if not isinstance(y, jax.Array):
        raise TypeError(
            f"{type(module).__name__} puts out a {type(y).__name__}; direct feedback and stacks "
            "need modules that put out one array"
        )
    changed = [
        (path, v)
        for path, v in nnx.to_flat_state(nnx.state(module))
        if [id(leaf) for leaf in jax.tree.leaves(v)] != [id(leaf) for leaf in before.get(path, [])]
    ]
    return y, nnx.from_flat_state(changed)

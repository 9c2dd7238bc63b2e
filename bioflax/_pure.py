"""Running a module as a pure function of its arrays."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx


def is_float(path: Any, value: Any) -> bool:
    """A filter for ``nnx.split``: what can have a gradient, parameter or not."""
    del path
    return all(jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in jax.tree.leaves(value))


def split(module: Any, *filters: Any) -> tuple[Any, ...]:
    """``nnx.split``: graph, what the filters take, what can have a gradient, and the rest."""
    return nnx.split(module, *filters, is_float, ...)


def apply(graph: Any, floats: Any, rest: Any, x: jax.Array, given: Any = None) -> tuple[Any, Any]:
    """The module's output for ``x``, and the part of its state that the call changed.

    ``given``: inputs by name, of which it gets those that it takes.
    """
    module = nnx.merge(graph, floats, rest, copy=True)
    before = {path: jax.tree.leaves(v) for path, v in nnx.to_flat_state(nnx.state(module))}
    y = call(module, x, given or {})
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


def call(module: Any, x: Any, given: dict[str, Any]) -> Any:
    """``module(x)`` with those of the inputs ``given`` by name that it takes; a sequence of modules
    hands each of them to every part that takes it."""
    if given and type(module) is nnx.Sequential:
        for part in module.layers:
            x = call(part, x, given)
        return x
    return module(x, **{name: value for name, value in given.items() if takes(module, name)})


def takes(module: Any, name: str) -> bool:
    """Whether a module or function has an argument ``name`` beside its input."""
    if type(module) is nnx.Sequential:
        return any(takes(part, name) for part in module.layers)
    try:
        _, *others = inspect.signature(module).parameters.values()
    except (TypeError, ValueError):  # one that does not tell
        return False
    return any(p.name == name or p.kind is p.VAR_KEYWORD for p in others)


def parted(given: Any) -> tuple[list[Any], list[Any], Any]:
    """The arrays of ``given`` that can have a gradient, its others, and what makes it of both."""
    leaves, form = jax.tree.flatten(given)
    kinds = [
        jnp.issubdtype(leaf.dtype, jnp.inexact) if hasattr(leaf, "dtype") else None
        for leaf in leaves
    ]
    floats, others = (
        [x for x, k in zip(leaves, kinds, strict=True) if k is w] for w in (True, False)
    )

    def whole(floats: list[Any], others: list[Any]) -> Any:
        a, b = iter(floats), iter(others)
        filled = [
            x if k is None else next(a if k else b) for x, k in zip(leaves, kinds, strict=True)
        ]
        return jax.tree.unflatten(form, filled)

    return floats, others, whole


def arguments(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """An example of a call, as its arguments by place and by name."""
    args = tuple(example) if isinstance(example, tuple | list) else (example,)
    if isinstance(args[-1], dict):
        return args[:-1], args[-1]
    return args, {}

"""Equal layers, compiled once."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
from flax import nnx

from bioflax._product import layers
from bioflax._pure import apply, split


class Stack(nnx.Module):
    """``depth`` equal layers, one after the other, whose arrays have a leading axis of ``depth``.

    Runs as one ``lax.scan``, so compiling 100 layers takes as long as compiling one. Every layer
    has its own draws. In ``DirectFeedback`` a stack counts as ``depth`` blocks.

    Args:
      make: ``make(rngs) -> module``, one layer; its output has the shape of its input.
      depth: number of layers.
      rngs: split into one set of streams per layer.

    Attributes: ``layers``, the module ``make`` gives with stacked arrays; ``depth``.

    >>> import bioflax, jax.numpy as jnp
    >>> def layer(rngs):
    ...     return nnx.Sequential(bioflax.Linear(4, 4, rngs=rngs), jnp.tanh)
    >>> net = Stack(layer, 100, rngs=nnx.Rngs(0))
    >>> net(jnp.ones((2, 4))).shape
    (2, 4)
    """

    def __init__(self, make: Callable[[nnx.Rngs], nnx.Module], depth: int, *, rngs: nnx.Rngs):
        # Sharded axes keep their place behind the axis of the layers, which is not sharded.
        stacked = nnx.vmap(make, transform_metadata={nnx.PARTITION_NAME: None})
        self.layers = nnx.split_rngs(splits=depth)(stacked)(rngs)
        self.depth = depth

    def __call__(self, x: jax.Array, **given: Any) -> jax.Array:
        """The last layer's output. ``given``: inputs of every layer that takes them, by name."""
        graph, floats, rest = split(self.layers)
        y, changed = jax.lax.scan(
            lambda h, s: apply(graph, s[0], s[1], h, given), x, (floats, rest)
        )
        nnx.update(self.layers, changed)
        return y

    def each(self, f: Callable[[nnx.Module, jax.Array], Any], key: jax.Array) -> Any:
        """``f(layer, key)`` for every layer, each with a key of its own."""
        return nnx.vmap(f)(self.layers, jax.random.split(key, self.depth))


def unstacked(model: Any) -> Iterator[tuple[tuple[Any, ...], nnx.Module]]:
    """The layers and their containers.

    A stack counts as one module, without what is inside it. Keys of the noise of a mirror are counted
    along this, so that its order is part of every accepted result.
    """
    found = layers(model)
    inside = {id(m) for _, stack in found if isinstance(stack, Stack) for m in _modules(stack)}
    return ((path, module) for path, module in found if id(module) not in inside)


def _modules(stack: Stack) -> list[nnx.Module]:
    return [module for _, module in nnx.iter_modules(stack.layers)]

"""A block and a stack of blocks, run and fed alike."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from bioflax._stack import Stack


class Block:
    """One block, or the readout.

    ``module``: whose state is split. ``stacked``: whether its arrays have an axis of layers before
    all others.
    """

    stacked = False

    def __init__(self, module: Any) -> None:
        self.module = module

    def run(self, step: Callable[..., Any], x: Any, state: Any) -> Any:
        """``step(x, state)``, through all layers."""
        return step(x, state)

    def each(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """``f`` for every layer."""
        return f

    def first(self, values: Any) -> Any:
        """What the first of the layers has, of what ``each`` gave or takes."""
        return values

    def total(self, values: Any) -> Any:
        """What all of the layers have, of what ``each`` gave."""
        return values

    def split(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The shape of an array, as its axis of layers (if any) and the axes of one layer."""
        return (), shape

    def own(self, keys: jax.Array) -> jax.Array:
        """The keys of the layers, as ``each`` takes them."""
        return keys[0]


class Blocks(Block):
    """The layers of a ``Stack``: as many blocks, compiled once."""

    stacked = True

    def run(self, step: Callable[..., Any], x: Any, state: Any) -> Any:
        return jax.lax.scan(step, x, tuple(state))

    def each(self, f: Callable[..., Any]) -> Callable[..., Any]:
        return jax.vmap(f)

    def first(self, values: Any) -> Any:
        return jax.tree.map(lambda value: value[0], values)

    def total(self, values: Any) -> Any:
        return jax.tree.map(lambda value: value.sum(0), values)

    def split(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return shape[:1], shape[1:]

    def own(self, keys: jax.Array) -> jax.Array:
        return keys


def stage(block: nnx.Module) -> Block:
    """``block`` as it is run."""
    return Blocks(block.layers) if isinstance(block, Stack) else Block(block)

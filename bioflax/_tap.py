"""Taps: where an error signal is read, and where another is put in its place."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx


class Tap(nnx.Variable[Any]):
    """A zero added to an output; its gradient is the error there."""


class Local(Tap):
    """A tap of a product at whose input the error is 1: it hears how far a change of the output reaches."""


class Probe(nnx.Variable[Any]):
    """What goes back from an output in place of the error."""


class Spy:
    """Sees, while a model is traced, what is put out at one place, and the weights there.

    ``weights`` is the shape of the weights inside of a scan or a vmap, which outside of it has an
    axis more.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.product: Any = None
        self.output: Any = None
        self.weights: tuple[int, ...] = ()

    def see(self, y: jax.Array, weights: tuple[int, ...]) -> None:
        self.product, self.weights = self._same(self.product, y), weights

    def see_output(self, y: jax.Array) -> None:
        """The output of the whole layer, where its shape is another than the product's."""
        self.output = self._same(self.output, y)

    def _same(self, before: Any, y: jax.Array) -> Any:
        if before is not None and before.shape != y.shape:
            raise ValueError(
                f"{self.name} is called with outputs of shapes {before.shape} and {y.shape}: its "
                "error signal is not one array"
            )
        return jax.typeof(y)

    def tap(self, weights: tuple[int, ...]) -> tuple[Any, int] | None:
        """A tap for this place, and its number of stacked axes; None where nothing was seen.

        ``weights``: their shape outside.
        """
        if self.product is None:
            return None
        y = self.product if self.output is None else self.output
        stacked = weights[: len(weights) - len(self.weights)]
        return Tap(jnp.zeros((*stacked, *y.shape), y.dtype)), len(stacked)


# The name of a watched product's call begins so.
CALL = "bioflax:"


class Watch:
    """Stands as the tap of a product while a model is traced: its call gets a name of its own."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, op: Callable[..., Any], x: Any, kernel: Any) -> Any:
        def named(x: Any, kernel: Any) -> Any:
            return op(x, kernel)

        named.__name__ = named.__qualname__ = CALL + self.name
        return jax.jit(named)(x, kernel)


def tapped(tap: Any, y: jax.Array, weights: tuple[int, ...]) -> jax.Array:
    """``y``, past a tap, a probe, a spy or nothing (None)."""
    if tap is None:
        return y
    if isinstance(tap, Spy):
        tap.see(y, weights)
        return y
    if isinstance(tap, Probe):
        return _replace(y, tap[...])
    return y + jnp.reshape(tap[...], y.shape)


def ones_back(x: jax.Array) -> jax.Array:
    """``x``, from which an error of 1 goes back; numbers that are not differentiated as they are."""
    return _replace(x, jnp.ones_like(x)) if jnp.issubdtype(x.dtype, jnp.inexact) else x


@jax.custom_vjp
def _replace(y: jax.Array, error: jax.Array) -> jax.Array:
    """``y``; whatever error comes back, ``error`` goes on."""
    del error
    return y


_replace.defvjp(lambda y, error: (y, error), lambda error, _: (error, None))

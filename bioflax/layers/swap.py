"""Putting a Flax layer under a rule: the same object, with the class that decouples it."""

import functools
import inspect
from typing import Any

import jax
from flax import nnx

from bioflax.layers.conv import Conv, ConvTranspose
from bioflax.layers.embed import Embed
from bioflax.layers.general import Einsum, LinearGeneral
from bioflax.layers.linear import Linear
from bioflax.layers.product import Decoupled, Swapped
from bioflax.rules.base import Rule, check_rule
from bioflax.rules.feedback_alignment import DEFAULT

LAYERS: dict[type, type[Decoupled]] = {
    nnx.Linear: Linear,
    nnx.LinearGeneral: LinearGeneral,
    nnx.Einsum: Einsum,
    nnx.Conv: Conv,
    nnx.ConvTranspose: ConvTranspose,
    nnx.Embed: Embed,
}


@functools.cache
def decoupled_class(cls: Any) -> type[Decoupled] | None:
    """The class a layer of class ``cls`` takes under a rule; None for what cannot be decoupled.

    A user's subclass keeps its methods: ours is put between it and Flax's.
    """
    if issubclass(cls, Decoupled):
        return cls
    for flax, ours in LAYERS.items():
        if cls is flax:
            return ours
        if issubclass(cls, flax):
            mixed = type(cls.__name__, (cls, ours), {"__module__": cls.__module__})
            return mixed if _reaches(mixed, ours) else None
    return None


def _reaches(mixed: type, ours: type[Decoupled]) -> bool:
    """Whether a subclass's own methods lead to our product, by ``super`` or by its attribute."""
    ways = {"super"} | {name for name, value in vars(ours).items() if isinstance(value, Swapped)}
    for cls in mixed.__mro__[1 : mixed.__mro__.index(ours)]:
        method = vars(cls).get(ours.carrier)
        if method is not None and ways.isdisjoint(inspect.unwrap(method).__code__.co_names):
            return False
    return True


class Composite(nnx.Module):
    """A module of Flax's made of several layers, each put under the rule.

    To be inherited before the Flax module, whose ``__init__`` and ``__call__`` stay whole.
    """

    def __init__(self, *args: Any, rule: Rule = DEFAULT, rngs: nnx.Rngs, **kwargs: Any) -> None:
        check_rule(rule)
        super().__init__(*args, rngs=rngs, **kwargs)  # type: ignore[call-arg]
        for _, layer in list(nnx.iter_modules(self)):
            swap(layer, rule, rngs)


def swap(module: Any, rule: Rule, rngs: Any) -> bool:
    """Put ``module`` itself, not what is inside it, under ``rule``, if that can be done."""
    kind: Any = type(module)
    cls = decoupled_class(kind)
    if cls is None:
        return False
    module.__class__ = cls
    stacked = _stacked(module)
    if stacked and rngs is not None:
        _follow_each(module, rule, jax.random.split(rngs.feedback(), stacked))
    else:
        module.follow(rule, rngs)
    return True


def _stacked(layer: Any) -> tuple[int, ...]:
    """The leading axes of a layer's arrays that are not its own: those ``nnx.vmap`` gave them."""
    kernel = getattr(layer, layer.kernel_name)
    if isinstance(layer, nnx.LinearGeneral):
        rank = len(layer.batch_axis) + len(layer.in_features) + len(layer.out_features)
    else:
        rank = len(getattr(layer, "kernel_shape", ("in", "out")))
    return kernel.shape[: max(0, kernel.ndim - rank)]


def _follow_each(layer: Any, rule: Rule, keys: jax.Array) -> None:
    """``layer.follow(rule)`` with draws of its own for each of the layers in the stack."""

    def follow(layer: Any, key: jax.Array) -> None:
        layer.follow(rule, nnx.Rngs(feedback=key))

    for _ in keys.shape:
        follow = nnx.vmap(follow)
    follow(layer, keys)

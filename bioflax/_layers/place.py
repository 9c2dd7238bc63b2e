"""Where the product of a layer of Flax's goes, and what its class makes of it."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bioflax._flow import Uses, uses
from bioflax._layers.base import Ruled
from bioflax._layers.conv import Conv, ConvTranspose
from bioflax._layers.embed import Embed
from bioflax._layers.general import Einsum, LinearGeneral
from bioflax._layers.linear import Linear
from bioflax._product import kernel_of

LAYERS: dict[type, type[Ruled]] = {
    nnx.Linear: Linear,
    nnx.LinearGeneral: LinearGeneral,
    nnx.Einsum: Einsum,
    nnx.Conv: Conv,
    nnx.ConvTranspose: ConvTranspose,
    nnx.Embed: Embed,
}


def family(module: Any) -> tuple[Any, type[Ruled]] | None:
    """The layer of Flax's that ``module`` is one of, and ours; None for other modules."""
    return next(((flax, o) for flax, o in LAYERS.items() if isinstance(module, flax)), None)


def place(module: Any) -> Any:
    """``module`` with a product where it multiplies, which as yet is under ``Backprop``.

    A layer that is exactly Flax's becomes ours, a new object with its arrays, so that it has
    ``feedback`` and ``rule``; a user's subclass stays what it is. Other modules come back untouched,
    and so do subclasses of layers without a place for a product.
    """
    found = family(module)
    if found is None:
        return module
    flax, ours = found
    if type(module) is flax:
        plain, module = module, ours.__new__(ours)
        module.__setstate__(plain.__getstate__())
    if has_place(module, ours):
        ours._install(module)
    return module


def has_place(module: Any, ours: type[Ruled]) -> bool:
    """Whether there is an attribute that ``module``'s own ``__call__`` takes its product from."""
    return isinstance(module, ours) or ours.slot != "product"


def has_own_method(module: Any) -> bool:
    """Whether a layer's class has a method of its own in the place of the one that multiplies."""
    flax, ours = family(module) or (None, Ruled)
    if flax is None:
        return False
    method = getattr(type(module), ours.carrier)
    return method not in (getattr(flax, ours.carrier), getattr(ours, ours.carrier))


def uses_alone(module: Any) -> Uses:
    """What a layer of a family does with its arrays when it is called by itself.

    Raises what its own method raises for an input that it does not expect.
    """
    _, ours = family(module) or (None, Ruled)
    layer = place(nnx.clone(module))
    product = vars(layer)[ours.slot]
    kernel = kernel_of(layer, product)
    graph, state = nnx.split(layer)
    for _ in range(kernel.ndim - product.ndim):  # of layers stacked by nnx.vmap, one
        state = jax.tree.map(lambda a: a[0], state)
    inside = kernel.shape[kernel.ndim - product.ndim :]
    return uses(nnx.merge(graph, state), (_example(layer, inside),), {}, ours.carrier)


def _example(layer: Any, kernel: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    """An input that a layer of Flax's with this shape of the kernel takes."""
    if isinstance(layer, nnx.LinearGeneral):
        shape: tuple[int, ...] = (*dict(layer.batch_axis).values(), 1, *layer.in_features)
    elif isinstance(layer, nnx.Einsum):
        x, w = layer.einsum_str.split("->")[0].replace("...", "").split(",")
        shape = tuple(dict(zip(w, kernel, strict=True)).get(letter, 1) for letter in x)
    elif isinstance(layer, nnx.Conv | nnx.ConvTranspose):
        shape = (1, *(8 * n for n in layer.kernel_size), layer.in_features)
    else:
        shape = (1, kernel[-1] if isinstance(layer, nnx.Embed) else kernel[0])
    dtype = jnp.float32 if layer.param_dtype is None else layer.param_dtype
    return jax.ShapeDtypeStruct(shape, dtype)  # type: ignore[no-untyped-call]


def rewired(model: Any, placed: Sequence[tuple[Any, Any]]) -> Any:
    """``model``, in place, with every module that has another in its place exchanged for it.

    ``placed``: pairs of a module and the one that ``place`` gave for it.
    """
    new = {id(old): ours for old, ours in placed if ours is not old}

    def is_leaf(value: Any) -> bool:
        return isinstance(value, nnx.Pytree | nnx.Variable)

    def exchanged(value: Any) -> Any:
        return new.get(id(value), value)

    model = exchanged(model)
    for _, node in list(nnx.iter_graph(model)) if new else ():
        if isinstance(node, nnx.Pytree):
            for name, value in list(vars(node).items()):
                if any(id(leaf) in new for leaf in jax.tree.leaves(value, is_leaf=is_leaf)):
                    vars(node)[name] = jax.tree.map(exchanged, value, is_leaf=is_leaf)
    return model

"""Error signals and gradients of every layer, under whatever rules the model is."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from flax import nnx

from bioflax._filters import name_of
from bioflax._layers.place import place, rewired
from bioflax._product import kernel_of, products
from bioflax._pure import split
from bioflax._tap import Spy, Tap

Loss = Callable[[Any, Any], jax.Array]


def signals(model: Any, loss: Loss, batch: Any) -> dict[str, jax.Array]:
    """The error signal of every layer with weights: the cotangent at its output.

    ``delta_l = dL/da_l``, where ``a_l`` is what layer ``l`` puts out (before the nonlinearity) and
    the derivative is what the model's rules make of it. In a layer of your own ``a_l`` is what its
    product puts out, whatever the layer makes of it. A layer that is called several times, in a
    recurrence, has the sum over its calls.

    Args:
      model: any NNX model; it is left as it is.
      loss: ``loss(model, batch) -> scalar``.
      batch: what ``loss`` takes.

    Returns:
      Path of the layer (``"blocks/0"``) -> array of the shape of the layer's output; inside a
      ``Stack`` with a leading axis for the depth.
    """
    return measure(model, loss, batch).deltas


class Measured(NamedTuple):
    """By the path of a layer: its signal, its weights' gradient, its number of stacked axes."""

    deltas: dict[str, jax.Array]
    gradients: dict[str, jax.Array]
    depth: dict[str, int]


def measure(model: Any, loss: Loss, batch: Any, kind: type[Tap] = Tap) -> Measured:
    """Error signals, by taps of this kind, and weight gradients of every layer that ``loss`` calls."""
    model = nnx.clone(model)
    modules: list[Any] = [module for _, module in nnx.iter_modules(model)]
    model = rewired(model, [(module, place(module)) for module in modules])
    found = places(model)
    kernels = {path: kernel_of(*owner) for path, owner in found.items()}
    shapes = {path: kernel.shape for path, kernel in kernels.items()}
    taps = {path: product for path, (_, product) in found.items()}
    depth = tap(taps, shapes, model, loss, batch)
    for path in depth:
        taps[path].tap = nnx.data(kind(taps[path].tap[...]))
    graph, floats, rest = split(model)
    got = gradient(lambda f: loss(nnx.merge(graph, f, rest, copy=True), batch), floats)
    # A kernel that several layers share has one gradient, at the first of their paths.
    variables = [(path, v) for path, v in nnx.iter_graph(model) if isinstance(v, nnx.Variable)]
    where = {id(v): path for path, v in variables}
    return Measured(
        deltas={p: got[where[id(taps[p].tap)]] for p in depth},
        gradients={p: got[where[id(kernels[p])]] for p in depth},
        depth=depth,
    )


def places(model: Any) -> dict[str, tuple[Any, Any]]:
    """Every product of ``model`` with the module it is an attribute of, by that module's path.

    Where a module has several, the name of the attribute is the end of the path.
    """
    found = {}
    for path, module in nnx.iter_modules(model):
        own = products(module)
        for name, product in own:
            found[name_of((*path, name) if len(own) > 1 else path)] = (module, product)
    return found


def tap(
    modules: dict[Any, Any], weights: dict[Any, Any], model: Any, loss: Loss, batch: Any
) -> dict[Any, int]:
    """Put taps where ``loss`` passes: in products, or other modules with a ``tap``, by path.

    Returns for each its number of stacked axes, which its arrays have outside of the scan or the
    vmap that calls it, and not inside. ``weights``: the shape of its weights outside.
    """
    spies = {path: Spy(path) for path in modules}
    for path, module in modules.items():
        module.tap = nnx.static(spies[path])
    graph, state = nnx.split(model)
    jax.eval_shape(lambda s: loss(nnx.merge(graph, s), batch), state)
    depth = {}
    for path, module in modules.items():
        seen = spies[path].tap(weights[path])
        module.tap = nnx.data(None)
        if seen is not None:
            zeros, depth[path] = seen
            module.tap = nnx.data(zeros)
    return depth


def gradient(loss: Callable[[Any], jax.Array], floats: Any) -> dict[Any, jax.Array]:
    def scalar(floats: Any) -> jax.Array:
        value = loss(floats)
        if not isinstance(value, jax.Array) or value.shape != ():
            what = (
                f"of shape {value.shape}" if isinstance(value, jax.Array) else type(value).__name__
            )
            raise ValueError(f"loss(model, batch) is {what}, and must be a scalar array")
        return value

    flat = nnx.to_flat_state(jax.grad(scalar)(floats))
    return {path: g[...] for path, g in flat if isinstance(g, nnx.Variable)}

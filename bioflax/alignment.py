"""Angles between what a rule does and what backpropagation would do."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from bioflax.convert import convert
from bioflax.direct import DirectFeedback
from bioflax.layers.product import Decoupled
from bioflax.layers.swap import decoupled_class
from bioflax.pure import split
from bioflax.rules.backprop import Backprop

Loss = Callable[[Any, Any], jax.Array]
Pairs = dict[str, tuple[jax.Array, jax.Array, int]]


def angle(a: jax.Array, b: jax.Array) -> jax.Array:
    """The angle between ``a`` and ``b`` in degrees, in [0, 180].

    ``arccos(a.b / (|a| |b|))`` over all entries: above 90 the two point in opposite directions.
    NaN where one of them is zero or not finite: there is no angle then.

    Args:
      a, b: arrays of one shape.

    Reference: Lillicrap et al. 2016, Methods.

    >>> angle(jnp.array([1.0, 0.0]), jnp.array([-1.0, 0.0]))
    Array(180., dtype=float32)
    """
    if a.shape != b.shape:
        raise ValueError(f"no angle between arrays of shapes {a.shape} and {b.shape}")
    return _angles(a, b, 0)


def _angles(a: jax.Array, b: jax.Array, lead: int) -> jax.Array:
    """Angles over all axes but the first ``lead``."""
    axes = tuple(range(lead, a.ndim))
    a, b = (x / length for _, x, length in (_scaled(a, axes), _scaled(b, axes)))
    # Kahan's formula: exact near 0 and 180 degrees, where arccos loses half the digits.
    across, along = (jnp.sqrt(jnp.sum(jnp.square(x), axes)) for x in (a - b, a + b))
    return jnp.degrees(2 * jnp.arctan2(across, along))


def _ratio(a: jax.Array, b: jax.Array, lead: int) -> jax.Array:
    """Norms over all axes but the first ``lead``, the first over the second."""
    axes = tuple(range(lead, a.ndim))
    (most_a, _, length_a), (most_b, _, length_b) = _scaled(a, axes), _scaled(b, axes)
    return jnp.squeeze((most_a / most_b) * (length_a / length_b), axes)


def _scaled(x: jax.Array, axes: tuple[int, ...]) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The largest entry, ``x`` divided by it, and the norm of that: squares of a vanishing error
    would underflow. The axes are kept, as they lie on a mesh."""
    # Half precision has no room for the norm of a large array.
    half = jnp.finfo(x.dtype).bits < 32  # type: ignore[no-untyped-call]
    x = x.astype(jnp.float32) if half else x
    most = jnp.max(jnp.abs(x), axes, keepdims=True)
    most = jnp.where(most > 0, most, 1)
    x = x / most
    return most, x, jnp.sqrt(jnp.sum(jnp.square(x), axes, keepdims=True))


def signals(model: Any, loss: Loss, batch: Any) -> dict[str, jax.Array]:
    """The error signal of every layer with weights: the cotangent at its output.

    ``delta_l = dL/da_l``, where ``a_l`` is what layer ``l`` puts out (before the nonlinearity) and
    the derivative is what the model's rules make of it. A layer that is called several times, in a
    recurrence, has the sum over its calls.

    Args:
      model: any NNX model; it is left as it is.
      loss: ``loss(model, batch) -> scalar``.
      batch: what ``loss`` takes.

    Returns:
      Path of the layer (``"blocks/0"``) -> array of the shape of the layer's output; inside a
      ``Stack`` with a leading axis for the depth.
    """
    return _measure(nnx.clone(model), loss, batch).deltas


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Alignment:
    """How close a rule is to exact backpropagation at the same parameters, layer by layer.

    Each field: path of the layer -> scalar (inside a ``Stack``, one entry per layer).

    Attributes:
      weights: angle between the forward and the backward weights, in degrees. For direct feedback,
        by block: between ``B_l`` and the Jacobian of the output with respect to the block's output,
        averaged over the batch.
      deltas: angle between the rule's and backpropagation's error signal, in degrees: one angle
        per example (leading axis), averaged over the examples that have one. A signal without a
        leading axis is one example's. Call the model on a batch: where it is called on one example
        at a time, by ``jax.vmap`` or ``jax.lax.map``, the examples' signals are summed.
      gradients: angle between the gradients of the layer's weights, in degrees.
      weight_ratios, delta_ratios, gradient_ratios: norm of the first over norm of the second;
        ``|B| / |W|``, rule over backpropagation.
    """

    weights: dict[str, jax.Array]
    deltas: dict[str, jax.Array]
    gradients: dict[str, jax.Array]
    weight_ratios: dict[str, jax.Array]
    delta_ratios: dict[str, jax.Array]
    gradient_ratios: dict[str, jax.Array]


def alignment(model: Any, loss: Loss, batch: Any) -> Alignment:
    """Angles and norm ratios between a model's rule and backpropagation, for every layer.

    Both passes start from the same parameters, statistics and random states (the same dropout
    masks), and leave the model as it is. It costs two gradients of the loss, and for direct feedback
    one more backward pass for each output of the net.

    Args:
      model: any NNX model under any rules, ``DirectFeedback`` included.
      loss: ``loss(model, batch) -> scalar``.
      batch: what ``loss`` takes.

    Returns:
      An ``Alignment``; a pytree, so the function may be jitted (``nnx.jit``).
    """
    ours = _measure(nnx.clone(model), loss, batch)
    exact = _measure(convert(model, Backprop()), loss, batch)
    deltas = {p: (*_by_example(d, exact.deltas[p], k := ours.depth[p]), k + 1)
              for p, d in ours.deltas.items()}  # fmt: skip
    gradients = {p: (g, exact.gradients[p], ours.depth[p]) for p, g in ours.gradients.items()}
    weights = _layer_weights(nnx.clone(model), ours.depth) | _direct_weights(model, loss, batch)
    return Alignment(
        weights={p: _angles(*pair) for p, pair in weights.items()},
        deltas={p: jnp.nanmean(_angles(*pair), axis=-1) for p, pair in deltas.items()},
        gradients={p: _angles(*pair) for p, pair in gradients.items()},
        weight_ratios={p: _ratio(*pair) for p, pair in weights.items()},
        delta_ratios={p: jnp.nanmean(_ratio(*pair), axis=-1) for p, pair in deltas.items()},
        gradient_ratios={p: _ratio(*pair) for p, pair in gradients.items()},
    )


def _by_example(a: jax.Array, b: jax.Array, depth: int) -> tuple[jax.Array, jax.Array]:
    """Two signals with an axis of examples, which those of a single example do not have."""
    if a.ndim > depth + 1:
        return a, b
    return jnp.expand_dims(a, depth), jnp.expand_dims(b, depth)


def _layer_weights(model: Any, depth: dict[str, int]) -> Pairs:
    """``B`` and ``W`` of every layer that has both."""
    pairs = {}
    for path, layer in nnx.iter_modules(model):
        name = _name(path)
        if name in depth and isinstance(layer, Decoupled):
            weights = _backward_weights
            for _ in range(depth[name]):
                weights = nnx.vmap(weights)
            b = weights(layer)
            if b is not None:
                pairs[name] = (b, getattr(layer, layer.kernel_name)[...], depth[name])
    return pairs


def _backward_weights(layer: Decoupled) -> Any:
    return layer.rule.weights(layer, getattr(layer, layer.kernel_name)[...])


def _direct_weights(model: Any, loss: Loss, batch: Any) -> Pairs:
    """``B_l`` of every directly fed block, and the output's mean Jacobian with respect to it."""
    pairs = {}
    for path, net in nnx.iter_modules(model):
        if isinstance(net, DirectFeedback) and net.mode != "bp":
            y, hs, jacobians, depth = _jacobians(path, model, loss, batch)
            matrices = net.matrices(y, hs)
            # Indirect feedback sends the error to its first block only.
            for i, b in enumerate(matrices[:1] if net.mode == "ifa" else matrices):
                # Over the batch, and with one signal for all positions over those too.
                last = jacobians[i].ndim - 1 if net.broadcast else depth[i] + y.ndim
                mean = jnp.sum(jacobians[i], axis=tuple(range(depth[i] + 1, last)))
                pairs[_name((*path, "blocks", i))] = (b, mean, depth[i])
    return pairs


def _jacobians(path: Any, model: Any, loss: Loss, batch: Any) -> tuple[Any, ...]:
    """Of the ``DirectFeedback`` at ``path``: its output ``y`` and its blocks' outputs (shapes), and
    ``dy / dh_l`` of every block over the number of examples, ``(depth, n_out, *h_l)``; depths."""
    twin = convert(model, Backprop())
    net: Any = dict(nnx.iter_modules(twin))[path]
    stages = net.stages()
    where = {id(module): p for p, module in nnx.iter_modules(twin)}
    paths = [where[id(stage)] for stage in stages]
    taps = {p: (stage, "__call__") for p, stage in zip(paths, stages, strict=True)}
    depth = _tap(taps, twin, loss, batch)
    *hs, y = (jax.typeof(stage.tap[...]) for stage in stages)
    stages[-1].tap = nnx.data(Probe(jnp.zeros(y.shape, y.dtype)))
    graph, probe, floats, rest = split(twin, Probe)

    def row(k: jax.Array) -> list[jax.Array]:
        one = jnp.zeros(y.shape, y.dtype).at[..., k].set(y.shape[-1] / y.size)
        sent = jax.tree.map(lambda _: one, probe)
        gradient = _gradient(
            lambda f: loss(nnx.merge(graph, sent, f, rest, copy=True), batch), floats
        )
        return [gradient[(*p, "tap")] for p in paths[:-1]]

    rows = jax.lax.map(row, jnp.arange(y.shape[-1]))
    depths = [depth[p] for p in paths[:-1]]
    return y, hs, [jnp.moveaxis(r, 0, d) for r, d in zip(rows, depths, strict=True)], depths


class _Measured(NamedTuple):
    deltas: dict[str, jax.Array]
    gradients: dict[str, jax.Array]
    depth: dict[str, int]


def _measure(model: Any, loss: Loss, batch: Any) -> _Measured:
    """Error signals and weight gradients of every layer; depth: its number of stacked axes."""
    layers, kernels = {}, {}
    for path, layer in nnx.iter_modules(model):
        cls = decoupled_class(type(layer))
        if cls is not None:
            layers[path] = (layer, cls.carrier)
            kernels[path] = id(getattr(layer, cls.kernel_name))
    depth = _tap(layers, model, loss, batch)
    graph, floats, rest = split(model)
    gradient = _gradient(lambda f: loss(nnx.merge(graph, f, rest, copy=True), batch), floats)
    # A kernel that several layers share has one gradient, at the first of their paths.
    variables = [(path, v) for path, v in nnx.iter_graph(model) if isinstance(v, nnx.Variable)]
    owner = {id(v): gradient[path] for path, v in variables if path in gradient}
    return _Measured(
        deltas={_name(p): gradient[(*p, "tap")] for p in depth},
        gradients={_name(p): owner[kernels[p]] for p in depth},
        depth={_name(p): d for p, d in depth.items()},
    )


def _gradient(loss: Callable[[Any], jax.Array], floats: Any) -> dict[Any, jax.Array]:
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


def _name(path: Sequence[Any]) -> str:
    return "/".join(map(str, path))


class Tap(nnx.Variable[Any]):
    """A zero added to a layer's output; its gradient is the error there."""


class Probe(nnx.Variable[Any]):
    """What goes back from a layer in place of the error."""


class Spy:
    """Collects, while a model is traced, what tapped modules put out, and their parameters."""

    def __init__(self) -> None:
        self.seen: dict[Any, tuple[Any, Any]] = {}

    def see(self, path: Any, module: nnx.Module, y: jax.Array) -> None:
        shapes = jax.typeof(y), _first_parameter(module)
        if self.seen.setdefault(path, shapes)[0].shape != y.shape:
            raise ValueError(
                f"{_name(path)} is called with outputs of shapes {self.seen[path][0].shape} and "
                f"{y.shape}: its error signal is not one array"
            )


def _tap(modules: dict[Any, Any], model: Any, loss: Loss, batch: Any) -> dict[Any, int]:
    """Put taps on the outputs of ``modules`` (path -> module, method) that ``loss`` calls.

    Returns for each its number of stacked axes, which its arrays have outside of the scan or the
    vmap that calls it, and not inside.
    """
    spy = Spy()
    for path, (module, method) in modules.items():
        kind: Any = type(module)
        tapped = _tapped(kind, method)
        module.__class__ = tapped
        module.tap, module.tap_path = spy, path
    graph, state = nnx.split(model)
    jax.eval_shape(lambda s: loss(nnx.merge(graph, s), batch), state)
    depth = {}
    for path, (module, _) in modules.items():
        if path not in spy.seen:
            module.__class__ = type(module).__mro__[1]
            continue
        y, inside = spy.seen[path]
        outside = _first_parameter(module)
        stacked = outside[: len(outside) - len(inside)]
        module.tap = nnx.data(Tap(jnp.zeros((*stacked, *y.shape), y.dtype)))
        depth[path] = len(stacked)
    return depth


def _first_parameter(module: nnx.Module) -> tuple[int, ...]:
    return next((p.shape for p in jax.tree.leaves(nnx.state(module, nnx.Param))), ())


@functools.cache
def _tapped(cls: Any, method: str) -> Any:
    """``cls`` with its output shown to a spy, then with a tap or a probe on it."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        y = getattr(super(tapped, self), method)(*args, **kwargs)
        if isinstance(self.tap, Spy):
            self.tap.see(self.tap_path, self, y)
            return y
        return _replace(y, self.tap[...]) if isinstance(self.tap, Probe) else y + self.tap[...]

    tapped = type(cls.__name__, (cls,), {method: call, "__module__": cls.__module__})
    return tapped


@jax.custom_vjp
def _replace(y: jax.Array, error: jax.Array) -> jax.Array:
    """``y``; whatever error comes back, ``error`` goes on."""
    del error
    return y


_replace.defvjp(lambda y, error: (y, error), lambda error, _: (error, None))

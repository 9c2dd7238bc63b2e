"""Angles between what a rule does and what backpropagation would do."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bioflax._angle import angles, ratio
from bioflax._convert import converted
from bioflax._diagnostics import Diagnostics, diagnose
from bioflax._direct.marked import Marked
from bioflax._direct.net import DirectFeedback
from bioflax._direct.weights import RESIZED, WHOLE, matrices, way_to
from bioflax._feedback import Feedback, refusing_decoupled
from bioflax._filters import name_of
from bioflax._product import kernel_of
from bioflax._pure import call, split
from bioflax._rules.backprop import Backprop
from bioflax._signals import Loss, gradient, measure, places, tap
from bioflax._stack import Stack
from bioflax._tap import Local, Probe, tapped

Pairs = dict[str, tuple[jax.Array, jax.Array, int]]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Alignment:
    """How close a rule is to exact backpropagation at the same parameters, layer by layer.

    Each field but the last: path of the layer -> scalar (inside a ``Stack``, one entry per layer).

    Attributes:
      weights: angle between the forward and the backward weights, in degrees. For direct feedback,
        by block or mark (``"marks/0"``): between ``B_l`` and the Jacobian of the output with respect
        to the block's output, averaged over the batch.
      deltas: angle between the rule's and backpropagation's error signal, in degrees: one angle
        per example (leading axis), averaged over the examples that have one. A signal without a
        leading axis is one example's. Call the model on a batch: where it is called on one example
        at a time, by ``jax.vmap`` or ``jax.lax.map``, the examples' signals are summed.
      gradients: angle between the gradients of the layer's weights, in degrees.
      weight_ratios, delta_ratios, gradient_ratios: norm of the first over norm of the second;
        ``|B| / |W|``, rule over backpropagation.
      diagnostics: why it may fail, where that was asked for; see ``Diagnostics``.
    """

    weights: dict[str, jax.Array]
    deltas: dict[str, jax.Array]
    gradients: dict[str, jax.Array]
    weight_ratios: dict[str, jax.Array]
    delta_ratios: dict[str, jax.Array]
    gradient_ratios: dict[str, jax.Array]
    diagnostics: Diagnostics | None = None


def alignment(model: Any, loss: Loss, batch: Any, *, diagnostics: bool = False) -> Alignment:
    """Angles and norm ratios between a model's rule and backpropagation, for every layer.

    Both passes start from the same parameters, statistics and random states (the same dropout
    masks), and leave the model as it is. It costs two gradients of the loss, and for direct feedback
    one more backward pass for each output of the net.

    Args:
      model: any NNX model under any rules, ``DirectFeedback`` included.
      loss: ``loss(model, batch) -> scalar``.
      batch: what ``loss`` takes.
      diagnostics: give these too; it costs one gradient more. Static under ``nnx.jit``.

    Returns:
      An ``Alignment``; a pytree, so the function may be jitted (``nnx.jit``).

    Raises:
      ValueError: feedback that backpropagation cannot take out of the model: a module with a
        ``Feedback`` of its own, or one that calls ``decouple`` itself. Call a ``Product`` there.
    """
    ours = measure(model, loss, batch)
    twin = _twin(model)
    with refusing_decoupled("the backpropagation twin of the model"):
        exact = measure(twin, loss, batch)
        local = measure(twin, loss, batch, Local) if diagnostics else None
    deltas = {p: (*_by_example(d, exact.deltas[p], k := ours.depth[p]), k + 1)
              for p, d in ours.deltas.items()}  # fmt: skip
    gradients = {p: (g, exact.gradients[p], ours.depth[p]) for p, g in ours.gradients.items()}
    weights = _layer_weights(model, ours.depth) | _direct_weights(model, twin, loss, batch)
    return Alignment(
        weights={p: angles(*pair) for p, pair in weights.items()},
        deltas={p: jnp.nanmean(angles(*pair), axis=-1) for p, pair in deltas.items()},
        gradients={p: angles(*pair) for p, pair in gradients.items()},
        weight_ratios={p: ratio(*pair) for p, pair in weights.items()},
        delta_ratios={p: jnp.nanmean(ratio(*pair), axis=-1) for p, pair in deltas.items()},
        gradient_ratios={p: ratio(*pair) for p, pair in gradients.items()},
        diagnostics=None if local is None else diagnose(model, ours, exact, local),
    )


def _twin(model: Any) -> Any:
    """``model`` under backpropagation, of which nothing that was feedback is left."""
    twin, _ = converted(nnx.clone(model), Backprop(), None)
    # What direct feedback keeps, it does not use any more.
    kept = {
        id(value)
        for _, net in nnx.iter_modules(twin)
        if isinstance(net, DirectFeedback | Marked)
        for _, value in nnx.iter_graph((net.feedback, getattr(net, "key", None)))
    }
    for path, value in nnx.iter_graph(twin):
        if isinstance(value, Feedback) and id(value) not in kept:
            raise ValueError(
                f"{name_of(path[:-1])} has feedback of its own ({path[-1]}), which stays when the model goes "
                "back to backpropagation: let it call a bioflax.Product"
            )
    return twin


def _by_example(a: jax.Array, b: jax.Array, depth: int) -> tuple[jax.Array, jax.Array]:
    """Two signals with an axis of examples, which those of a single example do not have."""
    if a.ndim > depth + 1:
        return a, b
    return jnp.expand_dims(a, depth), jnp.expand_dims(b, depth)


def _layer_weights(model: Any, depth: dict[str, int]) -> Pairs:
    """``B`` and ``W`` of every layer that has both."""
    pairs = {}
    # Feedback drawn in each call advances its stream.
    for name, (layer, product) in places(nnx.clone(model)).items():
        if name in depth:
            kernel = kernel_of(layer, product)

            def weights(product: Any, kernel: Any) -> Any:
                return product._weights(kernel[...])

            for _ in range(depth[name]):
                weights = nnx.vmap(weights)
            b = weights(product, kernel)
            if b is not None:
                pairs[name] = (b, kernel[...], depth[name])
    return pairs


def _direct_weights(model: Any, twin: Any, loss: Loss, batch: Any) -> Pairs:
    """``B_l`` of every directly fed block, and the output's mean Jacobian with respect to it."""
    pairs = {}
    for path, net in nnx.iter_modules(nnx.clone(model)):
        if isinstance(net, DirectFeedback | Marked) and not net.mode.exact:
            kind = "marks" if isinstance(net, Marked) else "blocks"
            y, hs, jacobians, depth = _jacobians(path, twin, loss, batch)
            for i, b in enumerate(net.mode.compared(matrices(net, y, hs))):
                way = way_to(y.shape, net._stages()[i].split(hs[i].shape)[1])
                if way == WHOLE:  # its B has a row for every output of every position
                    continue
                # Over the batch, and with one signal for all positions over those too.
                one = net.broadcast or way == RESIZED
                last = jacobians[i].ndim - 1 if one else depth[i] + y.ndim
                mean = jnp.sum(jacobians[i], axis=tuple(range(depth[i] + 1, last)))
                pairs[name_of((*path, kind, i))] = (b, mean, depth[i])
    return pairs


class _Tapped(nnx.Module):
    """A block with a tap on its output; without a block, what it is called with."""

    def __init__(self, block: nnx.Module | None = None) -> None:
        self.block = block
        self.tap: Any = nnx.data(None)

    def __call__(self, x: jax.Array, **given: Any) -> jax.Array:
        y = x if self.block is None else call(self.block, x, given)
        return tapped(self.tap, y, _first_parameter(self.block))


def _first_parameter(module: nnx.Module | None) -> tuple[int, ...]:
    if module is None:
        return ()
    return next((p.shape for p in jax.tree.leaves(nnx.state(module, nnx.Param))), ())


def _tapped_stages(net: Any) -> list[_Tapped]:
    """Taps at the outputs of all blocks, or at all marks, and at last at the output, put into ``net``."""
    if isinstance(net, Marked):
        net.places = nnx.List([_Tapped() for _ in (*net.names, "output")])
        return list(net.places)
    stages: list[_Tapped] = []
    for i, block in enumerate(net.blocks):
        if isinstance(block, Stack):
            block.layers = _Tapped(block.layers)
            stages.append(block.layers)
        else:
            net.blocks[i] = _Tapped(block)
            stages.append(net.blocks[i])
    net.readout = _Tapped(net.readout)
    return [*stages, net.readout]


def _jacobians(path: Any, twin: Any, loss: Loss, batch: Any) -> tuple[Any, ...]:
    """Of the direct feedback at ``path``: its output ``y`` and its blocks' outputs (shapes), and
    ``dy / dh_l`` of every block over the number of examples, ``(depth, n_out, *h_l)``; depths."""
    twin = nnx.clone(twin)
    net: Any = dict(nnx.iter_modules(twin))[path]
    stages = _tapped_stages(net)
    names = {name_of((*path, "stages", i)): one for i, one in enumerate(stages)}
    weights = {name: _first_parameter(one.block) for name, one in names.items()}
    depths = list(tap(names, weights, twin, loss, batch).values())[:-1]
    *hs, y = (jax.typeof(one.tap[...]) for one in stages)
    stages[-1].tap = nnx.data(Probe(jnp.zeros(y.shape, y.dtype)))
    graph, probe, floats, rest = split(twin, Probe)
    where = {id(v): p for p, v in nnx.iter_graph(twin) if isinstance(v, nnx.Variable)}

    def row(k: jax.Array) -> list[jax.Array]:
        one = jnp.zeros(y.shape, y.dtype).at[..., k].set(y.shape[-1] / y.size)
        sent = jax.tree.map(lambda _: one, probe)
        got = gradient(lambda f: loss(nnx.merge(graph, sent, f, rest, copy=True), batch), floats)
        return [got[where[id(stage.tap)]] for stage in stages[:-1]]

    rows = jax.lax.map(row, jnp.arange(y.shape[-1]))
    return y, hs, [jnp.moveaxis(r, 0, d) for r, d in zip(rows, depths, strict=True)], depths

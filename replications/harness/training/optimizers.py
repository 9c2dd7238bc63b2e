"""The papers' rules of update, out of optax's parts."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

if TYPE_CHECKING:
    from replications.harness.declared.spec import RunSpec


def optimizer(spec: "RunSpec", steps_per_epoch: int) -> optax.GradientTransformation:
    """The chain: L2 (coupled decay), the optimiser, its rate halved on the way, decoupled decay, and
    absent weights kept absent."""
    o = spec.optimizer
    parts: list[optax.GradientTransformation] = []
    feedback_decay = o.weight_decay if o.feedback_weight_decay is None else o.feedback_weight_decay
    decays = [(o.weight_decay, "kernel"), (feedback_decay, "feedback")]
    if o.coupled:
        parts += [optax.add_decayed_weights(rate, _only(name)) for rate, name in decays if rate]
    if o.sgd is not None:
        parts.append(optax.sgd(o.sgd.learning_rate, momentum=o.sgd.momentum or None))
        if o.sgd.bias_learning_rate is not None:
            ratio = o.sgd.bias_learning_rate / o.sgd.learning_rate
            parts.append(optax.masked(optax.scale(ratio), _only("bias")))
    elif o.rmsprop is not None:
        r = o.rmsprop
        parts.append(optax.rmsprop(r.learning_rate, decay=r.decay, eps=r.eps, eps_in_sqrt=False))
    elif o.adam is not None:
        a = o.adam
        parts.append(optax.adam(a.learning_rate, b1=a.b1, b2=a.b2, eps=a.eps))
    if o.halve_every is not None:
        updates = o.halve_every * steps_per_epoch
        halved = optax.exponential_decay(1.0, updates, 0.5, staircase=True)
        parts.append(optax.scale_by_schedule(halved))
    if not o.coupled:
        # After the optimiser the update is added to the weights, so decay has a minus sign here.
        parts += [optax.add_decayed_weights(-rate, _only(name)) for rate, name in decays if rate]
    if spec.network.sparsity:
        parts.append(optax.masked(keep_zeros(), _readout_kernel))
    return optax.chain(*parts)


def _only(name: str) -> Any:
    """The mask of the variables called ``name`` (kernel, bias, feedback)."""

    def mask(weights: nnx.State) -> Any:
        return jax.tree_util.tree_map_with_path(lambda path, _: name in _names(path), weights)

    return mask


def _readout_kernel(weights: nnx.State) -> Any:
    return jax.tree_util.tree_map_with_path(
        lambda path, _: {"readout", "kernel"} <= _names(path), weights
    )


def _names(path: Any) -> set[str]:
    return {str(getattr(part, "key", getattr(part, "name", ""))) for part in path}


def keep_zeros() -> optax.GradientTransformation:
    """No update to weights that are zero at the start: absent connections stay absent."""

    def init(weights: Any) -> Any:
        return jax.tree.map(lambda w: w != 0, weights)

    def update(updates: Any, present: Any, weights: Any = None) -> tuple[Any, Any]:
        del weights
        return jax.tree.map(lambda u, p: jnp.where(p, u, 0), updates, present), present

    return optax.GradientTransformation(init, update)

"""Kolen-Pollack's law: the gap between W and B, whether it shrinks as it should, and what disturbs it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from bioflax._direct.marked import Marked
from bioflax._direct.net import DirectFeedback
from bioflax._product import kernel_of
from bioflax._signals import places


class Pair(NamedTuple):
    """Of a layer under Kolen-Pollack: both variables, and how many of its axes are one layer's."""

    kernel: Any
    feedback: Any
    ndim: int

    def norm(self, x: jax.Array) -> jax.Array:
        """Of each layer of an array shaped like the kernel."""
        return jnp.sqrt(self.inner(x, x))

    def inner(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """Of each layer of two arrays shaped like the kernel."""
        axes = tuple(range(a.ndim - self.ndim, a.ndim))
        return jnp.sum((a * jnp.conj(b)).real, axes)

    def difference(self) -> jax.Array:
        """``W - B``."""
        w: jax.Array = self.kernel[...]
        return w - self.feedback[...].astype(w.dtype)


def gap(model: Any) -> dict[str, jax.Array]:
    """``|W - B|`` of every layer under Kolen-Pollack, by its path; inside a stack, of each layer.

    When one optimiser takes the same step with both and decays both by the fraction ``d``, it is
    ``(1 - d)^t`` of what it was ``t`` updates before. ``Law`` says where it is not.

    Args:
      model: any NNX model.

    >>> import bioflax
    >>> layer = bioflax.Linear(3, 2, rule=bioflax.KolenPollack(), rngs=nnx.Rngs(0))
    >>> model = nnx.Sequential(layer)
    >>> list(gap(model))
    ['layers/0']
    """
    return {path: pair.norm(pair.difference()) for path, pair in pairs(model).items()}


def pairs(model: Any) -> dict[str, Pair]:
    """Every layer whose feedback learns as its kernel does, by its path."""
    found = {}
    for path, (layer, product) in places(model).items():
        if product.rule.shared and isinstance(product.feedback, nnx.Param):
            kernel = kernel_of(layer, product)
            ndim = kernel.ndim if product.ndim is None else product.ndim
            found[path] = Pair(kernel, product.feedback, ndim)
    return found


class Law:
    """Kolen-Pollack's law, watched from now on: ``W - B`` is to keep its direction, and to shrink.

    It keeps one copy of ``W - B``; a check costs a few sums over the weights.

    Args:
      model: any NNX model with layers under ``KolenPollack``.

    Raises:
      ValueError: no such layer.

    >>> import bioflax
    >>> layer = bioflax.Linear(30, 20, rule=bioflax.KolenPollack(), rngs=nnx.Rngs(0))
    >>> law = Law(layer)
    >>> layer.kernel[...] *= 0.9  # a decay that B does not share
    >>> law.broken(layer)[""].partition(":")[0]
    'W and B were not decayed alike'
    """

    def __init__(self, model: Any) -> None:
        self._start = {path: pair.difference() for path, pair in pairs(model).items()}
        if not self._start:
            raise ValueError("no layer of this model is under KolenPollack")

    def broken(
        self, model: Any, kept: float | None = None, tolerance: float = 1e-3
    ) -> dict[str, str]:
        """The layers in which the law fails, and what it usually fails by; empty where it holds.

        Args:
          model: the model as it is now.
          kept: what the law leaves of the gap since then, ``(1 - rate * decay) ** updates``. Without
            it a gap that shrinks at another rate, or not at all, goes unnoticed.
          tolerance: how far the gap may be off, as a fraction of what it was.
        """
        bent, shares = {}, {}
        for path, pair in pairs(model).items():
            before, now = self._start[path], pair.difference()
            axes = tuple(range(before.ndim - pair.ndim, before.ndim))
            share = shares[path] = pair.inner(now, before) / pair.inner(before, before)
            rest = now - jnp.expand_dims(share, axes) * before
            if bool(jnp.any(pair.norm(rest) > tolerance * pair.norm(before))):
                along = [_along(pair, rest, v[...]) for v in (pair.kernel, pair.feedback)]
                bent[path] = float(jnp.max(jnp.stack(along)))
        if bent:
            cause = ONE_DECAYED if min(bent.values()) > 0.6 else OTHER_STEPS
            return dict.fromkeys(bent, cause)
        if kept is None:
            return {}
        off = {p: s for p, s in shares.items() if bool(jnp.any(jnp.abs(s - kept) > tolerance))}
        return {
            path: NO_DECAY if bool(jnp.all(share > 1 - tolerance)) else IN_GRADIENT
            for path, share in off.items()
        }


ONE_DECAYED = (
    "W and B were not decayed alike: a mask or a group by name tells them apart (see bioflax.alike), "
    "or the step is scaled by the size of the parameter (Adafactor)"
)
OTHER_STEPS = (
    "W and B took other steps: scaled by the size of the parameter (LAMB, LARS, adaptive clipping), by "
    "a second moment with the decay in it (L2 under Adam), or with noise added"
)
NO_DECAY = "the gap stays: nothing decays W and B, or at a rate near zero (Prodigy)"
IN_GRADIENT = (
    "the gap shrinks at another rate: the decay goes through momentum, a clip or a rate of the "
    "optimiser's own; let it come after them (optax.adamw; add_decayed_weights after trace)"
)


def _along(pair: Pair, rest: jax.Array, w: jax.Array) -> jax.Array:
    """How much of ``rest`` points along ``w``, from 0 to 1."""
    return jnp.abs(pair.inner(rest, w)) / (pair.norm(rest) * pair.norm(w))


def alike(mask: Any, model: Any) -> Callable[[Any], Any]:
    """A mask for optax (or labels, for its parameter groups) that treats every ``B`` as its ``W``.

    Args:
      mask: a function of the parameters that gives a tree of their structure, or such a tree.
      model: the model whose parameters these are.

    Returns:
      A function of the parameters, whose tree has for the ``feedback`` of each layer under
      ``KolenPollack`` what ``mask`` has for its kernel.

    >>> import bioflax
    >>> layer = bioflax.Linear(3, 2, rule=bioflax.KolenPollack(), rngs=nnx.Rngs(0))
    >>> def kernels(params):
    ...     return jax.tree_util.tree_map_with_path(lambda path, _: "kernel" in str(path), params)
    >>> params = nnx.state(layer, nnx.Param)
    >>> jax.tree.leaves(kernels(params)), jax.tree.leaves(alike(kernels, layer)(params))
    ([False, False, True], [False, True, True])
    """
    where = {id(v): path for path, v in nnx.iter_graph(model) if isinstance(v, nnx.Variable)}
    twins = {where[id(p.feedback)]: where[id(p.kernel)] for p in pairs(model).values()}

    def masked(params: Any) -> Any:
        tree = mask(params) if callable(mask) else mask
        flat, form = jax.tree_util.tree_flatten_with_path(tree)
        found = {_names(path): value for path, value in flat}
        missing = [path for path in twins.items() if not set(path) <= found.keys()]
        if missing:
            raise ValueError(
                f"the mask has no entry for each of {missing[0]}: is it of this model?"
            )
        filled = [found[twins.get(_names(path), _names(path))] for path, _ in flat]
        return jax.tree.unflatten(form, filled)

    return masked


def _names(path: Any) -> tuple[Any, ...]:
    """The keys of a path into a state, without the attribute of the variable at its end."""
    keys = [getattr(k, "key", getattr(k, "idx", getattr(k, "name", None))) for k in path]
    return tuple(keys[:-1] if keys and isinstance(path[-1], jax.tree_util.GetAttrKey) else keys)


def global_norm(tree: Any, model: Any) -> jax.Array:
    """The norm over all arrays of ``tree``, gradients or parameters of ``model``, but learned ``B``.

    ``optax.global_norm`` counts the ``B`` of Kolen-Pollack, which have the gradients of the kernels
    once more: clipping by it clips harder than in the backpropagation that one compares with, by up
    to a factor of ``sqrt(2)``. This is the norm that backpropagation has.

    >>> import bioflax
    >>> layer = bioflax.Linear(3, 2, rule=bioflax.KolenPollack(), use_bias=False, rngs=nnx.Rngs(0))
    >>> params = nnx.state(layer, nnx.Param)
    >>> bool(jnp.isclose(global_norm(params, layer), jnp.linalg.norm(layer.kernel[...])))
    True
    """
    learned = {id(pair.feedback) for pair in pairs(model).values()} | {
        id(b)
        for _, net in nnx.iter_modules(model)
        if isinstance(net, DirectFeedback | Marked) and net.mode.learns
        for b in net.feedback
    }
    left_out = {path for path, v in nnx.iter_graph(model) if id(v) in learned}
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    squares = [jnp.sum(jnp.abs(x) ** 2) for path, x in flat if _names(path) not in left_out]
    return jnp.sqrt(sum(squares, start=jnp.zeros(())))

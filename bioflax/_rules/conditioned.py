"""Conditioning: the gradient of a kernel, divided by the moments of its inputs and of its errors."""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from bioflax._rules.backprop import Backprop
from bioflax._rules.base import Layer, Rule

# No norm is taken for less.
TINY = 1e-12
EXACT = Backprop()


@dataclasses.dataclass(frozen=True)
class Conditioned(Rule):
    """Conditioning: another rule, whose weight gradients are divided by the second moments of a batch.

    Backward ``dx = B dy`` as the other rule has it, and for ``n`` examples with inputs ``x`` (n, inputs)
    and errors ``d`` (n, outputs), each example's own,

        dW = (x' x / n + a)^-1 (x' d / n) (d' d / n + b)^-1

    times the number that gives it the norm of ``x' d / n``. In the hidden layers of direct feedback
    alignment this is nDFA (``activity=a`` alone), error nDFA (``error=b`` alone) or K-nDFA (both); the
    readout is left as it is, and so are biases. Under ``Backprop`` with ``activity`` alone it is
    FOOF. The moments are those of the batch alone, about zero, and never of the bias. It costs the
    inverse of an ``n x n`` matrix for each moment, which is applied to the errors:

        dW = x' (x x' / n + a)^-1 (d d' / n + b)^-1 d / n

    It is of dense layers (``Linear``), and needs the whole batch in one call. Feedback that learns from
    ``dW`` (Kolen-Pollack) receives the conditioned one. The authors find the gain in a short budget of
    SGD, and little of it under a tuned Adam.

    Args:
      rule: what carries the error; default ``Backprop()``, as in the blocks of ``DirectFeedback``.
      activity, error: dampings ``a`` and ``b``; None leaves that moment out.
      match_norm: keep the norm of the gradient; without it, ``dW`` as it stands above.
      loss: ``"mean"`` where the loss is a mean over the ``n`` examples, which makes their errors
        ``d / n``, or ``"sum"``.

    Raises:
      ValueError: no damping, or one that is not above 0; an unknown ``loss``; a layer that is not dense,
        or complex.

    Reference: Safaai, Reddy, Sabatini 2026, and the code that they published:

        @misc{safaai2026conditioned,
          title={Conditioned direct feedback alignment via activity and error geometry},
          author={Safaai, Houman and Reddy, Varun and Sabatini, Bernardo L.},
          eprint={2607.18574}, archivePrefix={arXiv}, year={2026}}

    >>> import bioflax
    >>> rngs = nnx.Rngs(0)
    >>> hidden = bioflax.Linear(3, 8, rule=Conditioned(activity=3.0), rngs=rngs)
    >>> net = bioflax.DirectFeedback([hidden, jnp.tanh], nnx.Linear(8, 2, rngs=rngs), rngs=rngs)
    """

    rule: Rule = EXACT
    activity: float | None = 3.0
    error: float | None = None
    match_norm: bool = True
    loss: Literal["mean", "sum"] = "mean"

    def __post_init__(self) -> None:
        dampings = {"activity": self.activity, "error": self.error}
        if self.activity is None and self.error is None:
            raise ValueError("conditioning needs activity= or error=")
        for name, damping in dampings.items():
            if damping is not None and not damping > 0:
                raise ValueError(f"{name}={damping} of conditioning must be above 0")
        if self.loss not in ("mean", "sum"):
            raise ValueError(f"loss={self.loss!r} of conditioning must be 'mean' or 'sum'")

    @property
    def shared(self) -> bool:  # type: ignore[override]
        """That of the other rule."""
        return self.rule.shared

    def feedback(self, layer: Layer, rngs: nnx.Rngs) -> Any:
        if (
            len(layer.shape) != 2
            or layer.transposed
            or jnp.issubdtype(layer.dtype, jnp.complexfloating)
        ):
            kind = f"{jnp.dtype(layer.dtype)} kernel of shape {layer.shape}"
            raise ValueError(f"conditioning is of real dense layers, not of a {kind}")
        return self.rule.feedback(layer, rngs)

    def weights(self, layer: Layer, kernel: jax.Array) -> jax.Array | None:
        return self.rule.weights(layer, kernel)

    def gradient(self, dw: jax.Array, x: jax.Array, dy: jax.Array) -> jax.Array:
        if (x.shape[-1], dy.shape[-1]) != dw.shape:
            raise ValueError(
                f"conditioning is of dense layers, not of a kernel {dw.shape} that makes an array "
                f"{dy.shape} of one {x.shape}"
            )
        # Nothing is solved in half precision.
        wide = dw.dtype if dw.dtype.itemsize >= 4 else jnp.dtype(jnp.float32)
        x, dy = (a.reshape(-1, a.shape[-1]).astype(wide) for a in (x, dy))
        n = len(x)
        mixed = dy
        if self.error is not None:
            scale = n if self.loss == "mean" else 1 / n
            mixed = _divided(scale * _gram(dy), self.error, mixed)
        if self.activity is not None:
            mixed = _divided(_gram(x) / n, self.activity, mixed)
        changed = x.T @ mixed
        if not self.match_norm:
            return changed.astype(dw.dtype)
        norms = [jnp.maximum(jnp.linalg.norm(g), TINY) for g in (dw.astype(wide), changed)]
        return (changed * (norms[0] / norms[1])).astype(dw.dtype)


def _gram(rows: jax.Array) -> jax.Array:
    return rows @ rows.T


def _divided(moment: jax.Array, damping: float, values: jax.Array) -> jax.Array:
    """``(moment + damping)^-1 values`` for a moment without negative eigenvalues."""
    damped = moment + damping * jnp.eye(len(moment), dtype=moment.dtype)
    return jnp.linalg.inv(damped) @ values

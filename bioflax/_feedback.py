"""Backward weights: their variable type, and the one primitive that sends an error through them."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import jax
from flax import nnx

Op = Callable[[jax.Array, jax.Array], jax.Array]
Gradient = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
_refusing: contextvars.ContextVar[str] = contextvars.ContextVar("refusing", default="")


class Feedback(nnx.Variable[Any]):
    """Backward weights that no optimiser may touch.

    A type of its own, not ``nnx.Param``: gradients, weight decay, clipping by the global norm and
    parameter counts, all taken over ``nnx.Param``, never see it.
    """


def decouple(
    op: Op, *, shared: bool = False, gradient: Gradient = lambda dw, x, dy: dw
) -> Callable[..., jax.Array]:
    """Let ``op`` carry the error back through weights of its own.

    Forward ``y = op(x, W)``. Backward, for an error ``dy`` at the output:

        dx = op(., B)^T dy        dW = op(x, .)^T dy        dB = dW if shared else 0

    so with ``B = W`` this is backpropagation. Both products are those of a whole batch.

    Args:
      op: ``(x, W) -> y``, linear in each argument, for example ``jnp.matmul`` with ``x`` of shape
        ``(..., n_in)`` and ``W`` of shape ``(n_in, n_out)``.
      shared: let ``B`` receive the gradient of ``W`` (Kolen-Pollack) instead of none.
      gradient: ``(dW, x, dy) -> array`` of the shape of ``W``, which takes the place of ``dW``.

    Returns:
      ``f(x, W, B) -> y`` with the backward pass above; ``B`` has the shape of ``W``.

    Raises:
      ValueError: ``B`` has another shape than ``W``.
      TypeError: ``op`` is not linear.

    Reference: Lillicrap et al. 2016, "Random synaptic feedback weights support error
    backpropagation for deep learning": ``dh = B e`` takes the place of ``dh = W' e``.

    >>> import jax, jax.numpy as jnp
    >>> f = decouple(jnp.matmul)
    >>> x, w, b = jnp.ones((1, 2)), jnp.ones((2, 1)), jnp.array([[3.0], [4.0]])
    >>> jax.grad(lambda x: f(x, w, b).sum())(x)
    Array([[3., 4.]], dtype=float32)
    """

    @jax.custom_vjp
    def product(x: jax.Array, w: jax.Array, b: jax.Array) -> jax.Array:
        del b
        return op(x, w)

    def forward(x: jax.Array, w: jax.Array, b: jax.Array) -> tuple[jax.Array, Any]:
        return op(x, w), (x, w, b)

    def backward(kept: Any, dy: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        x, w, b = kept
        dx = _transpose(op, lambda x: op(x, b.astype(w.dtype)), x, dy)
        dw = gradient(_transpose(op, lambda w: op(x, w), w, dy), x, dy)
        return dx, dw, dw.astype(b.dtype) if shared else None

    product.defvjp(forward, backward)

    def decoupled(x: jax.Array, w: jax.Array, b: jax.Array) -> jax.Array:
        if where := _refusing.get():
            raise ValueError(
                f"{_name(op)} is decoupled by hand in {where}: let the layer call a bioflax.Product"
            )
        if b.shape != w.shape:
            raise ValueError(
                f"feedback has shape {b.shape}, the forward weights have {w.shape}; "
                "the two must be equal"
            )
        return product(x, w, b)

    return decoupled


def _transpose(op: Op, linear: Callable[..., Any], like: jax.Array, dy: jax.Array) -> jax.Array:
    # linear_transpose, not vjp: it does not compute the forward product once more.
    try:
        pull = jax.linear_transpose(linear, like)
        (result,) = pull(dy)
    except (NotImplementedError, AssertionError) as error:
        why = f" ({error})" if str(error) else ""
        raise TypeError(f"{_name(op)} cannot be decoupled: it is not linear{why}") from error
    return result


@contextlib.contextmanager
def refusing_decoupled(where: str) -> Iterator[None]:
    """While this lasts, a call of something decoupled raises ValueError: there is none in ``where``."""
    token = _refusing.set(where)
    try:
        yield
    finally:
        _refusing.reset(token)


def _name(op: Op) -> str:
    return getattr(op, "__name__", repr(op))

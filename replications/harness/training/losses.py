"""From output to loss and to right or wrong: the output layers of the papers, and the error sent back."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import optax

import bioflax

if TYPE_CHECKING:
    from replications.harness.declared.spec import RunSpec


OnOutput = Callable[[jax.Array, jax.Array], jax.Array]


def example_loss(spec: "RunSpec") -> OnOutput:
    """``(z, y) -> loss`` per example, from the output before its nonlinearity.

    Its gradient is the output error e: ``z - y`` for linear outputs, ``softmax(z) - y``; for logistic ones
    ``s(z) - y`` (raw) or ``(s(z) - y) s'(z)`` (mse, and printed: see ``objective``).
    """
    if spec.network.output == "linear":
        return lambda z, y: 0.5 * jnp.sum((z - y) ** 2, axis=-1)
    if spec.network.output == "softmax":
        return optax.softmax_cross_entropy
    if spec.output_error == "raw":
        return cross_entropy
    return lambda z, y: 0.5 * jnp.sum((jax.nn.sigmoid(z) - y) ** 2, axis=-1)


def cross_entropy(z: jax.Array, y: jax.Array) -> jax.Array:
    """The binary cross-entropy per example, summed over outputs; its gradient is ``s(z) - y``."""
    return jnp.sum(optax.sigmoid_binary_cross_entropy(z, y), axis=-1)


def objective(
    spec: "RunSpec", loss: OnOutput
) -> Callable[[Any, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    """``(model, x, y) -> (values per example, outputs)``: what is differentiated in training.

    The values are the loss. With ``output_error: printed`` the readout learns from the gradient of the squared
    error, ``dW = h (e o s'(z))'``, and the hidden layers receive the error itself through its feedback,

        dh = B e,    e = s(z) - y

    where backprop, which has no B, sends ``W (e o s'(z))`` (Lillicrap et al. 2016, Methods).
    """

    def plain(model: Any, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        z = model(x)
        return loss(z, y), z

    def printed(model: Any, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        readout = model.readout
        if getattr(readout, "feedback", None) is None:  # backprop
            return plain(model, x, y)
        h = model.hidden(x)
        z = readout(jax.lax.stop_gradient(h))
        # The same product once more: of its gradients only that of h is let through, by way of B.
        kernel = jax.lax.stop_gradient(readout.kernel[...])
        again = bioflax.decouple(jnp.matmul)(h, kernel, readout.feedback[...])
        bias = jax.lax.stop_gradient(z - again)
        sent = cross_entropy(again + bias, y)
        return loss(z, y) + sent - jax.lax.stop_gradient(sent), z

    # At a linear output the two errors are one.
    apart = spec.output_error == "printed" and spec.network.output == "logistic"
    return printed if apart else plain


def is_wrong(outputs: int) -> OnOutput:
    """``(z, y) -> 1 or 0`` per example: the largest output is not the class, or the only output is
    on the wrong side of one half (a logistic output's z of 0). NaN where an output is: a run that
    diverged has no error, which no claim can take for a large one."""

    def wrong(z: jax.Array, y: jax.Array) -> jax.Array:
        single = outputs == 1
        missed = (
            ((z > 0) != (y > 0.5))[..., 0] if single else jnp.argmax(z, -1) != jnp.argmax(y, -1)
        )
        return jnp.where(jnp.isnan(z).any(-1), jnp.nan, missed.astype(jnp.float32))

    return wrong

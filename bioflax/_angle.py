"""Angles between arrays, and ratios of their norms."""

import jax
import jax.numpy as jnp


def angle(a: jax.Array, b: jax.Array) -> jax.Array:
    """The angle between ``a`` and ``b`` in degrees, in [0, 180].

    ``arccos(a.b / (|a| |b|))`` over all entries: above 90 the two point in opposite directions. Of
    complex arrays, as vectors of real and imaginary parts.
    NaN where one of them is zero or not finite: there is no angle then.

    Args:
      a, b: arrays of one shape.

    Reference: Lillicrap et al. 2016, Methods.

    >>> angle(jnp.array([1.0, 0.0]), jnp.array([-1.0, 0.0]))
    Array(180., dtype=float32)
    """
    if a.shape != b.shape:
        raise ValueError(f"no angle between arrays of shapes {a.shape} and {b.shape}")
    return angles(a, b, 0)


def angles(a: jax.Array, b: jax.Array, lead: int) -> jax.Array:
    """Angles over all axes but the first ``lead``."""
    a, b = _real(a), _real(b)
    axes = tuple(range(lead, a.ndim))
    a, b = (x / length for _, x, length in (_scaled(a, axes), _scaled(b, axes)))
    # Kahan's formula: exact near 0 and 180 degrees, where arccos loses half the digits.
    across, along = (jnp.sqrt(jnp.sum(jnp.square(x), axes)) for x in (a - b, a + b))
    return jnp.degrees(2 * jnp.arctan2(across, along))


def ratio(a: jax.Array, b: jax.Array, lead: int) -> jax.Array:
    """Norms over all axes but the first ``lead``, the first over the second."""
    a, b = _real(a), _real(b)
    axes = tuple(range(lead, a.ndim))
    (most_a, _, length_a), (most_b, _, length_b) = _scaled(a, axes), _scaled(b, axes)
    return jnp.squeeze((most_a / most_b) * (length_a / length_b), axes)


def _real(x: jax.Array) -> jax.Array:
    """Real and imaginary parts of complex numbers, on an axis more."""
    return jnp.stack([x.real, x.imag], -1) if jnp.iscomplexobj(x) else x


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

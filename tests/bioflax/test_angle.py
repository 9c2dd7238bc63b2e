"""Angles between arrays: signed, exact near both ends, and of any size and type."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

import bioflax
from tests.bioflax.cases import normal


@pytest.mark.parametrize("degrees", [0.0, 1e-6, 30.0, 90.0, 150.0, 180.0 - 1e-6, 180.0])
def test_the_angle_is_signed_and_exact_near_both_ends(degrees):
    a = jnp.array([3.0, 0.0])
    b = 0.1 * jnp.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    np.testing.assert_allclose(bioflax.angle(a, b), degrees, rtol=1e-9, atol=1e-12)


def test_vanishing_and_huge_vectors_still_have_their_angle():
    a, b = jnp.asarray([[1e-30, 1e-30]], jnp.float32), jnp.asarray([[1e30, 0.0]], jnp.float32)
    np.testing.assert_allclose(bioflax.angle(a, b), 45.0, rtol=1e-6)


def test_the_angle_to_nothing_is_not_a_number():
    assert jnp.isnan(bioflax.angle(jnp.zeros(3), jnp.ones(3)))
    assert jnp.isnan(bioflax.angle(jnp.ones(3), jnp.full(3, jnp.inf)))


@pytest.mark.parametrize(("a", "b"), [((3,), (1, 3)), ((1, 3), (3,))])
def test_arrays_of_different_shapes_have_no_angle(a, b):
    with pytest.raises(ValueError, match=re.escape(f"shapes {a} and {b}")):
        bioflax.angle(jnp.ones(a), jnp.ones(b))


def test_half_precision_has_the_angles_of_single_precision():
    kernels = normal((300, 300)), normal((300, 300), seed=1)
    a, b = (jnp.asarray(k, jnp.float16) for k in kernels)
    wanted = bioflax.angle(*(x.astype(jnp.float32) for x in (a, b)))
    assert bioflax.angle(a, b) == wanted
    assert 80 < wanted < 100
    assert bioflax.angle(a, -a) == 180

"""The primitive: forward through W, backward through B."""

import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bioflax
from tests.bioflax.cases import normal


def arrays(*shapes):
    return [jnp.asarray(normal(shape, seed=i)) for i, shape in enumerate(shapes)]


def test_the_error_goes_through_b_and_the_weight_gradient_does_not():
    x, w, b, dy = arrays((5, 3), (3, 4), (3, 4), (5, 4))
    y, pull = jax.vjp(bioflax.decouple(jnp.matmul), x, w, b)
    dx, dw, db = pull(dy)
    np.testing.assert_allclose(y, x @ w, rtol=1e-14)
    np.testing.assert_allclose(dx, dy @ b.T, rtol=1e-14)
    np.testing.assert_allclose(dw, x.T @ dy, rtol=1e-14)
    np.testing.assert_array_equal(db, np.zeros_like(b))


def test_shared_feedback_receives_the_gradient_of_the_forward_weights():
    x, w, b, dy = arrays((5, 3), (3, 4), (3, 4), (5, 4))
    _, dw, db = jax.vjp(bioflax.decouple(jnp.matmul, shared=True), x, w, b)[1](dy)
    np.testing.assert_allclose(dw, x.T @ dy, rtol=1e-14)
    np.testing.assert_array_equal(db, dw)


def test_with_the_forward_weights_as_feedback_it_is_backpropagation_to_the_last_bit():
    x, w, dy = arrays((5, 3), (3, 4), (5, 4))
    decoupled = jax.jit(lambda: jax.vjp(bioflax.decouple(jnp.matmul), x, w, w)[1](dy))
    exact = jax.jit(lambda: jax.vjp(jnp.matmul, x, w)[1](dy))
    dx, dw, _ = decoupled()
    np.testing.assert_array_equal(dx, exact()[0])
    np.testing.assert_array_equal(dw, exact()[1])


@pytest.mark.parametrize("shape", [(4, 3), (3, 3), (3, 4, 1)])
def test_feedback_of_another_shape_is_refused_and_both_shapes_are_named(shape):
    x, w, b = arrays((5, 3), (3, 4), shape)
    words = re.escape(f"feedback has shape {shape}, the forward weights have (3, 4)")
    with pytest.raises(ValueError, match=words):
        bioflax.decouple(jnp.matmul)(x, w, b)


def test_an_operation_that_is_not_linear_is_refused_by_name():
    def squares(x, w):
        return (x @ w) ** 2

    x, w, b = arrays((5, 3), (3, 4), (3, 4))
    with pytest.raises(TypeError, match="squares cannot be decoupled: it is not linear"):
        jax.grad(lambda x: jnp.sum(bioflax.decouple(squares)(x, w, b)))(x)


def test_feedback_in_another_type_is_cast_to_the_type_of_the_computation():
    x, w, dy = (a.astype(jnp.bfloat16) for a in arrays((5, 3), (3, 4), (5, 4)))
    b = jnp.asarray(normal((3, 4)))
    dx, dw, db = jax.vjp(bioflax.decouple(jnp.matmul, shared=True), x, w, b)[1](dy)
    assert (dx.dtype, dw.dtype, db.dtype) == (jnp.bfloat16, jnp.bfloat16, jnp.float64)
    np.testing.assert_array_equal(dx, dy @ b.astype(jnp.bfloat16).T)


@pytest.mark.parametrize("rule", [bioflax.FeedbackAlignment(), bioflax.KolenPollack()])
def test_a_batch_is_multiplied_as_a_batch_and_costs_what_backpropagation_costs(rule):
    def cost(rule):
        rngs = nnx.Rngs(0)
        kinds = {"rule": rule, "rngs": rngs}
        net = nnx.List([bioflax.Linear(32, 32, **kinds) for _ in range(3)])
        graph, params, rest = nnx.split(net, nnx.Param, ...)

        def loss(params, x):
            for layer in nnx.merge(graph, params, rest):
                x = layer(x)
            return jnp.sum(x)

        x = jnp.ones((64, 32), jnp.float32)
        lowered = jax.jit(jax.grad(loss)).lower(params, x)
        products = lowered.as_text().count("stablehlo.dot_general")
        return lowered.compile().cost_analysis()["flops"], products

    flops, products = cost(rule)
    exact_flops, exact_products = cost(bioflax.Backprop())
    # The first layer's dx is dead code, which the compiler drops.
    assert products <= exact_products + 1
    assert flops <= 1.01 * exact_flops


def test_these_tests_promote_no_type_and_no_rank_by_accident():
    with pytest.raises(Exception, match="numpy_dtype_promotion"):
        jnp.ones(2, jnp.float32) + jnp.ones(2, jnp.float64)
    with pytest.raises(ValueError, match="numpy_rank_promotion"):
        jnp.ones(2) + jnp.ones((2, 2))
    with pytest.raises(UserWarning, match="an error here"):
        warnings.warn("an error here", stacklevel=1)


@pytest.mark.parametrize(
    "op", [lambda x, w: x * x @ w, lambda x, w: jnp.where(x @ w > 0, x @ w, 0)]
)
def test_an_op_that_is_not_linear_is_refused_whatever_jax_says_of_it(op):
    f = bioflax.decouple(op)
    x, w = jnp.ones((1, 2)), jnp.ones((2, 2))
    with pytest.raises(TypeError, match="cannot be decoupled: it is not linear"):
        jax.grad(lambda x: f(x, w, w).sum())(x)

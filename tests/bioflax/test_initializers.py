"""Initializers made anew with the same arguments are one, so that what is compiled is found again."""

import functools

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import bioflax
from bioflax._initializers import same


def drawn_by(size):
    return lambda key, shape, dtype=jnp.float32: size * jax.random.normal(key, shape, dtype)


def of(init):
    return bioflax.FeedbackAlignment(feedback_init=init)


@pytest.mark.parametrize(
    "make",
    [
        lambda size: nnx.initializers.normal(size),
        lambda size: nnx.initializers.variance_scaling(size, "fan_in", "uniform"),
        drawn_by,
        lambda size: functools.partial(jax.nn.initializers.normal(size)),
    ],
    ids=["normal", "variance", "own", "partial"],
)
def test_equal_arguments_make_equal_rules_and_others_do_not(make):
    assert of(make(0.1)) == of(make(0.1))
    assert hash(of(make(0.1))) == hash(of(make(0.1)))
    assert of(make(0.1)) != of(make(0.2))
    assert of(make(1)) != of(make(1.0))
    key, shape = jax.random.key(0), (3, 2)
    first, second = (of(make(s)).feedback_init(key, shape, jnp.float32) for s in (0.1, 0.2))
    assert jnp.array_equal(first, make(0.1)(key, shape, jnp.float32))
    assert not jnp.array_equal(first, second)


def test_a_function_around_an_array_stays_itself():
    one, two = drawn_by(jnp.ones(())), drawn_by(2 * jnp.ones(()))
    assert same(one) is one
    assert same(two) is two


def test_models_under_rules_made_anew_are_traced_once():
    traces = []

    @nnx.jit
    def call(model, x):
        traces.append(1)
        return model(x)

    for seed in range(3):
        rule = of(nnx.initializers.normal(0.1))
        call(bioflax.Linear(3, 2, rule=rule, rngs=nnx.Rngs(seed)), jnp.ones((1, 3), jnp.float32))
        rngs = nnx.Rngs(seed)
        init = nnx.initializers.uniform(0.3)
        call(
            bioflax.DirectFeedback(
                [nnx.Linear(3, 3, rngs=rngs)],
                nnx.Linear(3, 2, rngs=rngs),
                feedback_init=init,
                rngs=rngs,
            ),
            jnp.ones((1, 3), jnp.float32),
        )
    assert len(traces) == 2

"""Equal layers, one after the other and compiled once, with draws and state of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bioflax
from bioflax._stack import unstacked
from tests.bioflax.cases import normal, streams

X = normal((7, 4))


def linear(rngs):
    return nnx.Linear(4, 4, param_dtype=jnp.float64, rngs=rngs)


def test_it_is_its_layers_one_after_the_other_each_with_draws_of_its_own():
    stack = bioflax.Stack(linear, 3, rngs=streams())
    kernels = np.asarray(stack.layers.kernel[...])
    assert kernels.shape == (3, 4, 4)
    assert len({kernel.tobytes() for kernel in kernels}) == 3
    wanted = np.linalg.multi_dot([np.asarray(jnp.asarray(X)), *kernels])
    np.testing.assert_allclose(stack(jnp.asarray(X)), wanted, rtol=1e-12)


def test_its_program_is_as_long_for_any_depth():
    def lines(depth):
        graph, state = nnx.split(bioflax.Stack(linear, depth, rngs=streams()))
        return (
            jax.jit(lambda s: nnx.merge(graph, s)(jnp.asarray(X)))
            .lower(state)
            .as_text()
            .count("\n")
        )

    assert lines(100) == lines(3)


def test_a_layer_whose_output_has_another_shape_than_its_input_is_refused():
    def wider(rngs):
        return nnx.Linear(4, 5, param_dtype=jnp.float64, rngs=rngs)

    with pytest.raises(TypeError, match=r"carry .*float64\[7,4\]"):
        bioflax.Stack(wider, 2, rngs=streams())(jnp.asarray(X))


def test_each_layer_gets_a_key_of_its_own():
    stack = bioflax.Stack(linear, 3, rngs=streams())
    found = stack.each(lambda layer, key: jax.random.normal(key), jax.random.key(0))
    assert found.shape == (3,)
    assert len(set(np.asarray(found).tolist())) == 3


def test_what_is_inside_a_stack_is_no_module_beside_it():
    model = nnx.Sequential(linear(streams()), bioflax.Stack(linear, 2, rngs=streams()))
    kinds = [type(module).__name__ for _, module in unstacked(model)]
    assert sorted(kinds) == sorted(["Linear", "Stack", "List", "Sequential"])


def test_the_state_inside_a_stack_advances_and_masks_differ_from_layer_to_layer():
    def layer(rngs):
        return nnx.Dropout(0.5, rngs=rngs)

    stack = bioflax.Stack(layer, 2, rngs=streams())
    x = jnp.ones((1, 64), jnp.float32)
    first, second = stack(x), stack(x)
    np.testing.assert_array_equal(stack.layers.rngs.count[...], [2, 2])
    assert not np.array_equal(first, second)
    assert 0 < np.mean(np.asarray(first) == 4) < 0.5  # twice kept: a quarter, not a half

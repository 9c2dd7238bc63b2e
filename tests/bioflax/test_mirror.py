"""The step in which a weight mirror learns: in every layer, in stacks, compiled once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bioflax
from tests.bioflax.cases import LAYERS, product_of, quick, streams


@pytest.mark.parametrize("name", LAYERS)
def test_a_mirror_step_shows_the_feedback_the_forward_weights_in_every_layer(name):
    rule = bioflax.WeightMirror(quick, rate=1.0, samples=10_000)
    model = nnx.List([LAYERS[name].make(rule=rule, rngs=streams())])
    bioflax.mirror(model, jax.random.key(0))
    layers = [layer for _, layer in nnx.iter_modules(model) if product_of(layer)]
    assert layers
    for layer in layers:
        # One estimate from n samples is off by about the root of (number of inputs) / n.
        kernel = getattr(layer, product_of(layer).kernel)
        assert bioflax.angle(layer.feedback[...], kernel[...]) < 5


def test_weight_mirror_leaves_layers_of_other_rules_alone_and_reaches_into_stacks():
    def layer(rngs):
        return nnx.Sequential(bioflax.Linear(3, 3, rule=bioflax.WeightMirror(), rngs=rngs))

    fixed = bioflax.Linear(3, 3, rngs=streams())
    model = nnx.Sequential(fixed, bioflax.Stack(layer, 2, rngs=streams()))
    before = nnx.state(model, bioflax.Feedback)
    before = jax.tree.map(np.array, before)
    bioflax.mirror(model, jax.random.key(0))
    after = nnx.state(model, bioflax.Feedback)
    moved = jax.tree.map(lambda a, b: not np.array_equal(a, b), before, after)
    assert jax.tree.leaves(moved) == [False, True]


def test_a_mirror_step_of_one_sample_is_the_outer_product_of_a_layers_inputs_and_outputs():
    # x' (x W) of one vector x has rank one, with the axes of a kernel before the last as inputs.
    rule = bioflax.WeightMirror(rate=1.0, samples=1)
    layer = bioflax.Conv(4, 6, (2, 3), rule=rule, param_dtype=jnp.float64, rngs=streams())
    bioflax.mirror(layer, jax.random.key(0))
    sizes = np.linalg.svd(np.asarray(layer.feedback[...]).reshape(2 * 3 * 4, 6))[1]
    assert sizes[0] > 0
    np.testing.assert_allclose(sizes[1:] / sizes[0], 0, atol=1e-12)


def test_mirror_steps_of_one_model_are_compiled_once():
    traced = []

    class Watched(bioflax.WeightMirror):
        def reflect(self, b, kernel, key):
            traced.append(b.shape)
            return super().reflect(b, kernel, key)

    layer = bioflax.Linear(3, 2, rule=Watched(), rngs=streams())
    for seed in range(3):
        bioflax.mirror(layer, jax.random.key(seed))
    assert traced == [(3, 2)]

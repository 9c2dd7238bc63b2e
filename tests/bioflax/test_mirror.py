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
        def reflect(self, b, kernel, key, bias=None):
            traced.append(b.shape)
            return super().reflect(b, kernel, key, bias)

    layer = bioflax.Linear(3, 2, rule=Watched(), rngs=streams())
    for seed in range(3):
        bioflax.mirror(layer, jax.random.key(seed))
    assert traced == [(3, 2)]


def test_a_mirror_step_of_the_code_is_the_sum_that_the_authors_program_takes():
    rule = bioflax.WeightMirror(rate=0.01, samples=128, form="code")
    layer = bioflax.Linear(
        5,
        3,
        rule=rule,
        bias_init=nnx.initializers.normal(1.0),
        param_dtype=jnp.float64,
        rngs=streams(),
    )
    before = np.asarray(layer.feedback[...])
    w, b = np.asarray(layer.kernel[...]), np.asarray(layer.bias[...])
    bioflax.mirror(layer, jax.random.key(7))
    key = jax.random.fold_in(jax.random.key(7), 0)
    x = np.asarray(jax.random.uniform(key, (128, 5), jnp.float64, -0.05, 0.05))
    step = sum(np.outer(one, 1 / (1 + np.exp(-(one @ w + b)))) for one in x)
    np.testing.assert_allclose(layer.feedback[...], before + 0.01 * step, rtol=1e-12)


def test_the_codes_mirror_turns_to_the_forward_weights_and_grows():
    # The mean step is rate samples / 4800 W at biases of 0: 1.067e-3 / 4 of W with the code's numbers.
    rule = bioflax.WeightMirror(quick, rate=0.01, samples=128, form="code")
    layer = bioflax.Linear(20, 10, rule=rule, param_dtype=jnp.float64, rngs=streams())
    w, start = np.asarray(layer.kernel[...]), np.asarray(layer.feedback[...])
    steps = 4000
    for key in jax.random.split(jax.random.key(0), steps):
        bioflax.mirror(layer, key)
    grown = np.asarray(layer.feedback[...]) - start
    # The noise is the same for all outputs, for all units are near 1/2: without their mean it is gone.
    centred, wanted = (a - a.mean(1, keepdims=True) for a in (grown, w))
    slope = np.sum(centred * wanted) / np.sum(wanted**2)
    np.testing.assert_allclose(slope, steps * 0.01 * 128 / 4800, rtol=0.05)


def test_the_codes_mirror_refuses_a_bias_that_is_not_one_number_an_output():
    rule = bioflax.WeightMirror(form="code")
    layer = bioflax.LinearGeneral(3, (2, 4), rule=rule, rngs=streams())
    with pytest.raises(ValueError, match=r"bias of shape \(4,\), not \(2, 4\)"):
        bioflax.mirror(layer, jax.random.key(0))

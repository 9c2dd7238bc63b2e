"""Angles between a rule and exact backpropagation, against vectors computed by hand."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bioflax

X = np.random.default_rng(0).normal(size=(6, 5))
Y = np.random.default_rng(1).normal(size=(6, 3))
BATCH = (jnp.asarray(X, jnp.float32), jnp.asarray(Y, jnp.float32))


def loss(model, batch):
    x, y = batch
    return 0.5 * jnp.sum((model(x) - y) ** 2)


def degrees(a, b):
    a, b = np.ravel(a), np.ravel(b)
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def layered(rule, widths=(5, 7, 6, 3)):
    rngs = nnx.Rngs(params=0, feedback=1)
    layers = []
    for n, m in itertools.pairwise(widths):
        layers += [bioflax.Linear(n, m, rule=rule, rngs=rngs), jnp.tanh]
    return nnx.Sequential(*layers[:-1])


def direct(mode="dfa"):
    rngs = nnx.Rngs(params=0, feedback=1)
    blocks = [[nnx.Linear(5, 7, rngs=rngs), jnp.tanh], [nnx.Linear(7, 6, rngs=rngs), jnp.tanh]]
    return bioflax.DirectFeedback(blocks, nnx.Linear(6, 3, rngs=rngs), mode=mode, rngs=rngs)


def by_hand(layers, b):
    """Deltas of every layer, the readout's last: the rule's, with ``b`` above each, and exact."""
    hs = [X]
    for layer in layers[:-1]:
        hs.append(np.tanh(hs[-1] @ np.asarray(layer.kernel[...]) + np.asarray(layer.bias[...])))
    e = hs[-1] @ np.asarray(layers[-1].kernel[...]) + np.asarray(layers[-1].bias[...]) - Y

    def back(above):
        deltas = [e]
        for h, matrix in zip(reversed(hs[1:]), reversed(above), strict=True):
            deltas.insert(0, (deltas[0] @ matrix.T) * (1 - h**2))
        return deltas

    exact = back([np.asarray(layer.kernel[...]) for layer in layers[1:]])
    if callable(b):
        return hs, [*(b(i, e) * (1 - h**2) for i, h in enumerate(hs[1:])), e], exact
    return hs, back(b), exact


def check(found, names, hs, ours, exact):
    for i, name in enumerate(names):
        angle = np.mean([degrees(a, b) for a, b in zip(ours[i], exact[i], strict=True)])
        ratio = np.linalg.norm(ours[i], axis=1) / np.linalg.norm(exact[i], axis=1)
        mine, theirs = hs[i].T @ ours[i], hs[i].T @ exact[i]
        last = i == len(names) - 1
        np.testing.assert_allclose(found.deltas[name], 0 if last else angle, rtol=1e-4, atol=0.05)
        np.testing.assert_allclose(found.delta_ratios[name], ratio.mean(), rtol=1e-4)
        np.testing.assert_allclose(
            found.gradients[name], 0 if last else degrees(mine, theirs), rtol=1e-4, atol=0.05
        )
        np.testing.assert_allclose(
            found.gradient_ratios[name], np.linalg.norm(mine) / np.linalg.norm(theirs), rtol=1e-4
        )


def test_the_angle_is_signed():
    a = jnp.array([1.0, 0.0], jnp.float32)
    for degrees_, b in ((0, [2.0, 0.0]), (90, [0.0, 3.0]), (135, [-1.0, 1.0]), (180, [-1.0, 0.0])):
        np.testing.assert_allclose(bioflax.angle(a, jnp.array(b, jnp.float32)), degrees_, atol=1e-4)
    assert np.isnan(bioflax.angle(a, jnp.zeros(2, jnp.float32)))


def test_vanishing_vectors_still_have_their_angle():
    a = jnp.array([1e-30, 0.0], jnp.float32)
    np.testing.assert_allclose(
        bioflax.angle(a, jnp.array([1e-30, 1e-30], jnp.float32)), 45, rtol=1e-5
    )


def test_the_angles_of_feedback_alignment_are_those_computed_by_hand():
    model = layered(bioflax.FeedbackAlignment())
    layers = model.layers[::2]
    b = [np.asarray(layer.feedback[...]) for layer in layers[1:]]
    found = bioflax.alignment(model, loss, BATCH)
    check(found, ["layers/0", "layers/2", "layers/4"], *by_hand(layers, b))
    for i, layer in zip((2, 4), layers[1:], strict=True):
        np.testing.assert_allclose(
            found.weights[f"layers/{i}"],
            degrees(layer.kernel[...], layer.feedback[...]),
            rtol=1e-4,
        )


def test_the_angles_of_direct_feedback_are_those_computed_by_hand():
    model = direct()
    layers = [block.layers[0] for block in model.blocks] + [model.readout]
    b = [np.asarray(v[...]) for v in model.feedback]
    found = bioflax.alignment(model, loss, BATCH)
    names = ["blocks/0/layers/0", "blocks/1/layers/0", "readout"]
    check(found, names, *by_hand(layers, lambda i, e: e @ b[i]))
    # The last block's feedback stands in the place of the readout's weights.
    np.testing.assert_allclose(
        found.weights["blocks/1"], degrees(b[1], np.asarray(model.readout.kernel[...]).T), rtol=1e-4
    )


@pytest.mark.parametrize(
    "model", [layered(bioflax.Backprop()), direct("bp")], ids=["layers", "direct"]
)
def test_backprop_is_aligned_with_itself(model):
    found = bioflax.alignment(model, loss, BATCH)
    for angles in (found.deltas, found.gradients):
        assert angles
        assert all(float(a) == 0 for a in angles.values())


def test_feedback_equal_to_the_weights_is_aligned():
    model = layered(bioflax.FeedbackAlignment())
    for layer in model.layers[::2]:
        layer.feedback[...] = layer.kernel[...]
    found = bioflax.alignment(model, loss, BATCH)
    assert all(float(a) == 0 for d in (found.weights, found.deltas) for a in d.values())


def test_feedback_opposite_to_the_weights_is_at_180_degrees_in_the_layer_below():
    model = layered(bioflax.FeedbackAlignment(), (5, 7, 3))
    model.layers[2].feedback[...] = -model.layers[2].kernel[...]
    found = bioflax.alignment(model, loss, BATCH)
    np.testing.assert_allclose(found.weights["layers/2"], 180, atol=0.1)
    np.testing.assert_allclose(found.deltas["layers/0"], 180, atol=0.1)


def test_more_than_ten_layers_keep_their_order():
    """A twin found by sorted names would pair layer 10 with layer 2."""
    model = layered(bioflax.FeedbackAlignment(), (*tuple(range(5, 17)), 3))
    for layer in model.layers[::2]:
        layer.feedback[...] = layer.kernel[...]
    found = bioflax.alignment(model, loss, BATCH)
    assert len(found.gradients) == 12
    assert all(float(a) == 0 for a in found.gradients.values())


@pytest.mark.parametrize("make", [lambda: layered(bioflax.FeedbackAlignment()), direct])
def test_measuring_under_jit_is_the_same_and_leaves_the_model_alone(make):
    model = make()
    before = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(model)))
    plain = bioflax.alignment(model, loss, BATCH)
    compiled = nnx.jit(lambda m, b: bioflax.alignment(m, loss, b))(model, BATCH)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=0.05), plain, compiled)
    after = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(model)))
    jax.tree.map(np.testing.assert_array_equal, before, after)


def test_both_passes_see_the_same_dropout():
    rngs = nnx.Rngs(params=0, feedback=1, dropout=2)
    model = nnx.Sequential(
        bioflax.Linear(5, 50, rngs=rngs),
        nnx.Dropout(0.5, rngs=rngs),
        bioflax.Linear(50, 3, rngs=rngs),
    )
    for i in (0, 2):
        model.layers[i].feedback[...] = model.layers[i].kernel[...]
    found = bioflax.alignment(model, loss, BATCH)
    assert float(found.deltas["layers/0"]) == 0


def test_the_layers_of_a_stack_have_an_angle_each():
    rngs = nnx.Rngs(params=0, feedback=1)

    def layer(rngs):
        return nnx.Sequential(bioflax.Linear(5, 5, rngs=rngs), jnp.tanh)

    model = nnx.Sequential(bioflax.Stack(layer, 4, rngs=rngs), bioflax.Linear(5, 3, rngs=rngs))
    found = bioflax.alignment(model, loss, BATCH)
    (name,) = found.deltas.keys() - {"layers/1"}
    assert found.deltas[name].shape == found.weights[name].shape == (4,)
    assert len(set(np.asarray(found.deltas[name]).tolist())) == 4

"""That alignments compare a rule with backpropagation at the same place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bioflax
from bioflax._direct.weights import matrices
from tests.bioflax.cases import RULES, Weights, normal, quick, streams, traceable
from tests.bioflax.nets import BATCH, FA, X, Y, aligned, loss, mlp, signals


def direct(mode="dfa", *, stacked=0, first=()):
    rngs = streams()

    def block(n_in, n_out, rngs, init=quick):
        return nnx.Sequential(nnx.Linear(n_in, n_out, kernel_init=init, rngs=rngs), jnp.tanh)

    def layer(rngs):
        return block(5, 5, rngs, nnx.initializers.lecun_normal())

    later = bioflax.Stack(layer, stacked, rngs=rngs) if stacked else block(5, 5, rngs)
    readout = nnx.Linear(5, 2, kernel_init=quick, rngs=rngs)
    blocks = [*first, block(4, 5, rngs), later]
    return bioflax.DirectFeedback(blocks, readout, mode=mode, feedback_init=traceable, rngs=rngs)


# Against vectors computed by hand ----------------------------------------------------------------


def by_hand(layers, above=None, signals=None):
    """Inputs and deltas of every layer: back through ``above`` (by default the weights), or from
    the ``signals`` at the hidden layers' outputs."""
    w = [np.asarray(layer.kernel[...], np.float64) for layer in layers]
    hs = [X]
    for weights in w[:-1]:
        hs.append(np.tanh(hs[-1] @ weights))
    e = hs[-1] @ w[-1] - Y
    deltas = [e]
    for i in reversed(range(len(w) - 1)):
        signal = deltas[0] @ (above or w)[i + 1].T if signals is None else signals[i]
        deltas.insert(0, signal * (1 - hs[i + 1] ** 2))
    return hs, deltas


def degrees_between(a, b):
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def norm_ratio(a, b):
    return np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def check(measured, paths, layers, **rule):
    hs, ours = by_hand(layers, **rule)
    _, exact = by_hand(layers)
    for path, layer, h, mine, theirs in zip(paths, layers, hs, ours, exact, strict=True):
        learned = h.T @ mine
        if isinstance(layer, bioflax.Linear):
            learned = Weights(layer).gradient(learned, h, mine)
        gradients = learned.ravel(), (h.T @ theirs).ravel()
        wanted = {
            "deltas": degrees_between(mine, theirs).mean(),
            "delta_ratios": norm_ratio(mine, theirs).mean(),
            "gradients": degrees_between(*gradients),
            "gradient_ratios": norm_ratio(*gradients),
        }
        for field, value in wanted.items():
            found = getattr(measured, field)[path]
            np.testing.assert_allclose(found, value, rtol=1e-3, atol=0.05, err_msg=field)


@pytest.mark.parametrize("name", RULES)
def test_the_angles_of_every_rule_are_those_computed_by_hand(name):
    model = mlp(RULES[name])
    layers = [model.layers[i] for i in (0, 2, 4)]
    b = [Weights(layer).b() for layer in layers]
    measured = aligned(model)
    paths = ["layers/0", "layers/2", "layers/4"]
    check(measured, paths, layers, above=b)
    assert list(measured.weights) == list(measured.weight_ratios)
    assert list(measured.weights) == ([] if name == "backprop" else paths)
    for path, layer, b_l in zip(measured.weights, layers, b, strict=False):
        w, b_l = np.asarray(layer.kernel[...]).ravel(), b_l.ravel()
        np.testing.assert_allclose(measured.weights[path], degrees_between(b_l, w), rtol=1e-3)
        np.testing.assert_allclose(measured.weight_ratios[path], norm_ratio(b_l, w), rtol=1e-3)
    found = signals(model)
    assert list(found) == paths
    for path, delta in zip(paths, by_hand(layers, above=b)[1], strict=True):
        np.testing.assert_allclose(found[path], delta, rtol=1e-4, atol=1e-5)


def towards(model, batch):
    """``loss`` for nets that may send the target back."""
    x, y = batch
    return jnp.sum((model(x, target=y) - y) ** 2) / 2


@pytest.mark.parametrize("mode", ["dfa", "ifa", "sdfa", "drtp", "dkp"])
def test_the_angles_of_every_direct_feedback_are_those_computed_by_hand(mode):
    model = direct(mode)
    layers = [*(block.layers[0] for block in model.blocks), model.readout]
    b = [np.asarray(b_l[...], np.float64) for b_l in model.feedback]
    hs, (*_, e) = by_hand(layers)
    sent = {"sdfa": np.sign(e), "drtp": Y}.get(mode, e)
    received = [sent @ b_l for b_l in b]
    if mode == "ifa":
        received[1] = (received[0] * (1 - hs[1] ** 2)) @ np.asarray(layers[1].kernel[...])
    measured = aligned(model, towards)
    paths = ["blocks/0/layers/0", "blocks/1/layers/0", "readout"]
    check(measured, paths, layers, signals=received)
    # The last block's feedback stands in the place of the readout's weights.
    wanted = degrees_between(b[1].ravel(), np.asarray(model.readout.kernel[...]).T.ravel())
    if mode == "ifa":
        assert list(measured.weights) == ["blocks/0"]
    else:
        np.testing.assert_allclose(measured.weights["blocks/1"], wanted, rtol=1e-3)


@pytest.mark.parametrize("make", [lambda: mlp(bioflax.Backprop()), lambda: direct("bp")])
def test_backpropagation_is_aligned_with_itself(make):
    measured = aligned(make())
    assert measured.weights == {}
    for angles in (measured.deltas, measured.gradients):
        np.testing.assert_array_equal(list(angles.values()), np.zeros(3))
    np.testing.assert_array_equal(list(measured.delta_ratios.values()), np.ones(3))


def test_a_rule_that_sends_errors_the_wrong_way_has_an_angle_beyond_ninety_degrees():
    model = mlp(FA, widths=(4, 5, 2))
    model.layers[2].feedback[...] = -model.layers[2].kernel[...]
    measured = aligned(model)
    np.testing.assert_allclose(measured.deltas["layers/0"], 180, atol=1e-3)
    np.testing.assert_allclose(measured.weights["layers/2"], 180, atol=1e-3)
    np.testing.assert_allclose(measured.delta_ratios["layers/0"], 1, rtol=1e-5)


# What it is measured on --------------------------------------------------------------------------


def test_layers_keep_their_places_in_nets_of_more_than_ten():
    """A twin found by sorted names would pair layer 10 with layer 2."""
    model = mlp(FA, widths=(4, *[3] * 11, 2))
    measured = aligned(model)
    assert set(measured.deltas) == {f"layers/{i}" for i in range(0, 24, 2)}
    for path, found in measured.weights.items():
        layer = model.layers[int(path.split("/")[1])]
        b, w = (np.asarray(v[...]).ravel() for v in (layer.feedback, layer.kernel))
        np.testing.assert_allclose(found, degrees_between(b, w), rtol=1e-3)


def test_the_model_is_left_as_it_is_and_both_passes_see_the_same_masks():
    rngs = streams()
    parts = [bioflax.Linear(4, 5, rule=FA, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)]
    model = nnx.Sequential(*parts, bioflax.Linear(5, 2, rule=bioflax.Backprop(), rngs=rngs))
    before = jax.tree.map(np.array, nnx.to_pure_dict(nnx.state(model, nnx.Not(nnx.RngKey))))
    kinds = [type(part) for part in model.layers]
    measured = bioflax.alignment(model, loss, BATCH)
    after = nnx.to_pure_dict(nnx.state(model, nnx.Not(nnx.RngKey)))
    jax.tree.map(np.testing.assert_array_equal, before, after)
    assert [type(part) for part in model.layers] == kinds
    np.testing.assert_array_equal(measured.deltas["layers/0"], 0)


@pytest.mark.parametrize("make", [lambda: mlp(FA), direct], ids=["layers", "direct"])
def test_it_compiles_and_gives_what_it_gives_uncompiled(make):
    model = make()
    plain = bioflax.alignment(model, loss, BATCH)
    jitted = nnx.jit(bioflax.alignment, static_argnums=1)(model, loss, BATCH)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3), plain, jitted)


def test_it_costs_two_gradients():
    graph, params, rest = nnx.split(mlp(FA, widths=(4, 64, 64, 2)), nnx.Param, ...)
    batch = [jnp.tile(a, (20, 1)) for a in BATCH]

    def flops(f):
        def call(params):
            return f(nnx.merge(graph, params, rest, copy=True))

        return jax.jit(call).lower(params).compile().cost_analysis()["flops"]

    def gradient(model):
        return nnx.grad(loss)(model, batch)

    assert flops(lambda model: bioflax.alignment(model, loss, batch)) < 2.2 * flops(gradient)


def test_examples_without_an_error_have_no_angle_and_are_left_out():
    rngs = streams()
    parts = [bioflax.Linear(1, 1, rule=FA, use_bias=False, rngs=rngs), nnx.relu]
    model = nnx.Sequential(*parts, bioflax.Linear(1, 1, rule=FA, rngs=rngs))
    model.layers[0].kernel[...] = jnp.ones((1, 1), jnp.float32)
    x = jnp.asarray([[1.0], [-1.0]], jnp.float32)  # the unit is silent for the second
    measured = aligned(model, loss, (x, x + 1))
    assert measured.deltas["layers/0"] in (0.0, 180.0)
    silent = aligned(model, loss, (x[1:], x[1:]))
    assert jnp.isnan(silent.deltas["layers/0"])


def test_a_plain_flax_model_can_be_measured_too():
    rngs = streams()
    model = nnx.Sequential(nnx.Linear(4, 3, rngs=rngs), jnp.tanh, nnx.Linear(3, 2, rngs=rngs))
    assert [float(a) for a in aligned(model).deltas.values()] == [0.0, 0.0]


def test_batch_wise_random_feedback_does_not_advance_the_stream_of_the_model():
    model = mlp(bioflax.SignSymmetry(magnitude="batch"), widths=(4, 2))
    bioflax.alignment(model, loss, BATCH)
    assert model.layers[0].feedback[1].count[...] == 0


# Direct feedback and stacks ----------------------------------------------------------------------


@pytest.mark.parametrize("stored", [True, False])
def test_direct_feedback_is_compared_with_the_mean_jacobian_of_the_output(stored):
    # No feedback is stored where the input is not known.
    model = direct() if stored else direct(first=[jnp.sin])
    assert (model.feedback is None) != stored
    measured = aligned(model)
    h1 = model.blocks[0](BATCH[0])
    h2 = model.blocks[1](h1)
    later = [lambda h: model.readout(model.blocks[1](h)), model.readout]
    b = matrices(model, jax.ShapeDtypeStruct((6, 2), jnp.float32), [h1, h2])
    for i, h in enumerate([h1, h2]):
        jacobian = np.asarray(jax.vmap(jax.jacobian(later[i]))(h).mean(0)).ravel()
        b_i = np.asarray(b[i]).ravel()
        path = f"blocks/{i}"
        np.testing.assert_allclose(
            measured.weights[path], degrees_between(b_i, jacobian), rtol=1e-3
        )
        np.testing.assert_allclose(
            measured.weight_ratios[path], norm_ratio(b_i, jacobian), rtol=1e-3
        )


def test_the_layers_of_a_stack_have_an_angle_each():
    model = direct(stacked=3)
    measured = aligned(model)
    graph, state = nnx.split(model.blocks[1].layers)
    layers = [nnx.merge(graph, jax.tree.map(lambda a, i=i: a[i], state)) for i in range(3)]
    single = bioflax.DirectFeedback([model.blocks[0], *layers], model.readout, rngs=streams())
    single.feedback[0][...] = model.feedback[0][...]
    for i in range(3):
        single.feedback[i + 1][...] = model.feedback[1][i]
    wanted = aligned(single)
    for field in ("deltas", "gradients", "delta_ratios", "gradient_ratios"):
        found = getattr(measured, field)["blocks/1/layers/layers/0"]
        each = [getattr(wanted, field)[f"blocks/{i}/layers/0"] for i in (1, 2, 3)]
        np.testing.assert_allclose(found, each, rtol=1e-3)
    for field in ("weights", "weight_ratios"):
        each = [getattr(wanted, field)[f"blocks/{i}"] for i in (1, 2, 3)]
        np.testing.assert_allclose(getattr(measured, field)["blocks/1"], each, rtol=1e-3)


def test_the_steps_of_a_sequence_count_as_examples_in_the_mean_jacobian():
    model = direct(stacked=2)
    apart, steps = aligned(model), aligned(model, batch=[a.reshape(2, 3, -1) for a in BATCH])
    for field in ("weights", "weight_ratios"):
        found, wanted = getattr(steps, field), getattr(apart, field)
        assert list(found) == list(wanted) == ["blocks/0", "blocks/1"]
        for path in wanted:
            np.testing.assert_allclose(found[path], wanted[path], rtol=1e-4)


@pytest.mark.parametrize(
    "rule", [bioflax.FeedbackAlignment(), bioflax.SignSymmetry(magnitude="batch")]
)
def test_a_stack_under_a_layered_rule_has_an_angle_between_weights_for_each_layer(rule):
    model = bioflax.Stack(
        lambda rngs: bioflax.Linear(4, 4, rule=rule, use_bias=False, rngs=rngs), 3, rngs=streams()
    )
    measured = aligned(model, lambda model, batch: jnp.sum(model(batch[0])))
    assert measured.weights["layers"].shape == (3,)
    assert len(set(np.asarray(measured.weights["layers"]).tolist())) == 3


def test_one_signal_for_all_positions_is_compared_with_the_jacobian_summed_over_them():
    rngs = streams()
    model = bioflax.DirectFeedback(
        [nnx.Linear(4, 5, rngs=rngs)],
        nnx.Sequential(lambda h: h.mean(-2), nnx.Linear(5, 2, rngs=rngs)),
        example=jnp.ones((2, 3, 4), jnp.float32),
        broadcast=True,
        rngs=rngs,
    )
    x = jnp.asarray(normal((2, 3, 4)), jnp.float32)
    measured = aligned(model, lambda model, x: jnp.sum(model(x)), x)
    w = np.asarray(model.readout.layers[1].kernel[...]).T
    wanted = degrees_between(np.asarray(model.feedback[0][...]).ravel(), w.ravel())
    np.testing.assert_allclose(measured.weights["blocks/0"], wanted, rtol=1e-3)


def test_ratios_of_vanishing_errors_are_those_of_large_ones():
    model = mlp(FA)

    def faint(model, batch):
        return 1e-20 * loss(model, batch)

    one, other = aligned(model), aligned(model, faint)
    for name in ("delta_ratios", "gradient_ratios"):
        for path, ratio in getattr(one, name).items():
            np.testing.assert_allclose(getattr(other, name)[path], ratio, rtol=1e-4)


def test_a_single_example_has_the_angle_of_a_batch_of_one():
    model, (x, y) = mlp(FA), BATCH
    one, batch = (aligned(model, batch=(a, b)) for a, b in ((x[0], y[0]), (x[:1], y[:1])))
    for path, degrees in batch.deltas.items():
        np.testing.assert_allclose(one.deltas[path], degrees, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(one.delta_ratios[path], batch.delta_ratios[path], rtol=1e-4)


def test_layers_that_share_a_kernel_share_its_gradient_and_have_signals_of_their_own():
    model = mlp(FA, (4, 4, 4, 2))
    model.layers[2].kernel = model.layers[0].kernel
    found = aligned(model)
    assert found.gradients["layers/0"] == found.gradients["layers/2"]
    deltas = signals(model)
    assert set(deltas) == {"layers/0", "layers/2", "layers/4"}
    assert (deltas["layers/0"] != deltas["layers/2"]).any()


def test_complex_arrays_have_the_angle_of_their_real_and_imaginary_parts():
    a = jnp.asarray([1 + 0j, 2.0])
    for b, degrees in ((a, 0), (1j * a, 90), (-a, 180)):
        found = bioflax.angle(a, b)
        assert not jnp.iscomplexobj(found)
        np.testing.assert_allclose(found, degrees, atol=1e-4)
    layer = {"dtype": jnp.complex128, "param_dtype": jnp.complex128}
    rngs = nnx.Rngs(params=0, feedback=1)

    def init(key, shape, dtype):
        one, two = jax.random.split(key)
        return jax.lax.complex(jax.random.normal(one, shape), jax.random.normal(two, shape)).astype(
            dtype
        )

    rule = bioflax.FeedbackAlignment(init)
    model = nnx.Sequential(
        bioflax.Linear(3, 4, kernel_init=init, rule=rule, rngs=rngs, **layer),
        bioflax.Linear(4, 2, kernel_init=init, rule=rule, rngs=rngs, **layer),
    )
    measured = bioflax.alignment(
        model, lambda m, x: jnp.sum(jnp.abs(m(x)) ** 2), jnp.ones((5, 3), jnp.complex128)
    )
    assert float(measured.deltas["layers/1"]) < 1e-3
    assert 1 < float(measured.deltas["layers/0"]) < 179


def test_marks_have_the_weights_that_the_same_blocks_have():
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.first = nnx.Linear(4, 5, kernel_init=quick, rngs=rngs)
            self.second = nnx.Linear(5, 5, kernel_init=quick, rngs=rngs)
            self.readout = nnx.Linear(5, 2, kernel_init=quick, rngs=rngs)

        def __call__(self, x):
            h = bioflax.direct(jnp.tanh(self.first(x)))
            return self.readout(bioflax.direct(jnp.tanh(self.second(h))))

    rngs, way = streams(), bioflax.DirectFeedbackAlignment()
    net = bioflax.convert(Net(rngs), way, example=BATCH[0], rngs=rngs)
    parts = net.model
    blocks = [[parts.first, jnp.tanh], [parts.second, jnp.tanh]]
    same = bioflax.DirectFeedback(blocks, parts.readout, rngs=rngs)
    for mine, theirs in zip(same.feedback, net.feedback, strict=True):
        mine[...] = theirs[...]
    marks, blocks = aligned(net), aligned(same)
    assert {"marks/0", "marks/1"} <= marks.weights.keys()
    for field in "weights", "weight_ratios":
        for i in range(2):
            found, expected = (
                getattr(a, field)[f"{kind}/{i}"]
                for a, kind in ((marks, "marks"), (blocks, "blocks"))
            )
            assert found == pytest.approx(float(expected), rel=1e-4)

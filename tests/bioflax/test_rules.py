"""What each rule promises: its identities, its laws, and what no optimiser may touch."""

import dataclasses
import inspect
import pickle
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.test_util import check_grads

import bioflax
from tests.bioflax.cases import LAYERS, RULES, normal, streams

FIXED = ["feedback_alignment", "sign_symmetry_uniform", "sign_symmetry_fixed", "weight_mirror"]


def gradient(layer, x):
    graph, params, rest = nnx.split(layer, nnx.Param, ...)

    def loss(params, x):
        y = nnx.merge(graph, params, rest)(x)
        return jnp.sum(y * jnp.asarray(normal(y.shape), y.dtype))

    return jax.grad(loss, argnums=(0, 1))(params, x)


@pytest.mark.parametrize("layer", ["linear", "conv_strided", "conv_transpose", "einsum"])
def test_feedback_alignment_with_the_forward_weights_is_backpropagation_to_the_last_bit(layer):
    case = LAYERS[layer]
    aligned = case.make(rule=bioflax.FeedbackAlignment(), rngs=streams())
    aligned.feedback[...] = aligned.kernel[...]
    exact = case.make(rule=bioflax.Backprop(), rngs=streams())
    x = jnp.asarray(normal(case.shape))
    for ours, theirs in zip(
        jax.tree.leaves(gradient(aligned, x)), jax.tree.leaves(gradient(exact, x)), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", RULES)
def test_the_forward_pass_and_the_forward_weights_are_those_of_flax(name):
    ours = bioflax.Linear(4, 3, rule=RULES[name], rngs=nnx.Rngs(params=0, feedback=1))
    flax = nnx.Linear(4, 3, rngs=nnx.Rngs(params=0))
    x = jnp.asarray(normal((2, 4), np.float32))
    np.testing.assert_array_equal(ours.kernel[...], flax.kernel[...])
    np.testing.assert_array_equal(ours(x), flax(x))


def test_without_a_stream_for_feedback_the_default_stream_is_used_after_the_weights():
    ours, flax = bioflax.Linear(4, 3, rngs=nnx.Rngs(0)), nnx.Linear(4, 3, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(ours.kernel[...], flax.kernel[...])
    assert not np.array_equal(ours.feedback[...], ours.kernel[...])


@pytest.mark.parametrize("rule", [bioflax.FeedbackAlignment, bioflax.KolenPollack])
def test_feedback_comes_from_the_given_initializer(rule):
    init = nnx.initializers.constant(0.25)
    layer = bioflax.Conv(2, 3, (3, 3), rule=rule(feedback_init=init), rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(layer.feedback[...], np.full((3, 3, 2, 3), 0.25))
    assert isinstance(layer.feedback, nnx.Param) == (rule is bioflax.KolenPollack)
    assert bioflax.Linear(2, 3, rule=bioflax.Backprop(), rngs=nnx.Rngs(0)).feedback is None


def test_by_default_feedback_is_drawn_as_the_kernel_is():
    spread = bioflax.Linear(400, 100, rngs=nnx.Rngs(0)).feedback[...].std()
    np.testing.assert_allclose(spread, 1 / np.sqrt(400), rtol=0.02)
    general = bioflax.LinearGeneral((20, 20), (10, 10), axis=(-2, -1), rngs=nnx.Rngs(0))
    np.testing.assert_allclose(general.feedback[...].std(), 1 / np.sqrt(400), rtol=0.02)
    table = bioflax.Embed(100, 400, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(table.feedback[...].std(), 1 / np.sqrt(400), rtol=0.02)


@pytest.mark.parametrize("rule", [bioflax.FeedbackAlignment, "feedback_alignment", None])
@pytest.mark.parametrize("make", [bioflax.Linear, bioflax.SimpleCell])
def test_what_is_not_a_rule_is_refused_and_the_valid_ones_are_named(rule, make):
    with pytest.raises(
        TypeError, match=r"is not a rule; valid: Backprop\(\), Conditioned\(\), Feedback"
    ):
        make(4, 3, rule=rule, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("method", ["feedback", "weights"])
def test_a_rule_that_does_not_say_what_one_of_the_two_methods_says_cannot_be_made(method):
    half = type("Half", (bioflax.Rule,), {method: lambda *_: None})
    with pytest.raises(TypeError, match="abstract class Half"):
        half()


def test_rules_are_equal_by_value_and_hashable():
    assert bioflax.KolenPollack() == bioflax.KolenPollack() != bioflax.FeedbackAlignment()
    assert len({bioflax.SignSymmetry(), bioflax.SignSymmetry(), bioflax.WeightMirror()}) == 2
    assert (
        repr(bioflax.WeightMirror(rate=0.5)) == "WeightMirror(rate=0.5, samples=64, form='paper')"
    )


@dataclasses.dataclass(frozen=True)
class Interpolation(bioflax.Rule):
    """A user's own rule: between feedback alignment (0) and backpropagation (1)."""

    mix: float

    def feedback(self, layer, rngs):
        return RULES["feedback_alignment"].feedback(layer, rngs)

    def weights(self, layer, kernel):
        return self.mix * kernel + (1 - self.mix) * layer.feedback[...]


@pytest.mark.parametrize("layer", ["linear", "conv_strided"])
def test_a_rule_of_ones_own_may_lie_between_feedback_alignment_and_backpropagation(layer):
    case = LAYERS[layer]
    x = jnp.asarray(normal(case.shape))

    def leaves(rule):
        return jax.tree.leaves(gradient(case.make(rule=rule, rngs=streams()), x))

    aligned, exact = leaves(RULES["feedback_alignment"]), leaves(bioflax.Backprop())
    assert not np.allclose(aligned[-1], exact[-1])  # dx, which alone tells the rules apart
    for mix in (0.0, 0.25, 1.0):
        for a, b, c in zip(leaves(Interpolation(mix)), aligned, exact, strict=True):
            np.testing.assert_allclose(a, (1 - mix) * b + mix * c, rtol=1e-12)


@pytest.mark.parametrize(
    "rule", [*dict.fromkeys(map(type, RULES.values())), bioflax.DirectFeedback]
)
def test_every_rule_states_its_equation_and_whom_to_cite(rule):
    text = inspect.getdoc(rule)
    assert re.search(r"Backward ``dx = |block ``l`` receives", text)
    sources = text.partition("Reference:")[2]
    entries = re.findall(r"@\w+\{\w+,\n\s+title=.*?year=\{\d{4}\}\}", sources, re.DOTALL)
    assert entries
    assert all(entry.count("{") == entry.count("}") for entry in entries)


def test_backprop_passes_a_check_by_finite_differences():
    layer = LAYERS["linear"].make(rule=bioflax.Backprop(), rngs=streams())
    check_grads(
        lambda x: jnp.tanh(layer(x)), (jnp.asarray(normal((2, 3, 4))),), order=1, modes=["rev"]
    )


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize(
    "optimizer",
    [
        optax.adamw(0.1, weight_decay=0.5),
        optax.chain(
            optax.clip_by_global_norm(1e-3), optax.add_decayed_weights(0.1), optax.sgd(0.1)
        ),
    ],
    ids=["adamw", "clipped_decayed_sgd"],
)
def test_no_optimiser_touches_fixed_feedback(name, optimizer):
    model = bioflax.Linear(4, 3, rule=RULES[name], rngs=streams())
    before = np.array(model.feedback[...])
    weights = np.array(model.kernel[...])
    optimiser = nnx.Optimizer(model, optimizer, wrt=nnx.Param)
    grads = nnx.grad(lambda m: jnp.sum(m(jnp.ones((2, 4), jnp.float32)) ** 2))(model)
    with jax.numpy_dtype_promotion("standard"):  # optax needs it
        optimiser.update(model, grads)
    np.testing.assert_array_equal(model.feedback[...], before)
    assert not np.array_equal(model.kernel[...], weights)


@pytest.mark.parametrize("name", FIXED)
def test_fixed_feedback_is_in_no_parameter_count_no_norm_and_no_optimiser_state(name):
    model = bioflax.Linear(4, 3, rule=RULES[name], rngs=streams())
    plain = bioflax.Linear(4, 3, rule=bioflax.Backprop(), rngs=streams())
    params, exact = nnx.state(model, nnx.Param), nnx.state(plain, nnx.Param)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, exact)
    assert optax.tree.norm(params) == optax.tree.norm(exact)
    moments = optax.adam(0.1).init(params)
    assert sum(leaf.size for leaf in jax.tree.leaves(moments)) == 1 + 2 * (4 * 3 + 3)


@pytest.mark.parametrize("name", FIXED)
def test_fixed_feedback_receives_no_gradient_even_when_asked_for_one(name):
    model = bioflax.Linear(4, 3, rule=RULES[name], rngs=streams())
    wrt = nnx.DiffState(0, bioflax.Feedback)
    x = jnp.ones((2, 4), jnp.float32)
    (gradient,) = jax.tree.leaves(nnx.grad(lambda m: jnp.sum(m(x) ** 2), argnums=wrt)(model))
    np.testing.assert_array_equal(gradient, np.zeros((4, 3)))


# Kolen-Pollack -----------------------------------------------------------------------------------

STEPS, RATE, DECAY = 10_000, 0.05, 0.004
KP = bioflax.KolenPollack()


def gaps(optimizer, steps=STEPS, rule=KP):
    """``W - B`` of both layers of a small net over training, ``(steps + 1, n_in, n_out)`` each.

    Of product feedback ``W S - R``.
    """
    rngs = streams()
    kind = {"rule": rule, "rngs": rngs, "param_dtype": jnp.float64}
    net = nnx.Sequential(bioflax.Linear(3, 5, **kind), jnp.tanh, bioflax.Linear(5, 2, **kind))
    graph, params, rest = nnx.split(net, nnx.Param, ...)
    x, y = jnp.asarray(normal((16, 3))), jnp.asarray(normal((16, 2), seed=1))

    def gap(params):
        found = []
        for layer in (nnx.merge(graph, params, rest).layers[i] for i in (0, 2)):
            w, b = layer.kernel[...], layer.feedback
            product = isinstance(rule, bioflax.ProductFeedback)
            found.append(w @ b[1][...] - b[0][...] if product else w - b[...])
        return found

    def step(carry, _):
        params, state = carry

        def loss(params):
            return jnp.mean((nnx.merge(graph, params, rest)(x) - y) ** 2)

        gradient = jax.grad(loss)(params)
        with jax.numpy_dtype_promotion("standard"):  # optax needs it
            updates, state = optimizer.update(gradient, state, params)
            params = optax.apply_updates(params, updates)
        return (params, state), gap(params)

    run = jax.jit(lambda c: jax.lax.scan(step, c, None, length=steps)[1])
    first = gap(params)
    later = run((params, optimizer.init(params)))
    return [np.concatenate([a[None], b]) for a, b in zip(first, later, strict=True)]


def departure(found, factors):
    """How far a gap is from ``factors[t]`` times its start, relative to its start."""
    law = np.asarray(factors).reshape(-1, 1, 1) * found[0]
    return np.linalg.norm(found - law, axis=(1, 2)).max() / np.linalg.norm(found[0])


KEEPING = {
    "sgd": optax.chain(optax.add_decayed_weights(DECAY / RATE), optax.sgd(RATE)),
    "adamw": optax.adamw(RATE, weight_decay=DECAY / RATE),
    "sgd_with_momentum_and_decoupled_decay": optax.chain(
        optax.trace(0.9), optax.add_decayed_weights(DECAY / RATE), optax.scale(-RATE)
    ),
    "sgd_clipped_by_the_global_norm": optax.chain(
        optax.clip_by_global_norm(0.1), optax.add_decayed_weights(DECAY / RATE), optax.sgd(RATE)
    ),
}


@pytest.mark.parametrize("name", KEEPING)
def test_kolen_pollack_shrinks_the_gap_by_the_decay_in_every_step(name):
    for gap in gaps(KEEPING[name]):
        assert departure(gap, (1 - DECAY) ** np.arange(STEPS + 1)) < 1e-10


def test_kolen_pollack_with_momentum_follows_the_recursion_of_a_decaying_spring():
    # Decay before the momentum: v <- mu v + decay D, D <- D - v, the two-by-two law of the gap.
    mu, (velocity, gap, factors) = 0.9, (0.0, 1.0, [1.0])
    for _ in range(STEPS):
        velocity = mu * velocity + DECAY * gap
        gap -= velocity
        factors.append(gap)
    optimizer = optax.chain(optax.add_decayed_weights(DECAY / RATE), optax.sgd(RATE, momentum=mu))
    for gap in gaps(optimizer):
        assert departure(gap, factors) < 1e-10
    assert abs(factors[-1]) < 1e-10


def test_kolen_pollack_without_decay_keeps_the_gap():
    for gap in gaps(optax.adam(RATE)):
        assert departure(gap, np.ones(STEPS + 1)) < 1e-10


BREAKING = {
    "decay_added_to_the_gradient_of_an_adaptive_optimiser": optax.chain(
        optax.add_decayed_weights(DECAY / RATE), optax.adam(RATE)
    ),
    "decay_after_the_sign_flip": optax.chain(optax.sgd(RATE), optax.add_decayed_weights(DECAY)),
    "decay_of_the_forward_weights_alone": optax.chain(
        optax.add_decayed_weights(
            DECAY / RATE,
            mask=lambda params: jax.tree.map_with_path(
                lambda path, _: "feedback" not in jax.tree_util.keystr(path), params
            ),
        ),
        optax.sgd(RATE),
    ),
}


@pytest.mark.parametrize("name", BREAKING)
def test_the_law_of_kolen_pollack_breaks_where_its_conditions_do(name):
    steps = 500
    for gap in gaps(BREAKING[name], steps):
        assert departure(gap, (1 - DECAY) ** np.arange(steps + 1)) > 0.01


def test_decay_after_the_sign_flip_makes_the_gap_grow():
    for gap in gaps(BREAKING["decay_after_the_sign_flip"], 500):
        assert departure(gap, (1 + DECAY) ** np.arange(501)) < 1e-10


# Product feedback --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sgd", "sgd_with_momentum_and_decoupled_decay"])
def test_the_learned_factor_comes_to_the_product_of_the_kernel_and_the_fixed_one(name):
    rule = bioflax.ProductFeedback(ratio=3)
    for gap in gaps(KEEPING[name], 2000, rule):
        assert departure(gap, (1 - DECAY) ** np.arange(2001)) < 1e-10


def test_an_optimiser_that_scales_each_step_breaks_the_law_of_product_feedback():
    for gap in gaps(KEEPING["adamw"], 500, bioflax.ProductFeedback(ratio=3)):
        assert departure(gap, (1 - DECAY) ** np.arange(501)) > 0.01


def identity(key, shape, dtype):
    del key
    return jnp.eye(*shape, dtype=dtype)


def test_product_feedback_with_one_for_its_fixed_factor_is_kolen_pollack():
    case, x = LAYERS["linear"], jnp.asarray(normal(LAYERS["linear"].shape))
    rules = (bioflax.ProductFeedback(ratio=1, fixed_init=identity), bioflax.KolenPollack())
    ours, theirs = (
        jax.tree.leaves(gradient(case.make(rule=rule, rngs=streams()), x)) for rule in rules
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize(("ratio", "degrees"), [(1, 45.0), (10, 17.55)])
def test_the_product_ends_at_an_angle_to_the_kernel_that_the_ratio_sets(ratio, degrees):
    rule = bioflax.ProductFeedback(ratio=ratio)
    layer = bioflax.Linear(300, 200, rule=rule, rngs=streams())
    learned, fixed = layer.feedback
    learned[...] = layer.kernel[...] @ fixed[...]  # where the law takes it
    product = layer.dot_general._weights(layer.kernel[...])
    assert bioflax.angle(product, layer.kernel[...]) == pytest.approx(degrees, abs=1)
    orthogonal = nnx.initializers.orthogonal()
    layer = bioflax.Linear(
        30, 20, rule=dataclasses.replace(rule, fixed_init=orthogonal), rngs=streams()
    )
    learned, fixed = layer.feedback
    learned[...] = layer.kernel[...] @ fixed[...]
    product = layer.dot_general._weights(layer.kernel[...])
    np.testing.assert_allclose(product, layer.kernel[...], atol=1e-6)


def test_of_product_feedback_one_factor_is_a_parameter_and_the_other_is_not():
    layer = bioflax.Conv(2, 3, (3, 3), rule=bioflax.ProductFeedback(ratio=4), rngs=nnx.Rngs(0))
    learned, fixed = layer.feedback
    assert (learned.shape, fixed.shape) == ((3, 3, 2, 12), (3, 12))
    assert isinstance(learned, nnx.Param)
    assert not isinstance(fixed, nnx.Param)
    with pytest.raises(ValueError, match="ratio=0 of product feedback must be at least 1"):
        bioflax.ProductFeedback(ratio=0)


# Conditioning ------------------------------------------------------------------------------------


def dense_gradients(rule, factor=1.0):
    """Of the kernel and of the input of one layer, for an error times ``factor``."""
    layer = LAYERS["linear"].make(rule=rule, rngs=streams())
    graph, params, rest = nnx.split(layer, nnx.Param, ...)
    x = jnp.asarray(normal(LAYERS["linear"].shape))
    error = factor * jnp.asarray(normal((2, 3, 4), seed=1))

    def loss(params, x):
        return jnp.sum(nnx.merge(graph, params, rest)(x) * error)

    params, dx = jax.grad(loss, argnums=(0, 1))(params, x)
    return np.array(params["kernel"][...]), np.array(dx)


def test_conditioning_keeps_the_norm_and_the_error_that_goes_down():
    raw, dx = dense_gradients(bioflax.FeedbackAlignment())
    for dampings in ({"activity": 0.1}, {"activity": None, "error": 0.1}, {"error": 0.1}):
        rule = bioflax.Conditioned(bioflax.FeedbackAlignment(), **dampings)
        changed, same = dense_gradients(rule)
        np.testing.assert_allclose(np.linalg.norm(changed), np.linalg.norm(raw), rtol=1e-12)
        np.testing.assert_array_equal(same, dx)
        assert bioflax.angle(jnp.asarray(changed), jnp.asarray(raw)) > 10


def test_conditioning_with_a_damping_beyond_the_moments_changes_nothing():
    raw, _ = dense_gradients(bioflax.Backprop())
    changed, _ = dense_gradients(bioflax.Conditioned(activity=1e5, error=1e5))
    np.testing.assert_allclose(changed, raw, atol=1e-3)


def test_conditioning_knows_whether_the_loss_is_a_mean_or_a_sum():
    def of(loss, factor):
        rule = bioflax.Conditioned(activity=0.1, error=0.3, match_norm=False, loss=loss)
        return dense_gradients(rule, factor)[0]

    # The errors of a mean over 6 rows are a sixth of those of the sum, and so is the gradient.
    np.testing.assert_allclose(6 * of("mean", 1 / 6), of("sum", 1.0), rtol=1e-12)
    assert not np.allclose(of("mean", 1.0), of("sum", 1.0), rtol=0.1)


def test_what_learns_as_the_kernel_does_receives_the_conditioned_gradient():
    rule = bioflax.Conditioned(bioflax.KolenPollack(), activity=0.1)
    for gap in gaps(KEEPING["sgd"], 500, rule):
        assert departure(gap, (1 - DECAY) ** np.arange(501)) < 1e-10


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"activity": None}, "needs activity= or error="),
        ({"activity": 0.0}, "activity=0.0 of conditioning must be above 0"),
        ({"error": -1.0}, "error=-1.0 of conditioning must be above 0"),
        ({"loss": "max"}, "loss='max' of conditioning must be 'mean' or 'sum'"),
    ],
)
def test_conditioning_out_of_range_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        bioflax.Conditioned(**options)


def test_conditioning_of_what_is_no_real_dense_layer_is_refused():
    rule = bioflax.Conditioned()
    for make in (
        lambda: bioflax.Conv(2, 3, (3, 3), rule=rule, rngs=nnx.Rngs(0)),
        lambda: bioflax.Embed(2, 3, rule=rule, rngs=nnx.Rngs(0)),
        lambda: bioflax.Linear(2, 3, rule=rule, param_dtype=jnp.complex64, rngs=nnx.Rngs(0)),
    ):
        with pytest.raises(ValueError, match="conditioning is of real dense layers, not of a"):
            make()
    product = bioflax.Einsum("bi,oi->bo", (3, 2), rule=rule, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="conditioning is of dense layers, not of a kernel"):
        jax.grad(lambda x: product(x).sum())(jnp.ones((4, 2), jnp.float32))


# Sign symmetry -----------------------------------------------------------------------------------


@pytest.mark.parametrize("magnitude", ["uniform", "batch", "fixed"])
def test_sign_symmetric_feedback_has_the_signs_of_the_weights_and_its_own_sizes(magnitude):
    layer = bioflax.Linear(40, 30, rule=bioflax.SignSymmetry(magnitude=magnitude), rngs=nnx.Rngs(0))
    layer.kernel[0, 0] = 0.0
    first, second = (np.array(layer.dot_general._weights(layer.kernel[...])) for _ in range(2))
    np.testing.assert_array_equal(np.sign(first), np.sign(layer.kernel[...]))
    sizes = np.abs(first)[np.asarray(layer.kernel[...]) != 0]
    np.testing.assert_allclose(np.sqrt(np.mean(sizes**2)), 1 / np.sqrt(40), rtol=0.1)
    assert (np.ptp(sizes) == 0) == (magnitude == "uniform")
    assert np.array_equal(first, second) == (magnitude != "batch")


def test_batch_wise_sizes_are_one_draw_of_which_every_weight_meets_every_size_alike():
    layer = bioflax.Linear(3, 4, rule=bioflax.SignSymmetry(magnitude="batch"), rngs=nnx.Rngs(0))
    weights = nnx.jit(lambda layer: jnp.abs(layer.dot_general._weights(layer.kernel[...])))
    calls = np.stack([np.asarray(weights(layer)).ravel() for _ in range(1200)])
    drawn = np.sort(np.asarray(layer.feedback[0][...]).ravel())
    np.testing.assert_array_equal(np.sort(calls, 1), np.tile(drawn, (1200, 1)))
    for size in drawn:  # 100 times each, +- 5 standard deviations
        met = (calls == size).sum(0)
        assert met.min() > 50
        assert met.max() < 150


def test_batch_wise_sizes_are_dealt_anew_in_every_step_and_under_jit():
    model = bioflax.Linear(3, 2, rule=bioflax.SignSymmetry(magnitude="batch"), rngs=nnx.Rngs(0))

    @nnx.jit
    def error_at_the_input(model, x):
        return nnx.grad(lambda model, x: jnp.sum(model(x)), argnums=1)(model, x)

    x = jnp.ones((1, 3), jnp.float32)
    assert not np.array_equal(error_at_the_input(model, x), error_at_the_input(model, x))


def test_an_unknown_magnitude_is_refused():
    with pytest.raises(ValueError, match=r"magnitude='random' is not known; valid: .*'uniform'"):
        bioflax.SignSymmetry(magnitude="random")


# Weight mirror -----------------------------------------------------------------------------------


def mirrored(rate, steps, samples=16, model=None):
    if model is None:
        rule = bioflax.WeightMirror(rate=rate, samples=samples)
        model = bioflax.Linear(6, 5, rule=rule, param_dtype=jnp.float64, rngs=streams())
    graph, state = nnx.split(model)

    def step(state, key):
        model = nnx.merge(graph, state)
        bioflax.mirror(model, key)
        return nnx.state(model), model.feedback[...]

    keys = jax.random.split(jax.random.key(0), steps)
    return model, jax.jit(lambda s: jax.lax.scan(step, s, keys))(state)[1]


def test_weight_mirror_converges_to_the_forward_weights():
    model, path = mirrored(rate=0.02, steps=2000)
    kernel = np.asarray(model.kernel[...])
    mean = np.asarray(path[1000:]).mean(0)
    np.testing.assert_allclose(mean, kernel, atol=0.1 * np.abs(kernel).max())
    assert bioflax.angle(path[-1], model.kernel[...]) < 15


def test_weight_mirror_forgets_its_start_at_its_rate():
    rate, steps = 0.1, 50
    model, path = mirrored(rate, steps)
    other = nnx.clone(model)
    other.feedback[...] = other.feedback[...] + 1.0
    _, shifted = mirrored(rate, steps, model=other)
    expected = (1 - rate) ** np.arange(1, steps + 1)
    np.testing.assert_allclose(np.asarray(shifted - path)[:, 0, 0], expected, rtol=1e-9)


def test_weight_mirror_does_not_grow_at_any_rate():
    for rate in (0.01, 0.5, 1.0):
        model, path = mirrored(rate, 3000)
        sizes = np.linalg.norm(np.asarray(path), axis=(1, 2)) / np.linalg.norm(model.kernel[...])
        assert sizes.max() < 3
        # The variance about W is rate / (2 - rate) that of one estimate.
        late = np.asarray(path[1000:]) - np.asarray(model.kernel[...])
        estimate = (np.linalg.norm(model.kernel[...]) ** 2 * 7) / 16
        found = (late**2).sum((1, 2)).mean()
        np.testing.assert_allclose(found, rate / (2 - rate) * estimate, rtol=0.25)


@pytest.mark.parametrize(
    ("option", "value"),
    [("rate", 0.0), ("rate", -0.5), ("rate", 1.5), ("samples", 0), ("form", "Paper")],
)
def test_a_weight_mirror_out_of_range_is_refused(option, value):
    with pytest.raises(ValueError, match=f"{option}={value!r} of a weight mirror must be"):
        bioflax.WeightMirror(**{option: value})


@pytest.mark.parametrize(
    "rule", [bioflax.FeedbackAlignment(), bioflax.SignSymmetry(magnitude="fixed")]
)
def test_feedback_is_not_the_kernel_once_more_where_both_streams_have_one_seed(rule):
    """The same numbers would be drawn twice, which is backpropagation."""
    layer = bioflax.Linear(5, 4, rule=rule, rngs=nnx.Rngs(params=0, feedback=0))
    plain = nnx.Linear(5, 4, rngs=nnx.Rngs(0))
    for one in (layer, bioflax.convert(plain, rule, rngs=nnx.Rngs(0))):
        assert not np.array_equal(np.abs(one.feedback[...]), np.abs(one.kernel[...]))
    # Constants are nobody's draw.
    zeros = nnx.initializers.zeros
    alike = bioflax.FeedbackAlignment(feedback_init=zeros)
    bioflax.Linear(5, 4, rule=alike, kernel_init=zeros, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("name", RULES)
def test_a_layer_can_be_pickled_as_flaxs_own_can(name):
    layer = bioflax.Linear(3, 4, rule=type(RULES[name])(), rngs=streams())
    again = pickle.loads(pickle.dumps(layer))
    assert again.rule == layer.rule
    np.testing.assert_array_equal(again.kernel[...], layer.kernel[...])

"""Linen: the same layers through ``nnx.bridge``, with the feedback in a collection of its own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

import bioflax
from tests.bioflax.cases import FAST, LAYERS, RULES, normal, streams

# Batch-wise random feedback moves with a stream that is in no collection: it has a test of its own.
STORED = [name for name in RULES if name != "sign_symmetry_batch"]
# The bridge sees a rule's variables, not the rule: fixed and learned feedback on every layer.
PAIRS = [
    pytest.param(layer, rule, id=f"{layer}-{rule}")
    for layer in LAYERS
    for rule in STORED
    if layer == "linear" or rule in ("feedback_alignment", "kolen_pollack")
]
KEYS = {"params": jax.random.key(0), "feedback": jax.random.key(1)}


def split(variables):
    return variables["params"], {k: v for k, v in variables.items() if k != "params"}


@pytest.mark.parametrize(("layer", "rule"), PAIRS)
def test_a_layer_in_linen_has_the_outputs_and_the_gradients_of_the_layer_in_nnx(layer, rule):
    case = LAYERS[layer]
    bridged = nnx.bridge.to_linen(case.make, rule=RULES[rule])
    x = jnp.asarray(normal(case.shape))
    params, rest = split(bridged.init(KEYS, x, nnx_method=case.call))
    ours = case.make(rule=RULES[rule], rngs=streams())
    nnx.update(ours, params, *rest.values())
    graph, state, others = nnx.split(ours, nnx.Param, ...)
    error = normal(jax.eval_shape(lambda x: case.call(ours, x), x).shape, seed=1)

    def in_linen(params, x):
        y = bridged.apply({"params": params, **rest}, x, nnx_method=case.call)
        return jnp.sum(y * error), y

    def in_nnx(state, x):
        y = case.call(nnx.merge(graph, state, others, copy=True), x)
        return jnp.sum(y * error), y

    (found, dx), y = jax.grad(in_linen, argnums=(0, 1), has_aux=True)(params, x)
    (wanted, wanted_dx), wanted_y = jax.grad(in_nnx, argnums=(0, 1), has_aux=True)(state, x)
    np.testing.assert_array_equal(y, wanted_y)
    np.testing.assert_array_equal(dx, wanted_dx)
    jax.tree.map(np.testing.assert_array_equal, found, nnx.to_pure_dict(wanted))


class Net(linen.Module):
    """A model as a Linen user writes it."""

    rule: bioflax.Rule

    @linen.compact
    def __call__(self, x):
        kind = {"rule": self.rule, "param_dtype": jnp.float64}
        hidden = nnx.bridge.to_linen(bioflax.Linear, 4, 5, **kind, name="hidden")
        readout = nnx.bridge.to_linen(bioflax.Linear, 5, 2, **kind, name="readout")
        return readout(jnp.tanh(hidden(x)))


def trained(rule, optimizer, steps):
    """Variables of a small net before and after some steps, and the optimiser's state."""
    x, y = jnp.asarray(normal((8, 4))), jnp.asarray(normal((8, 2), seed=1))
    before = Net(rule).init(KEYS, x)
    params, rest = split(before)
    state = optimizer.init(params)

    def step(carry, _):
        params, state = carry

        def loss(params):
            return jnp.mean((Net(rule).apply({"params": params, **rest}, x) - y) ** 2)

        value, gradient = jax.value_and_grad(loss)(params)
        with jax.numpy_dtype_promotion("standard"):  # optax needs it
            updates, state = optimizer.update(gradient, state, params)
            return (optax.apply_updates(params, updates), state), value

    run = jax.jit(lambda carry: jax.lax.scan(step, carry, length=steps), compiler_options=FAST)
    (params, state), losses = run((params, state))
    assert losses[-1] < losses[0]
    return before, {"params": params, **rest}, state


def test_no_optimiser_over_the_parameters_sees_fixed_feedback():
    before, after, state = trained(bioflax.FeedbackAlignment(), optax.adamw(0.01), 20)
    kernels = {"kernel", "bias"}
    assert {name: set(layer) for name, layer in before["params"].items()} == {
        "hidden": kernels,
        "readout": kernels,
    }
    assert jax.tree.map(jnp.shape, before["Feedback"]) == {
        "hidden": {"dot_general": {"feedback": (4, 5)}},
        "readout": {"dot_general": {"feedback": (5, 2)}},
    }
    weights = 4 * 5 + 5 + 5 * 2 + 2
    assert sum(leaf.size for leaf in jax.tree.leaves(state)) == 1 + 2 * weights
    assert not np.array_equal(
        after["params"]["hidden"]["kernel"], before["params"]["hidden"]["kernel"]
    )


def test_learned_feedback_is_a_parameter_and_follows_the_law_of_kolen_pollack():
    rate, decay, steps = 0.1, 0.01, 100
    optimizer = optax.chain(optax.add_decayed_weights(decay / rate), optax.sgd(rate))
    before, after, _ = trained(bioflax.KolenPollack(), optimizer, steps)
    assert set(before) == {"params"}
    for name in ("hidden", "readout"):
        start, end = (
            v["params"][name]["kernel"] - v["params"][name]["dot_general"]["feedback"]
            for v in (before, after)
        )
        np.testing.assert_allclose(end, (1 - decay) ** steps * start, rtol=1e-10)


def test_batch_wise_random_feedback_comes_from_the_stream_of_the_call():
    bridged = nnx.bridge.to_linen(
        bioflax.Linear, 4, 3, rule=RULES["sign_symmetry_batch"], param_dtype=jnp.float64
    )
    x = jnp.asarray(normal((2, 4)))
    variables = bridged.init(KEYS, x)
    assert set(variables) == {"params", "Feedback"}

    def dx(key):
        return jax.grad(lambda x: jnp.sum(bridged.apply(variables, x, rngs={"feedback": key})))(x)

    first, again, other = (dx(jax.random.key(seed)) for seed in (2, 2, 3))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


class Direct(bioflax.DirectFeedback):
    """Direct feedback around a block with running statistics."""

    def __init__(self, rngs):
        first, norm = nnx.Linear(4, 5, rngs=rngs), nnx.BatchNorm(5, rngs=rngs)
        readout = nnx.Linear(5, 2, rngs=rngs)
        super().__init__([[first, norm, jnp.tanh]], readout, rngs=rngs)


def test_direct_feedback_in_linen_has_the_gradients_and_the_statistics_it_has_in_nnx():
    bridged = nnx.bridge.to_linen(Direct)
    x = jnp.asarray(normal((8, 4), np.float32))
    params, rest = split(bridged.init(KEYS, x))
    assert jax.tree.map(jnp.shape, rest["Feedback"]) == {"feedback": {0: (2, 5)}}
    ours = Direct(streams())
    nnx.update(ours, params, *rest.values())

    def loss(params):
        y, moved = bridged.apply({"params": params, **rest}, x, mutable=["batch_stats"])
        return jnp.sum(jnp.tanh(y)), moved["batch_stats"]

    found, statistics = jax.grad(loss, has_aux=True)(params)
    wanted = nnx.grad(lambda model: jnp.sum(jnp.tanh(model(x))))(ours)
    for a, b in ((found, wanted), (statistics, nnx.state(ours, nnx.BatchStat))):
        jax.tree.map(np.testing.assert_array_equal, a, nnx.to_pure_dict(b))

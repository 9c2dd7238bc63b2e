"""What units let through and what error signals look like, against what theory says of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bioflax
from tests.bioflax.cases import normal, quick, streams
from tests.bioflax.nets import BATCH, FA, compiled, loss, mlp


def _diagnosed(model, loss, batch):
    return bioflax.alignment(model, loss, batch, diagnostics=True).diagnostics


diagnosed = compiled(_diagnosed)


def hidden(n, f, rule=FA, bias=0.0):
    """4 inputs, n units with the nonlinearity f, 3 outputs."""
    rngs = streams()
    first = bioflax.Linear(4, n, rule=rule, kernel_init=quick, rngs=rngs)
    first.bias[...] = jnp.broadcast_to(jnp.asarray(bias, jnp.float32), (n,))
    return nnx.Sequential(first, f, bioflax.Linear(n, 3, rule=rule, kernel_init=quick, rngs=rngs))


def given(model, batch):
    """A loss whose gradient with respect to the output is the batch's second array."""
    x, errors = batch
    return jnp.sum(model(x) * errors)


X, ONES = jnp.asarray(normal((40, 4)), jnp.float32), jnp.ones((40, 3), jnp.float32)


def test_a_tanh_is_saturated_where_its_derivative_is_below_a_tenth_of_the_best():
    model = hidden(6, lambda a: jnp.tanh(2 * a))
    slopes = 1 - np.tanh(2 * np.asarray(model.layers[0](X))) ** 2
    expected = (slopes < slopes.max() / 10).mean()
    assert 0.05 < expected < 0.95
    found = diagnosed(model, given, (X, ONES))
    assert found.saturation["layers/0"] == pytest.approx(expected, abs=1e-6)
    assert found.acting["layers/0"] == 1


def test_units_of_relu_that_no_example_reaches_do_not_act():
    bias = np.where(np.arange(8) < 3, -100.0, 0.0)
    model = hidden(8, jax.nn.relu, bias=bias)
    off = np.asarray(model.layers[0](X)) <= 0
    found = diagnosed(model, given, (X, ONES))
    assert found.acting["layers/0"] == pytest.approx(5 / 8)
    assert found.saturation["layers/0"] == pytest.approx(off.mean())
    assert off.mean() > 3 / 8


def test_what_units_let_through_is_theirs_and_not_the_rules_or_the_later_layers():
    found = [
        diagnosed(hidden(6, jnp.tanh, rule), given, (X, errors)).saturation["layers/0"]
        for rule in (FA, bioflax.Backprop())
        for errors in (ONES, jnp.asarray(normal((40, 3), seed=5), jnp.float32))
    ]
    assert len({float(one) for one in found}) == 1


def test_the_layer_before_the_loss_is_not_said_to_be_saturated():
    found = diagnosed(mlp(FA))
    assert np.isnan(found.saturation["layers/4"])
    assert np.isnan(found.acting["layers/4"])
    assert np.isfinite(found.ranks["layers/4"])


def test_of_four_places_a_maximum_of_them_lets_one_through():
    rngs = streams()
    model = nnx.Sequential(
        bioflax.Conv(1, 5, (3, 3), kernel_init=quick, rngs=rngs),
        lambda a: nnx.max_pool(a, (2, 2), (2, 2)),
        lambda a: a.reshape(len(a), -1),
        bioflax.Linear(4 * 4 * 5, 3, rngs=rngs),
    )
    x = jnp.asarray(normal((6, 8, 8, 1)), jnp.float32)
    found = diagnosed(model, given, (x, ONES[:6]))
    assert found.saturation["layers/0"] == pytest.approx(3 / 4)
    assert found.acting["layers/0"] == 1


def test_rank_and_mean_are_those_of_the_errors():
    linear = nnx.Sequential(bioflax.Linear(4, 3, rngs=streams()))

    def of(errors):
        errors = np.asarray(errors, np.float32)
        x = X[: len(errors)]
        found = diagnosed(linear, given, (x, jnp.asarray(errors)))
        return float(found.ranks["layers/0"]), float(found.means["layers/0"])

    line = np.outer(normal(40), [1, 2, 3])
    assert of(line)[0] == pytest.approx(1, rel=1e-4)
    # Signs of a Hadamard matrix: uncorrelated, of one size and without a mean.
    white = np.array([[1, 1, 1], [-1, 1, -1], [1, -1, -1], [-1, -1, 1]]) * 1e-20
    assert of(white) == pytest.approx((3, 0), abs=1e-5)
    # |mean|^2 = 9 over a variance of 1 in each of three units.
    assert of(white * 1e20 + np.array([3, 0, 0])) == pytest.approx((3, 3), abs=1e-4)
    # Eigenvalues 4 and 1: (4 + 1)^2 / (16 + 1).
    assert of(white[:, :3] * 1e20 * [2, 1, 0])[0] == pytest.approx(25 / 17, rel=1e-4)


def test_direct_feedback_sends_no_more_directions_than_there_are_outputs():
    rngs = streams()
    blocks = [nnx.Linear(4, 12, kernel_init=quick, rngs=rngs)]
    net = bioflax.DirectFeedback(blocks, nnx.Linear(12, 2, rngs=rngs), rngs=rngs)
    found = diagnosed(net)
    assert 1 <= found.ranks["blocks/0"] <= 2 + 1e-4


def test_gaps_are_those_of_kolen_pollack():
    model = mlp(bioflax.KolenPollack())
    found = diagnosed(model).gaps
    expected = bioflax.gap(model)
    assert found.keys() == expected.keys() == {"layers/0", "layers/2", "layers/4"}
    for path, value in expected.items():
        assert found[path] == pytest.approx(float(value))
    assert diagnosed(mlp(FA)).gaps == {}


def test_each_layer_of_a_stack_has_its_own():
    def layer(rngs):
        return nnx.Sequential(bioflax.Linear(4, 4, rngs=rngs), jnp.tanh)

    rngs = streams()
    stack = bioflax.Stack(layer, 3, rngs=rngs)
    plain = nnx.Sequential(*(part for _ in range(3) for part in layer(rngs).layers))
    for i in range(3):
        for name in "kernel", "bias":
            getattr(plain.layers[2 * i], name)[...] = getattr(stack.layers.layers[0], name)[i]
        plain.layers[2 * i].feedback[...] = stack.layers.layers[0].feedback[i]
    readout = bioflax.Linear(4, 2, kernel_init=quick, rule=FA, rngs=rngs)
    together = diagnosed(nnx.Sequential(stack, readout))
    apart = diagnosed(nnx.Sequential(*plain.layers, readout))
    for field in "saturation", "acting", "ranks", "means":
        stacked = getattr(together, field)["layers/0/layers/layers/0"]
        single = [getattr(apart, field)[f"layers/{2 * i}"] for i in range(3)]
        np.testing.assert_allclose(stacked, np.stack(single), rtol=1e-3, atol=1e-6)


def test_they_are_in_the_history_where_they_were_asked_for():
    model = mlp(FA)
    measure = nnx.jit(bioflax.alignment, static_argnames=("loss", "diagnostics"))
    assert measure(model, loss=loss, batch=BATCH).diagnostics is None
    records = [measure(model, loss=loss, batch=BATCH, diagnostics=True)] * 2
    found = bioflax.history(records).diagnostics
    assert {path: one.shape for path, one in found.ranks.items()} == {
        "layers/0": (2,), "layers/2": (2,), "layers/4": (2,)}  # fmt: skip

"""Every measure of the catalogue has its function, and features are what the layers put out."""

import jax.numpy as jnp
import numpy as np
import pytest

from replications.harness.catalogue.measures import MEASURES
from replications.harness.declared.spec import Init
from replications.harness.training import networks, tasks
from replications.harness.training.losses import example_loss, is_wrong
from replications.harness.training.measures import Measures
from tests.harness.training.article import (
    QUADRATIC,
    by_hand,
    digits_like,
    sigmoid,
    small,
    updated,
    weights,
)
from tests.harness.training.nets import CONV, DIRECT, Net, digits, patches, pooled, resolved
from tests.harness.training.runs import LINEAR, after, cell, run

pytestmark = pytest.mark.usefixtures("double_precision")


@pytest.mark.parametrize("rule", ["backprop", DIRECT])
def test_features_are_what_the_nets_own_hidden_layers_put_out_for_the_first_held_out_examples(rule):
    size = {"network": {"hidden": [5, 4, 3]}, "batch": 6, "probe": 4}
    net = Net(resolved("mnist_3x400", rule, **size), digits())
    net.advance(5)
    w, h = net.arrays(), np.array(net.task.data.test_x)[:4]
    found = net.program.features(net.state, net.task.data)
    assert list(found) == ["features/hidden_1", "features/hidden_2", "features/hidden_3"]
    for k, value in enumerate(found.values(), 1):
        h = np.tanh(h @ w[f"W{k}"] + w[f"b{k}"])
        np.testing.assert_allclose(value, h, rtol=1e-9, atol=1e-13)
    assert h.any()


def test_the_cosine_of_a_layer_is_the_mean_over_pairs_of_held_out_examples():
    measures = ["activity_cosine"]
    size = {"network": {"hidden": [5, 4, 3]}, "batch": 6, "probe": 4, "measures": measures}
    net = Net(resolved("mnist_3x400", DIRECT, **size), digits())
    net.advance(5)
    _, found = net.program.measure(net.state, net.state, net.task.data)
    for k, h in enumerate(net.program.features(net.state, net.task.data).values(), 1):
        unit = np.array(h) / np.linalg.norm(h, axis=1, keepdims=True)
        pairs = [unit[i] @ unit[j] for i in range(4) for j in range(4) if i != j]
        np.testing.assert_allclose(found[f"activity_cosine/hidden_{k}"], np.mean(pairs), rtol=1e-9)
    assert "activity_cosine/readout" not in found


def test_the_features_of_a_pooled_map_are_its_units_and_dropout_hides_none():
    network = {**CONV, "init": Init(kind="fan_in_uniform"), "dropout_hidden": 0.5}
    net = Net(resolved("cifar10_conv", network=network, probe=2), digits(shape=(32, 32, 3)))
    w = net.arrays()
    h = np.tanh(np.tensordot(patches(np.array(net.task.data.test_x)[:2]), w["W1"], 3) + w["b1"])
    found = net.program.features(net.state, net.task.data)
    maxima = pooled(h)[0].reshape(2, -1)
    np.testing.assert_allclose(found["features/hidden_1"], maxima, rtol=1e-9, atol=1e-13)
    assert [value.shape[1] for value in found.values()] == [15 * 15 * 2, 7 * 7 * 3, 6, 5]
    assert all((np.array(value) != 0).all() for value in found.values())


def test_measuring_changes_nothing_that_is_learned(tmp_path):
    """The pseudo-backprop measure swaps the feedback of its own copy, not of the run's net."""
    watched = run(tmp_path / "a", cell())
    alone = run(tmp_path / "b", cell(measures=["test_nse"]))
    # The losses of training to the bit; a measure is another program, which may round differently.
    np.testing.assert_array_equal(watched.measures["train_loss"], alone.measures["train_loss"])
    np.testing.assert_allclose(watched.measures["test_nse"], alone.measures["test_nse"], rtol=1e-12)


# The catalogue

# Training counts these itself, whatever is asked for.
COUNTED = {"train_loss", "train_error"}


def test_every_measure_of_the_catalogue_is_recorded_by_a_net_that_has_what_it_needs(tmp_path):
    known = {name: row for name, row in MEASURES.items() if not row.spiking}
    chosen = cell(rule="kolen_pollack", measures=list(known), seeds=1)
    found = run(tmp_path, chosen).measures
    for name, row in known.items():
        named = [key for key in found if key.partition("/")[0] == name]
        assert named, name
        assert all("/" in key for key in named) == row.of_layers, name
        for key in named:
            # Records; the first layer's weights at each of them; the features of the probe, once.
            arrays = {"fields": (1, 4, 4, 5), "features": (1, 20, 4)}
            assert found[key].shape == arrays.get(name, (1, 4)), key
            assert row.scalar == (name not in arrays)
            # Before the first update nothing has been counted.
            assert np.isfinite(found[key][:, name in COUNTED :]).all(), key
    assert {key.partition("/")[0] for key in found} == known.keys()
    layers = {"gap/hidden_1", "gap/readout", "delta_angle/hidden_1", "weight_angle/readout"}
    assert layers <= found.keys()
    assert "pseudo_angle/readout" not in found


def test_only_what_is_asked_for_is_recorded_beside_what_training_counts(tmp_path):
    found = run(tmp_path, cell(measures=["test_error", "weight_angle"], seeds=1)).measures
    assert found.keys() == COUNTED | {
        "test_error", "weight_angle/hidden_1", "weight_angle/readout"
    }  # fmt: skip


def degrees(a, b):
    a, b = a.ravel(), b.ravel()
    return np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))


def test_measures_are_what_a_hand_computation_gives():
    names = ["test_loss", "test_nse", "test_error", "gap", "weight", "weight_angle", "law_error"]
    start = {"init": Init(kind="uniform", value=0.5)}
    network = {"hidden": [5, 4], **start}
    chosen = resolved("mnist_2x800", network=network, batch=6, measures=names, rule="kolen_pollack")
    # Another decay of the feedback: the law does not hold.
    decays = {"weight_decay": 0.25, "feedback_weight_decay": 0.1}
    optimizer = chosen.optimizer.model_copy(update=decays)
    net = Net(chosen.model_copy(update={"optimizer": optimizer}), digits())
    first, before = net.state, net.arrays()
    net.advance(2)
    _, found = net.program.measure(net.state, first, net.task.data)
    w, x, y = net.arrays(), np.array(net.task.data.test_x), np.array(net.task.data.test_y)
    h = np.tanh(np.tanh(x @ w["W1"] + w["b1"]) @ w["W2"] + w["b2"])
    z = h @ w["W"] + w["b"]
    loss = np.logaddexp(0, z) - y * z
    expected = {
        "test_loss": loss.sum(1).mean(),
        "test_nse": ((z - y) ** 2).sum() / (y**2).sum(),
        "test_error": (z.argmax(1) != y.argmax(1)).mean(),
    }
    for layer, k in (("hidden_1", "1"), ("hidden_2", "2"), ("readout", "")):
        expected[f"gap/{layer}"] = np.linalg.norm(w["W" + k] - w["B" + k])
        expected[f"weight/{layer}"] = w["W" + k][0, 0]
        expected[f"weight_angle/{layer}"] = degrees(w["W" + k], w["B" + k])
        apart = before["W" + k] - before["B" + k]
        error = w["W" + k] - w["B" + k] - 0.75**2 * apart
        expected[f"law_error/{layer}"] = np.linalg.norm(error) / np.linalg.norm(apart)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-7, atol=1e-12, err_msg=name)
    assert found["law_error/readout"] > 0.1


def test_the_invariant_drift_is_what_a_hand_computation_gives(tmp_path):
    from_zero = LINEAR["network"] | {"init": "zeros"}
    found = run(tmp_path, cell(network=from_zero, measures=["invariant_drift", "gap"], seeds=1))
    start, end = after(cell(network=from_zero, measures=["invariant_drift"], seeds=1), 60)
    a, w, b = end["hidden"], end["readout"], start["feedback"]
    symmetric = b @ w.T + w @ b.T
    drift = np.linalg.norm(symmetric - a.T @ a) / np.linalg.norm(symmetric)
    np.testing.assert_allclose(found.measures["invariant_drift"][0, -1], drift, rtol=1e-6)
    assert 0 < drift < 0.5


def test_the_angle_is_between_the_printed_signals_of_both_rules():
    chosen = small(probe=8)
    task = digits_like(chosen)
    state, found = updated(chosen, task, 4)
    angle = found.measure(state, state, task.data)[1]["delta_angle/hidden_1"]
    W, b = by_hand(chosen, task, 4)
    B = np.asarray(networks.build(chosen, (5,), 3, jnp.uint32(0)).readout.feedback[...])
    expected = []
    for x, y in zip(
        np.asarray(task.data.test_x)[:8], np.asarray(task.data.test_y)[:8], strict=True
    ):
        h = sigmoid(W["hidden_1"] @ x + b["hidden_1"])
        out = sigmoid(W["readout"] @ h + b["readout"])
        e = out - y
        ours = (B @ e) * h * (1 - h)
        theirs = (W["readout"].T @ (e * out * (1 - out))) * h * (1 - h)
        cosine = ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)
        expected.append(np.degrees(np.arccos(cosine)))
    assert float(angle) == pytest.approx(np.mean(expected), abs=1e-9)


def test_nse_by_variance_is_1_for_the_mean_and_by_length_for_nothing():
    chosen = small(QUADRATIC, measures=["test_nse", "test_nse_variance"], network={"init": "zeros"})
    task = tasks.build(chosen, None)
    state, found = updated(chosen, task, 0)
    y = np.asarray(task.data.test_y)
    values = found.measure(state, state, task.data)[1]
    assert float(values["test_nse"]) == 1
    spread = np.sum((y - y.mean(axis=0)) ** 2)
    assert float(values["test_nse_variance"]) == pytest.approx(np.sum(y**2) / spread, rel=1e-12)
    shifted = state.trained
    shifted["readout"]["bias"][...] = jnp.asarray(y.mean(axis=0))
    values = found.measure(state._replace(trained=shifted), state, task.data)[1]
    assert float(values["test_nse_variance"]) == pytest.approx(1, rel=1e-12)


def test_single_units_have_angles_of_their_own():
    chosen = small(QUADRATIC)
    task = tasks.build(chosen, None)
    state, found = updated(chosen, task, 20)
    values = found.measure(state, state, task.data)[1]
    W = weights(state)["readout/kernel"].T
    B = np.asarray(networks.build(chosen, (4,), 3, jnp.uint32(0)).readout.feedback[...])
    for j in range(10):
        w, b = W[:, j], B[j]
        expected = np.degrees(np.arccos(w @ b / np.linalg.norm(w) / np.linalg.norm(b)))
        assert float(values[f"unit_angle/unit_{j + 1}"]) == pytest.approx(expected, abs=1e-9)
    whole = np.sum(W * B.T) / np.linalg.norm(W) / np.linalg.norm(B)
    assert float(values["weight_angle/readout"]) == pytest.approx(np.degrees(np.arccos(whole)))
    fields = np.asarray(values["fields/hidden_1"])
    np.testing.assert_array_equal(fields, weights(state)["blocks/0/layers/0/kernel"].T)


def test_measures_of_the_article_can_be_asked_for_alone():
    chosen = small(QUADRATIC, measures=["unit_angle"])
    task = tasks.build(chosen, None)
    found = Measures(chosen, None, example_loss(chosen), is_wrong(3))
    assert found.spec.measures == ["unit_angle"]
    state, functions = updated(chosen, task, 1)
    names = set(functions.measure(state, state, task.data)[1])
    assert names == {*(f"unit_angle/unit_{j}" for j in range(1, 11)), "train_loss", "train_error"}

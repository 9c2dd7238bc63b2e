"""Every measure of the catalogue has its function, and features are what the layers put out."""

import jax
import numpy as np
import pytest

from replications.harness.catalogue.measures import MEASURES
from replications.harness.declared.spec import Init
from tests.harness.training.nets import CONV, DIRECT, Net, digits, patches, pooled, resolved
from tests.harness.training.runs import LINEAR, after, cell, run


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


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

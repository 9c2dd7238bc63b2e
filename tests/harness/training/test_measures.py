"""Every measure of the catalogue has its function, and features are what the layers put out."""

import jax
import numpy as np
import pytest

from replications.harness.declared.spec import Init
from tests.harness.training.nets import CONV, DIRECT, Net, digits, patches, pooled, resolved
from tests.harness.training.runs import cell, run


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

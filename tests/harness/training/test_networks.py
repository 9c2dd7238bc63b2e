"""The nets that a spec asks for: where their weights start, and what stays absent."""

import jax.numpy as jnp
import numpy as np
import pytest

import bioflax
from replications.harness.training import networks
from tests.harness.training.nets import CONV, Net, digits, resolved
from tests.harness.training.runs import LINEAR, after, cell

pytestmark = pytest.mark.usefixtures("double_precision")


def bound(values, expected):
    """U[-expected, expected], seen from its largest of many draws."""
    assert np.abs(values).max() <= expected
    assert np.abs(values).max() > 0.9 * expected


def test_backprop_starts_from_torchs_weights_and_biases():
    net = Net(
        resolved("mnist_2x800", "backprop", network={"hidden": [60, 50]}), digits(shape=(90,))
    )
    w = net.arrays()
    for layer, fan_in in (("1", 90), ("2", 60), ("", 50)):
        bound(w["W" + layer], fan_in**-0.5)
        assert np.abs(w["b" + layer]).max() <= fan_in**-0.5
        assert w["b" + layer].any()
    bound(np.concatenate([w["b1"], w["b2"] * np.sqrt(60 / 90)]), 90**-0.5)


def test_the_biases_of_a_conv_net_have_the_fan_in_of_their_patch():
    network = {"convolutions": [200], "hidden": [5]}
    w = Net(resolved("cifar10_conv", "backprop", network=network), digits(shape=(8, 8, 3))).arrays()
    bound(w["b1"], 75**-0.5)
    bound(w["W1"], 75**-0.5)


def test_feedback_alignment_keeps_only_its_first_layer_and_draws_b_as_torch_draws_w():
    net = Net(
        resolved("mnist_2x800", "feedback_alignment", network={"hidden": [60, 50]}),
        digits(shape=(90,)),
    )
    w = net.arrays()
    bound(w["W1"], 90**-0.5)
    assert w["b1"].any()
    assert not any(w[name].any() for name in ("W2", "b2", "W", "b"))
    bound(w["B2"], 60**-0.5)
    bound(w["B"], 50**-0.5)


def test_with_rectifiers_the_b_of_feedback_alignment_is_the_initial_w():
    chosen = resolved("mnist_2x800_relu", "feedback_alignment", network={"hidden": [6, 5]}, batch=2)
    net = Net(chosen, digits())
    start = net.arrays()
    for layer in ("1", "2", ""):
        np.testing.assert_array_equal(start["B" + layer], start["W" + layer])
    net.advance(3)
    np.testing.assert_array_equal(net.arrays()["B"], start["B"])
    assert (net.arrays()["W"] != start["W"]).any()


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_the_direct_feedback_of_a_conv_net_is_scaled_by_the_units_of_each_pooled_map(dataset):
    classes = int(dataset.removeprefix("cifar"))
    task = digits(shape=(32, 32, 3), n=classes, classes=classes)
    w = Net(resolved(f"{dataset}_conv", network=CONV), task).arrays()
    assert w["B1"].shape == (classes, 15, 15, 2)
    assert w["B2"].shape == (classes, 7, 7, 3)
    assert w["W3"].shape == (7 * 7 * 3, 6)
    for k in range(1, 5):
        bound(w[f"B{k}"], np.prod(w[f"B{k}"].shape[1:]) ** -0.5)
    assert not any(w[f"W{k}"].any() for k in range(1, 5))


def test_absent_weights_stay_absent_in_a_sparse_readout(tmp_path):
    network = LINEAR["network"] | {"sparsity": 0.5, "hidden": [40]}
    start, end = after(cell(network=network), 30)
    absent = np.asarray(start["readout"]) == 0
    assert 0.3 < absent.mean() < 0.7
    assert 0.3 < (np.asarray(start["feedback"]) == 0).mean() < 0.7
    np.testing.assert_array_equal(np.asarray(end["readout"])[absent], 0)
    assert (np.asarray(end["readout"])[~absent] != np.asarray(start["readout"])[~absent]).all()


def test_a_rule_of_direct_feedback_is_of_the_hidden_layers_and_not_of_the_readout():
    network = LINEAR["network"] | {"hidden": [4, 3]}
    chosen = cell(
        rule="conditioned_feedback",
        network=network,
        reduction="mean",
        error_damping=0.2,
        measures=["test_nse"],
    )
    net = networks.build(chosen.spec, (5,), 3, jnp.uint32(0))
    asked = bioflax.Conditioned(activity=None, error=0.2, loss="mean")
    assert isinstance(net.mode, bioflax.DirectFeedbackAlignment)
    assert [layer.rule for layer in networks.layers(net).values()] == [
        *[asked] * 2,
        bioflax.Backprop(),
    ]

"""Training seeds one after the other or all at once, measured where the spec says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from replications.harness.training.run import advancing, groups, stops
from tests.harness.training.nets import CONV, Net, digits, resolved
from tests.harness.training.runs import cell, run


def test_vmap_over_seeds_agrees_with_one_after_the_other_to_rounding(tmp_path):
    one = run(tmp_path / "a", cell())
    all_at_once = run(tmp_path / "b", cell(), batching="vmap")
    assert all_at_once.manifest["origins"][0]["batching"] == "vmap"
    np.testing.assert_allclose(one.first_losses, all_at_once.first_losses, rtol=1e-9)
    features = [r.measures["features/hidden_1"] for r in (one, all_at_once)]
    assert features[0].shape == (3, 20, 4)
    np.testing.assert_allclose(*features, rtol=1e-9)


def test_the_stop_of_one_run_is_the_same_alone_and_in_a_row_of_seeds(tmp_path):
    stopping = cell(
        task={"patterns": {"encoder": 4}},
        network={"hidden": [8], "activation": "tanh", "output": "logistic",
                 "init": {"uniform": 0.5}, "feedback_init": {"uniform": 1.0}},
        optimizer={"sgd": {"learning_rate": 1.0}},
        batch=4,
        epochs=60,
        record={"epochs": 1},
        stop_below_train_error=0.02,
        measures=["test_error", "test_loss", "features"],
    )  # fmt: skip
    alone, row = run(tmp_path / "a", stopping), run(tmp_path / "b", stopping, batching="vmap")
    loss = alone.measures["test_loss"]
    assert (loss[:, -1] == loss[:, -2]).all(), "every seed has stopped before the last epoch"
    np.testing.assert_allclose(loss, row.measures["test_loss"], rtol=1e-7)
    features = [r.measures["features/hidden_1"] for r in (alone, row)]
    np.testing.assert_allclose(*features, rtol=1e-6)


@pytest.mark.parametrize("batching", ["map", "vmap"])
def test_on_a_cpu_the_updates_of_a_convolutional_net_are_calls_of_their_own(batching):
    """In a loop XLA compiles a convolution's gradient without its fast code; the numbers are the same."""
    with jax.enable_x64(True):
        net = Net(resolved("cifar10_conv", network=CONV, batch=3), digits(shape=(16, 16, 3)))
        seed, axes, states = np.uint32(0), (0, 0, 0, None, None), [net.program.start(np.uint32(0))]
        loop, order = net.program.advance, net.program.order(seed, 0)
        if batching == "vmap":
            loop = jax.vmap(loop, axes)
            seed, order, states = jax.tree.map(lambda x: np.stack([x, x]), (seed, order, states))
        loop = jax.jit(loop)
        expected = loop(states[0], seed, order, net.task.data, np.int32(5))
        called = advancing(net.program, batching)
        found = called(jax.tree.map(jnp.copy, states[0]), seed, order, net.task.data, np.int32(5))
        for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9)
        once = jax.make_jaxpr(lambda state: called(state, seed, order, net.task.data, 1))
        operations = str(once(states[0]))
        assert "conv_general_dilated[" in operations
        assert "while[" not in operations


def test_a_record_after_the_end_is_refused():
    with pytest.raises(ValueError, match=r"record\.at: 99 is not among the 60 updates"):
        cell(record={"at": [99]})


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({}, [0, 60]),
        ({"at": [7, 1]}, [0, 1, 7, 60]),
        ({"every": 20}, [0, 20, 40, 60]),
        ({"every": 25, "at": [25, 60]}, [0, 25, 50, 60]),
        ({"epochs": 2}, [0, 40, 60]),
    ],
)
def test_a_cell_is_measured_at_the_start_at_the_end_and_where_its_spec_says(record, expected):
    """Three epochs of twenty updates."""
    assert stops(cell(record=record).spec, 60, 20) == expected


def test_seeds_go_alone_or_all_at_once():
    assert groups([3, 1, 2], "map") == [[3], [1], [2]]
    assert groups([3, 1, 2], "vmap") == [[3, 1, 2]]

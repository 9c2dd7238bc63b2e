"""A spiking net is a cell like any other: declared, trained, measured, drawn."""

import jax.numpy as jnp
import numpy as np
import pytest

from replications.harness.declared.spec import RunSpec
from replications.harness.training import costs, tasks
from replications.harness.training.program import program
from replications.harness.training.tasks import Data

SPEC = {
    "task": {"images": {"name": "mnist5k"}},
    "network": {
        "hidden": [6, 5],
        "activation": "logistic",
        "output": "logistic",
        "init": {"uniform": 0.5},
        "feedback_init": {"uniform": 1.0},
    },
    "spiking": {"group": 3, "traced": 4},
    "rule": "feedback_alignment",
    "optimizer": {"sgd": {"learning_rate": 0.1}, "weight_decay": 1e-8},
    "measures": ["test_error", "traces"],
    "seeds": 1,
}


def spec(**changes):
    network = {**SPEC["network"], **changes.pop("network", {})}
    return RunSpec.model_validate({**SPEC, **changes, "network": network})


def task(classes=2):
    random = np.random.RandomState(0)
    x, y = random.uniform(size=(20, 8)), np.eye(classes)[random.randint(classes, size=20)]
    data = [jnp.asarray(a, jnp.float32) for a in (x[:12], y[:12], x[12:], y[12:])]
    return tasks.Task(Data(*data), True, None)


def trained(chosen, updates=12):
    found, seed = program(chosen, task()), jnp.uint32(0)
    first = found.start(seed)
    order = found.order(seed, jnp.int32(0))
    return first, found.advance(first, seed, order, task().data, jnp.int32(updates)), found


def test_the_spec_says_what_the_net_is():
    first, _, found = trained(spec(epochs=3))
    assert [w.shape for w in first.trained] == [(9, 6), (7, 5), (6, 6)]
    assert [b.shape for b in first.feedback] == [(6, 5), (5, 6)]
    assert (found.steps_per_epoch, found.steps, found.shuffled) == (12, 36, True)


def test_records_are_the_error_and_what_its_picture_shows():
    first, state, found = trained(spec())
    _, values = found.measure(state, first, task().data)
    assert 0 <= float(values["test_error"]) <= 1
    assert {"train_loss", "train_error"} < set(values)
    assert values["traces/spikes_input"].shape == (2, 8, 4)  # images, units, steps
    assert values["traces/spikes_readout"].shape == (2, 6, 4)
    assert values["traces/potential_hidden_1"].shape == (2, 4)
    assert values["traces/signal_readout"].shape == (2, 4)
    again = found.measure(state, first, task().data)[1]
    np.testing.assert_array_equal(values["traces/spikes_hidden_1"], again["traces/spikes_hidden_1"])
    alone = program(spec(measures=["test_error"]), task()).measure(state, first, task().data)[1]
    assert set(alone) == {"test_error", "train_loss", "train_error"}


def test_without_feedback_the_output_layer_learns_alone():
    first, state, _ = trained(spec(rule="shallow", measures=["test_error"]))
    for before, now in zip(first.trained[:-1], state.trained[:-1], strict=True):
        np.testing.assert_array_equal(before, now)
    assert np.abs(state.trained[-1] - first.trained[-1]).max() > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "backprop"}, "spiking: rule"),
        ({"batch": 2}, "spiking: batch"),
        ({"network": {"init": "fan_in_uniform"}}, "spiking: network.init"),
        ({"network": {"hidden": []}}, "spiking: network"),
        ({"optimizer": {"adam": {"learning_rate": 0.1}}}, "spiking: optimizer"),
        ({"frozen_epochs": 1}, "spiking: frozen"),
        ({"measures": ["delta_angle"]}, "delta_angle is not of spiking nets"),
        ({"spiking": None}, "traces is of spiking nets"),
    ],
)
def test_what_a_spiking_net_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        spec(**changes)


def test_its_cost_counts_every_time_step():
    one, five = (spec(spiking={"group": 3, "steps": steps}) for steps in (1, 5))
    sizes = one.size
    assert costs.operations(five, sizes) == 5 * costs.operations(one, sizes)
    assert costs.layers(one, sizes)[-1].outputs == 30

"""The rules of update: halved rates, and Kolen and Pollack's law with all that breaks it."""

import numpy as np
import pytest

from replications.harness.declared.experiments import Cell
from replications.harness.declared.spec import RunSpec
from replications.harness.records import read_run
from replications.harness.store import Store
from replications.harness.training.simulate import simulate
from tests.harness.training.runs import after, cell


def test_a_rate_halves_after_every_so_many_epochs():
    """At a rate that moves nothing, the same examples move the weights by what is left of it."""
    still = {"sgd": {"learning_rate": 1e-9}}
    for every, left in ((None, [1, 1, 1]), (1, [1, 1 / 2, 1 / 4]), (2, [1, 1, 1 / 2])):
        optimizer = still if every is None else still | {"halve_every": every}
        chosen = cell(rule="backprop", measures=["test_nse"], optimizer=optimizer, epochs=3)
        start, *ends = (after(chosen, 60 * epochs)[epochs > 0]["readout"] for epochs in range(4))
        moved = np.diff(np.stack([start, *ends]), axis=0)
        np.testing.assert_allclose(moved, np.multiply.outer(left, moved[0]), rtol=1e-4)


# Kolen and Pollack's law


STEPS = 400
DECAY = 0.01
NET = {
    "task": {"teacher": {"inputs": 5, "outputs": 3, "train": STEPS, "test": 20}},
    "network": {
        "hidden": [4],
        "activation": "tanh",
        "output": "linear",
        "init": {"uniform": 0.5},
        "feedback_init": {"uniform": 0.5},
    },
    "rule": "kolen_pollack",
    "optimizer": {"sgd": {"learning_rate": 0.05}, "weight_decay": DECAY},
    "record": {"every": 20},
    "measures": ["gap"],
    "dtype": "float64",
    "seeds": 2,
}
LAYERS = ("hidden_1", "readout")


def measured(folder, optimizer, **changes):
    chosen = RunSpec.model_validate(NET | {"optimizer": optimizer} | changes)
    run = read_run(simulate(Cell("p", "e", "a", "quick", chosen), Store(folder)))
    return run.step, run.measures


@pytest.mark.parametrize(
    "optimizer",
    [
        {"sgd": {"learning_rate": 0.05}},
        {"sgd": {"learning_rate": 0.02, "momentum": 0.9}},
        {"adam": {"learning_rate": 0.003}},
    ],
    ids=["sgd", "momentum", "adam"],
)
def test_the_gap_decays_exactly_if_both_take_the_same_step_and_decay(tmp_path, optimizer):
    network = NET["network"] | {"hidden": [6, 4]}
    optimizer = optimizer | {"weight_decay": DECAY}
    _, found = measured(tmp_path, optimizer, network=network, measures=["law_error"])
    for layer in ("hidden_1", "hidden_2", "readout"):
        assert found[f"law_error/{layer}"].max() < 1e-12
    # Not because nothing was learned.
    assert found["train_loss"][0, -1] < found["train_loss"][0, 1]


def test_without_decay_the_gap_stays(tmp_path):
    _, found = measured(tmp_path, {"sgd": {"learning_rate": 0.05}})
    for layer in LAYERS:
        gap = found[f"gap/{layer}"]
        np.testing.assert_allclose(gap, gap[:, [0]] * np.ones_like(gap), rtol=1e-12)


@pytest.mark.parametrize(
    "optimizer",
    [
        {"sgd": {"learning_rate": 0.05}, "feedback_weight_decay": 2 * DECAY},
        {"adam": {"learning_rate": 0.01}, "coupled": True},
        {"rmsprop": {"learning_rate": 0.01}, "coupled": True},
    ],
    ids=["unequal decay", "L2 under Adam", "L2 under RMSprop"],
)
def test_the_law_is_broken_by(tmp_path, optimizer):
    step, found = measured(tmp_path, optimizer | {"weight_decay": DECAY})
    rate = next(iter(optimizer.values()))["learning_rate"] if "coupled" in optimizer else 1
    for layer in LAYERS:
        gap = found[f"gap/{layer}"]
        law = gap[:, [0]] * (1 - rate * DECAY) ** step
        assert np.abs(gap / law - 1).max() > 1e-3


def test_with_l2_in_the_gradient_momentum_has_a_companion_matrix_for_its_law(tmp_path):
    """D(t+1) = D(t) - eta M(t+1), M(t+1) = mu M(t) + decay D(t), from M(0) = 0."""
    eta, mu, l2 = 0.02, 0.9, 0.5
    sgd = {"learning_rate": eta, "momentum": mu}
    step, found = measured(tmp_path, {"sgd": sgd, "weight_decay": l2, "coupled": True})
    matrix = np.array([[1 - eta * l2, -eta * mu], [l2, mu]])
    left = np.array([(np.linalg.matrix_power(matrix, t) @ [1, 0])[0] for t in step])
    for layer in LAYERS:
        gap = found[f"gap/{layer}"]
        np.testing.assert_allclose(gap, gap[:, [0]] * np.abs(left), rtol=1e-9, atol=1e-12)

"""The 2016 article's rule, phases, task and measures are what its Methods say, in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from replications.harness.declared.spec import RunSpec
from replications.harness.training import networks, tasks
from replications.harness.training.losses import example_loss, is_wrong
from replications.harness.training.measures import Measures
from replications.harness.training.program import program
from replications.harness.training.tasks import Data

RATE = 0.7
PRINTED = {
    "task": {"teacher": {"inputs": 5, "outputs": 3, "train": 6, "test": 40}},
    "network": {
        "hidden": [7],
        "activation": "logistic",
        "output": "logistic",
        "init": {"uniform": 1.0},
        "bias_init": {"uniform": 0.5},
        "feedback_init": {"uniform": 2.0},
    },
    "rule": "feedback_alignment",
    "output_error": "printed",
    "optimizer": {"sgd": {"learning_rate": RATE}},
    "measures": ["test_loss", "test_nse", "test_nse_variance", "delta_angle"],
    "dtype": "float64",
    "seeds": 1,
}
QUADRATIC = {
    **PRINTED,
    "task": {"quadratic": {"inputs": 4, "outputs": 3, "train": 60, "test": 30}},
    "network": {
        "hidden": [12],
        "activation": "tanh",
        "init": {"uniform": 0.3},
        "feedback_init": {"uniform": 0.5},
    },
    "optimizer": {"sgd": {"learning_rate": 0.01}, "weight_decay": 0.01},
    "measures": ["test_nse_variance", "weight_angle", "unit_angle", "fields"],
}


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


def spec(base=PRINTED, **changes):
    network = {**base["network"], **changes.pop("network", {})}
    return RunSpec.model_validate({**base, **changes, "network": network})


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def labels(n, outputs, seed=0):
    return np.eye(outputs)[np.random.RandomState(seed).randint(outputs, size=n)]


def digits_like(chosen, n=6, tests=40):
    """Inputs in [0, 1] and classes, of the sizes of the spec."""
    random, teacher = np.random.RandomState(1), chosen.task.teacher
    x = random.uniform(size=(n + tests, teacher.inputs))
    y = labels(n + tests, teacher.outputs)
    return tasks.Task(Data(*map(jnp.asarray, (x[:n], y[:n], x[n:], y[n:]))), False, None)


def after(chosen, task, updates):
    """The state after so many updates, and the functions."""
    found = program(chosen, task)
    seed = jnp.uint32(0)
    state = found.start(seed)
    order = found.order(seed, jnp.int32(0))
    return found.advance(state, seed, order, task.data, jnp.int32(updates)), found


def weights(state):
    """Kernels and biases by their paths."""
    flat = nnx.to_flat_state(state.trained)
    return {"/".join(map(str, path)): np.asarray(value[...]) for path, value in flat}


def by_hand(chosen, task, updates):
    """The article's equations: forward weights as (out, in), one example an update."""
    net = networks.build(
        chosen, task.data.train_x.shape[1:], task.data.train_y.shape[1], jnp.uint32(0)
    )
    layers = networks.layers(net)
    hidden = [k for k in layers if k != "readout"]
    W = {k: np.asarray(v.kernel[...]).T.copy() for k, v in layers.items()}
    b = {k: np.asarray(v.bias[...]).copy() for k, v in layers.items()}
    feedback = chosen.rule == "feedback_alignment"
    B = {k: np.asarray(v.feedback[...]) if feedback else None for k, v in layers.items()}
    for x, y in list(zip(*map(np.asarray, task.data[:2]), strict=True))[:updates]:
        h = {"input": x}
        below, sender = {}, "input"
        for k in hidden:
            below[k] = sender
            h[k], sender = sigmoid(W[k] @ h[sender] + b[k]), k
        below["readout"] = sender
        out = sigmoid(W["readout"] @ h[sender] + b["readout"])
        e = out - y
        d = {"readout": e * out * (1 - out)}
        above, signal = "readout", None
        for k in reversed(hidden):
            if not feedback:
                signal = W[above].T @ d[above]
            else:
                signal = B[above] @ (e if above == "readout" else d[above])
            d[k] = signal * h[k] * (1 - h[k])
            above = k
        for k in W:
            W[k] -= RATE * np.outer(d[k], h[below[k]])
            b[k] -= RATE * d[k]
    return W, b


@pytest.mark.parametrize("hidden", [[7], [7, 4]])
@pytest.mark.parametrize("rule", ["feedback_alignment", "backprop"])
def test_the_printed_rule_has_the_output_derivative_in_all_but_the_feedback_path(rule, hidden):
    chosen = spec(rule=rule, network={"hidden": hidden}, measures=["test_loss"])
    task = digits_like(chosen)
    state, _ = after(chosen, task, 5)
    W, b = by_hand(chosen, task, 5)
    found = weights(state)
    for k, name in enumerate(["hidden_1", "hidden_2"][: len(hidden)]):
        np.testing.assert_allclose(found[f"blocks/{k}/layers/0/kernel"], W[name].T, atol=1e-12)
        np.testing.assert_allclose(found[f"blocks/{k}/layers/0/bias"], b[name], atol=1e-12)
    np.testing.assert_allclose(found["readout/kernel"], W["readout"].T, atol=1e-12)
    np.testing.assert_allclose(found["readout/bias"], b["readout"], atol=1e-12)


@pytest.mark.parametrize("rule", ["backprop", "shallow"])
def test_without_feedback_the_printed_rule_is_that_of_the_squared_error(rule):
    task = digits_like(spec())
    printed, mse = (
        weights(after(spec(rule=rule, output_error=error, measures=["test_loss"]), task, 6)[0])
        for error in ("printed", "mse")
    )
    for name in printed:
        np.testing.assert_array_equal(printed[name], mse[name])


def test_the_printed_loss_is_the_squared_error():
    task = digits_like(spec())
    printed = after(spec(), task, 1)[0].first_losses[0]
    mse = after(spec(output_error="mse"), task, 1)[0].first_losses[0]
    assert printed == pytest.approx(float(mse), rel=1e-14)


def test_the_angle_is_between_the_printed_signals_of_both_rules():
    chosen = spec(probe=8)
    task = digits_like(chosen)
    state, found = after(chosen, task, 4)
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


@pytest.mark.parametrize("rule", ["kolen_pollack", "direct_feedback_alignment"])
def test_the_printed_rule_is_of_the_articles_rules(rule):
    with pytest.raises(ValueError, match="output_error: printed is of backprop"):
        spec(rule=rule, measures=["test_loss"])


# Freezing by phase.


def phases(*frozen, **changes):
    return spec(QUADRATIC, frozen=list(frozen), **changes)


def moved(chosen, begin, end):
    """The layers whose weights change from one update to another."""
    task = tasks.build(chosen, None)
    before, now = (weights(after(chosen, task, n)[0]) for n in (begin, end))
    return {n.split("/layers")[0] for n in before if not np.array_equal(before[n], now[n])}


def test_a_layer_rests_in_its_phase_and_learns_before_and_after():
    chosen = phases({"layers": ["readout"], "from_step": 5, "to_step": 10})
    assert moved(chosen, 0, 5) == {"blocks/0", "readout/kernel", "readout/bias"}
    assert moved(chosen, 5, 10) == {"blocks/0"}
    assert moved(chosen, 10, 11) == {"blocks/0", "readout/kernel", "readout/bias"}


def test_phases_of_several_layers_add_up():
    chosen = phases({"layers": ["readout"], "to_step": 4}, {"layers": ["hidden_1"], "from_step": 4})
    assert moved(chosen, 0, 4) == {"blocks/0"}
    assert moved(chosen, 4, 60) == {"readout/kernel", "readout/bias"}
    whole = phases({"layers": ["readout", "hidden_1"]})
    assert moved(whole, 0, 60) == set()


def test_frozen_epochs_are_a_phase_of_the_first_layer():
    short = {"epochs": 2, "measures": ["test_nse_variance"]}
    by_epochs = spec(QUADRATIC, frozen_epochs=1, **short)
    by_phase = phases({"layers": ["hidden_1"], "to_step": 60}, **short)
    task = tasks.build(by_epochs, None)
    one, other = (weights(after(chosen, task, 80)[0]) for chosen in (by_epochs, by_phase))
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize(
    ("frozen", "message"),
    [
        ([{"layers": ["hidden_2"]}], "unknown layer 'hidden_2'"),
        ([{"layers": ["readout"], "from_step": 5, "to_step": 5}], "to_step comes after from_step"),
        ([{"layers": []}], "at least 1 item"),
    ],
)
def test_phases_are_checked(frozen, message):
    with pytest.raises(ValueError, match=message):
        phases(*frozen)


# The quadratic task and the measures.


def test_the_quadratic_task_is_a_form_for_every_output():
    task = tasks.build(spec(QUADRATIC), None)
    x, y = map(np.asarray, task.data[:2])
    assert x.shape == (60, 4)
    assert np.abs(x).max() <= 2
    # Least squares over all products x_i x_j gives forms back exactly, with weights of the right size.
    i, j = np.triu_indices(4)
    forms, *_ = np.linalg.lstsq(x[:, i] * x[:, j], y, rcond=None)
    np.testing.assert_allclose((x[:, i] * x[:, j]) @ forms, y, atol=1e-12)
    assert np.abs(forms[i == j]).max() <= 0.5
    assert 0.5 < np.abs(forms[i != j]).max() <= 1.0
    assert not np.allclose(x[:30], task.data.test_x)


def test_nse_by_variance_is_1_for_the_mean_and_by_length_for_nothing():
    chosen = spec(QUADRATIC, measures=["test_nse", "test_nse_variance"], network={"init": "zeros"})
    task = tasks.build(chosen, None)
    state, found = after(chosen, task, 0)
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
    chosen = spec(QUADRATIC)
    task = tasks.build(chosen, None)
    state, found = after(chosen, task, 20)
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
    chosen = spec(QUADRATIC, measures=["unit_angle"])
    task = tasks.build(chosen, None)
    found = Measures(chosen, None, example_loss(chosen), is_wrong(3))
    assert found.spec.measures == ["unit_angle"]
    state, functions = after(chosen, task, 1)
    names = set(functions.measure(state, state, task.data)[1])
    assert names == {*(f"unit_angle/unit_{j}" for j in range(1, 11)), "train_loss", "train_error"}

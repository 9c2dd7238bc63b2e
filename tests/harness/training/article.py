"""The 2016 article's rule, tasks and phases on a small net, and its equations by hand, in NumPy."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from replications.harness.declared.spec import RunSpec
from replications.harness.training import networks, tasks
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


def small(base=PRINTED, **changes):
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


def updated(chosen, task, updates):
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


def phases(*frozen, **changes):
    return small(QUADRATIC, frozen=list(frozen), **changes)

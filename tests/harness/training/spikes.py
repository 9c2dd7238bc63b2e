"""A small spiking net as a cell: its spec, a task of noise, and what training makes of it."""

import jax.numpy as jnp
import numpy as np

from replications.harness.declared.spec import RunSpec
from replications.harness.training import tasks
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

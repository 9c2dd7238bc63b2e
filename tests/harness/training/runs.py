"""Cells of a small linear net, and runs of them."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from replications.harness.declared.experiments import Cell
from replications.harness.declared.spec import RunSpec
from replications.harness.records import Run, read_run
from replications.harness.store import Store
from replications.harness.training import datasets, tasks
from replications.harness.training.program import program
from replications.harness.training.simulate import simulate

LINEAR = {
    "task": {"teacher": {"inputs": 5, "outputs": 3, "train": 60, "test": 20}},
    "network": {
        "hidden": [4],
        "activation": "linear",
        "bias": False,
        "init": {"uniform": 0.3},
        "feedback_init": {"uniform": 0.5},
    },
    "rule": "feedback_alignment",
    "optimizer": {"sgd": {"learning_rate": 0.02}},
    "record": {"every": 20},
    "measures": ["test_nse", "delta_angle", "pseudo_angle", "gap", "features"],
    "dtype": "float64",
    "seeds": 3,
}


def cell(**changes: Any) -> Cell:
    """A cell that is this net but for the changes."""
    return Cell("paper", "experiment", "arm", "quick", RunSpec.model_validate(LINEAR | changes))


def run(folder: Path, chosen: Cell, **how: Any) -> Run:
    """Simulate a cell, and read what it gives."""
    return read_run(simulate(chosen, Store(folder), **how))


def assert_same_bits(a: Run, b: Run) -> None:
    """The losses and all measures of two runs are the same."""
    np.testing.assert_array_equal(a.first_losses, b.first_losses)
    assert a.measures.keys() == b.measures.keys()
    for name, values in a.measures.items():
        np.testing.assert_array_equal(values, b.measures[name], err_msg=name)


def arrays(state: Any) -> Any:
    """The arrays of a state: hidden, readout and, where there is one, feedback."""
    for path, leaf in jax.tree_util.tree_leaves_with_path((state.trained, state.rest)):
        text = jax.tree_util.keystr(path)
        if "readout" in text:
            yield ("feedback" if "feedback" in text else "readout"), leaf
        elif "kernel" in text:
            yield "hidden", leaf


def after(chosen: Cell, updates: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The arrays of seed 0, at the start and after some updates."""
    with jax.enable_x64(True):
        task = tasks.build(chosen.spec, datasets.stand_in)
        functions = program(chosen.spec, task)
        seed = np.uint32(0)
        state = functions.start(seed)
        start = {k: np.asarray(v) for k, v in arrays(state)}
        state = functions.advance(state, seed, functions.order(seed, 0), task.data, updates)
        return start, {k: np.asarray(v) for k, v in arrays(state)}

"""Small nets on small tasks, and their arrays by name, to hold training against hand computations."""

from typing import Any

import jax
import numpy as np

from replications.harness.declared import experiments
from replications.harness.declared.spec import RunSpec
from replications.harness.training import tasks
from replications.harness.training.program import program

RULES = (
    "backprop",
    "feedback_alignment",
    "direct_feedback_alignment",
    "indirect_feedback_alignment",
)
DIRECT = "direct_feedback_alignment"
CONV = {"convolutions": [2, 3], "hidden": [6, 5]}


def resolved(experiment: str, arm: str = DIRECT, *, network: Any = None, **changes: Any) -> RunSpec:
    """A cell of Nokland's at full scale with the sizes of its net changed, in double precision."""
    chosen = experiments.cell("nokland2016", experiment, arm, "full").spec
    network = chosen.network.model_copy(update=network or {})
    changes = {"dtype": "float64", "network": network, **changes}
    return chosen.model_copy(update=changes)


def digits(
    n: int = 6, shape: tuple[int, ...] = (7,), classes: int = 3, seed: int = 0
) -> tasks.Task:
    """Noise of ``n`` examples, the classes in turn."""
    random = np.random.default_rng(seed)
    x, y = random.random((n, *shape)), np.eye(classes)[np.arange(n) % classes]
    return tasks.Task(tasks.Data(*map(jax.numpy.asarray, (x, y, x, y))), False, None)


class Net:
    """A program's state, advanced update by update, its arrays by name: W1, b1, B1, ... W, b, B."""

    def __init__(self, chosen: RunSpec, task: tasks.Task, seed: int = 0) -> None:
        cast = [array.astype(chosen.dtype) for array in task.data]
        self.task, self.seed = task._replace(data=tasks.Data(*cast)), np.uint32(seed)
        self.program = program(chosen, self.task)
        self.state = jax.jit(self.program.start)(self.seed)
        self.go = jax.jit(self.program.advance)

    def advance(self, updates: int = 1) -> None:
        """Train on."""
        order = self.program.order(self.seed, 0)
        self.state = self.go(self.state, self.seed, order, self.task.data, np.int32(updates))

    def arrays(self) -> dict[str, np.ndarray]:
        """Every array of the net."""
        named = {}
        for path, leaf in jax.tree_util.tree_leaves_with_path(
            (self.state.trained, self.state.rest)
        ):
            words = [
                str(getattr(p, "key", getattr(p, "idx", getattr(p, "name", "")))) for p in path
            ]
            kind = next((k for k in ("kernel", "bias", "feedback") if k in words), None)
            if kind is None:
                continue
            number = (
                ""
                if "readout" in words
                else str(1 + int(next(w for w in words[1:] if w.isdigit())))
            )
            named[{"kernel": "W", "bias": "b", "feedback": "B"}[kind] + number] = np.array(leaf)
        return named


def patches(x: np.ndarray) -> np.ndarray:
    """The 5 x 5 neighbourhoods of each pixel, with two zeros around the image."""
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    return np.moveaxis(windows, 3, 5)  # (n, height, width, 5, 5, channels)


def pooled(h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """3 x 3 maxima at every second place, and where each of them stands: the first of equals."""
    windows = np.lib.stride_tricks.sliding_window_view(h, (3, 3), axis=(1, 2))[:, ::2, ::2]
    flat = windows.reshape(*windows.shape[:4], 9)
    return flat.max(-1), flat.argmax(-1)

"""Tables of the real format, with curves of roughly the real shape, to draw figures from."""

import numpy as np
import pandas as pd

from replications.harness.tables import COLUMNS


class Curves:
    """Collects rows; ``value(t)`` is a curve over the steps, ``noise`` its relative spread."""

    def __init__(self, steps, seeds, steps_per_epoch=1):
        self.steps, self.seeds, self.per_epoch = np.asarray(steps), seeds, steps_per_epoch
        self.random, self.rows = np.random.default_rng(0), []

    def add(self, arm, measure, value, noise, layer=""):
        along = np.sqrt(self.steps / self.steps[-1])
        for seed in range(self.seeds):
            drawn = value(self.steps) * np.exp(noise * self.random.normal() * along)
            drawn *= np.exp(noise / 4 * self.random.normal(size=len(drawn)))
            for step, number in zip(self.steps, drawn, strict=True):
                self.rows.append(
                    (arm, seed, step, step / self.per_epoch, measure, layer, float(number))
                )

    @property
    def table(self):
        return pd.DataFrame(self.rows, columns=COLUMNS)


def _falling(start, end, time):
    return lambda t: end + (start - end) * np.exp(-t / time)


def _linear():
    made = Curves(np.unique(np.r_[0:100:5, 100:2001:20]), 20)
    made.add("shallow", "test_nse", _falling(1, 0.65, 300), 0.05)
    made.add("node_perturbation", "test_nse", lambda t: 10 ** (-2.2 * t / 2000), 0.4)
    made.add("backprop", "test_nse", lambda t: 10 ** (-11 * np.clip(t - 300, 0, None) / 1700), 1)
    made.add("feedback_alignment", "test_nse", lambda t: 10 ** (-11.5 * t / 2000), 1)
    made.add("feedback_alignment", "delta_angle", _falling(92, 30, 80), 0.15, "hidden_1")
    return made.table


def _mnist():
    made = Curves(np.arange(41) * 60_000, 5, 60_000)
    for arm, end in (("shallow", 0.073), ("backprop", 0.024)):
        made.add(arm, "test_error", _falling(0.9, end, 7e4), 0.03)
    for arm, end, angle in (
        ("feedback_alignment", 0.021, 38),
        ("sparse_feedback_alignment", 0.025, 55),
    ):
        made.add(arm, "test_error", _falling(0.9, end, 7e4), 0.03)
        made.add(arm, "delta_angle", _falling(90, angle, 2e5), 0.04, "hidden_1")
    return made.table


def _nonlinear():
    made = Curves(np.arange(0, 400_001, 8000), 20)
    made.add("shallow", "test_nse", _falling(1.5, 0.128, 6e4), 0.1)
    for depth, end in ((3, 2.1e-3), (4, 1e-3)):
        made.add(f"backprop_{depth}", "test_nse", _falling(1, end, 3e4), 0.15)
        arm = f"feedback_alignment_{depth}"
        made.add(arm, "test_nse", _falling(1, 0.9 * end, 3e4), 0.15)
        for layer in range(1, depth - 1):
            fall = _falling(90, 55 - 6 * depth - 9 * layer, 3e4)
            made.add(arm, "delta_angle", fall, 0.1, f"hidden_{layer}")
    return made.table


def _flow_field():
    """The expected dynamics themselves, from the grid of starts."""
    grid = np.linspace(-2, 2, 21)
    w0, w = np.repeat(grid, 21), np.tile(grid, 21)
    parts = []
    for step in range(1001):
        if step % 10 == 0:
            for layer, values in (("hidden_1", w0), ("readout", w)):
                rows = {"seed": range(441), "step": step, "layer": layer, "value": values}
                parts.append(pd.DataFrame(rows))
        error = 0.02 * (1 - w * w0)
        w0, w = w0 + error, w + error * w0
    table = pd.concat(parts).assign(arm="feedback_alignment", measure="weight")
    return table.assign(epoch=table.step)[COLUMNS]


def _scale_sweep():
    made = Curves(np.unique(np.r_[0:2000:100, 2000:20_001:500]), 5)
    for scale in ("0.0001", "0.001", "0.01", "0.05", "0.1", "0.125", "0.15", "0.2", "0.25"):
        w = float(scale)
        made.add(f"w_{scale}", "test_nse", lambda t, w=w: 10 ** ((10 * w - 15) * t / 2e4), 0.3)
        made.add(f"w_{scale}", "delta_angle", _falling(92, 33 + 240 * w**2, 900), 0.08, "hidden_1")
        made.add(f"w_{scale}", "pseudo_angle", _falling(90, 160 * w, 900), 0.08, "hidden_1")
    return made.table


def _mnist_search():
    made = Curves(np.arange(6) * 4000, 3, 4000)
    for arm, scales in (
        ("backprop_w", ("0.05", "0.1", "0.2", "0.5", "1")),
        ("feedback_alignment_b", ("0.2", "0.5", "1", "2", "5")),
    ):
        for scale in scales:
            end = 0.08 + 0.01 * np.log(float(scale)) ** 2
            made.add(f"{arm}_{scale}", "test_error", _falling(0.9, end, 4000), 0.03)
    return made.table


def _nonlinear_search():
    made = Curves(np.arange(9) * 50_000, 20)
    for kind, values, depths in (
        ("teacher", ("0.18", "0.2", "0.22", "0.25"), (3, 4)),
        ("rate", ("0.02", "0.08"), (4,)),
        ("w", ("0.02", "0.2"), (4,)),
        ("b", ("0.25", "1"), (4,)),
    ):
        for value in values:
            for depth in depths:
                fall = _falling(1, 2e-2 * float(value) / depth, 3e4)
                for rule in ("backprop", "feedback_alignment")[kind == "b" :]:
                    made.add(f"{rule}_{depth}_{kind}_{value}", "test_nse", fall, 0.2)
    return made.table


def tables():
    """A table for every experiment that Lillicrap's figures need."""
    return {
        "linear": _linear(),
        "mnist": _mnist(),
        "nonlinear": _nonlinear(),
        "flow_field": _flow_field(),
        "scale_sweep": _scale_sweep(),
        "mnist_search": _mnist_search(),
        "nonlinear_search": _nonlinear_search(),
    }

"""How the cost of training grows with seeds, depth and updates, and the memory with the arrays there are.

python -m tests.benchmarks growth
"""

import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from matplotlib.figure import Figure

from replications.harness.declared import experiments
from replications.harness.store import ROOT
from replications.harness.training import datasets
from tests.benchmarks.timing import NETS, Row, Table, Training, cell, in_turns

SIZES = {
    "seeds": [1, 2, 4, 8, 16, 32],
    "hidden layers": [1, 2, 4, 8, 16, 32, 64],
    "updates": [10, 30, 100, 300, 1000],
}
PICTURE = ROOT / "results/benchmarks/growth.png"
EXPONENT = 1.05
MEMORY = 1.5
UPDATES = 30


def measure() -> list[Table]:
    seen = {of: _times(of, sizes) for of, sizes in SIZES.items()}
    rows = []
    for of, times in seen.items():
        sizes = SIZES[of]
        exponent = float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
        ends = f"{1e3 * times[0]:.3g}", f"{1e3 * times[-1]:.3g}"
        cells = [of, f"{sizes[0]} to {sizes[-1]}", *ends, f"{exponent:.2f}"]
        rows.append(Row(cells, f"<= {EXPONENT}", exponent <= EXPONENT))
    _draw(seen)
    return [Table(
        "How cost grows",
        ["with", "from, to", "ms, first", "ms, last", "exponent"],
        rows,
        "784-240-...-240-10 by feedback alignment, batch 64. Drawn in "
        f"`{PICTURE.relative_to(ROOT).as_posix()}`.",
    ), Table(
        "Peak memory",
        ["net", "arrays, MB", "peak, MB", "ratio"],
        [_memory(net) for net in NETS],
        "Arrays: the data in bytes and in float32, weights, feedback, moments, gradients, and the activations "
        "and errors of a batch. Peak: of a process that trains for an epoch and measures, above what it had "
        "after XOR.",
    )]  # fmt: skip


def _times(of: str, sizes: list[int]) -> list[float]:
    one = Training(cell("7x240", "feedback_alignment"))
    goes: dict[int, Callable[[], None]] = {}
    for size in sizes:
        if of == "seeds":
            goes[size] = functools.partial(one.seeds, size, UPDATES)
        elif of == "updates":
            goes[size] = functools.partial(one.updates, size)
        else:
            network = cell("7x240", "backprop").spec.network
            deep = network.model_copy(update={"hidden": (240,) * size})
            chosen = cell("7x240", "feedback_alignment", network=deep)
            goes[size] = functools.partial(Training(chosen).updates, UPDATES)
    return list(in_turns(goes, 5).values())


def _draw(seen: dict[str, list[float]]) -> None:
    figure = Figure(figsize=(9, 3), layout="constrained")
    axes = figure.subplots(1, len(seen))
    for axis, (of, times) in zip(axes, seen.items(), strict=True):
        sizes = np.array(SIZES[of])
        slope, level = np.polyfit(np.log(sizes), np.log(times), 1)
        axis.loglog(sizes, np.exp(level) * sizes**slope, color="0.7")
        axis.loglog(sizes, times, "o")
        axis.set(xlabel=of, ylabel="seconds", title=f"cost ~ n$^{{{slope:.2f}}}$")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=150)


def _memory(net: str) -> Row:
    words = [sys.executable, "-m", "tests.benchmarks.growth", net]
    said = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
    arrays, peak = map(float, said.stdout.split())
    ratio = peak / arrays
    cells = [net, f"{arrays:.0f}", f"{peak:.0f}", f"{ratio:.2f}"]
    return Row(cells, f"<= {MEMORY}", ratio <= MEMORY)


def _peak(net: str) -> tuple[float, float]:
    """The arrays that training has to hold, and what this process took at most for it; MB."""
    # Python, jax, its compiler: what XOR takes too.
    xor = experiments.cell("kolen_pollack1994", "xor", "feedback_alignment", "quick")
    Training(xor).epoch()
    before = _status("VmRSS")
    one = Training(cell(net, "feedback_alignment"))
    digits = datasets.stand_in("mnist")  # as bytes, which stay for the other cells of an experiment
    data = sum(x.nbytes for x in (*one.task.data, digits.train_x, digits.test_x))
    state = sum(leaf.nbytes for leaf in jax.tree.leaves((one.state.trained, one.state.rest)))
    # Beside them a moment and a gradient for each weight, and the first state, of which measures tell.
    learns = sum(leaf.nbytes for leaf in jax.tree.leaves(one.state.trained))
    spec = cell(net, "feedback_alignment").spec
    active = 2 * 4 * spec.batch * (sum(spec.network.hidden) + 784 + 10)
    one.epoch()
    return (data + 2 * state + 3 * learns + active) / 1e6, _status("VmHWM") - before


def _status(name: str) -> float:
    """A line of Linux's account of this process, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(float(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(name))


if __name__ == "__main__":
    print(*_peak(sys.argv[1]))

"""One update of the same net on one thread, in turns with PyTorch and biotorch.

python -m tests.benchmarks peers

Makes an environment for them first, with pip; their versions stand in the table.
"""

import functools
import subprocess
import tempfile
import venv
from pathlib import Path
from typing import Any

from tests.benchmarks.timing import Row, Table, Training, cell, in_turns

PACKAGES = ["torch==2.13.0", "numpy", "setuptools"]
# Without what it installs for its own experiments (Jupyter, torchvision).
ALONE = ["biotorch==0.0.16"]
NETS = {"2x800": ("2x800", 40), "7x240": ("7x240", 80), "conv": ("cifar10_conv", 2)}
KINDS = {
    "backprop": {"eager": "PyTorch eager", "compile": "torch.compile"},
    "feedback_alignment": {
        "eager": "PyTorch, autograd.Function by hand",
        "compile": "the same under torch.compile",
        "biotorch": "biotorch",
    },
}
GOALS = {"backprop": 1.7, "feedback_alignment": 2.0}


def measure() -> list[Table]:
    with tempfile.TemporaryDirectory() as folder, _Peers(Path(folder)) as peers:
        rows = [row for net in NETS for rule in KINDS for row in _rows(peers, net, rule)]
        return [Table(
            "Beside peers, one update on one thread",
            ["net", "rule", "ours, ms", "peer", "its ms", "times as fast"],
            rows,
            "Batch 64, RMSprop, the same widths; ours with its shuffling and running sums. "
            f"{', '.join([*PACKAGES[:1], *ALONE])}. The goal is that of the fastest peer.",
        )]  # fmt: skip


def _rows(peers: "_Peers", net: str, rule: str) -> list[Row]:
    name, n = NETS[net]
    runs: dict[str, Any] = {"ours": functools.partial(Training(cell(name, rule)).updates, n)}
    for kind in KINDS[rule]:
        runs[kind] = functools.partial(peers.seconds, net, rule, kind, n)
    best = {kind: 1e3 * seconds / n for kind, seconds in in_turns(runs, 5).items()}
    ours = best.pop("ours")
    rows = []
    for kind, its in best.items():
        cells = [
            net,
            rule.replace("_", " "),
            f"{ours:.2f}",
            KINDS[rule][kind],
            f"{its:.2f}",
            f"{its / ours:.2f}",
        ]
        fastest = its == min(best.values())
        goal = f">= {GOALS[rule]:.1f}" if fastest else ""
        rows.append(Row(cells, goal, its / ours >= GOALS[rule] if fastest else None))
    return rows


class _Peers:
    """A process with PyTorch, in an environment of its own."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __enter__(self) -> "_Peers":
        venv.create(self.folder, with_pip=True)
        (python,) = [*self.folder.glob("bin/python"), *self.folder.glob("Scripts/python.exe")]
        for words in (PACKAGES, ["--no-deps", *ALONE]):
            subprocess.run([python, "-m", "pip", "install", "--quiet", *words], check=True)
        script = Path(__file__).with_name("peers_torch.py")
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([python, script], stdin=pipe, stdout=pipe, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def seconds(self, net: str, rule: str, kind: str, updates: int) -> float:
        """What so many updates took there."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{net} {rule} {kind} {updates}\n")
        self.process.stdin.flush()
        for line in self.process.stdout:  # biotorch talks
            if line.startswith("seconds "):
                return float(line.split()[1])
        raise RuntimeError(f"PyTorch ended with {self.process.wait()}")

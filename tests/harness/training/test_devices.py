"""Cells that run beside each other take a device each; on which they ran changes no bit."""

import os
import subprocess
import sys

import numpy as np

from replications.harness.records import read_run
from replications.harness.store import ROOT, Store
from replications.harness.training.devices import on_a_free_device

FOUR = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}


def script(code: str, folder, **more: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={**os.environ, "TMPDIR": str(folder), **FOUR, **more},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


def test_the_first_device_that_nobody_holds_is_taken(tmp_path):
    code = """
import contextlib, jax
from replications.harness.training.devices import on_a_free_device
with contextlib.ExitStack() as stack:
    for _ in range(4):
        device = stack.enter_context(on_a_free_device())
        assert jax.jit(lambda: jax.numpy.ones(3))().devices() == {device}
        print(device.id)
    with on_a_free_device() as shared:  # all are held
        assert shared in jax.local_devices()
with on_a_free_device() as device:
    print(device.id)
"""
    assert script(code, tmp_path) == ["0", "1", "2", "3", "0"]


def test_cells_beside_each_other_take_a_device_each_and_have_the_bits_of_one_alone(tmp_path):
    """Four processes at once, which wait until all of them compute."""
    code = """
import os, sys, time
from pathlib import Path
from replications.harness import command_line
from replications.harness.training import simulate
from replications.harness.training.sealing import seal
from tests.harness.training.runs import cell, run
folder, compute = Path(sys.argv[1]), simulate._compute
def together(*arguments):
    import jax
    device = jax.numpy.ones(1).devices().pop().id
    (folder / f"on-{device}").touch(exist_ok=False)
    end = time.monotonic() + 120
    while len(list(folder.glob("on-*"))) < 4 and time.monotonic() < end:
        time.sleep(0.05)
    return compute(*arguments)
simulate._compute = together
seal()
run(folder / str(os.getpid()), cell(seeds=1))
"""
    env = {**os.environ, "TMPDIR": str(tmp_path), **FOUR}
    words = [sys.executable, "-c", code, str(tmp_path)]
    started = [subprocess.Popen(words, env=env, cwd=ROOT) for _ in range(4)]
    assert [process.wait() for process in started] == [0] * 4
    assert {path.name for path in tmp_path.glob("on-*")} == {f"on-{i}" for i in range(4)}
    # In a process of its own too: this one compiles for speed (tests/conftest.py).
    code = """
import sys
from pathlib import Path
from replications.harness.training.sealing import seal
from tests.harness.training.runs import cell, run
seal()
run(Path(sys.argv[1]) / "alone", cell(seeds=1))
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True)
    file = Store(tmp_path / "alone").run("quick", "paper", "experiment", "arm")
    alone = read_run(file)
    for process in started:
        store = Store(tmp_path / str(process.pid))
        with np.load(store.run("quick", "paper", "experiment", "arm")) as other:
            for name, values in alone.measures.items():
                np.testing.assert_array_equal(other[name], values, err_msg=name)


def test_where_there_is_one_device_nothing_is_held(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with on_a_free_device():
        assert list(tmp_path.iterdir()) == []

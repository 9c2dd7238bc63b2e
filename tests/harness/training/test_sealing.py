"""What a shell says of JAX and XLA changes no number: it is overruled, or refused in one line."""

import os
import subprocess
import sys

import jax
import pytest

from replications.harness.errors import UserError
from replications.harness.store import ROOT
from replications.harness.training import sealing

DRAW = """
from replications.harness.training import sealing
sealing.seal()
import jax
print(jax.random.normal(jax.random.key(1), (3,)).tolist(), (jax.numpy.ones(3) / 3).dtype)
print(jax.jit(lambda x: jax.numpy.log(x))(-1.0))
"""
OVERRULED = {
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_RANDOM_SEED_OFFSET": "3",
    "JAX_ENABLE_X64": "1",
    "JAX_DISABLE_JIT": "1",
    "JAX_DEBUG_NANS": "1",
    "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
}


def said(code, **shell):
    left = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XLA_"))}
    return subprocess.run(
        [sys.executable, *code], cwd=ROOT, env={**left, **shell}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_a_shell_full_of_settings_draws_the_same_numbers():
    plain, full = said(["-c", DRAW]), said(["-c", DRAW], **OVERRULED)
    assert plain.returncode == full.returncode == 0, full.stderr
    assert plain.stdout == full.stdout


def test_a_device_that_is_not_there_is_one_line():
    words = ["-m", "replications", "simulate", "kolen_pollack1994", "xor", "backprop"]
    done = said(words, JAX_PLATFORMS="no_such_device")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(
        "error: JAX_PLATFORMS=no_such_device: there is no"
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "flags", ["--xla_cpu_enable_fast_math=true", "--xla_dump_to=x --xla_cpu_max_isa=SSE4_2"]
)
def test_flags_that_may_change_numbers_are_refused(monkeypatch, flags):
    monkeypatch.setenv("XLA_FLAGS", flags)
    with pytest.raises(UserError, match=r"XLA_FLAGS: --xla_cpu_\S+ may change numbers; unset it"):
        sealing.seal()


def test_settings_are_jaxs_own_but_for_precision():
    """What is pinned moves no number of a plain shell."""
    code = (
        "import jax; from replications.harness.training.sealing import SETTINGS; v = jax.config.values;"
        "print([n for n in SETTINGS if n in v and getattr(jax.config, n, v[n]) != SETTINGS[n]])"
    )
    assert said(["-c", code]).stdout.strip() == "['jax_default_matmul_precision']"


def test_settings_and_flags_are_recorded(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=somewhere")
    found = sealing.settings()
    assert found["XLA_FLAGS"] == "--xla_dump_to=somewhere"
    assert found["jax_default_prng_impl"] == jax.config.jax_default_prng_impl


def test_on_a_gpu_the_command_line_chooses_what_the_shell_does_not(monkeypatch, tmp_path):
    driver = tmp_path / "version"
    monkeypatch.setattr(sealing, "DRIVER", driver)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu,cuda")
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "true")
    own = "--xla_dump_to=somewhere --xla_gpu_graph_min_graph_size=7"
    monkeypatch.setenv("XLA_FLAGS", own)
    monkeypatch.setattr(jax, "devices", list)
    sealing.seal()
    assert os.environ["XLA_FLAGS"] == own
    driver.touch()
    sealing.seal()
    flags = os.environ["XLA_FLAGS"].split()
    assert flags[:2] == own.split()
    names = [flag.partition("=")[0] for flag in flags]
    assert len(set(names)) == len(names)
    assert {flag.partition("=")[0] for flag in sealing.ON_A_GPU} <= set(names)
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "true"
    monkeypatch.setenv("XLA_FLAGS", own)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    sealing.seal()
    assert os.environ["XLA_FLAGS"] == own


def test_xla_knows_the_flags_for_a_gpu_and_they_are_allowed():
    done = said(["-c", DRAW], XLA_FLAGS=" ".join(sealing.ON_A_GPU))
    assert done.returncode == 0, done.stderr
    assert done.stdout == said(["-c", DRAW]).stdout

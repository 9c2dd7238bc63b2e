"""What of the surroundings changes numbers: set for every run, or refused in one line; and recorded.

JAX reads its settings from the shell. Those that decide a draw, a product or what is compiled are the same in
every run, whatever the shell says. XLA's own flags are read where nobody can take them back: those that may
change a number are refused.
"""

import os
from pathlib import Path
from typing import Any

from replications.harness.errors import UserError

# JAX's setting -> its value in every run.
SETTINGS: dict[str, Any] = {
    # Which numbers a seed gives.
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    "jax_enable_custom_prng": False,
    "jax_legacy_prng_key": "allow",
    # In which precision, and which type the sum of two types has. float64 is asked for cell by cell.
    "jax_enable_x64": False,
    "jax_default_matmul_precision": "highest",
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    # How it is computed and compiled.
    "jax_high_dynamic_range_gumbel": False,
    "jax_enable_pgle": False,
    "jax_disable_jit": False,
    "jax_disable_most_optimizations": False,
    "jax_optimization_level": "UNKNOWN",
    "jax_exec_time_optimization_effort": 0.0,
    "jax_memory_fitting_effort": 0.0,
    "jax_default_device": None,
    # A run that diverges is an outcome, and no error.
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    "jax_debug_key_reuse": False,
}
# XLA's flags that may be set: they look on, or are how a GPU is kept busy (workflow/profiles/gpu).
ALLOWED = (
    "--xla_dump_",
    # Simulated devices, to see how cells spread over several.
    "--xla_force_host_platform_device_count=",
    "--xla_gpu_enable_command_buffer=",
    "--xla_gpu_graph_min_graph_size=",
    "--xla_gpu_enable_triton_gemm=false",
)
FLAGS = ("XLA_FLAGS", "LIBTPU_INIT_ARGS")
# What a small net needs on a GPU, where the shell says nothing else: the loop over updates as one CUDA graph (a
# launch costs more than its product), and no search among Triton's products, which takes a minute a cell.
ON_A_GPU = (
    "--xla_gpu_enable_command_buffer=FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,CONDITIONAL,WHILE",
    "--xla_gpu_graph_min_graph_size=1",
    "--xla_gpu_enable_triton_gemm=false",
)
DRIVER = Path("/proc/driver/nvidia/version")


def seal() -> None:
    """Set what decides numbers. Raises UserError for XLA flags that may change them, and where the
    shell asks for a device that is not there."""
    if DRIVER.exists() and os.environ.get("JAX_PLATFORMS") != "cpu":
        _choose_for_a_gpu()
    import jax

    for name in FLAGS:
        for flag in os.environ.get(name, "").split():
            if not flag.startswith(ALLOWED):
                known = ", ".join(ALLOWED)
                raise UserError(f"{name}: {flag} may change numbers; unset it (allowed: {known})")
    for name, value in SETTINGS.items():
        if _known(name):
            set_one: Any = jax.config.update
            set_one(name, value)
    try:
        jax.devices()
    except (RuntimeError, AssertionError):  # which of them depends on the build
        asked = os.environ.get("JAX_PLATFORMS", "")
        raise UserError(
            f"JAX_PLATFORMS={asked}: there is no such device here; unset it, or set it to cpu"
        ) from None


def _choose_for_a_gpu() -> None:
    """Before JAX looks at the device. Cells may share a card, so none takes all of its memory."""
    said = os.environ.get("XLA_FLAGS", "").split()
    names = {flag.partition("=")[0] for flag in said}
    chosen = [flag for flag in ON_A_GPU if flag.partition("=")[0] not in names]
    os.environ["XLA_FLAGS"] = " ".join([*said, *chosen])
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def settings() -> dict[str, Any]:
    """What is set now, for a manifest: JAX's settings, XLA's flags, the threads of a product."""
    import jax

    values = jax.config.values
    now = {name: getattr(jax.config, name, values.get(name)) for name in SETTINGS if _known(name)}
    texts = {name: value if isinstance(value, (bool, int, float)) else str(value)
             for name, value in now.items() if value is not None}  # fmt: skip
    return texts | {name: os.environ[name] for name in (*FLAGS, "NPROC") if os.environ.get(name)}


def _known(name: str) -> bool:
    """Whether this jax has the setting: releases come and go."""
    import jax

    return name in jax.config.values

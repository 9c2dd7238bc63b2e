"""What all tests share."""

import os
from unittest import mock

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

# Compiling is most of the time of tests. This process does it plainly, at half the cost; those that tests start,
# in which accepted numbers are trained again, have the compiler as it is.
PLAINLY = (
    os.environ.get("XLA_FLAGS", ""),
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    # Newer releases do not know it, and XLA ends a process for a flag that it does not know.
    "--xla_cpu_use_fusion_emitters=false" if jax.__version_info__ < (0, 11) else "",
)
with mock.patch.dict(os.environ, XLA_FLAGS=" ".join(PLAINLY)):
    jax.devices()

# Run by the Python of an environment that its benchmark makes.
collect_ignore = ["benchmarks/peers_torch.py"]

# What so many compilations have made is a gigabyte; all of it together would be five.
KEPT = 600
_compiled = 0


def _count(event: str, *_: object, **__: object) -> None:
    global _compiled
    _compiled += event.endswith("backend_compile_duration")


jax.monitoring.register_event_duration_secs_listener(_count)


@pytest.fixture(autouse=True)
def _memory():
    """Forget what was compiled once it is much."""
    global _compiled
    yield
    if _compiled > KEPT:
        jax.clear_caches()
        _compiled = 0


@pytest.fixture(autouse=True, scope="session")
def _compiled_once(tmp_path_factory: pytest.TempPathFactory):
    """What takes long to compile is kept for the session: tests train the same small nets again and again."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    jax.config.update("jax_compilation_cache_dir", str(shared / "compiled_plainly"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    compilation_cache.reset_cache()
    # The processes that tests start are short: for them everything takes long.
    environment = {
        "JAX_COMPILATION_CACHE_DIR": str(shared / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    with mock.patch.dict(os.environ, environment):
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, that none runs alone at the end."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)

"""Named random streams, of which a new consumer shifts nobody else's numbers; and the precision of numbers."""

import zlib
from collections.abc import Callable
from typing import Any

import jax

# Drawing runs once, and compiling it is what takes time. Without LLVM's optimisation no product is
# joined with a sum, so that the draws are also the same to the bit on every processor.
_ONCE = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def drawing(f: Callable[..., Any]) -> Any:
    """``jax.jit`` for a function that draws: compiled in a quarter of the time."""
    return jax.jit(f, compiler_options=_ONCE)


def stream(key: jax.Array, name: str) -> jax.Array:
    """The key of the stream ``name`` below ``key``."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def precision(dtype: str) -> Any:
    """A ``with`` in which arrays may have the precision that a spec asks for."""
    return jax.enable_x64(dtype == "float64")

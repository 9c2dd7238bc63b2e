"""What JAX says of its durations is added up once."""

import jax
import pytest

from replications.harness.training.compiling import COMPILING, Compiling

TRACE, LOWER, COMPILE = (
    f"/jax/core/compile/{kind}_duration"
    for kind in ("jaxpr_trace", "jaxpr_to_mlir_module", "backend_compile")
)


def told(*events):
    """The seconds after durations that end at given times."""
    ends = iter([end for end, _, _ in events])
    compiling = Compiling(lambda: next(ends))
    for _, kind, seconds in events:
        compiling(kind, seconds)
    return compiling.seconds


def test_durations_one_after_the_other_are_added():
    assert told((10, TRACE, 2), (13, LOWER, 1), (20, COMPILE, 5)) == 8


def test_what_is_traced_within_another_counts_once():
    assert told((10, TRACE, 1), (12, TRACE, 1), (13, TRACE, 5)) == 5
    assert told((3, TRACE, 1), (10, TRACE, 1), (13, TRACE, 5)) == 6


def test_other_durations_do_not_count():
    assert told((10, "/jax/compilation_cache/cache_retrieval_time_sec", 2)) == 0


def test_jax_tells_it_of_what_it_compiles():
    before = COMPILING.seconds
    function = jax.jit(lambda x: x * 3 + 1)
    function(1.0)
    first = COMPILING.seconds
    assert first > before
    function(2.0)
    assert COMPILING.seconds == pytest.approx(first)

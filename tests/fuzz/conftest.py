"""The fuzzer: made-up mistakes, thousands of them, of which none may end in a traceback or half a file.

``pytest`` tries a few of them, the same ones every time; ``pytest -m fuzz`` all, others every time. Both say how
many.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from replications.harness.training import datasets

# What a plain run tries of the whole.
SHARE = 100
_CASES, _DISTINCT = "fuzzed cases", "distinct"


@pytest.fixture(scope="module")
def mnist5k(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data sets with mnist5k in it. Not to be written to."""
    made = tmp_path_factory.mktemp("datasets")
    datasets.write("mnist5k", made / "mnist5k.npz")
    return made


@pytest.fixture
def fuzz(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[..., None]:
    """Calls a check with so many cases of a strategy."""
    whole = "fuzz" in request.config.option.markexpr

    def run(strategy: SearchStrategy[Any], check: Callable[[Any], None], cases: int) -> None:
        tried: list[str] = []

        def one(case: Any) -> None:
            tried.append(repr(case))
            check(case)

        wanted = cases if whole else max(3, cases // SHARE)
        settings(
            max_examples=wanted,
            deadline=None,
            database=None,
            derandomize=not whole,
            suppress_health_check=list(HealthCheck),
        )(given(strategy)(one))()
        record_property(_CASES, len(tried))
        record_property(_DISTINCT, len(set(tried)))
        assert len(tried) >= wanted

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [one for found in terminalreporter.stats.values() for one in found]
    ended = [one for one in reports if getattr(one, "when", "") == "call"]
    counts: Counter[str] = Counter()
    for name, value in (pair for one in ended for pair in one.user_properties):
        if name in (_CASES, _DISTINCT):
            counts[name] += int(value)
    if counts:
        terminalreporter.write_line(f"{_CASES}: {counts[_CASES]}, {counts[_DISTINCT]} distinct")

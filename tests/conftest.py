"""How the tests share two cores: a file's tests stay together, and those of the workflow too."""

import jax
import pytest


# First, for pytest-xdist reads the groups in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        # The workflow's tests share one finished run, which is made once a process.
        name = "workflow" if "workflow" in item.path.parts else item.path.as_posix()
        item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(autouse=True, scope="module")
def _memory():
    """What a module has compiled goes with it: all of it together is five gigabytes."""
    yield
    jax.clear_caches()

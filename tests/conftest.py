"""What all tests share."""

import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def _memory():
    """What a module has compiled goes with it: all of it together is five gigabytes."""
    yield
    jax.clear_caches()

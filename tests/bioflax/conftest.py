"""Every test of the library runs with strict types: nothing is promoted or broadcast by accident."""

import jax
import pytest


@pytest.fixture(autouse=True)
def strict():
    with (
        jax.enable_x64(True),
        jax.numpy_dtype_promotion("strict"),
        jax.numpy_rank_promotion("raise"),
    ):
        yield

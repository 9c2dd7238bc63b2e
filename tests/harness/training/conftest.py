"""What tests of training share."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture
def double_precision() -> Iterator[None]:
    """Numbers of 64 bits, as hand computations have them."""
    with jax.enable_x64(True):
        yield

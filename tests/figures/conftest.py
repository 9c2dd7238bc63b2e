"""What tests of pictures share."""

import pandas as pd
import pytest

from tests.figures import curves


@pytest.fixture(scope="session")
def tables() -> dict[str, pd.DataFrame]:
    """A table for every experiment that Lillicrap's figures need."""
    return curves.tables()

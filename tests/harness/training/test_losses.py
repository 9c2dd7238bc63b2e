"""Losses whose gradient is the papers' output error, and what counts as wrong."""

import numpy as np

from replications.harness.training.losses import is_wrong
from tests.harness.training.runs import LINEAR, cell, run


def test_a_run_that_diverges_has_no_error_either(tmp_path):
    """Its largest output would be the first class: right for a tenth of ten balanced classes."""
    for outputs in ("linear", "logistic"):
        wild = cell(
            optimizer={"sgd": {"learning_rate": 1e200}},
            network=LINEAR["network"] | {"output": outputs, "activation": "linear"},
            measures=["test_error"],
            seeds=1,
        )
        found = run(tmp_path / outputs, wild).measures
        assert np.isnan(found["test_error"][0, -1])
        assert np.isnan(found["train_error"][0, -1])
        assert np.isfinite(found["test_error"][0, 0])
    np.testing.assert_array_equal(
        is_wrong(10)(np.full((2, 10), np.nan), np.eye(10)[:2]), [np.nan, np.nan]
    )
    np.testing.assert_array_equal(
        is_wrong(1)(np.array([[np.nan], [1.0]]), np.ones((2, 1))), [np.nan, 0]
    )

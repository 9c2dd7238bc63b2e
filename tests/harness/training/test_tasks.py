"""Where the examples come from."""

import numpy as np

from replications.harness.training import tasks


def test_whitening_leaves_uncorrelated_pixels_of_variance_one():
    random = np.random.default_rng(0)
    train = random.integers(0, 256, (400, 4, 4, 3)).cumsum(axis=1)
    train_x, test_x = tasks._zca(train, train[:5])
    np.testing.assert_allclose(
        np.cov(train_x.reshape(400, -1), rowvar=False), np.eye(48), atol=1e-6
    )
    np.testing.assert_allclose(test_x, train_x[:5])

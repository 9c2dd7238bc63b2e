"""Features of two clouds of examples, to project and to embed."""

import numpy as np

N = 120


def clouds(n: int = N, apart: float = 20.0, seed: int = 0, units: int = 5) -> np.ndarray:
    """Features of ``n`` examples in two clouds of one size and of spread 1."""
    random = np.random.default_rng(seed)
    return (random.normal(size=(n, units)) + apart * (np.arange(n) % 2)[:, None]).astype(np.float32)

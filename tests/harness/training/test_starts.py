"""The starts as jax draws them."""

import jax
import numpy as np
import pytest

from replications.harness.catalogue.starts import STARTS
from replications.harness.declared.spec import Init
from replications.harness.training.starts import GRID, grid_start, initializer, sparse


@pytest.mark.parametrize(
    ("init", "expected"),
    [
        ("zeros", 0),
        ({"constant": 0.3}, 0.3),
        # Filled in by the net itself, once it is drawn.
        ("forward_weights", 0),
        ({"grid": 2.0}, 0),
    ],
)
def test_a_start_that_draws_nothing_is_the_same_everywhere(init, expected):
    found = initializer(Init.model_validate(init))(jax.random.key(0), (4, 3))
    np.testing.assert_array_equal(found, np.full((4, 3), expected, np.float32))


@pytest.mark.parametrize(
    ("init", "fan_in", "bound"),
    [
        ({"uniform": 0.3}, None, 0.3),
        ("fan_in_uniform", None, 200**-0.5),
        ("fan_in_uniform", 50, 50**-0.5),
        ("receiver_uniform", None, 100**-0.5),
    ],
)
def test_a_uniform_start_fills_its_interval(init, fan_in, bound):
    found = initializer(Init.model_validate(init), fan_in)(jax.random.key(0), (200, 100))
    assert np.abs(found).max() <= bound
    assert np.abs(found).max() > 0.999 * bound
    assert abs(np.mean(found)) < 0.02 * bound


@pytest.mark.parametrize(("init", "sd"), [({"normal": 0.2}, 0.2), ("fan_sum_normal", 300**-0.5)])
def test_a_normal_start_has_its_deviation(init, sd):
    found = initializer(Init.model_validate(init))(jax.random.key(0), (200, 100))
    assert np.std(found) == pytest.approx(sd, rel=0.02)


@pytest.mark.parametrize("name", STARTS)
def test_every_start_draws_in_the_type_it_is_asked_for(name):
    written = {name: 1.0} if STARTS[name].needs_value else name
    with jax.enable_x64(True):
        found = initializer(Init.model_validate(written))(jax.random.key(0), (4, 3), np.float64)
    assert (found.shape, found.dtype) == ((4, 3), np.float64)


def test_the_seeds_of_a_grid_are_its_points_row_by_row():
    points = np.array([grid_start(seed, 2.0) for seed in range(GRID**2)])
    assert len(np.unique(points, axis=0)) == GRID**2
    assert points[0].tolist() == [-2, -2]
    assert points[1].tolist() == pytest.approx([-2, -1.8])
    assert points[-1].tolist() == [2, 2]


def test_a_sparse_start_lacks_its_share_and_keeps_the_rest():
    whole = initializer(Init.model_validate({"uniform": 1}))
    key = jax.random.key(0)
    found, all_of_it = sparse(whole, 0.7)(key, (100, 100)), whole(key, (100, 100))
    absent = np.asarray(found) == 0
    assert 0.68 < absent.mean() < 0.72
    np.testing.assert_array_equal(np.asarray(found)[~absent], np.asarray(all_of_it)[~absent])

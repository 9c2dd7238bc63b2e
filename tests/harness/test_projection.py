"""Points in the plane: neighbours stay neighbours, the same points give the same bits."""

import numpy as np
from threadpoolctl import threadpool_limits

from replications.harness.projection import project
from tests.harness.clouds import N, clouds


def distances(points):
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def test_two_clouds_of_features_stay_apart():
    between = distances(project(clouds()))
    same = np.equal.outer(np.arange(N) % 2, np.arange(N) % 2)
    nearest = np.where(same & ~np.eye(N, dtype=bool), between, np.inf).min(axis=1)
    assert nearest.max() < between[~same].min()


def test_features_of_one_cloud_stay_one():
    points = project(clouds(apart=0.0))
    middles = points[::2].mean(axis=0) - points[1::2].mean(axis=0)
    assert np.linalg.norm(middles) < points.std(axis=0).min()


def test_a_run_that_diverged_has_no_place_and_a_net_that_never_moved_has_one():
    lost = clouds()
    lost[3, 2] = np.nan
    assert np.isnan(project(lost)).all()
    assert (project(np.zeros((N, 5), np.float32)) == 0).all()


def test_any_number_of_threads_gives_the_same_bits():
    features = clouds(200, units=400)
    found = []
    # Two first: a limit counts for the libraries that are loaded, and scikit-learn loads late.
    for threads in (2, 1):
        with threadpool_limits(threads):
            found.append(project(features))
    assert found[0].tobytes() == found[1].tobytes()

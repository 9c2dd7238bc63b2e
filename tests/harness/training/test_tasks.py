"""Where the examples come from."""

import numpy as np
import pytest

from replications.harness.declared.spec import RunSpec
from replications.harness.training import datasets, tasks
from tests.harness.training.article import (
    QUADRATIC,
    small,
)


def test_whitening_leaves_uncorrelated_pixels_of_variance_one():
    random = np.random.default_rng(0)
    train = random.integers(0, 256, (400, 4, 4, 3)).cumsum(axis=1)
    train_x, test_x = tasks._zca(train, train[:5])
    np.testing.assert_allclose(
        np.cov(train_x.reshape(400, -1), rowvar=False), np.eye(48), atol=1e-6
    )
    np.testing.assert_allclose(test_x, train_x[:5])


def spec(task, **network):
    network = {"hidden": [4], "init": "zeros", **network}
    optimizer = {"sgd": {"learning_rate": 0.1}}
    return RunSpec.model_validate(
        {"task": task, "network": network, "rule": "backprop", "optimizer": optimizer,
         "measures": ["test_error"], "seeds": 1}
    )  # fmt: skip


def test_a_teacher_labels_the_same_noise_for_every_rule_and_another_for_another_seed():
    teacher = {
        "inputs": 5,
        "hidden": [4],
        "outputs": 3,
        "train": 60,
        "test": 20,
        "activation": "tanh",
    }
    one, two = (tasks.build(spec({"teacher": teacher}), datasets.stand_in) for _ in range(2))
    other = tasks.build(spec({"teacher": {**teacher, "seed": 1}}), datasets.stand_in)
    for a, b in zip(one.data, two.data, strict=True):
        np.testing.assert_array_equal(a, b)
    assert [array.shape for array in one.data] == [(60, 5), (60, 3), (20, 5), (20, 3)]
    assert (np.asarray(one.data.train_y) != np.asarray(other.data.train_y)).any()
    assert (one.shuffle, one.sha256) == (False, None)


def test_images_are_scaled_and_their_classes_one_hot():
    noise = datasets.stand_in("mnist5k")
    task = tasks.build(spec({"images": {"name": "mnist5k", "train": 50}}), datasets.stand_in)
    np.testing.assert_array_equal(task.data.train_x, noise.train_x[:50] / np.float32(255))
    np.testing.assert_array_equal(np.argmax(task.data.train_y, 1), noise.train_y[:50])
    assert (np.asarray(task.data.train_y).sum(1) == 1).all()
    assert task.data.test_x.shape == (1000, 784)
    assert task.shuffle


def test_a_net_without_convolutions_sees_a_coloured_image_as_a_row():
    few = datasets.Dataset("cifar10", "", *_coloured(6), *_coloured(3))
    task = {"images": {"name": "cifar10"}}
    flat = tasks.build(spec(task), lambda name: few)
    maps = tasks.build(spec(task, convolutions=[2]), lambda name: few)
    assert flat.data.train_x.shape == (6, 3072)
    assert maps.data.train_x.shape == (6, 32, 32, 3)


def _coloured(n):
    return np.zeros((n, 32, 32, 3), np.uint8), np.arange(n, dtype=np.int32)


def test_an_encoder_maps_every_unit_to_itself():
    task = tasks.build(spec({"patterns": {"encoder": 4}}), datasets.stand_in)
    for array in task.data:
        np.testing.assert_array_equal(array, np.eye(4))


@pytest.mark.usefixtures("double_precision")
def test_the_quadratic_task_is_a_form_for_every_output():
    task = tasks.build(small(QUADRATIC), None)
    x, y = map(np.asarray, task.data[:2])
    assert x.shape == (60, 4)
    assert np.abs(x).max() <= 2
    # Least squares over all products x_i x_j gives forms back exactly, with weights of the right size.
    i, j = np.triu_indices(4)
    forms, *_ = np.linalg.lstsq(x[:, i] * x[:, j], y, rcond=None)
    np.testing.assert_allclose((x[:, i] * x[:, j]) @ forms, y, atol=1e-12)
    assert np.abs(forms[i == j]).max() <= 0.5
    assert 0.5 < np.abs(forms[i != j]).max() <= 1.0
    assert not np.allclose(x[:30], task.data.test_x)

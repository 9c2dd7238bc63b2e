"""Losses whose gradient is the papers' output error, and what counts as wrong."""

import jax
import numpy as np
import pytest

from replications.harness.training.losses import example_loss, is_wrong
from tests.harness.training.article import (
    digits_like,
    small,
    updated,
)
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


@pytest.mark.parametrize(
    ("output", "kind", "error"),
    [
        ("linear", "raw", lambda z, y: z - y),
        ("logistic", "raw", lambda z, y: logistic(z) - y),
        ("softmax", "raw", lambda z, y: softmax(z) - y),
        ("logistic", "mse", lambda z, y: (logistic(z) - y) * logistic(z) * (1 - logistic(z))),
    ],
)
def test_the_gradient_of_a_loss_is_the_papers_output_error(output, kind, error):
    network = LINEAR["network"] | {"output": output}
    chosen = cell(network=network, output_error=kind).spec
    random = np.random.default_rng(0)
    z, y = random.normal(size=(6, 3)), random.random((6, 3))
    if output == "softmax":  # targets sum to one, as classes do
        y /= y.sum(-1, keepdims=True)
    with jax.enable_x64(True):
        loss = example_loss(chosen)
        found = jax.grad(lambda z: loss(z, y).sum())(jax.numpy.asarray(z))
        assert loss(z, y).shape == (6,)
    np.testing.assert_allclose(found, error(z, y), rtol=1e-9)


def softmax(z):
    return np.exp(z) / np.exp(z).sum(-1, keepdims=True)


def logistic(z):
    return 1 / (1 + np.exp(-z))


def test_the_largest_output_is_the_answer_or_the_side_of_the_only_one():
    z = np.array([[0.1, 0.9], [2.0, -1.0], [-5.0, -6.0]])
    y = np.array([[0, 1], [0, 1], [1, 0]])
    np.testing.assert_array_equal(is_wrong(2)(z, y), [0, 1, 0])
    z, y = np.array([[0.1], [-0.1], [3.0]]), np.array([[1.0], [1.0], [0.0]])
    np.testing.assert_array_equal(is_wrong(1)(z, y), [0, 1, 1])


@pytest.mark.usefixtures("double_precision")
def test_the_printed_loss_is_the_squared_error():
    task = digits_like(small())
    printed = updated(small(), task, 1)[0].first_losses[0]
    mse = updated(small(output_error="mse"), task, 1)[0].first_losses[0]
    assert printed == pytest.approx(float(mse), rel=1e-14)

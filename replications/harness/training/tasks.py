"""Where the examples come from: a random teacher, quadratic forms, an image data set, or given patterns."""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from replications.harness.training.starts import initializer
from replications.harness.training.streams import drawing, stream

if TYPE_CHECKING:
    from replications.harness.declared.spec import Images, Patterns, Quadratic, RunSpec, Teacher
    from replications.harness.training.datasets import Dataset

ACTIVATIONS = {
    "linear": lambda z: z,
    "tanh": jnp.tanh,
    "logistic": jax.nn.sigmoid,
    "relu": jax.nn.relu,
}


class Data(NamedTuple):
    """Examples: inputs ``(n, ...)`` and targets ``(n, n_out)``, for training and held out."""

    train_x: jax.Array
    train_y: jax.Array
    test_x: jax.Array
    test_y: jax.Array


class Task(NamedTuple):
    """``shuffle``: a new order every epoch. ``sha256``: of the data set's file, where there is one."""

    data: Data
    shuffle: bool
    sha256: str | None


def build(spec: "RunSpec", images: "Callable[[str], Dataset]") -> Task:
    """The task of a spec, the same for every seed and rule. ``images`` gives a data set by its name."""
    dtype = jnp.dtype(spec.dtype)
    if spec.task.teacher is not None:
        return _teacher(spec.task.teacher, dtype)
    if spec.task.images is not None:
        flat = not spec.network.convolutions
        return _images(spec.task.images, flat, dtype, images(spec.task.images.name))
    if spec.task.quadratic is not None:
        return _quadratic(spec.task.quadratic, dtype)
    assert spec.task.patterns is not None
    return _patterns(spec.task.patterns, dtype)


def _teacher(task: "Teacher", dtype: jnp.dtype) -> Task:
    key = jax.random.key(task.seed)
    widths = [task.inputs, *task.hidden, task.outputs]

    @drawing
    def teacher() -> list[tuple[jax.Array, jax.Array]]:
        layers = []
        for i, shape in enumerate(itertools.pairwise(widths)):
            weights = initializer(task.weights)(stream(key, f"teacher weights {i}"), shape, dtype)
            biases = initializer(task.biases)(stream(key, f"teacher biases {i}"), shape[1:], dtype)
            layers.append((weights, biases))
        return layers

    layers = teacher()

    def label(x: jax.Array) -> jax.Array:
        for weights, biases in layers[:-1]:
            x = ACTIVATIONS[task.activation](x @ weights + biases)
        weights, biases = layers[-1]
        return x @ weights + biases

    train_x = jax.random.normal(stream(key, "train"), (task.train, task.inputs), dtype)
    test_x = jax.random.normal(stream(key, "test"), (task.test, task.inputs), dtype)
    return Task(Data(train_x, label(train_x), test_x, label(test_x)), False, None)


def _quadratic(task: "Quadratic", dtype: jnp.dtype) -> Task:
    key = jax.random.key(task.seed)

    @drawing
    def draw() -> tuple[jax.Array, ...]:
        def uniform(name: str, bound: float, *shape: int) -> jax.Array:
            return jax.random.uniform(stream(key, name), shape, dtype, -bound, bound)

        return (
            uniform("quadratic forms", task.weights, task.outputs, task.inputs, task.inputs),
            uniform("train", task.bound, task.train, task.inputs),
            uniform("test", task.bound, task.test, task.inputs),
        )

    forms, train_x, test_x = draw()

    def label(x: jax.Array) -> jax.Array:
        """One form after the other: together they would need an array of all products."""
        return jax.lax.map(lambda q: jnp.sum((x @ q) * x, axis=-1), forms).T

    return Task(Data(train_x, label(train_x), test_x, label(test_x)), False, None)


def _images(task: "Images", flat: bool, dtype: jnp.dtype, data: "Dataset") -> Task:
    train_x, test_x = data.train_x[: task.train], data.test_x
    if task.whiten:
        train_x, test_x = _zca(train_x, test_x)
    if flat:
        train_x, test_x = train_x.reshape(len(train_x), -1), test_x.reshape(len(test_x), -1)
    one_hot = np.eye(1 + int(data.train_y.max()))
    # Looked up, not divided: a copy of all images that is not jax's own would double the memory.
    shades = jnp.asarray(np.arange(256, dtype=np.uint8) / np.float32(255), dtype)

    def pixels(x: np.ndarray) -> jax.Array:
        return jnp.asarray(x, dtype) if task.whiten else _looked_up(shades, x)

    examples = Data(
        pixels(train_x),
        jnp.asarray(one_hot[data.train_y[: task.train]], dtype),
        pixels(test_x),
        jnp.asarray(one_hot[data.test_y], dtype),
    )
    return Task(examples, task.shuffle, data.sha256)


@jax.jit
def _looked_up(values: jax.Array, places: jax.Array) -> jax.Array:
    return values[places]


def _zca(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whitening as in Nokland's code: whole raw images, P = V diag(1/sqrt(ev + 1e-5)) V'."""
    flat = train.reshape(len(train), -1).astype(np.float64)
    mean = flat.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(flat, rowvar=False))
    whitening = (vectors / np.sqrt(np.maximum(values, 0) + 1e-5)) @ vectors.T
    white = [
        ((x.reshape(len(x), -1).astype(np.float64) - mean) @ whitening).reshape(x.shape)
        for x in (train, test)
    ]
    return white[0], white[1]


def _patterns(task: "Patterns", dtype: jnp.dtype) -> Task:
    eye = np.eye(task.encoder)
    x = jnp.asarray(eye if task.encoder else task.x, dtype)
    y = jnp.asarray(eye if task.encoder else task.y, dtype)
    return Task(Data(x, y, x, y), task.shuffle, None)

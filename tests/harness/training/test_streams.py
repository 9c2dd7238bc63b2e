"""Named random streams."""

import jax
import numpy as np

from replications.harness.training.streams import drawing, stream


def test_a_stream_is_its_name_and_nobody_elses():
    key = jax.random.key(0)
    names = ("init", "feedback", "dropout", "order", "noise")
    data = {name: tuple(jax.random.key_data(stream(key, name)).tolist()) for name in names}
    assert len(set(data.values())) == len(names)
    assert tuple(jax.random.key_data(stream(key, "init")).tolist()) == data["init"]
    assert tuple(jax.random.key_data(stream(jax.random.key(1), "init")).tolist()) != data["init"]


def test_drawing_draws_the_same_numbers_as_without_it():
    def draw(seed):
        return jax.random.normal(stream(jax.random.key(seed), "init"), (5,))

    np.testing.assert_allclose(drawing(draw)(np.uint32(3)), draw(np.uint32(3)), rtol=1e-6)

"""A module as a pure function of its arrays: what it puts out, and what of its state it changed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bioflax
from bioflax._pure import apply, is_float, split
from tests.bioflax.cases import normal, quick, streams

X = normal((7, 4))


def linear(n_in, n_out, rngs):
    return nnx.Linear(n_in, n_out, kernel_init=quick, param_dtype=jnp.float64, rngs=rngs)


class Counting(nnx.Module):
    """Counts its calls, and has statistics that it leaves alone."""

    def __init__(self, rngs):
        self.layer = linear(4, 3, rngs)
        self.calls = nnx.Variable(jnp.zeros((), jnp.int32))
        self.mean = nnx.BatchStat(jnp.zeros(3))

    def __call__(self, x):
        self.calls[...] = self.calls[...] + 1
        return self.layer(x)


def test_the_output_is_the_modules_and_the_module_stays_as_it_is():
    model = Counting(streams())
    y, changed = apply(*split(model), jnp.asarray(X))
    np.testing.assert_array_equal(y, model.layer(jnp.asarray(X)))
    assert model.calls[...] == 0
    flat = {"/".join(map(str, path)): v[...] for path, v in nnx.to_flat_state(changed)}
    assert flat == {"calls": 1}, "what the call did not touch is no part of it"


def test_what_can_have_a_gradient_is_apart_from_what_cannot():
    _, floats, rest = split(Counting(streams()))
    names = [{path[0] for path, _ in nnx.to_flat_state(state)} for state in (floats, rest)]
    assert names == [{"layer", "mean"}, {"calls"}]
    assert not is_float((), nnx.RngKey(jax.random.key(0)))


def test_a_filter_of_ones_own_comes_first():
    _, params, floats, _ = split(Counting(streams()), nnx.Param)
    assert [{path[0] for path, _ in nnx.to_flat_state(s)} for s in (params, floats)] == [
        {"layer"},
        {"mean"},
    ]


class Twice(nnx.Module):
    def __call__(self, x):
        return x, x


def test_several_outputs_are_refused_with_the_name_of_the_module():
    rngs = streams()
    words = "puts out a tuple; direct feedback and stacks need modules that put out one array"
    for blocks, readout in (
        ([linear(4, 4, rngs), Twice()], linear(4, 2, rngs)),
        ([linear(4, 4, rngs)], Twice()),
    ):
        model = bioflax.DirectFeedback(blocks, readout, rngs=rngs)
        with pytest.raises(TypeError, match=words):
            model(jnp.asarray(X))

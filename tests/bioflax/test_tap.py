"""Where an error signal is read, and where another is put in its place."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bioflax
from bioflax._tap import Probe, Spy, Tap, tapped
from tests.bioflax.cases import normal, streams
from tests.bioflax.nets import FA, signals


@pytest.mark.parametrize(("first", "second"), [(6, 1), (1, 6)])
def test_a_layer_called_on_two_sizes_has_no_signal_of_one_shape(first, second):
    model = nnx.Sequential(bioflax.Linear(4, 4, rule=FA, rngs=streams()))

    def two_sizes(model, batch):
        return jnp.sum(model(batch[0][:first])) + jnp.sum(model(batch[0][:second]))

    words = f"layers/0 is called with outputs of shapes ({first}, 4) and ({second}, 4)"
    with pytest.raises(ValueError, match=re.escape(words)):
        signals(model, two_sizes)


Y = normal((2, 3))


def gradient(tap, error):
    """What goes back past a tap from an output at which this error arrives."""
    return jax.grad(lambda y: jnp.sum(tapped(tap, y, ()) * error))(jnp.asarray(Y))


def test_a_tap_has_the_error_and_lets_it_pass():
    error = jnp.asarray(normal((2, 3), seed=1))
    tap = Tap(jnp.zeros((2, 3)))
    np.testing.assert_array_equal(tapped(tap, jnp.asarray(Y), ()), Y)
    np.testing.assert_array_equal(gradient(tap, error), error)
    found = jax.grad(lambda zero: jnp.sum(tapped(Tap(zero), jnp.asarray(Y), ()) * error))
    np.testing.assert_array_equal(found(jnp.zeros((2, 3))), error)


def test_what_stands_in_a_probe_goes_on_whatever_error_comes_back():
    probe = Probe(jnp.asarray(normal((2, 3), seed=2)))
    np.testing.assert_array_equal(tapped(probe, jnp.asarray(Y), ()), Y)
    for seed in (1, 3):
        np.testing.assert_array_equal(
            gradient(probe, jnp.asarray(normal((2, 3), seed=seed))), probe[...]
        )


def test_past_nothing_an_output_is_itself():
    y = jnp.asarray(Y)
    assert tapped(None, y, ()) is y


def test_a_spy_makes_a_tap_of_what_it_saw_with_the_axes_that_are_outside():
    spy = Spy("a layer")
    assert spy.tap((4, 3)) is None, "the loss has not called it"
    y = jnp.asarray(Y)
    assert tapped(spy, y, (4, 3)) is y
    for weights, shape in (((4, 3), (2, 3)), ((5, 4, 3), (5, 2, 3)), ((6, 5, 4, 3), (6, 5, 2, 3))):
        tap, stacked = spy.tap(weights)
        assert (tap[...].shape, stacked) == (shape, len(weights) - 2)
        assert not tap[...].any()


def test_where_a_layer_puts_out_more_than_its_product_the_layer_counts():
    spy = Spy("a layer")
    spy.see(jnp.asarray(Y), (4, 3))
    spy.see_output(jnp.asarray(normal((2, 6))))
    assert spy.tap((4, 3))[0][...].shape == (2, 6)

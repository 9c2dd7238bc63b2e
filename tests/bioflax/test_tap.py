"""Where an error signal is read, and where another is put in its place."""

import re

import jax.numpy as jnp
import pytest
from flax import nnx

import bioflax
from tests.bioflax.cases import streams
from tests.bioflax.nets import FA, signals


@pytest.mark.parametrize(("first", "second"), [(6, 1), (1, 6)])
def test_a_layer_called_on_two_sizes_has_no_signal_of_one_shape(first, second):
    model = nnx.Sequential(bioflax.Linear(4, 4, rule=FA, rngs=streams()))

    def two_sizes(model, batch):
        return jnp.sum(model(batch[0][:first])) + jnp.sum(model(batch[0][:second]))

    words = f"layers/0 is called with outputs of shapes ({first}, 4) and ({second}, 4)"
    with pytest.raises(ValueError, match=re.escape(words)):
        signals(model, two_sizes)

"""Error signals: of every layer that is called, the sum over its calls."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bioflax
from tests.bioflax.cases import normal, streams
from tests.bioflax.nets import BATCH, FA, X, Y, loss, mlp, signals


class Modules(nnx.Module):
    """Layers in a list and a dictionary, one of them called twice, and one never."""

    def __init__(self, rngs):
        self.parts = nnx.List([bioflax.Linear(4, 4, rule=FA, rngs=rngs)])
        self.named = nnx.Dict(out=bioflax.Linear(4, 2, rule=FA, rngs=rngs))
        self.idle = bioflax.Linear(4, 4, rule=FA, rngs=rngs)

    def __call__(self, x):
        h = jnp.tanh(self.parts[0](x))
        return self.named["out"](jnp.tanh(self.parts[0](h)))


def test_layers_are_found_in_containers_and_a_layer_called_twice_has_the_sum():
    model = Modules(streams())
    found = signals(model)
    assert set(found) == {"parts/0", "named/out"}
    layer, out = model.parts[0], model.named["out"]
    w, b = (np.asarray(v[...]) for v in (layer.kernel, layer.feedback))
    h1 = np.tanh(X @ w)
    h2 = np.tanh(h1 @ w)
    e = h2 @ np.asarray(out.kernel[...]) - Y
    d2 = (e @ np.asarray(out.feedback[...]).T) * (1 - h2**2)
    d1 = (d2 @ b.T) * (1 - h1**2)
    np.testing.assert_allclose(found["parts/0"], d1 + d2, rtol=1e-4, atol=1e-5)


def test_a_loss_that_is_not_a_scalar_is_refused():
    with pytest.raises(ValueError, match=r"loss\(model, batch\) is of shape \(6, 2\), and must be"):
        signals(mlp(FA), lambda model, batch: model(batch[0]))


def test_recurrent_layers_have_signals_summed_over_time():
    rnn = nnx.RNN(bioflax.SimpleCell(4, 4, rule=FA, rngs=streams()))
    x = jnp.asarray(normal((3, 5, 4)), jnp.float32)
    found = signals(rnn, lambda model, x: jnp.sum(model(x) ** 2), x)
    shapes = {path: d.shape for path, d in found.items()}
    assert shapes == {"cell/dense_h": (3, 4), "cell/dense_i": (3, 4)}
    np.testing.assert_array_equal(found["cell/dense_h"], found["cell/dense_i"])


def test_a_loss_with_something_beside_it_is_refused():
    with pytest.raises(ValueError, match="is tuple, and must be a scalar array"):
        bioflax.alignment(mlp(FA), lambda model, batch: (loss(model, batch), 1), BATCH)

"""Alignments over training as one."""

import jax
import numpy as np
import pytest
from flax import nnx

import bioflax
from tests.bioflax.cases import FAST
from tests.bioflax.nets import BATCH, FA, aligned, loss, mlp


def test_a_history_is_the_same_from_a_loop_as_from_a_scan():
    graph, state = nnx.split(mlp(FA))

    def step(state, _):
        model = nnx.merge(graph, state)
        params = nnx.state(model, nnx.Param)
        gradient = nnx.grad(loss)(model, BATCH)
        nnx.update(model, jax.tree.map(lambda p, g: p - 0.05 * g, params, gradient))
        return nnx.state(model), bioflax.alignment(model, loss, BATCH)

    run = jax.jit(lambda s: jax.lax.scan(step, s, length=100), compiler_options=FAST)
    _, scanned = run(state)
    once, records = jax.jit(step, compiler_options=FAST), []
    for _ in range(100):
        state, record = once(state, None)
        records.append(record)
    looped = bioflax.history(records)
    # The readout's angle is 0: that of two unit vectors, each rounded to float32.
    close = {"rtol": 1e-3, "atol": np.degrees(2 * np.finfo(np.float32).eps)}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **close), looped, scanned)
    degrees = looped.deltas["layers/2"]
    assert degrees.shape == (100,)
    # Learning turns the forward weights towards the feedback (Lillicrap et al. 2016).
    assert degrees[-1] < degrees[0]


def test_a_history_of_nothing_or_of_other_layers_is_refused():
    with pytest.raises(ValueError, match="a history needs at least one alignment"):
        bioflax.history([])
    with pytest.raises(ValueError, match="layers/4"):
        bioflax.history([aligned(mlp(FA)), aligned(mlp(FA, widths=(4, 5, 2)))])

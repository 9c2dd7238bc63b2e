"""A small net and its loss, to measure alignments and signals of."""

import itertools

import jax
import jax.numpy as jnp
from flax import nnx

import bioflax
from tests.bioflax.cases import FAST, normal, quick, streams

X, Y = normal((6, 4)), normal((6, 2), seed=1)
BATCH = (jnp.asarray(X, jnp.float32), jnp.asarray(Y, jnp.float32))
FA = bioflax.FeedbackAlignment(quick)


def loss(model, batch):
    x, y = batch
    return jnp.sum((model(x) - y) ** 2) / 2


def compiled(measure):
    """``measure(model, loss, batch)``, compiled: faster here than one operation at a time."""

    def run(model, loss=loss, batch=BATCH):
        graph, state = nnx.split(model)

        def call(state, batch):
            return measure(nnx.merge(graph, state), loss, batch)

        return jax.jit(call, compiler_options=FAST)(state, batch)

    return run


aligned, signals = compiled(bioflax.alignment), compiled(bioflax.signals)


def mlp(rule, widths=(4, 5, 5, 2)):
    """Linear, tanh, linear, tanh, linear."""
    rngs = streams()
    parts = []
    for n_in, n_out in itertools.pairwise(widths):
        parts += [bioflax.Linear(n_in, n_out, rule=rule, kernel_init=quick, rngs=rngs), jnp.tanh]
    return nnx.Sequential(*parts[:-1])

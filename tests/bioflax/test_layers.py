"""Every rule on every layer, against the hand-written backward pass."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.bioflax import oracle
from tests.bioflax.cases import (
    COMPOSITE,
    DENSE,
    DTYPES,
    FAST,
    LAYERS,
    OF_DENSE,
    RULES,
    normal,
    streams,
    weights,
)

TRANSFORMS = ("vmap", "grad_of_vmap", "jit_of_scan")
RULED = [
    (layer, rule) for layer in LAYERS for rule in RULES if layer in DENSE or rule not in OF_DENSE
]
PAIRS = [pytest.param(*pair, id="-".join(pair)) for pair in RULED]
MATRIX = [
    pytest.param(
        *cell, id="-".join(map(str, cell)).replace("True", "bias").replace("False", "bare")
    )
    for pair, *rest in itertools.product(RULED, TRANSFORMS, DTYPES, (True, False))
    for cell in [(*pair, *rest)]
    for layer, rule, transform, _, use_bias in [cell]
    # Compiling is most of the time here: layers made of other layers are compiled for one rule.
    if not (layer in COMPOSITE and transform == "jit_of_scan" and rule != "feedback_alignment")
    and (use_bias or LAYERS[layer].optional_bias)
]


def net(layer, rule, depth, dtype="float64", use_bias=True):
    case, rngs = LAYERS[layer], streams()
    options = {"use_bias": use_bias} if case.optional_bias else {}
    return nnx.List(
        [
            case.make(rule=RULES[rule], rngs=rngs, dtype=jnp.dtype(dtype), **options)
            for _ in range(depth)
        ]
    )


def outputs(layer, layers, x):
    """The output after each layer: those of the nets of depth 1, 2, ... with tanh between."""
    found = []
    for module in layers:
        x = LAYERS[layer].call(module, jnp.tanh(x) if found else x)
        found.append(x)
    return found


def loss_of(layer, layers):
    """``(params, x) -> loss`` with an error drawn once at the output of every depth."""
    graph, params, rest = nnx.split(layers, nnx.Param, ...)

    def loss(params, x):
        ys = outputs(layer, nnx.merge(graph, params, rest, copy=True), x)
        errors = [jnp.asarray(normal(y.shape, seed=i), y.dtype) for i, y in enumerate(ys)]
        return sum(jnp.sum(y * error) for y, error in zip(ys, errors, strict=True))

    return loss, params


def by_path(params, dx):
    flat = {"/".join(map(str, path)): g[...] for path, g in nnx.to_flat_state(params)}
    return {path: np.asarray(g, np.float64) for path, g in (flat | {"x": dx}).items()}


def expected(layer, layers, x):
    """The same gradients from the oracle, by path (``"0/query/kernel"``, ``"x"``)."""
    h = start = oracle.Node(x)
    every = [weights(module) for module in layers]
    for i, ws in enumerate(every):
        h = LAYERS[layer].expected(ws, oracle.tanh(h) if i else h)
        h = oracle.inject(h, normal(h.value.shape, seed=i))
    oracle.backward(h)
    gradients = {"x": start.grad}
    for i, ws in enumerate(every):
        for path, w in ws.items():
            where = "/".join(filter(None, (str(i), path)))
            kernel = f"{where}/{w.product.kernel}"
            gradients[kernel] = w.kernel.grad
            if w.bias is not None:
                gradients[f"{where}/bias"] = w.bias.grad
            slot = next(name for name, v in vars(w.layer).items() if v is w.product)
            for below, g in w.learned().items():
                gradients[f"{where}/{slot}/feedback{below}"] = g
    return gradients


def compare(found, wanted, tolerance):
    assert found.keys() == wanted.keys()
    largest = max(float(np.abs(g).max()) for g in wanted.values())
    for path, g in wanted.items():
        np.testing.assert_allclose(
            found[path], g, rtol=0, atol=tolerance * largest, err_msg=path, strict=True
        )


@pytest.mark.parametrize(("layer", "rule"), PAIRS)
def test_gradients_of_nets_of_depth_1_to_4_equal_the_hand_written_backward_pass(layer, rule):
    layers = net(layer, rule, depth=4)
    x = normal(LAYERS[layer].shape)
    loss, params = loss_of(layer, layers)
    found = by_path(*jax.grad(loss, argnums=(0, 1))(params, jnp.asarray(x)))
    compare(found, expected(layer, layers, x), DTYPES["float64"])


@pytest.mark.parametrize(("layer", "rule", "transform", "dtype", "use_bias"), MATRIX)
def test_gradients_under_every_transform_equal_the_hand_written_backward_pass(
    layer, rule, transform, dtype, use_bias
):
    layers = net(layer, rule, 1, dtype, use_bias)
    two = normal((2, *LAYERS[layer].shape)).astype(jnp.dtype(dtype))
    wanted = [expected(layer, layers, x) for x in two]
    loss, params = loss_of(layer, layers)
    gradient = functools.partial(jax.grad(loss, argnums=(0, 1)), params)
    if transform == "grad_of_vmap":

        def total(params, two):
            return jnp.sum(jax.vmap(loss, in_axes=(None, 0))(params, two))

        found = [by_path(*jax.grad(total, argnums=(0, 1))(params, jnp.asarray(two)))]
        dx = np.stack([w.pop("x") for w in wanted])
        wanted = [{path: wanted[0][path] + wanted[1][path] for path in wanted[0]} | {"x": dx}]
    else:
        scan = functools.partial(jax.lax.map, gradient)
        run = jax.vmap(gradient) if transform == "vmap" else jax.jit(scan, compiler_options=FAST)
        both = run(jnp.asarray(two))
        found = [by_path(*jax.tree.map(lambda g, i=i: g[i], both)) for i in range(2)]
    for f, w in zip(found, wanted, strict=True):
        compare(f, w, DTYPES[dtype])

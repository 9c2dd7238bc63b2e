"""Shapes and options nobody listed: a layer under a rule stays Flax's layer, whatever is asked.

The oracle is Flax itself: for a product linear in its input, the error that goes back through ``B``
is the error of Flax's own layer with ``B`` as its kernel.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import bioflax
from tests.bioflax.cases import FAST, normal, quick, streams

# No shrinking: every example is a program to compile.
FEW = settings(
    max_examples=10, deadline=None, derandomize=True, database=None, phases=[Phase.generate]
)
SMALL = st.integers(1, 4)
BATCHES = st.lists(SMALL, max_size=3).map(tuple)


def agrees_with_flax(name, args, options, shape):
    kinds = {"kernel_init": quick, "param_dtype": jnp.float64, "rngs": streams()}
    layer = getattr(bioflax, name)(*args, rule=bioflax.FeedbackAlignment(quick), **options, **kinds)
    plain = getattr(nnx, name)(*args, **options, **kinds | {"rngs": streams()})
    w, b = layer.kernel[...], layer.feedback[...]
    assert b.shape == w.shape
    graph, state = nnx.split(layer)
    flax, flax_state = nnx.split(plain)

    def ours(w, x):
        module = nnx.merge(graph, state, copy=True)
        module.kernel[...] = w
        return module(x)

    def theirs(w, x):
        module = nnx.merge(flax, flax_state, copy=True)
        module.kernel[...] = w
        return module(x)

    x = jnp.asarray(normal(shape))
    error = normal(jax.eval_shape(ours, w, x).shape, seed=1)

    def both(w, b, x, error):
        y, pull = jax.vjp(ours, w, x)
        exact_y, exact = jax.vjp(theirs, w, x)
        through_b = jax.vjp(theirs, b, x)[1]
        dw, dx = pull(error)
        return (y, dw, dx), (exact_y, exact(error)[0], through_b(error)[1])

    found, wanted = jax.jit(both, compiler_options=FAST)(w, b, x, error)
    for a, c in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, c, rtol=1e-10, atol=1e-12)


@FEW
@given(BATCHES, SMALL, SMALL, st.booleans())
def test_linear_layers_with_any_number_of_batch_axes(batch, n_in, n_out, use_bias):
    agrees_with_flax("Linear", (n_in, n_out), {"use_bias": use_bias}, (*batch, n_in))


@FEW
@given(BATCHES, st.lists(SMALL, min_size=1, max_size=2), st.lists(SMALL, min_size=1, max_size=2))
def test_general_layers_over_any_axes(batch, n_in, n_out):
    axis = tuple(range(-len(n_in), 0))
    shape = (*batch, *n_in)
    agrees_with_flax("LinearGeneral", (tuple(n_in), tuple(n_out)), {"axis": axis}, shape)


@FEW
@given(
    st.sampled_from(["bi,io->bo", "b...i,ij->b...j", "bti,ijk->btkj", "tb,bto->bo", "bi,i->b"]),
    SMALL,
)
def test_any_contraction_of_an_input_with_a_kernel(spec, n):
    inputs, kernel = spec.split("->")[0].split(",")
    sizes = dict(zip("bioftjk", (2, 3, n, 1, 4, n, 2), strict=True))
    shape = [s for c in inputs.replace("...", "f") for s in [sizes[c]]]
    kernel_shape = tuple(sizes[c] for c in kernel)
    agrees_with_flax("Einsum", (spec, kernel_shape), {}, tuple(shape))


PADDINGS = ["SAME", "VALID", "CIRCULAR", "REFLECT", "CAUSAL", 1, "pairs"]


def drawn_padding(data, padding, ndim):
    """``padding``, or explicit numbers of zeros before and after, for each axis."""
    few = st.integers(0, 2)
    return (
        [(data.draw(few), data.draw(few)) for _ in range(ndim)] if padding == "pairs" else padding
    )


def drawn_mask(data, shape):
    return jnp.asarray(normal(shape) > 0, jnp.float64) if data.draw(st.booleans()) else None


@pytest.mark.parametrize("padding", PADDINGS)
@settings(FEW, max_examples=4)
@given(st.data(), st.integers(1, 3), st.sampled_from([1, 2]), st.booleans())
def test_convolutions_of_any_dimension_stride_dilation_grouping_and_mask(
    padding, data, ndim, groups, use_bias
):
    ndim = 1 if padding == "CAUSAL" else ndim  # in Flax as here
    kernel = tuple(data.draw(st.integers(1, 3)) for _ in range(ndim))
    options = {
        "padding": drawn_padding(data, padding, ndim),
        "strides": data.draw(st.integers(1, 2)),
        "kernel_dilation": data.draw(st.integers(1, 2)),
        "feature_group_count": groups,
        "mask": drawn_mask(data, (*kernel, 2, 2 * groups)),
        "use_bias": use_bias,
    }
    # lax dilates no input whose padding it must work out.
    if not isinstance(options["padding"], str):
        options["input_dilation"] = data.draw(st.integers(1, 2))
    batch = data.draw(st.sampled_from([(), (2,), (2, 1)]))
    space = tuple(data.draw(st.integers(5, 6)) for _ in range(ndim))
    agrees_with_flax(
        "Conv", (2 * groups, 2 * groups, kernel), options, (*batch, *space, 2 * groups)
    )


@pytest.mark.parametrize("padding", ["SAME", "VALID", "CIRCULAR", 1, "pairs"])
@settings(FEW, max_examples=5)
@given(st.data(), st.integers(1, 3), st.booleans(), st.booleans())
def test_transposed_convolutions_of_any_dimension_stride_dilation_layout_and_mask(
    padding, data, ndim, transpose_kernel, use_bias
):
    kernel = tuple(data.draw(st.integers(1, 3)) for _ in range(ndim))
    options = {
        "padding": drawn_padding(data, padding, ndim),
        "strides": (data.draw(st.integers(1, 2)),) * ndim,
        "kernel_dilation": data.draw(st.integers(1, 2)),
        "transpose_kernel": transpose_kernel,
        "mask": drawn_mask(data, (*kernel, *((3, 2) if transpose_kernel else (2, 3)))),
        "use_bias": use_bias,
    }
    space = tuple(data.draw(st.integers(3, 4)) for _ in range(ndim))
    agrees_with_flax("ConvTranspose", (2, 3, kernel), options, (2, *space, 2))

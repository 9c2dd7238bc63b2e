"""Direct feedback: its modes against hand-written ones, and any module as a block."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bioflax
from tests.bioflax.cases import DTYPES, FAST, normal, quick

MODES = ["dfa", "ifa", "sdfa", "drtp", "dkp", "bp"]
WIDTHS = [4, 5, 5, 5, 5]
N_OUT = 2
X, ERROR = normal((7, WIDTHS[0])), normal((7, N_OUT), seed=1)
TARGET = np.eye(N_OUT)[np.arange(7) % N_OUT]


def streams():
    return nnx.Rngs(params=0, feedback=1, dropout=2)


def linear(n_in, n_out, rngs, dtype=jnp.float64):
    return nnx.Linear(n_in, n_out, kernel_init=quick, bias_init=quick, param_dtype=dtype, rngs=rngs)


def flatten(h):
    return h.reshape(*h.shape[:-3], -1)


def net(depth, *, widths=WIDTHS, dtype=jnp.float64, **options):
    rngs = streams()
    blocks = [[linear(widths[i], widths[i + 1], rngs, dtype), jnp.tanh] for i in range(depth)]
    readout = linear(widths[depth], N_OUT, rngs, dtype)
    options = {"feedback_init": quick} | options
    return bioflax.DirectFeedback(blocks, readout, rngs=rngs, **options)


def gradients(model, x, error, *, compiled=False, **call):
    """Gradients by path, and of the input, for an error at the output; and the new state."""
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    def loss(params, x):
        merged = nnx.merge(graph, params, rest, copy=True)
        return jnp.sum(merged(x, **call) * error), nnx.state(merged, nnx.Not(nnx.Param))

    gradient = jax.grad(loss, argnums=(0, 1), has_aux=True)
    if compiled:
        gradient = jax.jit(gradient, compiler_options=FAST)
    (params, dx), state = gradient(params, x)
    flat = {"/".join(map(str, path)): g[...] for path, g in nnx.to_flat_state(params)}
    return flat | {"x": dx}, state


def double(variable):
    return np.asarray(variable[...], np.float64)


def hand_written(model, mode):
    """Nokland's equations (and those of the other modes), in NumPy, for blocks of linear, tanh."""
    layers = [block.layers[0] for block in model.blocks]
    ws = [double(layer.kernel) for layer in layers]
    bs = [double(b) for b in model.feedback]
    hs = [X]
    for layer, w in zip(layers, ws, strict=True):
        hs.append(np.tanh(hs[-1] @ w + double(layer.bias)))
    e = ERROR
    slopes = [1 - h**2 for h in hs[1:]]
    deltas = []
    if mode == "bp":
        signal = e @ double(model.readout.kernel).T
        for w, slope in zip(reversed(ws), reversed(slopes), strict=True):
            deltas.insert(0, signal * slope)
            signal = deltas[0] @ w.T
    elif mode == "ifa":
        signal = e @ bs[0]
        for i, slope in enumerate(slopes):
            if i:
                signal = deltas[-1] @ ws[i]
            deltas.append(signal * slope)
    else:
        sent = {"sdfa": np.sign(e), "drtp": TARGET}.get(mode, e)
        deltas = [(sent @ b) * slope for b, slope in zip(bs, slopes, strict=True)]
    found = {"x": deltas[0] @ ws[0].T}
    found |= {"readout/kernel": hs[-1].T @ e, "readout/bias": e.sum(0)}
    for i, delta in enumerate(deltas):
        found[f"blocks/{i}/layers/0/kernel"] = hs[i].T @ delta
        found[f"blocks/{i}/layers/0/bias"] = delta.sum(0)
        if mode == "dkp":
            found[f"feedback/{i}"] = e.T @ hs[i + 1]
    return found


def assert_same(found, wanted, rtol=1e-12):
    assert found.keys() == wanted.keys()
    for path, g in wanted.items():
        np.testing.assert_allclose(found[path], g, rtol=rtol, atol=1e-13, err_msg=path)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("mode", MODES)
def test_gradients_equal_the_hand_written_backward_pass(mode, depth):
    model = net(depth, mode=mode)
    call = {"target": jnp.asarray(TARGET, jnp.int32)} if mode == "drtp" else {}
    found, _ = gradients(model, jnp.asarray(X), jnp.asarray(ERROR), **call)
    assert_same(found, hand_written(model, mode))


@pytest.mark.parametrize("mode", MODES)
def test_the_forward_pass_is_that_of_the_blocks_and_the_readout(mode):
    model = net(2, mode=mode)
    x = jnp.asarray(X)
    wanted = model.readout(model.blocks[1](model.blocks[0](x)))
    np.testing.assert_array_equal(model(x, target=jnp.asarray(TARGET)), wanted)


@pytest.mark.parametrize(
    ("mode", "rule"),
    [("dfa", bioflax.FeedbackAlignment()), ("dkp", bioflax.KolenPollack())],
    ids=["feedback_alignment", "kolen_pollack"],
)
def test_with_one_hidden_layer_direct_feedback_is_the_layered_rule(mode, rule):
    model = net(1, mode=mode)
    chain = bioflax.convert(
        nnx.List([model.blocks[0].layers[0], model.readout]), rule, rngs=streams()
    )
    # B of the readout as a layer is (hidden, out); Nokland's is its transpose.
    chain[1].feedback[...] = model.feedback[0][...].T
    graph, params, rest = nnx.split(chain, nnx.Param, ...)

    def loss(params, x):
        first, readout = nnx.merge(graph, params, rest)
        return jnp.sum(readout(jnp.tanh(first(x))) * ERROR)

    wanted = nnx.to_pure_dict(jax.grad(loss)(params, jnp.asarray(X)))
    found, _ = gradients(model, jnp.asarray(X), jnp.asarray(ERROR))
    for name in ("kernel", "bias"):
        np.testing.assert_allclose(found[f"blocks/0/layers/0/{name}"], wanted[0][name], rtol=1e-12)
        np.testing.assert_allclose(found[f"readout/{name}"], wanted[1][name], rtol=1e-12)
    if mode == "dkp":
        np.testing.assert_allclose(
            found["feedback/0"].T, wanted[1]["dot_general"]["feedback"], rtol=1e-12
        )


@pytest.mark.parametrize("mode", ["dfa", "sdfa", "drtp"])
def test_feedback_drawn_in_every_call_is_bitwise_the_feedback_that_would_be_stored(mode):
    def make(example):
        rngs = streams()
        conv = nnx.Conv(1, 2, (3, 3), param_dtype=jnp.float64, rngs=rngs)
        blocks = [[conv, jnp.tanh, flatten], [linear(18, 4, rngs), jnp.tanh]]
        readout = linear(4, N_OUT, rngs)
        return bioflax.DirectFeedback(blocks, readout, mode=mode, rngs=rngs, example=example)

    x = jnp.asarray(normal((3, 3, 3, 1)))
    stored, drawn = make(x), make(None)
    assert drawn.feedback is None
    assert [b.shape for b in stored.feedback] == [(N_OUT, 18), (N_OUT, 4)]
    call = {"error": jnp.asarray(ERROR[:3]), "target": jnp.asarray(TARGET[:3])}
    found, wanted = (gradients(m, x, **call)[0] for m in (drawn, stored))
    for path, g in wanted.items():
        np.testing.assert_array_equal(found[path], g)


@pytest.mark.parametrize(
    ("function", "shape"),
    [(lambda h: h.reshape(7, 5), (7, 4)), (lambda h: h.mean((-3, -2)), (7, 2, 3, 4))],
    ids=["reshaped", "pooled"],
)
def test_where_one_vector_is_no_input_of_the_net_its_feedback_is_drawn_in_every_call(
    function, shape
):
    def make(example):
        rngs = streams()
        block = [linear(4, 5, rngs), function]
        return bioflax.DirectFeedback([block], linear(5, N_OUT, rngs), rngs=rngs, example=example)

    x = jnp.asarray(normal(shape))
    stored, drawn = make(x), make(None)
    assert drawn.feedback is None
    found, wanted = (gradients(m, x, jnp.asarray(ERROR))[0] for m in (drawn, stored))
    assert_same(found, wanted)


def test_by_default_feedback_is_uniform_within_one_over_the_root_of_the_receiving_units():
    rngs = nnx.Rngs(0)
    model = bioflax.DirectFeedback(
        [nnx.Linear(3, 400, rngs=rngs), jnp.tanh], nnx.Linear(400, 50, rngs=rngs), rngs=rngs
    )
    b = np.asarray(model.feedback[0][...])
    bound = 1 / np.sqrt(400)
    assert b.shape == (50, 400)
    assert -bound <= b.min() < -0.99 * bound
    assert 0.99 * bound < b.max() <= bound
    np.testing.assert_allclose(b.std(), bound / np.sqrt(3), rtol=0.02)


def test_fixed_direct_feedback_is_no_parameter_and_learned_is():
    for mode in ("dfa", "dkp"):
        names = {path[0] for path, _ in nnx.to_flat_state(nnx.state(net(2, mode=mode), nnx.Param))}
        assert names == {"blocks", "readout"} | ({"feedback"} if mode == "dkp" else set())


def test_in_a_flat_list_what_has_no_parameters_belongs_to_the_block_before():
    rngs = streams()
    first, second = linear(4, 5, rngs), linear(5, 3, rngs)
    dropout = nnx.Dropout(0.5, rngs=rngs)
    blocks = [jnp.sin, first, jnp.tanh, dropout, second, jnp.tanh]
    model = bioflax.DirectFeedback(blocks, linear(3, N_OUT, rngs), rngs=rngs)
    assert list(model.blocks[0].layers) == [jnp.sin, first, jnp.tanh, dropout]
    assert list(model.blocks[1].layers) == [second, jnp.tanh]
    assert model.feedback is None  # the first part is a function: no input is known
    single = bioflax.DirectFeedback([first], linear(5, N_OUT, rngs), rngs=rngs)
    assert single.blocks[0] is first


# Any module as a block ---------------------------------------------------------------------------


class Pooled(nnx.Module):
    def __init__(self, n_in, n_out, rngs):
        self.conv = nnx.Conv(
            n_in, n_out, (3, 3), kernel_init=quick, param_dtype=jnp.float64, rngs=rngs
        )

    def __call__(self, x):
        return nnx.max_pool(jnp.tanh(self.conv(x)), (2, 2), strides=(2, 2))


def pooled_by_hand(x, w):
    """tanh of a 3x3 convolution with zero padding, 2x2 max pooling, and where each maximum was."""
    n, height, width, _ = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    patches = np.stack(
        [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=3
    )
    h = np.tanh(np.einsum("nhwkc,kcm->nhwm", patches, w.reshape(9, w.shape[2], -1)))
    cells = h.reshape(n, height // 2, 2, width // 2, 2, -1).transpose(0, 1, 3, 2, 4, 5)
    cells = cells.reshape(n, height // 2, width // 2, 4, -1)
    return patches, h, cells.max(3), cells.argmax(3)


def unpooled(signal, h, where):
    """A signal that arrives after the pooling, at the convolution's output."""
    n, rows, columns, features = signal.shape
    spread = np.zeros((n, rows, columns, 4, features))
    np.put_along_axis(spread, where[:, :, :, None], signal[:, :, :, None], axis=3)
    spread = spread.reshape(n, rows, columns, 2, 2, features).transpose(0, 1, 3, 2, 4, 5)
    return spread.reshape(h.shape) * (1 - h**2)


def test_in_a_convolutional_net_the_error_enters_after_the_pooling():
    rngs = streams()
    x, error = normal((4, 4, 4, 2)), normal((4, N_OUT), seed=2)
    blocks = [Pooled(2, 3, rngs), [Pooled(3, 4, rngs), flatten]]
    model = bioflax.DirectFeedback(
        blocks, linear(4, N_OUT, rngs), rngs=rngs, example=jnp.asarray(x)
    )
    found, _ = gradients(model, jnp.asarray(x), jnp.asarray(error), compiled=True)
    h = x
    for i, conv in enumerate([model.blocks[0].conv, model.blocks[1].layers[0].conv]):
        patches, full, h, where = pooled_by_hand(h, np.asarray(conv.kernel[...]))
        signal = np.tensordot(error, np.asarray(model.feedback[i][...]), 1).reshape(h.shape)
        wanted = np.einsum("nhwkc,nhwm->kcm", patches, unpooled(signal, full, where))
        path = "blocks/0/conv/kernel" if i == 0 else "blocks/1/layers/0/conv/kernel"
        np.testing.assert_allclose(found[path], wanted.reshape(conv.kernel.shape), atol=1e-12)


class Residual(nnx.Module):
    """A block with everything: convolution, statistics, random masks, a way around, pooling."""

    def __init__(self, features, rngs):
        self.conv = nnx.Conv(features, features, (3, 3), kernel_init=quick, rngs=rngs)
        self.norm = nnx.BatchNorm(features, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        h = x + self.dropout(jnp.tanh(self.norm(self.conv(x))))
        return nnx.max_pool(h, (2, 2), (2, 2))


def image_net(mode, rngs):
    """In float32, as Flax's running statistics are."""
    blocks = [Residual(2, rngs), Residual(2, rngs)]
    readout = nnx.Sequential(flatten, linear(8, N_OUT, rngs, jnp.float32))
    x = jnp.asarray(normal((3, 8, 8, 2), np.float32))
    return bioflax.DirectFeedback(blocks, readout, mode=mode, example=x, rngs=rngs), x


def test_the_state_of_a_block_advances_as_in_backpropagation():
    error = jnp.asarray(ERROR[:3], jnp.float32)
    (direct, x), (exact, _) = (image_net(mode, streams()) for mode in ("dfa", "bp"))
    found, state = gradients(direct, x, error, compiled=True)
    wanted, exact_state = gradients(exact, x, error, compiled=True)
    # The same masks and statistics, the same readout gradient, other gradients in the blocks.
    kernel = "readout/layers/1/kernel"
    np.testing.assert_allclose(found[kernel], wanted[kernel], rtol=1e-4)
    assert not np.allclose(found["blocks/0/conv/kernel"], wanted["blocks/0/conv/kernel"])
    moved = {"/".join(map(str, p)): v[...] for p, v in nnx.to_flat_state(state)}
    exactly = {"/".join(map(str, p)): v[...] for p, v in nnx.to_flat_state(exact_state)}
    assert moved["blocks/1/dropout/rngs/count"] == 1
    for path in exactly:
        if path.endswith(("mean", "var", "count")):
            np.testing.assert_allclose(moved[path], exactly[path], rtol=1e-5, atol=1e-6)
    assert np.abs(moved["blocks/1/norm/mean"]).max() > 0


def test_inside_a_block_the_gradient_is_exact_for_the_signal_it_receives():
    model, x = image_net("dfa", streams())
    error = jnp.asarray(ERROR[:3], jnp.float32)
    found, _ = gradients(model, x, error, compiled=True)
    fresh, _ = image_net("dfa", streams())
    h = fresh.blocks[0](x)
    signal = jnp.tensordot(error, fresh.feedback[1][...], 1)
    graph, params, rest = nnx.split(fresh.blocks[1], nnx.Param, ...)

    def loss(params):
        return jnp.sum(nnx.merge(graph, params, rest, copy=True)(h) * signal)

    wanted = nnx.to_pure_dict(jax.grad(loss)(params))
    np.testing.assert_allclose(found["blocks/1/conv/kernel"], wanted["conv"]["kernel"], rtol=1e-4)
    np.testing.assert_allclose(found["blocks/1/norm/scale"], wanted["norm"]["scale"], rtol=1e-4)


def test_the_module_itself_is_updated_in_place_and_masks_are_new_in_every_call():
    model, x = image_net("dfa", streams())
    call = nnx.jit(lambda model, x: model(x))
    first, second = call(model, x), call(model, x)
    assert not np.array_equal(first, second)
    assert model.blocks[0].dropout.rngs.count[...] == 2
    assert np.abs(model.blocks[0].norm.mean[...]).max() > 0


def test_in_evaluation_no_state_moves():
    model, x = image_net("dfa", streams())
    model.eval()
    before = jax.tree.map(np.array, nnx.to_pure_dict(nnx.state(model, nnx.BatchStat)))
    np.testing.assert_array_equal(model(x), model(x))
    after = nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))
    jax.tree.map(np.testing.assert_array_equal, before, after)
    assert model.blocks[0].dropout.rngs.count[...] == 0


def test_layers_under_a_rule_keep_it_inside_a_block():
    rngs = streams()
    first = bioflax.Linear(4, 5, use_bias=False, param_dtype=jnp.float64, rngs=rngs)
    second = bioflax.Linear(5, 3, param_dtype=jnp.float64, rngs=rngs)
    model = bioflax.DirectFeedback([[first, jnp.tanh, second]], linear(3, N_OUT, rngs), rngs=rngs)
    found, _ = gradients(model, jnp.asarray(X), jnp.asarray(ERROR))
    h = np.tanh(X @ np.asarray(first.kernel[...]))
    signal = ERROR @ np.asarray(model.feedback[0][...])
    delta = (signal @ np.asarray(second.feedback[...]).T) * (1 - h**2)
    np.testing.assert_allclose(found["blocks/0/layers/0/kernel"], X.T @ delta, rtol=1e-12)


def test_tokens_may_come_in_through_an_embedding():
    rngs = streams()
    embed = nnx.Embed(9, 4, param_dtype=jnp.float64, rngs=rngs)
    tokens = jnp.asarray([[1, 2, 3], [4, 5, 6]])
    model = bioflax.DirectFeedback(
        [embed, jnp.tanh], linear(4, N_OUT, rngs), rngs=rngs, example=tokens
    )
    error = jnp.asarray(normal((2, 3, N_OUT)))
    grads = nnx.grad(lambda m: jnp.sum(m(tokens) * error))(model)
    found = np.asarray(grads["blocks"][0]["layers"][0]["embedding"][...])
    h = np.tanh(np.asarray(embed.embedding[...])[np.asarray(tokens)])
    delta = (np.asarray(error) @ np.asarray(model.feedback[0][...])) * (1 - h**2)
    wanted = np.zeros((9, 4))
    np.add.at(wanted, np.asarray(tokens), delta)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


# Transforms, sequences, options ------------------------------------------------------------------


@pytest.mark.parametrize("transform", ["vmap", "jit_of_scan", "grad_of_vmap"])
@pytest.mark.parametrize("mode", MODES)
def test_gradients_are_the_same_under_every_transform(mode, transform):
    model = net(2, mode=mode)
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    def loss(params, x, error, target):  # one example, without a batch axis
        y = nnx.merge(graph, params, rest, copy=True)(x, target=target)
        return jnp.sum(y * error)

    examples = jnp.asarray(X), jnp.asarray(ERROR), jnp.asarray(TARGET)
    axes = (None, 0, 0, 0)
    if transform == "grad_of_vmap":
        found = jax.grad(lambda p: jnp.sum(jax.vmap(loss, axes)(p, *examples)))(params)
    elif transform == "vmap":
        found = jax.vmap(jax.grad(loss), axes)(params, *examples)
        found = jax.tree.map(lambda g: g.sum(0), found)
    else:

        def step(total, one):
            return jax.tree.map(jnp.add, total, jax.grad(loss)(params, *one)), None

        run = jax.jit(lambda zero: jax.lax.scan(step, zero, examples)[0], compiler_options=FAST)
        found = run(jax.tree.map(jnp.zeros_like, params))
    wanted = hand_written(model, mode)
    del wanted["x"]
    assert_same({"/".join(map(str, p)): g[...] for p, g in nnx.to_flat_state(found)}, wanted, 1e-11)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("mode", MODES)
def test_gradients_in_other_types_are_those_in_double_precision(mode, dtype):
    model = net(2, mode=mode, dtype=jnp.dtype(dtype))
    x, error, target = (jnp.asarray(a, dtype) for a in (X, ERROR, TARGET))
    found, _ = gradients(model, x, error, target=target)
    assert {g.dtype for g in found.values()} == {jnp.dtype(dtype)}
    found = {path: np.asarray(g, np.float64) for path, g in found.items()}
    largest = max(np.abs(g).max() for g in found.values())
    for path, g in hand_written(model, mode).items():
        np.testing.assert_allclose(found[path], g, rtol=0, atol=DTYPES[dtype] * largest)


@pytest.mark.parametrize("mode", MODES)
def test_every_step_of_a_sequence_receives_its_own_error(mode):
    model = net(2, mode=mode)
    x, error, target = (jnp.asarray(a)[None] for a in (X, ERROR, TARGET))
    found, _ = gradients(model, x, error, target=target)
    assert_same(found | {"x": found["x"][0]}, hand_written(model, mode))


class MeanOverTime(nnx.Module):
    def __init__(self, rngs):
        self.out = linear(5, N_OUT, rngs)

    def __call__(self, h):
        return self.out(jnp.mean(h, axis=-2))


@pytest.mark.parametrize("broadcast", [False, True])
def test_a_pooled_sequence_has_feedback_for_all_steps_or_one_signal_for_each(broadcast):
    rngs = streams()
    first = linear(4, 5, rngs)
    example = jax.ShapeDtypeStruct((3, 6, 4), jnp.float64)
    model = bioflax.DirectFeedback(
        [first], MeanOverTime(rngs), rngs=rngs, example=example, broadcast=broadcast
    )
    b = np.asarray(model.feedback[0][...])
    assert b.shape == ((N_OUT, 5) if broadcast else (N_OUT, 6, 5))
    x, error = normal((3, 6, 4)), ERROR[:3]
    found, _ = gradients(model, jnp.asarray(x), jnp.asarray(error))
    # One signal is not larger for more steps: 6 of them, so it is divided by the root of 6.
    signal = (error @ b)[:, None] / np.sqrt(6) if broadcast else np.einsum("bo,oth->bth", error, b)
    wanted = np.einsum("bti,bth->ih", x, np.broadcast_to(signal, (3, 6, 5)))
    np.testing.assert_allclose(found["blocks/0/kernel"], wanted, rtol=1e-12)


def test_in_each_step_all_positions_may_receive_the_signal_of_that_step():
    rngs = streams()
    example = jax.ShapeDtypeStruct((2, 3, 6, 4), jnp.float64)  # batch, steps, positions, features
    model = bioflax.DirectFeedback(
        [linear(4, 5, rngs)], MeanOverTime(rngs), rngs=rngs, example=example, broadcast=True
    )
    x, error = normal((2, 3, 6, 4)), normal((2, 3, N_OUT), seed=1)
    found, _ = gradients(model, jnp.asarray(x), jnp.asarray(error))
    wanted = np.einsum("bspi,bso,oh->ih", x, error, np.asarray(model.feedback[0][...])) / np.sqrt(6)
    np.testing.assert_allclose(found["blocks/0/kernel"], wanted, rtol=1e-12)


@pytest.mark.parametrize("mode", ["dfa", "ifa", "sdfa", "drtp"])
def test_shared_feedback_is_one_matrix_of_which_each_block_takes_its_columns(mode):
    widths = [4, 5, 3]
    model = net(2, widths=widths, shared=True, mode=mode)
    (shared,) = (np.asarray(b[...]) for b in model.feedback)
    assert shared.shape == (N_OUT, 5)
    separate = net(2, widths=widths, mode=mode)
    for i, b in enumerate(separate.feedback):
        b[...] = jnp.asarray(shared[:, : widths[i + 1]])
    found, _ = gradients(model, jnp.asarray(X), jnp.asarray(ERROR), target=jnp.asarray(TARGET))
    assert_same(found, hand_written(separate, mode))


def test_the_shared_matrix_has_a_row_for_each_output_and_a_column_for_each_unit_of_the_widest():
    example = jax.ShapeDtypeStruct((1, 3, 4), jnp.float64)
    shared = net(2, widths=[4, 5, 6], shared=True, example=example)
    assert [b.shape for b in shared.feedback] == [(N_OUT, 6)]


# Deep nets ---------------------------------------------------------------------------------------


def deep(depth, mode, *, stacked, rngs=None, width=5):
    """A net with ``depth`` equal layers after the first, as a stack or one by one."""
    rngs = streams() if rngs is None else rngs

    def layer(rngs):
        kind = {"param_dtype": jnp.float64, "rngs": rngs}
        return nnx.Sequential(nnx.Linear(width, width, **kind), jnp.tanh)

    stack = bioflax.Stack(layer, depth, rngs=rngs)
    graph, state = nnx.split(stack.layers)
    each = [nnx.merge(graph, jax.tree.map(lambda a, i=i: a[i], state)) for i in range(depth)]
    first = [linear(4, width, rngs), jnp.tanh]
    blocks = [first, stack] if stacked else [first, *each]
    return bioflax.DirectFeedback(blocks, linear(width, N_OUT, rngs), mode=mode, rngs=rngs)


@pytest.mark.parametrize("mode", ["dfa", "sdfa", "drtp", "dkp", "bp"])
def test_a_stack_is_its_layers_one_after_the_other(mode):
    x, error = jnp.asarray(X), jnp.asarray(ERROR)
    call = {"target": jnp.asarray(TARGET)} if mode == "drtp" else {}
    stacked, apart = (deep(3, mode, stacked=s) for s in (True, False))
    found, wanted = (gradients(m, x, error, **call)[0] for m in (stacked, apart))
    for name in ("kernel", "bias"):
        layers = [wanted.pop(f"blocks/{i}/layers/0/{name}") for i in (1, 2, 3)]
        wanted[f"blocks/1/layers/layers/0/{name}"] = np.stack(layers)
    if mode == "dkp":
        wanted["feedback/1"] = np.stack([wanted.pop(f"feedback/{i}") for i in (1, 2, 3)])
    assert_same(found, wanted, rtol=1e-11)


def test_a_stack_that_comes_first_sends_the_error_of_its_first_layer_on():
    rngs = streams()

    def layer(rngs):
        return nnx.Linear(4, 4, param_dtype=jnp.float64, rngs=rngs)

    stack = bioflax.Stack(layer, 2, rngs=rngs)
    x = jnp.asarray(X)
    model = bioflax.DirectFeedback([stack], linear(4, N_OUT, rngs), rngs=rngs, example=x)
    found, _ = gradients(model, x, jnp.asarray(ERROR))
    signal = ERROR @ np.asarray(model.feedback[0][0])
    wanted = signal @ np.asarray(stack.layers.kernel[0]).T
    np.testing.assert_allclose(found["x"], wanted, rtol=1e-12)


def test_shared_feedback_reaches_every_layer_of_a_stack():
    rngs = streams()
    model = deep(2, "dfa", stacked=True, rngs=rngs)
    x, error = jnp.asarray(X), jnp.asarray(ERROR)
    shared = bioflax.DirectFeedback(
        list(model.blocks), model.readout, example=x, shared=True, rngs=rngs
    )
    found, _ = gradients(shared, x, error)
    model.feedback[0][...] = shared.feedback[0][...]
    model.feedback[1][...] = jnp.stack([shared.feedback[0][...]] * 2)
    assert_same(found, gradients(model, x, error)[0])


def test_compiling_a_stack_does_not_depend_on_its_depth():
    def operations(depth):
        model = deep(depth, "dfa", stacked=True)
        graph, params, rest = nnx.split(model, nnx.Param, ...)

        def loss(params):
            return jnp.sum(nnx.merge(graph, params, rest, copy=True)(jnp.asarray(X)))

        return jax.jit(jax.grad(loss)).lower(params).as_text().count("\n")

    assert operations(100) == operations(3)


def test_direct_feedback_needs_fewer_operations_than_backpropagation():
    def flops(mode):
        model = net(3, widths=[64] * 5, mode=mode)
        graph, params, rest = nnx.split(model, nnx.Param, ...)

        def loss(params, x):
            return jnp.sum(nnx.merge(graph, params, rest)(x))

        lowered = jax.jit(jax.grad(loss)).lower(params, jnp.ones((32, 64)))
        return lowered.compile(FAST).cost_analysis()["flops"]

    batch, layer, out = 32, 64 * 64, 64 * N_OUT
    products = {
        # Forward; weight gradients; the error through two layers and the readout, or three B_l.
        "bp": 2 * batch * (3 * layer + out + 3 * layer + out + 2 * layer + out),
        "dfa": 2 * batch * (3 * layer + out + 3 * layer + out + 3 * out),
    }
    for mode, expected in products.items():
        # What is elementwise comes on top; a backward pass thrown away would be a third more.
        assert expected <= flops(mode) <= 1.1 * expected


# What is refused ---------------------------------------------------------------------------------


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"mode='DFA' is not a way of direct feedback; .*dfa"):
        net(1, mode="DFA")


def test_target_projection_needs_a_target_of_the_shape_of_the_output():
    model = net(1, mode="drtp")
    with pytest.raises(ValueError, match="call the net with target="):
        model(jnp.asarray(X))
    for shape in ((7,), (7, 1), (7, 3)):
        words = re.escape(f"target has shape {shape}, the net's output (7, 2)")
        with pytest.raises(ValueError, match=words):
            gradients(model, jnp.asarray(X), jnp.asarray(ERROR), target=jnp.ones(shape))


def test_learned_feedback_must_be_stored():
    rngs = streams()
    conv = nnx.Conv(1, 2, 3, rngs=rngs)
    with pytest.raises(ValueError, match=r"mode='dkp' learns its feedback .* give example="):
        bioflax.DirectFeedback([conv], linear(2, 2, rngs), mode="dkp", rngs=rngs)
    for option in ("shared", "broadcast"):
        with pytest.raises(ValueError, match="mode='dkp' learns one weight per unit"):
            net(1, mode="dkp", **{option: True})


@pytest.mark.parametrize(
    ("block", "readout", "shape", "output"),
    [
        (lambda h: h, lambda h: h[:1], (7, 5), (1, 2)),
        (lambda h: h[:1], lambda h: jnp.repeat(h, 7, axis=0), (1, 5), (7, 2)),
        (lambda h: h.sum(-1), lambda h: jnp.stack([h] * 5, -1), (7,), (7, 2)),
    ],
    ids=["more", "fewer", "no_units"],
)
def test_blocks_that_do_not_share_the_batch_axes_of_the_output_are_refused(
    block, readout, shape, output
):
    rngs = streams()
    words = f"blocks[0] puts out an array of shape {shape}, the net one of shape {output}"
    with pytest.raises(ValueError, match=re.escape(words)):
        bioflax.DirectFeedback(
            [[linear(4, 5, rngs), block]],
            nnx.Sequential(readout, linear(5, 2, rngs)),
            rngs=rngs,
            example=jnp.asarray(X),
        )


@pytest.mark.parametrize(("drawn", "steps"), [(3, 6), (6, 3)])
def test_feedback_that_does_not_fit_the_input_is_refused_with_both_shapes(drawn, steps):
    rngs = streams()
    example = jax.ShapeDtypeStruct((1, drawn, 4), jnp.float64)
    model = bioflax.DirectFeedback(
        [linear(4, 5, rngs)], MeanOverTime(rngs), rngs=rngs, example=example
    )
    words = f"feedback[0] has shape (2, {drawn}, 5), but blocks[0] needs (2, {steps}, 5)"
    with pytest.raises(ValueError, match=re.escape(words)):
        gradients(model, jnp.asarray(normal((7, steps, 4))), jnp.asarray(ERROR))


def test_state_shared_by_two_blocks_is_refused_and_shared_parameters_are_not():
    rngs = streams()
    norm = nnx.BatchNorm(4, rngs=rngs)
    with pytest.raises(ValueError, match="is in two blocks, 0 and 1"):
        bioflax.DirectFeedback([norm, norm], linear(4, 2, rngs), rngs=rngs)
    layer = linear(4, 4, rngs)
    tied = bioflax.DirectFeedback(
        [[layer, jnp.tanh], [layer, jnp.tanh]], linear(4, N_OUT, rngs), rngs=rngs
    )
    found, _ = gradients(tied, jnp.asarray(X), jnp.asarray(ERROR))
    apart = nnx.clone(tied)
    apart.blocks[1].layers[0] = nnx.clone(layer)
    wanted, _ = gradients(apart, jnp.asarray(X), jnp.asarray(ERROR))
    both = wanted["blocks/0/layers/0/kernel"] + wanted["blocks/1/layers/0/kernel"]
    np.testing.assert_allclose(found["blocks/0/layers/0/kernel"], both, rtol=1e-12)


def test_indirect_feedback_needs_functions_that_keep_the_shape_and_no_stack():
    rngs = streams()
    for function, n_out in (
        (lambda h: h[..., :2], 2),
        (lambda h: jnp.concatenate([h, h], axis=-1), 8),
    ):
        blocks = [[linear(4, 5, rngs), jnp.tanh], [linear(5, 4, rngs), function]]
        model = bioflax.DirectFeedback(blocks, linear(n_out, 2, rngs), mode="ifa", rngs=rngs)
        with pytest.raises(ValueError, match=r"mode='ifa': in blocks\[1\] .* must keep the shape"):
            gradients(model, jnp.asarray(X), jnp.asarray(ERROR))
    with pytest.raises(ValueError, match="give no Stack"):
        deep(2, "ifa", stacked=True)


def test_indirect_feedback_goes_through_all_layers_of_a_block():
    rngs = streams()
    first, second, third = linear(4, 5, rngs), linear(5, 3, rngs), linear(3, 5, rngs)
    blocks = [[first, jnp.tanh], [second, third]]
    model = bioflax.DirectFeedback(blocks, linear(5, N_OUT, rngs), mode="ifa", rngs=rngs)
    found, _ = gradients(model, jnp.asarray(X), jnp.asarray(ERROR))
    h = np.tanh(X @ double(first.kernel) + double(first.bias))
    delta = (ERROR @ double(model.feedback[0])) * (1 - h**2)
    wanted = (delta @ double(second.kernel) @ double(third.kernel)).sum(0)
    np.testing.assert_allclose(found["blocks/1/layers/1/bias"], wanted, rtol=1e-12)


def test_indirect_feedback_passes_a_block_of_functions_as_the_error_does():
    # No layer, so W is the identity: d_2 is d_1 through the transposed Jacobian of the function.
    rngs = streams()
    first, last = linear(4, 5, rngs), linear(5, 5, rngs)
    blocks = [[first, jnp.tanh], [lambda h: jnp.roll(h, 1, -1)], [last]]
    model = bioflax.DirectFeedback(blocks, linear(5, N_OUT, rngs), mode="ifa", rngs=rngs)
    found, _ = gradients(model, jnp.asarray(X), jnp.asarray(ERROR))
    h = np.tanh(X @ double(first.kernel) + double(first.bias))
    delta = (ERROR @ double(model.feedback[0])) * (1 - h**2)
    wanted = (np.roll(delta, -1, -1) @ double(last.kernel)).sum(0)
    np.testing.assert_allclose(found["blocks/2/bias"], wanted, rtol=1e-12)


@pytest.mark.parametrize(("blocks", "words"), [([], "blocks is empty"), ([3], "neither a module")])
def test_what_cannot_be_blocks_is_refused(blocks, words):
    with pytest.raises((TypeError, ValueError), match=words):
        bioflax.DirectFeedback(blocks, linear(4, 2, streams()), rngs=streams())


def test_indirect_feedback_through_a_layer_under_a_rule_is_refused():
    rngs = streams()
    blocks = [
        [linear(4, 5, rngs), jnp.tanh],
        [bioflax.Linear(5, 5, param_dtype=jnp.float64, rngs=rngs)],
    ]
    model = bioflax.DirectFeedback(blocks, linear(5, N_OUT, rngs), mode="ifa", rngs=rngs)
    with pytest.raises(TypeError, match="forward-mode"):
        gradients(model, jnp.asarray(X), jnp.asarray(ERROR))


def test_learned_feedback_has_the_precision_of_the_parameters_not_of_the_output():
    half, rngs = jnp.bfloat16, streams()
    blocks = [nnx.Linear(4, 5, dtype=half, param_dtype=jnp.float32, rngs=rngs), jnp.tanh]
    readout = nnx.Linear(5, 2, dtype=half, param_dtype=jnp.float32, rngs=rngs)
    for mode, dtype in (("dkp", jnp.float32), ("dfa", half)):
        model = bioflax.DirectFeedback(blocks, readout, mode=mode, rngs=rngs)
        assert model.feedback[0].dtype == dtype


def test_a_stack_may_be_the_blocks_and_a_function_the_readout():
    rngs = streams()
    stack = bioflax.Stack(lambda r: nnx.Linear(4, 4, param_dtype=jnp.float64, rngs=r), 3, rngs=rngs)
    example = jnp.asarray(X)
    model = bioflax.DirectFeedback(stack, linear(4, 2, rngs), example=example, rngs=rngs)
    assert model.feedback[0].shape == (3, 2, 4)
    flat = bioflax.DirectFeedback([linear(4, 5, rngs)], jnp.tanh, example=example, rngs=rngs)
    assert flat(example).shape == (7, 5)


# Further inputs, images, and what would mix examples ---------------------------------------------


class Shifted(nnx.Module):
    """A block with a second input, which it adds, and a flag."""

    def __init__(self, n_in, n_out, rngs):
        self.layer = nnx.Linear(n_in, n_out, param_dtype=jnp.float64, rngs=rngs)

    def __call__(self, x, shift, twice=False):
        return jnp.tanh(self.layer(x) + (2 if twice else 1) * shift)


@pytest.mark.parametrize("stacked", [False, True])
def test_inputs_by_name_reach_the_blocks_that_take_them_and_have_their_gradients(stacked):
    def make(mode):
        rngs = streams()
        if stacked:
            hidden = [bioflax.Stack(lambda r: Shifted(5, 5, r), 2, rngs=rngs)]
        else:
            hidden = [[Shifted(5, 5, rngs), jnp.sin], Shifted(5, 5, rngs)]
        blocks = [[linear(4, 5, rngs), jnp.tanh], *hidden]
        given = {"shift": jnp.zeros((7, 5))}
        return bioflax.DirectFeedback(
            blocks, linear(5, N_OUT, rngs), mode=mode, example=(jnp.asarray(X), given), rngs=rngs
        )

    shift = jnp.asarray(normal((7, 5), seed=5))
    model = make("dfa")
    y = model(jnp.asarray(X), shift=shift, twice=True)
    np.testing.assert_array_equal(y, make("bp")(jnp.asarray(X), shift=shift, twice=True))

    def loss(model, shift):
        return jnp.sum(model(jnp.asarray(X), shift=shift) * ERROR)

    found = nnx.grad(loss, argnums=1)(model, shift)
    h, wanted = model.blocks[0](jnp.asarray(X)), 0
    if stacked:
        graph, state = nnx.split(model.blocks[1].layers)
        each = [nnx.merge(graph, jax.tree.map(lambda a, i=i: a[i], state)) for i in range(2)]
        bs = model.feedback[1][...]
    else:
        each = [model.blocks[1].layers[0], model.blocks[2]]
        bs = [model.feedback[1][...], model.feedback[2][...]]
    for i, (block, b) in enumerate(zip(each, bs, strict=True)):
        after = jnp.sin if i == 0 and not stacked else (lambda a: a)
        out, pull = jax.vjp(lambda s, block=block, h=h, f=after: f(block(h, s)), shift)
        wanted += pull(jnp.asarray(ERROR) @ b)[0]
        h = out
    np.testing.assert_allclose(found, wanted, rtol=1e-10)


def test_an_input_by_a_name_that_nothing_takes_is_refused():
    with pytest.raises(TypeError, match="mask= is an argument of no block"):
        net(1)(jnp.asarray(X), mask=jnp.ones(3))


def test_a_block_without_positions_receives_the_errors_of_all_positions_of_an_image():
    rngs = streams()
    x = jnp.asarray(normal((3, 2, 2, 1)))
    inward = [lambda h: h.reshape(3, 4), linear(4, 5, rngs)]
    outward = [linear(5, 4, rngs), lambda h: h.reshape(3, 2, 2, 1)]
    model = bioflax.DirectFeedback([inward], outward, example=x, rngs=rngs)
    assert model.feedback[0].shape == (4, 5)
    error = jnp.asarray(normal((3, 2, 2, 1), seed=1))
    found, _ = gradients(model, x, error)
    wanted = x.reshape(3, 4).T @ (error.reshape(3, 4) @ model.feedback[0][...])
    np.testing.assert_allclose(found["blocks/0/layers/1/kernel"], wanted, rtol=1e-12)
    with pytest.raises(
        ValueError, match=r"blocks\[0\] has no positions, the output has: no shared="
    ):
        bioflax.DirectFeedback([inward], outward, example=x, shared=True, rngs=rngs)


@pytest.mark.parametrize(("size", "mode"), [(2, "dfa"), (4, "dfa"), (2, "dkp")])
def test_an_images_error_is_resized_to_the_positions_of_a_block_and_adds_up(size, mode):
    rngs = streams()
    x = jnp.asarray(normal((3, 4, 4, 2)))

    def shrunk(h):
        return h.reshape(3, size, 4 // size, size, 4 // size, -1).mean((2, 4))

    def grown(h):
        return jnp.repeat(jnp.repeat(h, 4 // size, 1), 4 // size, 2)

    model = bioflax.DirectFeedback(
        [[shrunk, linear(2, 5, rngs)]], [grown, linear(5, 2, rngs)], mode=mode, example=x, rngs=rngs
    )
    assert model.feedback[0].shape == (2, 5)
    # Alike in each cell, so that any way of resizing gives the same at its middle.
    e = jnp.broadcast_to(jnp.asarray(normal((3, 1, 1, 2), seed=1)), (3, 4, 4, 2))
    found, _ = gradients(model, x, e)
    each = e[:, :1, :1] * (4 // size) ** 2
    signal = jnp.broadcast_to(each, (3, size, size, 2)) @ model.feedback[0][...]
    wanted = jnp.einsum("bhwi,bhwo->io", shrunk(x), signal)
    np.testing.assert_allclose(found["blocks/0/layers/1/kernel"], wanted, rtol=1e-6)
    if mode == "dkp":
        h = model.blocks[0](x)
        wanted = jnp.einsum("bhwn,bhwo->no", jnp.broadcast_to(each, (3, size, size, 2)), h)
        np.testing.assert_allclose(found["feedback/0"], wanted, rtol=1e-6)


@pytest.mark.parametrize("first", [(), (jnp.sin,)], ids=["when_made", "when_called"])
def test_an_output_without_an_axis_of_units_is_refused(first):
    def run():
        rngs = streams()
        readout = [linear(5, 1, rngs), lambda y: y[:, 0]]
        model = bioflax.DirectFeedback([*first, linear(4, 5, rngs)], readout, rngs=rngs)
        gradients(model, jnp.asarray(X), jnp.ones(7))

    with pytest.raises(ValueError, match="mix examples"):
        run()


def test_an_output_whose_last_axis_is_that_of_the_examples_is_refused():
    rngs = streams()
    with pytest.raises(ValueError, match="whose last axis is that of the examples"):
        bioflax.DirectFeedback(
            [linear(4, 5, rngs)],
            [linear(5, 7, rngs), lambda y: y.T],  # 7 outputs of 7 examples
            example=jnp.asarray(X),
            rngs=rngs,
        )


def test_an_axis_of_time_is_not_taken_for_that_of_the_examples():
    rngs = streams()
    x = jnp.asarray(normal((3, 3, 4)))  # time, batch, features: as long as there are examples
    with pytest.raises(ValueError, match="first axes are not the same"):
        bioflax.DirectFeedback(
            [linear(4, 5, rngs)], [lambda h: h[-1], linear(5, 2, rngs)], example=x, rngs=rngs
        )


def test_complex_nets_have_the_gradients_of_the_hand_written_equations():
    def init(key, shape, dtype=jnp.complex128):
        a, b = jax.random.split(key)
        return jax.lax.complex(jax.random.normal(a, shape), jax.random.normal(b, shape))

    kind = {"dtype": jnp.complex128, "param_dtype": jnp.complex128, "kernel_init": init}
    rngs = streams()
    blocks = [nnx.Linear(4, 5, rngs=rngs, **kind)]
    readout = nnx.Linear(5, N_OUT, rngs=rngs, **kind)
    with pytest.raises(TypeError, match=r"no uniform draw of complex128: .* give feedback_init="):
        bioflax.DirectFeedback(blocks, readout, rngs=rngs)
    model = bioflax.DirectFeedback(blocks, readout, feedback_init=init, rngs=rngs)
    x = jax.lax.complex(jnp.asarray(X), jnp.asarray(normal(X.shape, seed=4)))
    g = nnx.grad(lambda m: jnp.sum(jnp.abs(m(x)) ** 2))(model)
    # JAX's gradient of |y|^2 is 2 conj(y), and goes back through transposes.
    e = 2 * jnp.conj(model(x))
    wanted = x.T @ (e @ model.feedback[0][...])
    np.testing.assert_allclose(g["blocks"][0]["kernel"][...], wanted, rtol=1e-10)


def test_centring_takes_from_every_signal_the_mean_of_all_and_leaves_the_readout():
    model, plain = net(2, mode="cdfa"), net(2)
    found, _ = gradients(model, jnp.asarray(X), jnp.asarray(ERROR))
    whole, _ = gradients(plain, jnp.asarray(X), jnp.asarray(ERROR))
    centred, _ = gradients(plain, jnp.asarray(X), jnp.asarray(ERROR - ERROR.mean(0)))
    for path, g in found.items():
        wanted = whole if path.startswith("readout") else centred
        np.testing.assert_allclose(g, wanted[path], rtol=1e-11, atol=1e-13, err_msg=path)
    # The signals sum to nothing: a linear block's bias does not move, nor anything for equal errors.
    rngs = streams()
    linear_block = bioflax.DirectFeedback(
        [linear(4, 5, rngs)], linear(5, N_OUT, rngs), mode="cdfa", rngs=rngs
    )
    found, _ = gradients(linear_block, jnp.asarray(X), jnp.asarray(ERROR))
    np.testing.assert_allclose(found["blocks/0/bias"], 0, atol=1e-13)
    found, _ = gradients(model, jnp.asarray(X), jnp.ones((7, N_OUT)))
    assert all(not np.any(g) for path, g in found.items() if path.startswith("blocks"))
    with pytest.raises(ValueError, match="mode='cdfa' needs a batch"):
        gradients(model, jnp.asarray(X[0]), jnp.asarray(ERROR[0]))


def test_an_error_in_a_block_names_the_block():
    rngs = nnx.Rngs(0)
    blocks = [[nnx.Linear(4, 4, rngs=rngs)], [nnx.Linear(4, 4, rngs=rngs), lambda h: (h, h)]]
    with pytest.raises(TypeError, match="need modules that put out one array") as caught:
        bioflax.DirectFeedback(blocks, nnx.Linear(4, 2, rngs=rngs), rngs=rngs)(
            jnp.ones((2, 4), jnp.float32)
        )
    assert "in blocks[1]" in caught.value.__notes__
    net = bioflax.DirectFeedback(blocks[:1], nnx.Linear(5, 2, rngs=rngs), rngs=rngs)
    with pytest.raises(TypeError) as caught:
        net(jnp.ones((2, 4), jnp.float32))
    assert "in readout" in caught.value.__notes__


def test_normalised_feedback_has_the_length_1_and_sends_signals_of_one_length_to_every_block():
    rngs, widths = streams(), [50, 800, 200]
    blocks = [
        [nnx.Linear(a, b, rngs=rngs), jnp.tanh] for a, b in zip([30, *widths], widths, strict=False)
    ]
    readout = nnx.Linear(widths[-1], 10, rngs=rngs)
    model = bioflax.DirectFeedback(blocks, readout, feedback_init=bioflax.normalised, rngs=rngs)
    e = normal((1000, 10), np.float32)
    for b in model.feedback:
        assert jnp.linalg.norm(b[...]) == pytest.approx(1, abs=0.1)
        sent = np.linalg.norm(e @ np.asarray(b[...]), axis=1) / np.linalg.norm(e, axis=1)
        assert sent.mean() == pytest.approx(1 / np.sqrt(10), rel=0.1)

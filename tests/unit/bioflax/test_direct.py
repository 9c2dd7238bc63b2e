"""Direct feedback: every block receives the output error itself, and nothing else."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bioflax

X = np.random.default_rng(0).normal(size=(6, 5))
Y = np.random.default_rng(1).normal(size=(6, 3))


def linear(n, m, rngs, rule=None):
    layer = bioflax.Linear if rule else nnx.Linear
    options = {"rule": rule} if rule else {}
    return layer(n, m, param_dtype=jnp.float64, rngs=rngs, **options)


def mlp(depth, mode="dfa", **options):
    rngs = nnx.Rngs(params=0, feedback=1, dropout=2)
    widths = [5, *range(7, 7 + depth)]
    blocks = [[linear(n, m, rngs), jnp.tanh] for n, m in itertools.pairwise(widths)]
    return bioflax.DirectFeedback(
        blocks, linear(widths[-1], 3, rngs), mode=mode, rngs=rngs, **options
    )


def loss(net, x=X, y=Y, **options):
    return 0.5 * jnp.sum((net(jnp.asarray(x), **options) - y) ** 2)


def gradients(net, x=X, y=Y, **options):
    """Of all parameters: one (dW, db) per layer, the readout's last."""
    found = nnx.grad(lambda net: loss(net, x, y, **options))(net)
    layers = [found["blocks"][i]["layers"][0] for i in range(len(net.blocks))]
    return [
        (np.asarray(g["kernel"][...]), np.asarray(g["bias"][...]))
        for g in [*layers, found["readout"]]
    ]


def layers_of(net):
    return [block.layers[0] for block in net.blocks] + [net.readout]


def by_hand(net, mode, x=X, y=Y, target=None):
    """The same in NumPy, from the equations of Nokland (2016) and Frenkel et al. (2021)."""
    w = [np.asarray(layer.kernel[...]) for layer in layers_of(net)]
    c = [np.asarray(layer.bias[...]) for layer in layers_of(net)]
    b = [np.asarray(v[...]) for v in net.feedback]
    hs = [x]
    for weights, biases in zip(w[:-1], c[:-1], strict=True):
        hs.append(np.tanh(hs[-1] @ weights + biases))
    e = hs[-1] @ w[-1] + c[-1] - y
    sent = {"sdfa": np.sign(e), "drtp": target}.get(mode, e)
    deltas = [(sent @ b_l) * (1 - h**2) for b_l, h in zip(b, hs[1:], strict=True)]
    if mode == "ifa":
        for i in range(1, len(deltas)):
            deltas[i] = (deltas[i - 1] @ w[i]) * (1 - hs[i + 1] ** 2)
    if mode == "bp":
        for i in reversed(range(len(deltas))):
            above = e if i + 1 == len(deltas) else deltas[i + 1]
            deltas[i] = (above @ w[i + 1].T) * (1 - hs[i + 1] ** 2)
    return [(h.T @ d, d.sum(0)) for h, d in zip(hs, [*deltas, e], strict=True)]


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("mode", ["dfa", "ifa", "sdfa", "drtp", "bp"])
def test_gradients_equal_the_hand_written_backward_pass(mode, depth):
    net = mlp(depth, mode)
    options = {"target": jnp.asarray(Y)} if mode == "drtp" else {}
    for ours, theirs in zip(gradients(net, **options), by_hand(net, mode, target=Y), strict=True):
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-10, atol=1e-13)


def test_learned_direct_feedback_receives_the_outer_product_of_error_and_activity():
    net = mlp(2, "dkp", example=jax.ShapeDtypeStruct((1, 5), jnp.float64))
    found = nnx.grad(loss)(net)
    x, e = jnp.asarray(X), np.asarray(net(jnp.asarray(X))) - Y
    for i, block in enumerate(net.blocks):
        x = block(x)
        np.testing.assert_allclose(found["feedback"][i][...], e.T @ np.asarray(x), rtol=1e-10)


def test_with_one_hidden_layer_direct_feedback_is_feedback_alignment():
    """Lillicrap's B of the readout, (hidden, out), is the transpose of Nokland's, (out, hidden)."""
    direct = mlp(1)
    rngs = nnx.Rngs(params=0, feedback=1)
    layered = nnx.Sequential(
        linear(5, 7, rngs), jnp.tanh, linear(7, 3, rngs, bioflax.FeedbackAlignment())
    )
    for ours, theirs in (
        (layered.layers[0], layers_of(direct)[0]),
        (layered.layers[2], direct.readout),
    ):
        ours.kernel[...], ours.bias[...] = theirs.kernel[...], theirs.bias[...]
    layered.layers[2].feedback[...] = direct.feedback[0][...].T
    found = nnx.grad(loss)(layered)
    for i, (dw, db) in zip((0, 2), gradients(direct), strict=True):
        np.testing.assert_allclose(found["layers"][i]["kernel"][...], dw, rtol=1e-12)
        np.testing.assert_allclose(found["layers"][i]["bias"][...], db, rtol=1e-12)


def test_any_number_of_leading_axes_are_batch_axes():
    net = mlp(2)
    flat = gradients(net)
    for ours, theirs in zip(
        gradients(net, X.reshape(2, 3, 5), Y.reshape(2, 3, 3)), flat, strict=True
    ):
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-12)


def test_under_jit_vmap_and_scan_the_gradients_are_the_same():
    net = mlp(2)
    graph, params, rest = nnx.split(net, nnx.Param, ...)

    def total(params, x, y):
        return loss(nnx.merge(graph, params, rest, copy=True), x, y)

    x, y = jnp.asarray(X), jnp.asarray(Y)
    plain = jax.grad(total)(params, x, y)

    def close(a, b):
        jax.tree.map(lambda u, v: np.testing.assert_allclose(u, v, rtol=1e-10), a, b)

    close(jax.jit(jax.grad(total))(params, x, y), plain)
    each = jax.vmap(jax.grad(total), in_axes=(None, 0, 0))(params, x, y)
    close(jax.tree.map(lambda g: g.sum(0), each), plain)

    def mean(params):
        return jnp.sum(jax.vmap(total, in_axes=(None, 0, 0))(params, x, y))

    close(jax.grad(mean)(params), plain)
    step = jax.jit(lambda p: jax.lax.scan(lambda c, xy: (c, jax.grad(total)(c, *xy)), p, (x, y))[1])
    close(jax.tree.map(lambda g: g.sum(0), step(params)), plain)


class Convolution(nnx.Module):
    def __init__(self, n, m, rngs):
        self.conv = nnx.Conv(n, m, (3, 3), param_dtype=jnp.float64, rngs=rngs)

    def __call__(self, x):
        return nnx.max_pool(jnp.tanh(self.conv(x)), (2, 2), strides=(2, 2))


def conv_net(**options):
    rngs = nnx.Rngs(params=0, feedback=1)
    blocks = [Convolution(2, 3, rngs), Convolution(3, 4, rngs)]
    flat = [lambda h: h.reshape(*h.shape[:-3], -1), linear(16, 6, rngs), jnp.tanh]
    return bioflax.DirectFeedback([*blocks, flat], linear(6, 3, rngs), rngs=rngs, **options)


def image(shape=(4, 8, 8, 2)):
    return np.random.default_rng(3).normal(size=shape)


def conv_by_hand(x, w, c):
    """tanh of a 3x3 convolution with zero padding, then 2x2 max pooling; and where each max was."""
    n, height, width, _ = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    patches = np.stack(
        [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=3
    )
    a = np.einsum("nhwkc,kcm->nhwm", patches, w.reshape(9, w.shape[2], -1)) + c
    h = np.tanh(a)
    cells = h.reshape(n, height // 2, 2, width // 2, 2, -1).transpose(0, 1, 3, 2, 4, 5)
    cells = cells.reshape(n, height // 2, width // 2, 4, -1)
    return patches, h, cells.max(3), cells.argmax(3)


def pulled_back(signal, h, where, patches):
    """Gradients of the convolution's weights for a signal that arrives after the pooling."""
    n, rows, columns, features = signal.shape
    spread = np.zeros((n, rows, columns, 4, features))
    np.put_along_axis(spread, where[:, :, :, None], signal[:, :, :, None], axis=3)
    spread = spread.reshape(n, rows, columns, 2, 2, features).transpose(0, 1, 3, 2, 4, 5)
    delta = spread.reshape(h.shape) * (1 - h**2)
    dw = np.einsum("nhwkc,nhwm->kcm", patches, delta)
    return dw.reshape(3, 3, *dw.shape[1:]), delta.sum((0, 1, 2))


def test_a_conv_nets_error_enters_after_the_pooling():
    """Oracle in float64 NumPy: conv, tanh and pool blocks, then a dense block."""
    x = image()
    net = conv_net(example=jax.ShapeDtypeStruct(x.shape, jnp.float64))
    y = np.random.default_rng(4).normal(size=(4, 3))
    found = nnx.grad(lambda net: loss(net, x, y))(net)
    kept, h = [], x
    for block in list(net.blocks)[:2]:
        w, c = np.asarray(block.conv.kernel[...]), np.asarray(block.conv.bias[...])
        patches, full, h, where = conv_by_hand(h, w, c)
        kept.append((full, where, patches))
    dense, flat = net.blocks[2].layers[1], h.reshape(4, -1)
    top = np.tanh(flat @ np.asarray(dense.kernel[...]) + np.asarray(dense.bias[...]))
    e = top @ np.asarray(net.readout.kernel[...]) + np.asarray(net.readout.bias[...]) - y
    b = [np.asarray(v[...]) for v in net.feedback]
    for i in range(2):
        signal = np.einsum("no,ohwc->nhwc", e, b[i])
        dw, db = pulled_back(signal, *kept[i])
        np.testing.assert_allclose(found["blocks"][i]["conv"]["kernel"][...], dw, atol=1e-11)
        np.testing.assert_allclose(found["blocks"][i]["conv"]["bias"][...], db, atol=1e-11)
    delta = (e @ b[2]) * (1 - top**2)
    np.testing.assert_allclose(
        found["blocks"][2]["layers"][1]["kernel"][...], flat.T @ delta, atol=1e-11
    )
    np.testing.assert_allclose(found["readout"]["kernel"][...], top.T @ e, atol=1e-11)


def test_without_an_example_the_same_feedback_is_drawn_in_every_call():
    x, y = image(), np.ones((4, 3))
    stored = conv_net(example=jax.ShapeDtypeStruct(x.shape, jnp.float64))
    drawn = conv_net()
    assert drawn.feedback is None
    a, b = (nnx.grad(lambda net: loss(net, x, y))(net) for net in (stored, drawn))
    jax.tree.map(np.testing.assert_array_equal, nnx.to_pure_dict(a), nnx.to_pure_dict(b))


def test_no_gradient_of_backpropagation_is_computed_and_thrown_away():
    """Fewer operations than backprop: the products that carry the error back are gone."""

    def operations(mode):
        rngs = nnx.Rngs(0)
        widths = [64] * 5
        blocks = [[nnx.Linear(n, m, rngs=rngs), jnp.tanh] for n, m in itertools.pairwise(widths)]
        net = bioflax.DirectFeedback(blocks, nnx.Linear(64, 4, rngs=rngs), mode=mode, rngs=rngs)
        graph, params, rest = nnx.split(net, nnx.Param, ...)

        def total(params, x):
            return jnp.sum(nnx.merge(graph, params, rest, copy=True)(x) ** 2)

        x = jnp.ones((32, 64), jnp.float32)
        return jax.jit(jax.grad(total)).lower(params, x).compile().cost_analysis()["flops"]

    assert operations("dfa") < 0.85 * operations("bp")


def test_running_statistics_and_dropout_are_those_of_an_ordinary_pass():
    x = jnp.asarray(X, jnp.float32)  # flax keeps running statistics in float32

    def build():
        rngs = nnx.Rngs(params=0, feedback=1, dropout=2)
        norm = nnx.BatchNorm(7, momentum=0.9, rngs=rngs)
        dropout = nnx.Dropout(0.5, rngs=rngs)
        block = nnx.Sequential(nnx.Linear(5, 7, rngs=rngs), norm, jnp.tanh, dropout)
        return block, nnx.Linear(7, 3, rngs=rngs), rngs

    block, readout, rngs = build()
    net = bioflax.DirectFeedback([block], readout, rngs=rngs)
    twin_block, twin_readout, _ = build()
    for _ in range(2):  # the second call must see new masks and the first call's statistics
        np.testing.assert_array_equal(net(x), twin_readout(twin_block(x)))
    a, b = net.blocks[0].layers[1], twin_block.layers[1]
    np.testing.assert_array_equal(a.mean[...], b.mean[...])
    np.testing.assert_array_equal(a.var[...], b.var[...])
    assert float(jnp.abs(a.mean[...]).sum()) > 0


def test_a_stack_learns_as_its_layers_one_by_one_would():
    rngs = nnx.Rngs(params=0, feedback=1)

    def layer(rngs):
        return nnx.Sequential(linear(5, 5, rngs), jnp.tanh)

    stack = bioflax.Stack(layer, 3, rngs=rngs)
    net = bioflax.DirectFeedback(
        [stack], linear(5, 3, rngs), rngs=rngs, example=jax.ShapeDtypeStruct((1, 5), jnp.float64)
    )
    found = nnx.grad(loss)(net)
    one_by_one = bioflax.DirectFeedback(
        [layer(nnx.Rngs(0)) for _ in range(3)], linear(5, 3, nnx.Rngs(0)), rngs=nnx.Rngs(0)
    )
    one_by_one.readout.kernel[...] = net.readout.kernel[...]
    one_by_one.readout.bias[...] = net.readout.bias[...]
    for i, block in enumerate(one_by_one.blocks):
        inside = stack.layers.layers[0]
        block.layers[0].kernel[...] = inside.kernel[...][i]
        block.layers[0].bias[...] = inside.bias[...][i]
        one_by_one.feedback[i][...] = net.feedback[0][...][i]
    for i, (dw, db) in enumerate(gradients(one_by_one)[:-1]):
        stacked = found["blocks"][0]["layers"]["layers"][0]
        np.testing.assert_allclose(stacked["kernel"][...][i], dw, rtol=1e-10)
        np.testing.assert_allclose(stacked["bias"][...][i], db, rtol=1e-10)


def test_direct_feedback_is_no_parameter():
    net = mlp(2)
    names = {path[0] for path, _ in nnx.to_flat_state(nnx.state(net, nnx.Param))}
    assert names == {"blocks", "readout"}
    assert len(jax.tree.leaves(nnx.state(net, bioflax.Feedback))) == 2


def test_shared_feedback_is_one_matrix_of_which_each_block_takes_its_columns():
    net = mlp(2, shared=True)
    (b,) = (np.asarray(v[...]) for v in net.feedback)
    assert b.shape == (3, 8)
    e = np.asarray(net(jnp.asarray(X))) - Y
    h = np.asarray(net.blocks[0](jnp.asarray(X)))
    np.testing.assert_allclose(
        gradients(net)[0][0], X.T @ ((e @ b[:, :7]) * (1 - h**2)), rtol=1e-10
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: mlp(2, "dfaa"), "mode='dfaa' is not a way of direct feedback"),
        (lambda: mlp(2, "drtp")(jnp.asarray(X)), "call the net with target="),
        (lambda: conv_net(mode="dkp"), "give example="),
        (lambda: bioflax.DirectFeedback([], linear(1, 1, nnx.Rngs(0)), rngs=nnx.Rngs(0)), "blocks is empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_words(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_an_output_of_several_arrays_is_refused():
    class Two(nnx.Module):
        def __call__(self, x):
            return x, x

    with pytest.raises(TypeError):
        bioflax.DirectFeedback([Two()], linear(5, 3, nnx.Rngs(0)), rngs=nnx.Rngs(0))(jnp.asarray(X))

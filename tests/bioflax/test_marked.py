"""Direct feedback in models as they are: against DirectFeedback, and in the models people have."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import bioflax
from tests.bioflax.cases import normal

DFA = bioflax.DirectFeedbackAlignment()


@pytest.fixture(autouse=True)
def as_users_do():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


class Plain(nnx.Module):
    """Two blocks in a row, marked or not."""

    def __init__(self, rngs, marked=True):
        self.blocks = nnx.List([nnx.Linear(4, 5, rngs=rngs), nnx.Linear(5, 6, rngs=rngs)])
        self.readout = nnx.Linear(6, 3, rngs=rngs)
        self.marked = marked

    def __call__(self, x):
        for block in self.blocks:
            x = jnp.tanh(block(x))
            x = bioflax.direct(x) if self.marked else x
        return self.readout(x)


X, ERROR = (jnp.asarray(normal(s, seed=i), jnp.float32) for i, s in enumerate([(7, 4), (7, 3)]))


def gradients(model, x=X, error=ERROR, **call):
    def loss(m, x):
        return jnp.sum(m(x, **call) * error)

    return nnx.grad(loss, argnums=(0, 1))(model, x)


@pytest.mark.parametrize("mode", ["dfa", "sdfa", "drtp", "dkp", "bp"])
def test_marks_in_a_row_are_the_blocks_of_a_direct_net(mode):
    plain = Plain(nnx.Rngs(0))
    way = bioflax.Marked(plain, mode=mode, example=X, rngs=nnx.Rngs(feedback=1))
    blocks = [[nnx.clone(b), jnp.tanh] for b in plain.blocks]
    wanted = bioflax.DirectFeedback(
        blocks, nnx.clone(plain.readout), mode=mode, example=X, rngs=nnx.Rngs(feedback=1)
    )
    for a, b in zip(way.feedback, wanted.feedback, strict=True):
        np.testing.assert_array_equal(a[...], b[...])
    call = {"target": ERROR} if mode == "drtp" else {}
    (g, dx), (h, dx_wanted) = (gradients(m, **call) for m in (way, wanted))
    np.testing.assert_allclose(dx, dx_wanted, rtol=1e-5)
    for i in range(2):
        np.testing.assert_allclose(
            g["model"]["blocks"][i]["kernel"][...],
            h["blocks"][i]["layers"][0]["kernel"][...],
            rtol=1e-5,
        )
        if mode == "dkp":
            np.testing.assert_allclose(g["feedback"][i][...], h["feedback"][i][...], rtol=1e-5)
    readout = (m["kernel"][...] for m in (g["model"]["readout"], h["readout"]))
    np.testing.assert_allclose(*readout, rtol=1e-5)


def test_places_may_be_named_and_go_back_to_backpropagation():
    plain = Plain(nnx.Rngs(0), marked=False)
    marked = bioflax.convert(plain, DFA, at="blocks/*", example=X, rngs=nnx.Rngs(1))
    assert [b.shape for b in marked.feedback] == [(3, 5), (3, 6)]
    # Named modules receive it before what the model makes of their outputs.
    g, _ = gradients(marked)
    signal = ERROR @ marked.feedback[0][...]
    found = g["model"]["blocks"][0]["module"]["kernel"][...]
    np.testing.assert_allclose(found, X.T @ signal, rtol=1e-5)
    exact, _ = gradients(plain)
    back, _ = gradients(bioflax.convert(marked, bioflax.Backprop()))
    np.testing.assert_allclose(
        back["model"]["blocks"][0]["module"]["kernel"][...],
        exact["blocks"][0]["kernel"][...],
        rtol=1e-6,
    )
    assert marked.model.blocks[0].in_features == 4  # as the module itself


def test_alignment_compares_a_marked_model_with_its_exact_twin():
    marked = bioflax.convert(Plain(nnx.Rngs(0)), DFA, example=X, rngs=nnx.Rngs(1))
    found = bioflax.alignment(marked, lambda m, x: jnp.sum(m(x) * ERROR), X)
    degrees = {path: float(a) for path, a in found.deltas.items()}
    assert degrees.pop("model/readout") < 0.1
    assert set(degrees) == {"model/blocks/0", "model/blocks/1"}
    assert all(20 < a < 160 for a in degrees.values())


@pytest.mark.parametrize(
    ("send", "by_hand"),
    [
        (jnp.sign, np.sign),
        (lambda e: e - e.mean(0), lambda e: e - e.mean(0)),
        (
            lambda e: e / jnp.linalg.norm(e, axis=-1, keepdims=True),
            lambda e: e / np.linalg.norm(e, axis=-1, keepdims=True),
        ),
    ],
    ids=["sign", "centred", "normalised"],
)
def test_what_is_sent_may_be_any_function_of_the_error_and_the_readout_has_its_own(send, by_hand):
    way = bioflax.DirectFeedbackAlignment(send=send)
    plain = Plain(nnx.Rngs(0), marked=False)
    marked = bioflax.convert(plain, way, at="blocks/*", example=X, rngs=nnx.Rngs(1))
    g, _ = gradients(marked)
    signal = by_hand(np.asarray(ERROR)) @ np.asarray(marked.feedback[0][...])
    found = g["model"]["blocks"][0]["module"]["kernel"][...]
    np.testing.assert_allclose(found, np.asarray(X).T @ signal, rtol=1e-4, atol=1e-5)
    exact, _ = gradients(plain)
    np.testing.assert_allclose(
        g["model"]["readout"]["kernel"][...], exact["readout"]["kernel"][...], rtol=1e-5
    )
    with pytest.raises(ValueError, match="send makes an array of shape"):
        gradients(
            bioflax.convert(
                plain,
                bioflax.DirectFeedbackAlignment(send=lambda e: e[0]),
                at="blocks/*",
                example=X,
                rngs=nnx.Rngs(1),
            )
        )


# Models that people have -------------------------------------------------------------------------


class Transformer(nnx.Module):
    """A GPT's block, with its mask."""

    def __init__(self, n, rngs):
        self.one, self.two = (nnx.LayerNorm(n, rngs=rngs) for _ in range(2))
        self.attention = nnx.MultiHeadAttention(2, n, decode=False, rngs=rngs)
        self.wide, self.narrow = nnx.Linear(n, 2 * n, rngs=rngs), nnx.Linear(2 * n, n, rngs=rngs)

    def __call__(self, x, mask=None):
        x = x + self.attention(self.one(x), mask=mask)
        return x + self.narrow(nnx.gelu(self.wide(self.two(x))))


class GPT(nnx.Module):
    def __init__(self, rngs):
        self.table = nnx.Embed(11, 8, rngs=rngs)
        self.blocks = nnx.List([Transformer(8, rngs) for _ in range(2)])
        self.head = nnx.Linear(8, 11, rngs=rngs)

    def __call__(self, tokens, mask=None):
        h = self.table(tokens)
        for block in self.blocks:
            h = block(h, mask=mask)
        return self.head(h)


class UNet(nnx.Module):
    """One level down and up again, with a way across."""

    def __init__(self, rngs):
        self.inward = nnx.Conv(1, 4, (3, 3), rngs=rngs)
        self.down = nnx.Conv(4, 8, (3, 3), strides=2, rngs=rngs)
        self.up = nnx.ConvTranspose(8, 4, (3, 3), strides=2, rngs=rngs)
        self.out = nnx.Conv(8, 1, (3, 3), rngs=rngs)

    def __call__(self, x):
        across = bioflax.direct(jnp.tanh(self.inward(x)), name="inward")
        low = bioflax.direct(jnp.tanh(self.down(across)), name="down")
        up = bioflax.direct(jnp.tanh(self.up(low)), name="up")
        return self.out(jnp.concatenate([across, up], -1))


class Graph(nnx.Module):
    """Two rounds of messages."""

    def __init__(self, rngs):
        self.rounds = nnx.List([nnx.Linear(4, 4, rngs=rngs) for _ in range(2)])
        self.out = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x, adjacency):
        for one in self.rounds:
            x = bioflax.direct(jnp.tanh(adjacency @ one(x)))
        return self.out(x)


class Recurrent(nnx.Module):
    def __init__(self, rngs):
        self.rnn = nnx.RNN(nnx.GRUCell(3, 6, rngs=rngs), rngs=rngs)
        self.out = nnx.Linear(6, 2, rngs=rngs)

    def __call__(self, x):
        return self.out(self.rnn(x)[:, -1])


def images():
    return jnp.asarray(normal((4, 8, 8, 1)), jnp.float32)


def nodes():
    x = jnp.asarray(normal((5, 4)), jnp.float32)
    ring = jnp.eye(5) + jnp.roll(jnp.eye(5), 1, 0) + jnp.roll(jnp.eye(5), -1, 0)
    return x, {"adjacency": ring / 3}


MASK = jnp.tril(jnp.ones((5, 5), bool))[None, None]
TOKENS = jnp.arange(10).reshape(2, 5) % 11
MODELS = {
    "gpt": (GPT, "blocks/*", (TOKENS, {"mask": MASK}), [(11, 8)] * 2),
    "unet": (UNet, (), (images(), {}), [(1, 4), (1, 8), (1, 4)]),
    "graph": (Graph, (), nodes(), [(2, 4)] * 2),
    "gru": (Recurrent, "rnn", (jnp.asarray(normal((3, 5, 3)), jnp.float32), {}), [(2, 5, 6)]),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_as_they_are_learn_by_direct_feedback(name):
    make, at, example, shapes = MODELS[name]
    model = bioflax.convert(make(nnx.Rngs(0)), DFA, at=at, example=example, rngs=nnx.Rngs(1))
    assert [b.shape for b in model.feedback] == shapes
    x, given = example
    y = model(x, **given)
    target = jnp.asarray(normal(y.shape, seed=3), jnp.float32)
    # Forward it is the model itself.
    exact = bioflax.convert(model, bioflax.Backprop())
    np.testing.assert_array_equal(exact(x, **given), y)
    optimizer = nnx.Optimizer(model, optax.adam(0.01), wrt=nnx.Param)

    def loss(model):
        return jnp.mean((model(x, **given) - target) ** 2)

    @nnx.jit
    def step(model, optimizer):
        value, g = nnx.value_and_grad(loss)(model)
        optimizer.update(model, g)
        return value

    losses = [float(step(model, optimizer)) for _ in range(60)]
    assert losses[-1] < 0.8 * losses[0]
    if name == "gpt":  # the mask is held: what comes later changes nothing before
        later = model(x.at[:, -1].set(0), **given)
        np.testing.assert_allclose(later[:, :-1], model(x, **given)[:, :-1], rtol=1e-5)


def test_the_error_of_an_image_reaches_a_block_of_other_size_as_its_positions_add_up():
    model = bioflax.convert(UNet(nnx.Rngs(0)), DFA, example=images(), rngs=nnx.Rngs(1))
    e = jnp.asarray(normal((4, 8, 8, 1), seed=2), jnp.float32)
    g = nnx.grad(lambda m: jnp.sum(m(images()) * e))(model)["model"]
    # The gradient of the bias is the signal's sum, through tanh's slope; at weights zero that is 1.
    for name in ("inward", "down", "up"):
        getattr(model.model, name).kernel[...] *= 0
    g = nnx.grad(lambda m: jnp.sum(m(images()) * e))(model)["model"]
    total = np.asarray(e).sum()
    for name, b in zip(("inward", "down", "up"), model.feedback, strict=True):
        wanted = total * np.asarray(b[...])[0]
        np.testing.assert_allclose(g[name]["bias"][...], wanted, rtol=0.05, atol=0.3)


# What is refused ---------------------------------------------------------------------------------


def test_a_mark_outside_of_direct_feedback_says_that_it_has_no_effect():
    with pytest.warns(UserWarning, match=r"direct\(h\) has no effect outside"):
        assert bioflax.direct(X) is X


def test_a_mark_inside_a_scan_of_the_models_own_is_refused():
    class Scanned(Plain):
        def __call__(self, x):
            def turn(h, _):
                return bioflax.direct(jnp.tanh(h), name="inner"), None

            return self.readout(jax.lax.scan(turn, self.blocks[1](self.blocks[0](x)), length=2)[0])

    with pytest.raises(ValueError, match="inner is marked inside a scan"):
        bioflax.convert(Scanned(nnx.Rngs(0)), DFA, example=X, rngs=nnx.Rngs(1))


def test_what_is_missing_or_does_not_fit_is_refused_by_name():
    plain = Plain(nnx.Rngs(0), marked=False)
    with pytest.raises(ValueError, match="nothing in this Plain is marked"):
        bioflax.convert(plain, DFA, example=X, rngs=nnx.Rngs(1))
    with pytest.raises(TypeError, match="give example="):
        bioflax.convert(plain, DFA, at="blocks/*", rngs=nnx.Rngs(1))
    with pytest.raises(TypeError, match="give rngs="):
        bioflax.convert(plain, DFA, at="blocks/*", example=X)
    with pytest.raises(ValueError, match="at='bloks' is not the path of a module"):
        bioflax.convert(plain, DFA, at="bloks", example=X, rngs=nnx.Rngs(1))
    with pytest.raises(TypeError, match="give at=, not skip"):
        bioflax.convert(plain, DFA, skip="blocks/*", example=X, rngs=nnx.Rngs(1))
    with pytest.raises(TypeError, match="at= is for direct feedback"):
        bioflax.convert(plain, bioflax.FeedbackAlignment(), at="blocks/*", rngs=nnx.Rngs(1))
    with pytest.raises(ValueError, match="needs blocks in a row: use DirectFeedback"):
        bioflax.Marked(plain, mode="ifa", example=X, rngs=nnx.Rngs(1))
    with pytest.raises(ValueError, match="give target="):
        bioflax.Marked(Plain(nnx.Rngs(0)), mode="drtp", example=X, rngs=nnx.Rngs(1))(X)
    twice = nnx.Sequential(lambda h: (h, h), lambda a, b: a)
    with pytest.raises(TypeError, match="layers/1 puts out a tuple"):
        bioflax.convert(
            nnx.Sequential(nnx.Linear(4, 4, rngs=nnx.Rngs(0)), twice.__class__(lambda h: (h, h))),
            DFA,
            at="layers/1",
            example=X,
            rngs=nnx.Rngs(1),
        )


def test_other_marks_than_in_the_example_are_refused():
    class Sometimes(Plain):
        def __call__(self, x, more=False):
            x = bioflax.direct(jnp.tanh(self.blocks[0](x)), name="always")
            x = jnp.tanh(self.blocks[1](x))
            return self.readout(bioflax.direct(x, name="more") if more else x)

    model = bioflax.convert(Sometimes(nnx.Rngs(0)), DFA, example=X, rngs=nnx.Rngs(1))
    words = r"this call has the marks \['always', 'more'\], the example had \['always'\]"
    with pytest.raises(ValueError, match=words):
        model(X, more=True)

"""No feedback is a forward weight, whatever the seeds; and feedback with a stream of its own is as ever."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bioflax

RULES = [
    bioflax.FeedbackAlignment(),
    bioflax.KolenPollack(),
    bioflax.SignSymmetry(magnitude="fixed"),
]


@pytest.fixture(autouse=True)
def as_users_do():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


class Net(nnx.Module):
    """Equal layers, in which the draw of one is that of another where streams repeat."""

    def __init__(self, make, rngs):
        self.layers = nnx.List([make(4, 4, rngs=rngs) for _ in range(5)])
        self.conv = nnx.Conv(2, 2, 3, rngs=rngs)


def shared(bs, ws):
    """Whether one of the arrays is one of the others, up to signs."""
    return any(
        b.shape == w.shape and np.array_equal(np.abs(b), np.abs(w))
        for b in map(np.asarray, bs)
        for w in map(np.asarray, ws)
    )


def kernels(model):
    return [v[...] for p, v in nnx.to_flat_state(nnx.state(model, nnx.Param)) if p[-1] == "kernel"]


def feedback(model):
    return [v[...] for p, v in nnx.to_flat_state(nnx.state(model)) if p[-1] == "feedback"]


STREAMS = {
    "one": lambda seed: nnx.Rngs(seed),
    "feedback": lambda seed: nnx.Rngs(feedback=seed),
    "both": lambda seed: nnx.Rngs(params=seed, feedback=seed),
}


@pytest.mark.parametrize("way", ["plain", "jit", "vmap"])
@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("rule", RULES)
def test_no_feedback_of_a_conversion_is_a_kernel(rule, streams, way):
    def draws(seed):
        key = jax.random.key(seed)
        plain = Net(nnx.Linear, nnx.Rngs(key))
        model = bioflax.convert(plain, rule, rngs=STREAMS[streams](key))
        return feedback(model), kernels(plain)

    if way == "vmap":
        bs, ws = jax.jit(jax.vmap(draws))(jnp.arange(2))
        bs, ws = [b[1] for b in bs], [w[1] for w in ws]
    else:
        bs, ws = (jax.jit(draws) if way == "jit" else draws)(3)
    assert len(bs) == 6
    assert not shared(bs, ws)


@pytest.mark.parametrize("way", ["plain", "jit"])
@pytest.mark.parametrize("streams", ["one", "both"])
def test_no_feedback_of_layers_made_under_a_rule_is_a_kernel(streams, way):
    def draws(seed):
        model = Net(bioflax.Linear, STREAMS[streams](jax.random.key(seed)))
        return feedback(model), kernels(model)

    bs, ws = (jax.jit(draws) if way == "jit" else draws)(0)
    assert len(bs) == 5
    assert not shared(bs, ws)
    # Nor one of a model made with the same seed: the streams are apart.
    if streams == "one":
        assert not shared(bs, kernels(Net(nnx.Linear, nnx.Rngs(0))))


def test_no_feedback_of_a_stack_is_a_kernel():
    stack = bioflax.Stack(lambda r: nnx.Linear(4, 4, rngs=r), 3, rngs=nnx.Rngs(0))
    model = bioflax.convert(stack, bioflax.FeedbackAlignment(), rngs=nnx.Rngs(0))
    (b,), (w,) = feedback(model), kernels(model)
    assert not shared(b, w)


def test_feedback_of_a_stream_of_its_own_is_drawn_from_its_keys_as_they_are():
    """What accepted results hang on: the n-th draw is of the stream's key with n folded in."""
    rngs = nnx.Rngs(params=0, feedback=1)
    layers = [bioflax.Linear(4, 3, rngs=rngs) for _ in range(3)]
    init = nnx.initializers.lecun_normal()
    for i, layer in enumerate(layers):
        key = jax.random.fold_in(jax.random.key(1), i)
        np.testing.assert_array_equal(layer.feedback[...], init(key, (4, 3), jnp.float32))
    plain = nnx.Sequential(*(nnx.Linear(4, 3, rngs=nnx.Rngs(i)) for i in range(3)))
    model = bioflax.convert(plain, bioflax.FeedbackAlignment(), rngs=nnx.Rngs(feedback=7))
    for i, layer in enumerate(model.layers):
        key = jax.random.fold_in(jax.random.key(7), i)
        np.testing.assert_array_equal(layer.feedback[...], init(key, (4, 3), jnp.float32))


def test_constants_may_be_equal():
    half = nnx.initializers.constant(0.5)
    layer = nnx.Linear(4, 3, kernel_init=half, rngs=nnx.Rngs(0))
    model = bioflax.convert(layer, bioflax.FeedbackAlignment(half), rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(model.feedback[...], model.kernel[...])


def test_a_layer_without_feedback_takes_nothing_from_a_stream():
    rngs = nnx.Rngs(0)
    made = [bioflax.Linear(4, 3, rule=bioflax.Backprop(), rngs=rngs) for _ in range(2)]
    rngs = nnx.Rngs(0)
    plain = [nnx.Linear(4, 3, rngs=rngs) for _ in range(2)]
    for a, b in zip(made, plain, strict=True):
        np.testing.assert_array_equal(a.kernel[...], b.kernel[...])
    bioflax.Linear(4, 3, rule=bioflax.Backprop(), rngs=nnx.Rngs(params=0))

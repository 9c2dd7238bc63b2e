"""What a conversion says of arrays by what a call of the model does with them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bioflax
from tests.bioflax.cases import normal

FA, KP = bioflax.FeedbackAlignment(), bioflax.KolenPollack()
X = jnp.asarray(normal((2, 4)), jnp.float32)


@pytest.fixture(autouse=True)
def as_users_do():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


class Uses(nnx.Module):
    """A linear layer, and an array that a function uses."""

    def __init__(self, array, function, kind=nnx.Param):
        self.layer = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
        self.array = kind(array) if kind else nnx.data(array)
        self.function = function

    def __call__(self, x):
        w = self.array[...] if isinstance(self.array, nnx.Variable) else self.array
        return self.function(self.layer(x), w)


class Custom(nnx.Variable):
    """A type of variable of a user's own."""


def scanned(h, ws):
    return jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), h, ws)[0]


def looped(h, w):
    return jax.lax.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, c[1] @ w), (0, h))[1]


MIXES = {
    "vector_as_matrix": ((16,), lambda h, w: h @ w.reshape(4, 4)),
    "matrix": ((4, 4), lambda h, w: jnp.einsum("bi,ij->bj", h, w)),
    "transposed_scaled": ((3, 4), lambda h, w: h @ (2 * w).T),
    "normalised": ((4, 4), lambda h, w: h @ (w / jnp.linalg.norm(w))),
    "by_hand": ((4, 3), lambda h, w: (h[..., None] * w).sum(-2)),
    "one_sum": ((4,), lambda h, w: (h * w).sum(-1, keepdims=True)),
    "convolved": ((3, 1, 1), lambda h, w: jax.lax.conv(h[:, None], w.transpose(2, 1, 0), (1,), "SAME")),
    "summed_in_pieces": ((4,), lambda h, w: (h * w).reshape(-1, 2, 2).sum(2)),
    "jitted": ((4, 4), lambda h, w: jax.jit(jnp.matmul)(h, w)),
    "remat": ((4, 4), lambda h, w: jax.checkpoint(jnp.matmul)(h, w)),
    "scanned": ((3, 4, 4), scanned),
    "looped": ((4, 4), looped),
    "branch": ((4, 4), lambda h, w: jax.lax.cond(h.sum() > 0, jnp.matmul, lambda h, w: h, h, w)),
    "vmapped": ((2, 4, 4), lambda h, w: jax.vmap(jnp.matmul)(h, w)),
    "decoupled_by_hand": ((4, 4), lambda h, w: bioflax.decouple(jnp.matmul)(h, w, w)),
}  # fmt: skip
HARMLESS = {
    "position": ((2, 4), lambda h, w: h + w),
    "gain": ((4,), lambda h, w: jnp.tanh(h * w)),
    "gain_and_pool": ((4,), lambda h, w: (h.reshape(2, 2, 2) * w[:2]).sum(1)),
    "decay_in_pieces": (
        (2,),
        lambda h, w: jnp.cumsum((h.reshape(-1, 2, 2) * w).reshape(-1, 1, 2, 2), 2),
    ),
    "table": ((5, 4), lambda h, w: h + w[jnp.argmax(h, -1)]),
    "token": ((1, 4), lambda h, w: jnp.concatenate([h, w])),
    "unused": ((4, 4), lambda h, w: h),
    "threshold": ((4,), lambda h, w: jnp.where(h > w, h, 0)),
}


@pytest.mark.parametrize("kind", [nnx.Param, Custom, None], ids=["param", "custom", "array"])
@pytest.mark.parametrize("name", MIXES)
def test_an_array_that_mixes_units_is_left_whatever_its_rank_its_type_and_its_way(name, kind):
    if kind is not nnx.Param and name not in ("vector_as_matrix", "scanned"):
        kind = nnx.Param  # the types need no product with the ways
    shape, function = MIXES[name]
    model = Uses(jnp.asarray(normal(shape), jnp.float32), function, kind)
    with pytest.raises(ValueError, match=r"cannot be decoupled: \. \(Uses\): array used by itself"):
        bioflax.convert(model, FA, rngs=nnx.Rngs(1), example=X, strict=True)
    # It is so: the error at the layer depends on the array, where nothing else is not linear.
    with pytest.warns(UserWarning, match="the error passes as in backpropagation: .*array"):
        bioflax.convert(model, FA, rngs=nnx.Rngs(1), example=X)


@pytest.mark.parametrize("name", HARMLESS)
def test_an_array_that_mixes_no_units_is_no_obstacle(name):
    shape, function = HARMLESS[name]
    model = Uses(jnp.asarray(normal(shape), jnp.float32), function)
    _, report = bioflax.convert(model, FA, rngs=nnx.Rngs(1), example=X, strict=True, report=True)
    assert (report.paths("converted"), report.paths("exact")) == (["layer"], [""])


class Tied(nnx.Module):
    """A language model's head: the table that looks up also reads out, as ``kind`` says."""

    def __init__(self, head):
        self.table = nnx.Embed(7, 4, rngs=nnx.Rngs(0))
        self.layer = nnx.Linear(4, 4, rngs=nnx.Rngs(1))
        self.head = head

    def __call__(self, tokens):
        h = jnp.tanh(self.layer(self.table(tokens)))
        return {
            "attend": lambda: self.table.attend(h),
            "by_hand": lambda: h @ self.table.embedding[...].T,
            "none": lambda: h,
        }[self.head]()


TOKENS = jnp.asarray([[1, 2, 3]])


def test_a_table_that_only_looks_up_gets_no_feedback():
    model, report = bioflax.convert(
        Tied("none"), FA, rngs=nnx.Rngs(2), example=TOKENS, strict=True, report=True
    )
    assert [(e.path, e.action, e.reason) for e in report.entries] == [
        ("layer", "converted", ""),
        ("table", "exact", "only looked up"),
    ]
    assert len(jax.tree.leaves(nnx.state(model, bioflax.Feedback))) == 1


def test_a_table_of_which_no_call_was_seen_is_left_and_said_to_be():
    with pytest.warns(UserWarning, match=r"table \(Embed\): embedding perhaps used by itself"):
        model = bioflax.convert(Tied("attend"), FA, rngs=nnx.Rngs(2))
    assert type(model.table) is nnx.Embed


def test_a_tied_head_by_hand_is_named_and_one_that_attends_is_converted():
    with pytest.raises(ValueError, match=r"table \(Embed\): embedding used by itself"):
        bioflax.convert(Tied("by_hand"), FA, rngs=nnx.Rngs(2), example=TOKENS, strict=True)
    _, report = bioflax.convert(
        Tied("attend"), FA, rngs=nnx.Rngs(2), example=TOKENS, strict=True, report=True
    )
    assert report.paths("converted") == ["layer", "table"]
    # The look-ups move the table, and not its B: the law cannot hold.
    with pytest.raises(ValueError, match="embedding learns from look-ups too"):
        bioflax.convert(Tied("attend"), KP, rngs=nnx.Rngs(2), example=TOKENS, strict=True)


class Branch(nnx.Linear):
    """A way that goes round the product."""

    def __call__(self, x):
        return super().__call__(x) + jnp.sin(x @ self.kernel[...])


@pytest.mark.parametrize("example", [None, X], ids=["alone", "in_the_model"])
def test_a_second_use_of_a_kernel_beside_its_product_is_named(example):
    model = nnx.Sequential(Branch(4, 4, rngs=nnx.Rngs(0)))
    words = r"layers/0 \(Branch\): kernel multiplies outside of its product too"
    with pytest.raises(ValueError, match=words):
        bioflax.convert(model, FA, rngs=nnx.Rngs(1), example=example, strict=True)


class Elsewhere(nnx.Module):
    """A layer whose kernel another one uses, and which is not called."""

    def __init__(self):
        self.idle = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
        self.layer = nnx.Linear(4, 4, rngs=nnx.Rngs(1))

    def __call__(self, x):
        return self.layer(x) @ self.layer.kernel[...].T


def test_a_layer_that_is_not_called_gets_no_feedback_and_its_kernel_used_elsewhere_is_named():
    with pytest.warns(UserWarning, match=r"layer \(Linear\): kernel multiplies outside"):
        model, report = bioflax.convert(Elsewhere(), FA, rngs=nnx.Rngs(2), example=X, report=True)
    (idle,) = [e for e in report.entries if e.path == "idle"]
    assert (idle.action, idle.reason) == ("exact", "not used")
    assert not hasattr(model.idle, "feedback")


@pytest.mark.parametrize("make", ["stack", "scan"])
def test_layers_of_a_stack_are_seen_through_the_scan(make):
    def layer(rngs):
        return nnx.Linear(4, 4, rngs=rngs)

    class Scanned(nnx.Module):
        def __init__(self):
            self.layers = nnx.split_rngs(splits=3)(nnx.vmap(layer))(nnx.Rngs(0))

        def __call__(self, x):
            step = nnx.scan(lambda x, m: jnp.tanh(m(x)), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
            return step(x, self.layers)

    model = bioflax.Stack(layer, 3, rngs=nnx.Rngs(0)) if make == "stack" else Scanned()
    found, report = bioflax.convert(
        model, FA, rngs=nnx.Rngs(1), example=X, strict=True, report=True
    )
    assert report.paths("converted") == ["layers"]
    assert found.layers.feedback.shape == (3, 4, 4)


def test_an_example_may_be_several_inputs_and_some_by_name():
    class Attention(nnx.Module):
        def __init__(self):
            self.a = nnx.MultiHeadAttention(2, 4, decode=False, rngs=nnx.Rngs(0))

        def __call__(self, x, y, mask=None):
            return self.a(x, y, mask=mask)

    x = jnp.ones((1, 3, 4))
    example = (x, x, {"mask": jnp.ones((1, 1, 3, 3), bool)})
    _, report = bioflax.convert(
        Attention(), FA, rngs=nnx.Rngs(1), example=example, strict=True, report=True
    )
    assert len(report.paths("converted")) == 4


def test_nothing_to_convert_is_an_error_and_so_is_one_kernel_in_two_layers_that_learn_it():
    with pytest.raises(ValueError, match="nothing to convert in this Sequential"):
        bioflax.convert(nnx.Sequential(jnp.tanh), FA, rngs=nnx.Rngs(1))
    one, two = (nnx.Linear(4, 4, rngs=nnx.Rngs(i)) for i in range(2))
    two.kernel = one.kernel
    model = nnx.Sequential(one, jnp.tanh, two)
    bioflax.convert(model, FA, rngs=nnx.Rngs(1), strict=True)
    with pytest.raises(ValueError, match="layers/0 and layers/2 have one kernel"):
        bioflax.convert(model, KP, rngs=nnx.Rngs(1))
    # One layer in two places is right: W and B learn from both of its calls.
    twice = bioflax.convert(nnx.Sequential(one, jnp.tanh, one), KP, rngs=nnx.Rngs(1))
    g = nnx.grad(lambda m: jnp.sum(jnp.sin(m(X))))(twice)["layers"][0]
    np.testing.assert_array_equal(g["kernel"][...], g["dot_general"]["feedback"][...])


def test_an_error_in_drawing_names_the_layer():
    class Vector(nnx.Module):
        def __init__(self):
            self.w = nnx.Param(jnp.ones(16))
            self.product = bioflax.Product(lambda x, w: x @ w.reshape(4, 4), "w")

    with pytest.raises(ValueError, match=r"layers/0 \(Vector\): .*1-dimensional"):
        bioflax.convert(nnx.Sequential(Vector()), FA, rngs=nnx.Rngs(1))

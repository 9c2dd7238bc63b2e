"""A layer of one's own that calls a product, and what Flax's tools make of layers that hold one."""

import contextlib
import copy
import io
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bioflax
from tests.bioflax.cases import normal

FA, KP = bioflax.FeedbackAlignment(), bioflax.KolenPollack()


@pytest.fixture(autouse=True)
def as_users_do():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


class Own(nnx.Module):
    """A user's layer that multiplies by itself."""

    def __init__(self, n_in, n_out, rngs):
        draw = nnx.initializers.lecun_normal()
        self.kernel = nnx.Param(draw(rngs.params(), (n_in, n_out), jnp.float32))
        self.product = bioflax.Product(jnp.matmul, ndim=2)

    def __call__(self, x):
        return self.product(x, self.kernel[...])


class Gated(nnx.Module):
    """Two products in one module, one of them an einsum."""

    def __init__(self, rngs):
        self.gate = nnx.Param(normal((4, 3)))
        self.value = nnx.Param(normal((4, 3), seed=1))
        self.plain = bioflax.Product(jnp.matmul, "gate")
        self.einsum = bioflax.Product(jnp.einsum, "value", first=1)

    def __call__(self, x):
        gate = jax.nn.sigmoid(self.plain(x, self.gate[...]))
        return gate * self.einsum("bi,io->bo", x, self.value[...])


class Circular(nnx.Module):
    """A vector of weights that is a matrix where it multiplies."""

    def __init__(self, rngs):
        self.w = nnx.Param(jax.random.normal(rngs.params(), (16,)))
        self.product = bioflax.Product(lambda x, w: x @ w.reshape(4, 4), "w")

    def __call__(self, x):
        return self.product(x, self.w[...])


def net(kind=Own):
    rngs = nnx.Rngs(0)
    return nnx.Sequential(kind(4, 5, rngs=rngs), jnp.tanh, kind(5, 3, rngs=rngs))


def loss(model, x):
    return jnp.sum(jnp.sin(model(x)))


X = jnp.asarray(normal((6, 4)), jnp.float32)


@pytest.mark.parametrize("rule", [FA, KP, bioflax.WeightMirror(), bioflax.SignSymmetry()])
def test_a_layer_of_ones_own_is_under_the_rule_what_flaxs_own_layer_is(rule):
    plain = nnx.Sequential(
        *(
            nnx.Linear(*s, use_bias=False, rngs=nnx.Rngs(0)) if s else jnp.tanh
            for s in [(4, 5), 0, (5, 3)]
        )
    )
    ours = net()
    for i in (0, 2):
        ours.layers[i].kernel[...] = plain.layers[i].kernel[...]
    a, b = (bioflax.convert(m, rule, rngs=nnx.Rngs(feedback=7), strict=True) for m in (ours, plain))
    for i in (0, 2):
        np.testing.assert_array_equal(a.layers[i].product.feedback[...], b.layers[i].feedback[...])
    one, other = bioflax.alignment(a, loss, X), bioflax.alignment(b, loss, X)
    assert set(one.weights) == {"layers/0", "layers/2"}
    jax.tree.map(np.testing.assert_array_equal, one, other)
    found, wanted = bioflax.signals(a, loss, X), bioflax.signals(b, loss, X)
    jax.tree.map(np.testing.assert_array_equal, found, wanted)
    for g, h in zip(
        jax.tree.leaves(nnx.grad(loss)(a, X)), jax.tree.leaves(nnx.grad(loss)(b, X)), strict=True
    ):
        np.testing.assert_array_equal(g, h)
    for m in (a, b):
        bioflax.mirror(m, jax.random.key(0))
    np.testing.assert_array_equal(a.layers[0].product.feedback[...], b.layers[0].feedback[...])


def test_it_goes_back_to_backpropagation():
    model = net()
    under = bioflax.convert(model, KP, rngs=nnx.Rngs(1))
    back = bioflax.convert(under, bioflax.Backprop())
    assert back.layers[0].product.feedback is None
    found, wanted = (jax.tree.leaves(nnx.grad(loss)(m, X)) for m in (back, model))
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


def test_the_feedback_of_kolen_pollack_learns_as_the_kernel_does():
    model = bioflax.convert(net(), KP, rngs=nnx.Rngs(1))
    gradient = nnx.grad(loss)(model, X)["layers"][0]
    np.testing.assert_array_equal(gradient["kernel"][...], gradient["product"]["feedback"][...])


def test_a_module_may_have_several_products_of_kernels_of_any_name():
    model, report = bioflax.convert(
        nnx.Sequential(Gated(nnx.Rngs(0))), FA, rngs=nnx.Rngs(1), strict=True, report=True
    )
    assert report.paths("converted") == ["layers/0"]
    layer = model.layers[0]
    y, pull = jax.vjp(layer, X)
    (dx,) = pull(jnp.ones_like(y))
    gate, value = jax.nn.sigmoid(X @ layer.gate[...]), X @ layer.value[...]
    wanted = (gate * (1 - gate) * value) @ layer.plain.feedback[...].T
    wanted += gate @ layer.einsum.feedback[...].T
    np.testing.assert_allclose(dx, wanted, rtol=1e-5)
    assert set(bioflax.signals(model, loss, X)) == {"layers/0/plain", "layers/0/einsum"}


def test_what_the_kernel_is_before_it_multiplies_is_part_of_the_product():
    model = bioflax.convert(
        nnx.Sequential(Circular(nnx.Rngs(0))),
        bioflax.FeedbackAlignment(nnx.initializers.normal()),
        rngs=nnx.Rngs(1),
        strict=True,
    )
    y, pull = jax.vjp(model, X)
    (dx,) = pull(y)
    b = model.layers[0].product.feedback[...].reshape(4, 4)
    np.testing.assert_allclose(dx, y @ b.T, rtol=1e-5)


def test_in_a_stack_and_stacked_by_vmap_every_layer_has_draws_of_its_own():
    def scanned(layers, x):
        return nnx.scan(lambda x, m: m(x), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)(x, layers)

    stack = bioflax.Stack(lambda r: Own(4, 4, r), 3, rngs=nnx.Rngs(0))
    stacked = nnx.split_rngs(splits=3)(nnx.vmap(lambda r: Own(4, 4, r)))(nnx.Rngs(0))
    for model, run in ((stack, lambda m, x: m(x)), (stacked, scanned)):
        found = bioflax.convert(model, FA, rngs=nnx.Rngs(1), strict=True)
        layers = found.layers if isinstance(found, bioflax.Stack) else found
        b = np.asarray(layers.product.feedback[...])
        assert b.shape == (3, 4, 4)
        assert len(set(b[:, 0, 0].tolist())) == 3
        np.testing.assert_allclose(run(found, X), run(model, X), rtol=1e-6)
        (delta,) = bioflax.signals(found, lambda m, x, run=run: run(m, x).sum(), X).values()
        np.testing.assert_allclose(delta[1], np.ones((6, 4)) @ b[2].T, rtol=1e-5)


def test_stacked_layers_whose_number_of_axes_is_not_told_are_refused():
    class Untold(Own):
        def __init__(self, rngs):
            super().__init__(4, 4, rngs)
            self.product = bioflax.Product(jnp.matmul)

    stacked = nnx.split_rngs(splits=3)(nnx.vmap(Untold))(nnx.Rngs(0))
    model = bioflax.convert(stacked, FA, rngs=nnx.Rngs(1))
    call = nnx.vmap(lambda m, x: m(x), in_axes=(0, None))
    with pytest.raises(ValueError, match=r"for stacked layers give Product\(..., ndim=2\)"):
        call(model, X)


def test_a_product_names_a_parameter_and_is_called_with_an_input_and_a_kernel():
    class Misnamed(Own):
        def __init__(self, rngs):
            super().__init__(4, 4, rngs)
            self.product = bioflax.Product(jnp.matmul, "weights")

    with pytest.raises(ValueError, match="Misnamed has a Product with kernel='weights', and no"):
        bioflax.convert(Misnamed(nnx.Rngs(0)), FA, rngs=nnx.Rngs(1))
    with pytest.raises(TypeError, match="its input and its kernel as arguments 0 and 1"):
        bioflax.Product(jnp.matmul)(X)


# A twin without feedback -------------------------------------------------------------------------


class ByDecouple(nnx.Module):
    """A user's layer that calls the public primitive, where convert cannot reach."""

    def __init__(self, n_in, n_out, rngs, kind=bioflax.Feedback):
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), (n_in, n_out)))
        self.feedback = kind(jax.random.normal(rngs.params(), (n_in, n_out)))

    def __call__(self, x):
        return bioflax.decouple(jnp.matmul)(x, self.kernel[...], self.feedback[...])


def test_alignment_refuses_a_twin_in_which_feedback_is_left():
    model = net(ByDecouple)
    with pytest.raises(ValueError, match=r"layers/0 has feedback of its own \(feedback\)"):
        bioflax.alignment(model, loss, X)
    model = nnx.Sequential(ByDecouple(4, 5, nnx.Rngs(0), nnx.Param))
    with pytest.raises(ValueError, match="matmul is decoupled by hand in the backpropagation twin"):
        bioflax.alignment(model, loss, X)
    bioflax.signals(model, loss, X)  # which compares with nothing


# Flax's tools ------------------------------------------------------------------------------------


class Twice(nnx.Linear):
    """A user's subclass of a layer of Flax's."""

    def __call__(self, x):
        return 2 * super().__call__(x)


class Both(nnx.Conv):
    """One that Flax's example input does not suit."""

    def __call__(self, x, other):
        return super().__call__(x) + other


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_converted_model_with_a_users_subclass_can_be_copied_and_pickled(copied):
    model = bioflax.convert(
        nnx.Sequential(Twice(4, 3, rngs=nnx.Rngs(0)), nnx.Linear(3, 2, rngs=nnx.Rngs(1))),
        KP,
        rngs=nnx.Rngs(2),
    )
    again = copied(model)
    assert type(again.layers[0]) is Twice
    assert type(again.layers[1]) is bioflax.Linear
    np.testing.assert_array_equal(again(X), model(X))
    found, wanted = (jax.tree.leaves(nnx.grad(loss)(m, X)) for m in (again, model))
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


def test_a_subclass_that_cannot_be_run_to_see_is_left_with_the_reason():
    model = nnx.Sequential(Both(1, 1, 3, rngs=nnx.Rngs(0)))
    words = r"nothing to convert in this Sequential: .*its own __call__ could not be traced alone"
    with pytest.raises(ValueError, match=words):
        bioflax.convert(model, FA, rngs=nnx.Rngs(1))
    # An example of a call tells.
    x = jnp.ones((1, 24, 1))
    _, report = bioflax.convert(
        model.layers[0], FA, rngs=nnx.Rngs(1), example=(x, 2.0), strict=True, report=True
    )
    assert report.paths("converted") == [""]


def test_a_subclass_of_a_layer_without_a_place_for_a_product_is_left():
    class Table(nnx.Embed):
        pass

    model = nnx.Sequential(Table(5, 3, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match=r"layers/0 \(Table\): .* derive it from bioflax.Embed"):
        bioflax.convert(model, FA, rngs=nnx.Rngs(1))


def test_one_assignment_goes_back():
    layer = bioflax.convert(nnx.Linear(4, 3, rngs=nnx.Rngs(0)), FA, rngs=nnx.Rngs(1))
    layer.dot_general = nnx.static(layer.dot_general.op)
    exact = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
    found, wanted = (jax.grad(lambda x, m=m: loss(m, x))(X) for m in (layer, exact))
    np.testing.assert_array_equal(found, wanted)


def tabulated():
    rngs = nnx.Rngs(0)
    plain = nnx.Sequential(nnx.Linear(4, 5, rngs=rngs), jnp.tanh, nnx.Linear(5, 2, rngs=rngs))
    yield bioflax.convert(plain, FA, rngs=nnx.Rngs(5)), "dot_general"
    blocks = [nnx.Linear(4, 5, rngs=rngs), jnp.tanh]
    yield bioflax.DirectFeedback(blocks, nnx.Linear(5, 2, rngs=rngs), rngs=rngs), "blocks/0"
    yield bioflax.Stack(lambda r: bioflax.Linear(4, 4, rngs=r), 3, rngs=rngs), "layers"
    yield net(), "layers/0"


@pytest.mark.parametrize("flops", [False, True])
def test_flax_tabulates_converted_models_direct_feedback_and_stacks(flops):
    x = jnp.ones((2, 4), jnp.float32)
    for model, shown in tabulated():
        with contextlib.redirect_stdout(io.StringIO()):
            assert (
                shown in nnx.tabulate(model, x, compute_vjp_flops=flops) or shown == "dot_general"
            )


def test_an_error_in_a_call_names_the_layer():
    layer = nnx.Sequential(nnx.Linear(4, 3, rngs=nnx.Rngs(0)))
    model = bioflax.convert(layer, bioflax.FeedbackAlignment(), rngs=nnx.Rngs(1))
    with pytest.raises(TypeError, match="contracting dimensions") as caught:
        model(jnp.ones((2, 7)))
    said = "in the product of layers/0 with kernel of shape (4, 3), called with an input of shape (2, 7)"
    assert said in caught.value.__notes__


def test_equal_blocks_of_a_converted_model_are_compiled_once():
    traced = 0

    @nnx.jit
    def run(block, x):
        nonlocal traced
        traced += 1
        return block(x)

    rngs = nnx.Rngs(0)
    model = nnx.Sequential(*(nnx.Linear(4, 4, rngs=rngs) for _ in range(3)))
    model = bioflax.convert(model, bioflax.FeedbackAlignment(), rngs=nnx.Rngs(1))
    for block in model.layers:
        run(block, jnp.ones((2, 4), jnp.float32))
    assert traced == 1

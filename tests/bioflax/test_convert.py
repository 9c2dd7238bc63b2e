"""Conversion: what is converted, what is left and why, and that the converted models learn."""

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bioflax
from bioflax import _layers
from tests.bioflax.cases import FAST, LAYERS, RULES, normal, streams


@pytest.fixture(autouse=True)
def as_users_do():
    """Flax's own normalisation and attention need promotion of types and of ranks."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


# Four models, written as a Flax user writes them -------------------------------------------------


class MLP(nnx.Module):
    def __init__(self, rngs):
        self.blocks = nnx.List([nnx.Linear(8, 16, rngs=rngs), nnx.Linear(16, 16, rngs=rngs)])
        self.head = nnx.Linear(16, 3, rngs=rngs)

    def __call__(self, x):
        for block in self.blocks:
            x = jnp.tanh(block(x))
        return self.head(x)


class ResidualBlock(nnx.Module):
    def __init__(self, features, rngs):
        self.conv = nnx.Conv(features, features, (3, 3), use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(features, rngs=rngs)

    def __call__(self, x):
        return x + nnx.relu(self.norm(self.conv(x)))


class ResNet(nnx.Module):
    def __init__(self, rngs):
        self.blocks = nnx.List([nnx.Conv(1, 4, (3, 3), rngs=rngs), ResidualBlock(4, rngs)])
        self.head = nnx.Sequential(lambda h: h.mean((-3, -2)), nnx.Linear(4, 3, rngs=rngs))

    def __call__(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Patches(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Conv(1, 8, (2, 2), strides=(2, 2), padding="VALID", rngs=rngs)
        self.position = nnx.Param(0.02 * jax.random.normal(rngs.params(), (4, 8)))

    def __call__(self, x):
        h = self.embed(x)
        return h.reshape(*h.shape[:-3], 4, 8) + self.position[...]


class Encoder(nnx.Module):
    def __init__(self, rngs):
        self.first, self.second = (nnx.LayerNorm(8, rngs=rngs) for _ in range(2))
        self.attention = nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs)
        self.wide, self.narrow = nnx.Linear(8, 16, rngs=rngs), nnx.Linear(16, 8, rngs=rngs)

    def __call__(self, x):
        x = x + self.attention(self.first(x))
        return x + self.narrow(nnx.gelu(self.wide(self.second(x))))


class VisionTransformer(nnx.Module):
    def __init__(self, rngs):
        self.blocks = nnx.List([Patches(rngs), Encoder(rngs)])
        self.head = nnx.Sequential(lambda h: h.mean(-2), nnx.Linear(8, 3, rngs=rngs))

    __call__ = ResNet.__call__


class LSTM(nnx.Module):
    def __init__(self, rngs):
        self.blocks = nnx.List([nnx.RNN(nnx.OptimizedLSTMCell(4, 8, rngs=rngs), rngs=rngs)])
        self.head = nnx.Sequential(lambda h: h[..., -1, :], nnx.Linear(8, 3, rngs=rngs))

    __call__ = ResNet.__call__


# How to make it, the shape of its input, and how many layers can be decoupled.
MODELS = {
    "mlp": (MLP, (12, 8), 3),
    "resnet": (ResNet, (12, 4, 4, 1), 3),
    "vision_transformer": (VisionTransformer, (12, 4, 4, 1), 8),
    "lstm": (LSTM, (12, 5, 4), 3),
}


def under(rule, model, x):
    if rule == "direct_feedback_alignment":
        return bioflax.DirectFeedback(model.blocks, model.head, example=x, rngs=streams())
    kind = {"feedback_alignment": bioflax.FeedbackAlignment, "kolen_pollack": bioflax.KolenPollack}
    return bioflax.convert(model, kind[rule](), rngs=streams(), example=x, strict=True)


@pytest.mark.parametrize(
    "rule", ["feedback_alignment", "kolen_pollack", "direct_feedback_alignment"]
)
@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_model_learns_under_every_kind_of_rule(name, rule):
    make, shape, _ = MODELS[name]
    x = jnp.asarray(normal(shape, np.float32))
    label = jnp.arange(shape[0]) % 3
    graph, params, rest = nnx.split(under(rule, make(nnx.Rngs(0)), x), nnx.Param, ...)

    def step(carry, _):
        params, rest = carry

        def loss(params):
            model = nnx.merge(graph, params, rest, copy=True)
            log_p = jax.nn.log_softmax(model(x))
            error = -jnp.mean(jnp.take_along_axis(log_p, label[:, None], -1))
            return error, nnx.split(model, nnx.Param, ...)[2]

        (value, rest), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)
        return (params, rest), value

    train = jax.jit(lambda c: jax.lax.scan(step, c, length=60), compiler_options=FAST)
    (_, after), losses = train((params, rest))
    assert losses[-1] < 0.95 * losses[0]
    before, later = (
        nnx.to_flat_state(nnx.filter_state(s, bioflax.Feedback)) for s in (rest, after)
    )
    assert bool(list(before)) == (rule != "kolen_pollack")
    for (_, a), (_, b) in zip(before, later, strict=True):
        np.testing.assert_array_equal(a[...], b[...])
    if name == "resnet":
        assert np.abs(after["blocks"][1]["norm"]["mean"][...]).max() > 0


@pytest.mark.parametrize("rule", ["feedback_alignment", "direct_feedback_alignment"])
@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_model_has_its_angles_under_both_kinds_of_rule(name, rule):
    make, shape, layers = MODELS[name]
    x = jnp.asarray(normal(shape, np.float32))
    graph, state = nnx.split(under(rule, make(nnx.Rngs(0)), x))

    def loss(model, x):
        return jnp.mean((model(x) - 1) ** 2)

    def measure(state):
        return bioflax.alignment(nnx.merge(graph, state), loss, x)

    measured = jax.jit(measure, compiler_options=FAST)(state)
    assert len(measured.deltas) == len(measured.gradients) == layers
    head = next(path for path in measured.deltas if path.startswith(("head", "readout")))
    for degrees, ratios in (
        (measured.deltas, measured.delta_ratios),
        (measured.gradients, measured.gradient_ratios),
    ):
        # The last layer learns as in backpropagation, the others do not.
        np.testing.assert_allclose(degrees.pop(head), 0, atol=0.01)
        np.testing.assert_allclose(ratios.pop(head), 1, rtol=1e-5)
        assert all(1 < angle < 179 for angle in degrees.values())
        assert all(ratio > 0 for ratio in ratios.values())
    assert len(measured.weights) == (2 - (name == "lstm") if "direct" in rule else layers)


@pytest.mark.parametrize("name", MODELS)
def test_conversion_keeps_the_weights_and_goes_back_to_the_same_model(name):
    make, shape, layers = MODELS[name]
    x = jnp.asarray(normal(shape, np.float32))
    model = make(nnx.Rngs(0))
    model.eval()
    wanted = np.asarray(model(x))
    rule = RULES["kolen_pollack"]
    converted, report = bioflax.convert(model, rule, rngs=streams(), example=x, report=True)
    assert len(report.paths("converted")) == layers
    back = bioflax.convert(converted, bioflax.Backprop())
    for other in (converted, back):
        np.testing.assert_array_equal(np.asarray(other(x)), wanted)
    before, after = (nnx.to_pure_dict(nnx.state(m, nnx.Param)) for m in (model, back))
    jax.tree.map(np.testing.assert_array_equal, before, after)
    assert not hasattr(model.blocks[0], "rule")  # the model itself is left as it is


def test_a_converted_model_learns_by_its_rule_and_back_by_backpropagation():
    x = jnp.asarray(normal((4, 8), np.float32))

    def gradient(model):
        return jax.tree.leaves(nnx.grad(lambda m: jnp.sum(m(x) ** 2))(model))

    model = MLP(nnx.Rngs(0))
    converted = bioflax.convert(model, bioflax.FeedbackAlignment(), rngs=nnx.Rngs(1))
    exact, back = gradient(model), gradient(bioflax.convert(converted, bioflax.Backprop()))
    for g, h in zip(exact, back, strict=True):
        np.testing.assert_array_equal(g, h)
    # Below the readout, and only there, the rule makes a difference.
    differs = [not np.allclose(g, h) for g, h in zip(exact, gradient(converted), strict=True)]
    assert differs == [True] * 4 + [False] * 2


# Reports and filters -----------------------------------------------------------------------------


LEFT = pytest.warns(UserWarning, match="the error passes as in backpropagation: ")


def test_the_report_says_what_became_of_every_module_with_parameters(capsys):
    model, x = VisionTransformer(nnx.Rngs(0)), jnp.zeros((1, 4, 4, 1))
    with LEFT:
        _, report = bioflax.convert(model, bioflax.FeedbackAlignment(), rngs=streams(), report=True)
    assert str(report) == capsys.readouterr().out.rstrip("\n")
    # Asked for by a string of its own: it is the value that counts.
    assert report.paths("EXACT".lower()) == ["blocks/1/first", "blocks/1/second"]
    assert report.paths("left") == ["blocks/0"]
    first, *rows = str(report).splitlines()
    assert first == "FeedbackAlignment(): 8 layers converted"
    assert {tuple(row.split(maxsplit=4)) for row in rows} >= {
        ("blocks/0", "Patches", "left", "position", "perhaps used by itself: give example= to see"),
        ("blocks/1/attention/query", "LinearGeneral", "converted", "kernel"),
    }
    assert len({row.index(row.split()[1], 8) for row in rows}) == 1  # in columns
    # Seen in a call, the position is added, and no error is mixed by it.
    _, report = bioflax.convert(
        model, bioflax.FeedbackAlignment(), rngs=streams(), example=x, strict=True, report=True
    )
    assert report.paths("exact") == ["blocks/0", "blocks/1/first", "blocks/1/second"]
    (entry,) = [e for e in report.entries if e.path == "blocks/0"]
    assert (entry.arrays, entry.reason) == (("position",), "no weights for an error to go through")


def test_strict_conversion_refuses_what_cannot_be_decoupled_unless_it_is_skipped():
    model, rule = VisionTransformer(nnx.Rngs(0)), bioflax.FeedbackAlignment()
    with pytest.raises(ValueError, match=r"cannot be decoupled: blocks/0 \(Patches\): position"):
        bioflax.convert(model, rule, rngs=streams(), strict=True)
    bioflax.convert(model, rule, rngs=streams(), strict=True, skip=Patches)
    bioflax.convert(ResNet(nnx.Rngs(0)), rule, rngs=streams(), strict=True)


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"skip": "blocks/1"}, ["blocks/0/embed", "head/layers/1"]),
        (
            {"skip": ["blocks/*/attention", nnx.Conv]},
            ["blocks/1/narrow", "blocks/1/wide", "head/layers/1"],
        ),
        ({"only": nnx.Linear}, ["blocks/1/narrow", "blocks/1/wide", "head/layers/1"]),
        ({"only": "blocks/1", "skip": "blocks/1/attention"}, ["blocks/1/narrow", "blocks/1/wide"]),
        ({"only": lambda path, module: path.startswith("head")}, ["head/layers/1"]),
    ],
    ids=["path", "pattern_and_type", "type", "both", "function"],
)
def test_filters_choose_by_path_type_or_function(filters, wanted):
    converted, report = bioflax.convert(
        VisionTransformer(nnx.Rngs(0)),
        bioflax.FeedbackAlignment(),
        rngs=streams(),
        example=jnp.zeros((1, 4, 4, 1)),
        strict=True,
        report=True,
        **filters,
    )
    assert report.paths("converted") == wanted
    feedback = nnx.to_flat_state(nnx.state(converted, bioflax.Feedback))
    assert all(path[-1] == "feedback" for path, _ in feedback)
    assert ["/".join(map(str, path[:-2])) for path, _ in feedback] == wanted


def test_a_filter_that_names_nothing_is_refused_with_the_nearest_path():
    words = "skip='bloks/0' is not the path of a module; nearest: 'blocks/0'$"
    with pytest.raises(ValueError, match=words):
        bioflax.convert(MLP(nnx.Rngs(0)), bioflax.Backprop(), skip="bloks/0")
    with pytest.raises(TypeError, match="only=3 is not a filter"):
        bioflax.convert(MLP(nnx.Rngs(0)), bioflax.Backprop(), only=3)


def test_a_rule_that_draws_feedback_needs_streams():
    with pytest.raises(TypeError, match=r"KolenPollack\(\) draws feedback: give rngs="):
        bioflax.convert(MLP(nnx.Rngs(0)), bioflax.KolenPollack())
    with pytest.raises(TypeError, match="is not a rule"):
        bioflax.convert(MLP(nnx.Rngs(0)), "feedback_alignment", rngs=streams())


# Every layer, and the odd ones -------------------------------------------------------------------


@pytest.mark.parametrize("layer", LAYERS)
def test_a_converted_layer_is_the_layer_made_under_the_rule(layer):
    case = LAYERS[layer]
    made = case.make(rule=RULES["feedback_alignment"], rngs=streams())
    plain = case.make(rule=bioflax.Backprop(), rngs=streams())
    converted = bioflax.convert(plain, RULES["feedback_alignment"], rngs=nnx.Rngs(feedback=1))
    wanted, found = (nnx.to_pure_dict(nnx.state(m)) for m in (made, converted))
    if layer != "attention" and not layer.endswith("cell"):  # whose parts come in another order
        jax.tree.map(np.testing.assert_array_equal, wanted, found)
    shapes = [jax.tree.map(jnp.shape, state) for state in (wanted, found)]
    assert shapes[0] == shapes[1]


def test_the_batch_axes_of_a_general_layer_are_its_own_and_no_stack():
    def layer(make, rngs):
        return make((2, 3), 4, axis=(-2, -1), batch_axis={0: 5}, rngs=rngs)

    made = layer(bioflax.LinearGeneral, nnx.Rngs(params=0, feedback=1))
    plain = layer(nnx.LinearGeneral, nnx.Rngs(params=0))
    converted = bioflax.convert(plain, bioflax.FeedbackAlignment(), rngs=nnx.Rngs(feedback=1))
    np.testing.assert_array_equal(converted.feedback[...], made.feedback[...])


def test_the_root_may_be_a_layer_and_its_parameters_stay_its_own():
    layer = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
    converted = bioflax.convert(layer, bioflax.FeedbackAlignment(), rngs=streams())
    assert isinstance(converted, bioflax.Linear)
    _, report = bioflax.convert(layer, bioflax.Backprop(), report=True)
    assert str(report) == "Backprop(): 1 layers converted\n.  Linear  converted  kernel"
    converted.kernel[...] = converted.kernel[...] + 1
    assert not np.array_equal(layer.kernel[...], converted.kernel[...])


def test_a_layer_in_two_places_is_converted_once_and_stays_one():
    layer = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
    model = nnx.Sequential(layer, jnp.tanh, layer)
    converted = bioflax.convert(model, bioflax.FeedbackAlignment(), rngs=streams())
    assert converted.layers[0] is converted.layers[2]


class Scaled(nnx.Linear):
    """A user's layer that goes on from Flax's."""

    def __call__(self, x):
        return 2 * super().__call__(x)


class ByHand(nnx.Linear):
    """A user's layer that multiplies by itself."""

    def __call__(self, x):
        return x @ self.kernel[...]


class Further(ByHand):
    def __call__(self, x):
        return super().__call__(x) + 1


def test_a_users_own_layer_keeps_its_methods_and_has_its_product_swapped():
    layer = Scaled(4, 3, rngs=nnx.Rngs(0))
    converted = bioflax.convert(layer, bioflax.FeedbackAlignment(), rngs=streams(), strict=True)
    assert isinstance(converted, Scaled)
    x = jnp.asarray(normal((2, 4), np.float32))
    np.testing.assert_array_equal(converted(x), layer(x))
    dx = jax.grad(lambda x: jnp.sum(converted(x)))(x)
    wanted = 2 * np.asarray(converted.dot_general.feedback[...]).sum(1)
    np.testing.assert_allclose(dx, np.stack([wanted] * 2), rtol=1e-5)
    again = bioflax.convert(converted, bioflax.KolenPollack(), rngs=streams())
    assert type(again) is type(converted)


class ByAttribute(nnx.Linear):
    """A user's layer that multiplies by itself, with the product that Flax keeps for it."""

    def __call__(self, x):
        return self.dot_general(x, self.kernel[...], (((1,), (0,)), ((), ())))


def test_a_users_own_layer_may_call_the_product_by_its_attribute():
    layer = ByAttribute(4, 3, rngs=nnx.Rngs(0))
    converted = bioflax.convert(layer, bioflax.FeedbackAlignment(), rngs=streams(), strict=True)
    x = jnp.asarray(normal((2, 4), np.float32))
    y, pull = jax.vjp(converted, x)
    np.testing.assert_array_equal(y, layer(x))
    (dx,) = pull(jnp.ones_like(y))
    wanted = np.asarray(converted.dot_general.feedback[...]).sum(1)
    np.testing.assert_allclose(dx, np.stack([wanted] * 2), rtol=1e-5)


@pytest.mark.parametrize("kind", [ByHand, Further])
def test_a_users_own_layer_that_multiplies_by_itself_is_left_and_reported(kind):
    model = nnx.Sequential(kind(4, 3, rngs=nnx.Rngs(0)), nnx.Linear(3, 2, rngs=nnx.Rngs(0)))
    rule = bioflax.FeedbackAlignment()
    with LEFT:
        _, report = bioflax.convert(model, rule, rngs=streams(), report=True)
    assert report.paths("left") == ["layers/0"]
    words = rf"layers/0 \({kind.__name__}\): kernel used by itself"
    with pytest.raises(ValueError, match=words):
        bioflax.convert(model, rule, rngs=streams(), strict=True)


def test_two_conversions_of_a_users_own_layer_have_one_class_and_one_structure():
    # What is compiled for the one is then there for the other.
    def structure():
        layer = Scaled(4, 3, rngs=nnx.Rngs(0))
        return nnx.split(bioflax.convert(layer, bioflax.FeedbackAlignment(), rngs=streams()))[0]

    assert structure() == structure()


class Gains(nnx.Module):
    """A user's module with parameters of every rank below a matrix, and with a matrix if asked."""

    def __init__(self, matrix):
        self.scale, self.shift = nnx.Param(jnp.ones(())), nnx.Param(jnp.zeros(3))
        self.table = nnx.Param(jnp.ones((3, 3))) if matrix else None

    def __call__(self, x):
        x = self.scale[...] * x + self.shift[...]
        return x if self.table is None else x @ self.table[...]


def test_only_arrays_that_mix_units_stand_in_the_way_of_a_conversion():
    model = nnx.Sequential(
        Gains(matrix=False), Gains(matrix=True), nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    )
    rule = bioflax.FeedbackAlignment()
    with LEFT:
        _, report = bioflax.convert(
            model, rule, rngs=streams(), example=jnp.ones((1, 3)), report=True
        )
    found = [(entry.path, entry.arrays, entry.action, entry.reason) for entry in report.entries]
    assert found == [
        ("layers/0", ("shift",), "exact", "no weights for an error to go through"),
        ("layers/1", ("table",), "left", "used by itself"),
        ("layers/2", ("kernel",), "converted", ""),
    ]
    # Nobody knows what an array of any rank is for, where no call was seen.
    with LEFT:
        _, report = bioflax.convert(model, rule, rngs=streams(), report=True)
    assert report.paths("left") == ["layers/0", "layers/1"]


def test_low_rank_adapters_are_left_and_their_layer_is_converted():
    layer = nnx.LoRALinear(4, 3, lora_rank=2, rngs=nnx.Rngs(0))
    x = jnp.ones((1, 4), jnp.float32)
    with LEFT:
        converted, report = bioflax.convert(
            nnx.Sequential(layer),
            bioflax.FeedbackAlignment(),
            rngs=streams(),
            example=x,
            report=True,
        )
    assert report.paths("converted") == ["layers/0"]
    (left,) = [entry for entry in report.entries if entry.action == "left"]
    assert (left.path, left.arrays) == ("layers/0/lora", ("lora_a", "lora_b"))
    np.testing.assert_array_equal(converted(x), layer(x))


def test_direct_feedback_is_switched_off_by_backpropagation_and_kept_by_other_rules():
    def direct(mode):
        rngs = streams()
        blocks = [nnx.Linear(8, 4, rngs=rngs)]
        return bioflax.DirectFeedback(blocks, nnx.Linear(4, 3, rngs=rngs), mode=mode, rngs=rngs)

    for mode in ("dfa", "dkp"):
        model = direct(mode)
        assert model.mode.name == mode
        twin = bioflax.convert(model, bioflax.Backprop(), strict=True)
        assert twin.mode == bioflax.ExactFeedback()
        other = bioflax.convert(model, bioflax.FeedbackAlignment(), rngs=streams(), strict=True)
        assert (other.mode.name, model.mode.name) == (mode, mode)


def test_the_layers_of_a_stack_are_converted_with_draws_of_their_own():
    def layer(rngs):
        return nnx.Sequential(nnx.Linear(4, 4, rngs=rngs), jnp.tanh)

    model = nnx.Sequential(bioflax.Stack(layer, 3, rngs=nnx.Rngs(0)))
    converted, report = bioflax.convert(
        model, bioflax.FeedbackAlignment(), rngs=streams(), report=True
    )
    assert report.paths("converted") == ["layers/0/layers/layers/0"]
    b = np.asarray(converted.layers[0].layers.layers[0].feedback[...])
    assert b.shape == (3, 4, 4)
    assert len({float(each[0, 0]) for each in b}) == 3
    x = jnp.ones((2, 4), jnp.float32)
    np.testing.assert_array_equal(converted(x), model(x))
    bioflax.convert(model, bioflax.Backprop(), skip="layers/0/layers/layers/0")


class Scanned(nnx.Module):
    """Many layers as Flax users make them: created by ``nnx.vmap``, run by ``nnx.scan``."""

    def __init__(self, make, depth, rngs):
        self.layers = nnx.split_rngs(splits=depth)(nnx.vmap(make))(rngs)

    def __call__(self, x):
        def step(x, layer):
            return jnp.tanh(layer(x))

        return nnx.scan(step, in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)(x, self.layers)


STACKED = {
    "linear": (lambda rngs: nnx.Linear(40, 40, rngs=rngs), (3, 40)),
    "linear_general": (
        lambda rngs: nnx.LinearGeneral((5, 8), (5, 8), axis=(-2, -1), rngs=rngs),
        (3, 5, 8),
    ),
    "einsum": (lambda rngs: nnx.Einsum("bi,io->bo", (40, 40), rngs=rngs), (3, 40)),
    "conv": (lambda rngs: nnx.Conv(40, 40, 3, rngs=rngs), (3, 5, 40)),
}


@pytest.mark.parametrize("rule", ["feedback_alignment", "kolen_pollack", "sign_symmetry_batch"])
@pytest.mark.parametrize("name", STACKED)
def test_layers_stacked_by_vmap_have_draws_of_their_own_of_the_size_of_one_layer(name, rule):
    make, shape = STACKED[name]
    model = Scanned(make, 4, nnx.Rngs(0))
    kind = type(RULES[rule])
    rule = kind(magnitude="batch") if kind is bioflax.SignSymmetry else kind()
    converted = bioflax.convert(model, rule, rngs=streams())
    x = jnp.ones(shape, jnp.float32)
    np.testing.assert_allclose(converted(x), model(x), rtol=1e-6)
    assert nnx.grad(lambda m: jnp.sum(m(x)))(converted)["layers"]["kernel"].shape[0] == 4
    if kind is not bioflax.SignSymmetry:
        b, w = (np.asarray(v[...]) for v in (converted.layers.feedback, converted.layers.kernel))
        assert b.shape == w.shape
        np.testing.assert_allclose(b.std(), w.std(), rtol=0.1)
        assert len({float(each.ravel()[0]) for each in b}) == 4
    back = bioflax.convert(converted, bioflax.Backprop())
    np.testing.assert_array_equal(back.layers.kernel[...], model.layers.kernel[...])


def test_layers_stacked_twice_by_vmap_have_draws_of_their_own_too():
    def stacked(make, n):
        return nnx.split_rngs(splits=n)(nnx.vmap(make))

    layer = stacked(stacked(lambda rngs: nnx.Linear(40, 40, rngs=rngs), 3), 2)(nnx.Rngs(0))
    converted = bioflax.convert(layer, bioflax.FeedbackAlignment(), rngs=streams())
    b = np.asarray(converted.feedback[...])
    assert b.shape == (2, 3, 40, 40)
    np.testing.assert_allclose(b.std((-2, -1)), 1 / np.sqrt(40), rtol=0.1)
    assert len(set(b[..., 0, 0].ravel().tolist())) == 6


# Options of Flax's layers ------------------------------------------------------------------------


@pytest.mark.parametrize("name", _layers.__all__)
def test_layers_show_all_options_of_flax_and_the_rule(name):
    """In the text of ``help``: those given by position first and in their order, each once."""
    text = inspect.getdoc(getattr(bioflax, name)).partition("Args:")[2].partition("\n\n")[0]
    entries = re.finditer(r"^  (\w+(?:, \w+)*):|by name: (\w+(?:,\s+\w+)*)\.", text, re.MULTILINE)
    shown = [name for entry in entries for name in re.split(r",\s+", entry[1] or entry[2])]
    _, *flax = inspect.signature(getattr(nnx, name).__init__).parameters.values()
    by_place = [p.name for p in flax if p.kind is not p.KEYWORD_ONLY]
    assert shown[: len(by_place)] == by_place
    assert sorted(shown) == sorted([*(p.name for p in flax), "rule"])


def test_a_product_given_by_the_user_is_the_one_that_is_decoupled():
    calls = []

    def dot_general(*args, **kwargs):
        calls.append(args)
        return 3 * jax.lax.dot_general(*args, **kwargs)

    x = jnp.ones((2, 4), jnp.float32)
    for layer in (
        bioflax.Linear(4, 3, dot_general=dot_general, rngs=streams()),
        bioflax.LinearGeneral(4, 3, dot_general=dot_general, rngs=streams()),
        bioflax.LinearGeneral(4, 3, dot_general_cls=lambda: dot_general, rngs=streams()),
    ):
        calls.clear()
        dx = jax.grad(lambda x, layer=layer: jnp.sum(layer(x)))(x)
        assert calls
        np.testing.assert_allclose(dx[0], 3 * np.asarray(layer.feedback[...]).sum(1), rtol=1e-5)
        np.testing.assert_array_equal(nnx.clone(layer)(x), layer(x))


def test_the_type_of_the_product_may_be_wider_than_that_of_its_arguments():
    layer = bioflax.Linear(
        4, 3, dtype=jnp.bfloat16, preferred_element_type=jnp.float32, rngs=streams()
    )
    y, pull = jax.vjp(layer, jnp.ones((2, 4), jnp.bfloat16))
    assert (y.dtype, pull(y)[0].dtype) == (jnp.float32, jnp.bfloat16)


@pytest.mark.parametrize("kind", [bioflax.Conv, bioflax.ConvTranspose])
def test_a_mask_of_any_numbers_holds_once_for_the_feedback_as_for_the_kernel(kind):
    mask = jnp.asarray(np.arange(3 * 2 * 2).reshape(3, 2, 2) % 3, jnp.float32)
    layer = kind(2, 2, 3, mask=mask, rngs=streams())
    layer.feedback[...] = layer.kernel[...]
    x = jnp.asarray(normal((1, 5, 2), np.float32))
    exact = bioflax.convert(layer, bioflax.Backprop())
    found, wanted = (jax.grad(lambda x, m=m: jnp.sum(jnp.tanh(m(x))))(x) for m in (layer, exact))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


class Nested(nnx.Module):
    """A matrix in a dict, of which no module's attribute tells."""

    def __init__(self, rngs):
        self.weights = nnx.data({"first": nnx.Param(normal((5, 4)))})
        self.out = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x):
        return self.out(jnp.tanh(x @ self.weights["first"][...]))


def test_parameters_inside_a_dict_are_reported_and_stand_in_the_way_of_strict_conversion():
    rule = bioflax.FeedbackAlignment()
    x = jnp.ones((1, 5))
    with LEFT:
        _, report = bioflax.convert(
            Nested(nnx.Rngs(0)), rule, rngs=streams(), example=x, report=True
        )
    assert report.paths("converted") == ["out"]
    (left,) = [entry for entry in report.entries if entry.path == ""]
    assert (left.action, left.arrays, left.reason) == (
        "left",
        ("weights['first']",),
        "used by itself",
    )
    with pytest.raises(ValueError, match="cannot be decoupled"):
        bioflax.convert(Nested(nnx.Rngs(0)), rule, rngs=streams(), strict=True)


@pytest.mark.parametrize("wrapper", [nnx.SpectralNorm, nnx.WeightNorm])
def test_kolen_pollack_leaves_layers_whose_kernel_is_normalised(wrapper):
    model = nnx.List(
        [
            wrapper(nnx.Linear(5, 4, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(1)),
            nnx.Linear(4, 2, rngs=nnx.Rngs(2)),
        ]
    )
    with LEFT:
        _, report = bioflax.convert(model, bioflax.KolenPollack(), rngs=streams(), report=True)
    assert report.paths("converted") == ["1"]
    (entry,) = [e for e in report.entries if e.layer == "Linear" and e.action == "left"]
    assert "normalised" in entry.reason
    _, report = bioflax.convert(model, bioflax.FeedbackAlignment(), rngs=streams(), report=True)
    assert len(report.paths("converted")) == 2

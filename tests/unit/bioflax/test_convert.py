"""An existing model under a rule, and back."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import bioflax

X = jnp.asarray(np.random.default_rng(0).normal(size=(4, 6)), jnp.float32)


def mlp():
    rngs = nnx.Rngs(0)
    return nnx.Sequential(nnx.Linear(6, 8, rngs=rngs), jnp.tanh, nnx.Linear(8, 2, rngs=rngs))


def parameters(model):
    flat = nnx.to_flat_state(nnx.state(model, nnx.Param))
    return {"/".join(map(str, path)): np.asarray(value[...]) for path, value in flat}


def test_parameters_are_kept_feedback_is_added_and_the_model_is_left_as_it_is():
    model = mlp()
    converted = bioflax.convert(model, bioflax.FeedbackAlignment(), rngs=nnx.Rngs(1))
    assert type(model.layers[0]) is nnx.Linear
    assert type(converted.layers[0]) is bioflax.Linear
    assert converted.layers[0].feedback.shape == (6, 8)
    a, b = parameters(model), parameters(converted)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
    np.testing.assert_array_equal(model(X), converted(X))


def test_a_converted_model_learns_by_its_rule_and_back_by_backprop():
    def gradient(model):
        return jax.tree.leaves(nnx.grad(lambda m: jnp.sum(m(X) ** 2))(model))

    model = mlp()
    converted = bioflax.convert(model, bioflax.FeedbackAlignment(), rngs=nnx.Rngs(1))
    back = bioflax.convert(converted, bioflax.Backprop())
    for g, h in zip(gradient(model), gradient(back), strict=True):
        np.testing.assert_array_equal(g, h)
    # Below the readout, and only there, the rule makes a difference.
    differs = [
        not np.allclose(g, h) for g, h in zip(gradient(model), gradient(converted), strict=True)
    ]
    assert differs == [True, True, False, False]


def test_direct_feedback_goes_to_exact_mode():
    rngs = nnx.Rngs(0)
    blocks = [[nnx.Linear(6, 8, rngs=rngs), jnp.tanh]]
    net = bioflax.DirectFeedback(blocks, nnx.Linear(8, 2, rngs=rngs), rngs=rngs)
    twin = bioflax.convert(net, bioflax.Backprop())
    assert (net.mode, twin.mode) == ("dfa", "bp")


class Own(nnx.Linear):
    """A user's own layer, with a method of its own."""

    def __call__(self, x, out_sharding=None):
        return 2 * super().__call__(x)


class Table(nnx.Module):
    """Multiplies by itself: nothing can be decoupled."""

    def __init__(self, rngs):
        self.table = nnx.Param(jax.random.normal(rngs.params(), (6, 6), jnp.float32))

    def __call__(self, x):
        return x @ self.table[...]


def mixed():
    rngs = nnx.Rngs(0)
    return nnx.Sequential(
        Table(rngs), Own(6, 6, rngs=rngs), nnx.LayerNorm(6, rngs=rngs), nnx.Linear(6, 2, rngs=rngs)
    )


def test_a_subclass_of_a_flax_layer_is_converted_and_keeps_its_own_ways():
    model = mixed()
    converted = bioflax.convert(model, bioflax.FeedbackAlignment(), rngs=nnx.Rngs(1))
    assert isinstance(converted.layers[1], Own)
    assert converted.layers[1].feedback.shape == (6, 6)
    np.testing.assert_array_equal(model(X), converted(X))


def test_the_report_says_what_was_converted_what_was_left_and_why(capsys):
    _, report = bioflax.convert(
        mixed(), bioflax.FeedbackAlignment(), rngs=nnx.Rngs(1), skip="layers/3", report=True
    )
    actions = {entry.path: entry.action for entry in report.entries}
    assert actions == {
        "layers/0": "left",
        "layers/1": "converted",
        "layers/2": "exact",
        "layers/3": "left",
    }
    assert "table" in next(e.reason for e in report.entries if e.path == "layers/0")
    assert "layers/1" in capsys.readouterr().out


def test_strict_names_what_cannot_be_decoupled():
    with pytest.raises(ValueError, match=r"layers/0 \(Table\)"):
        bioflax.convert(mixed(), bioflax.FeedbackAlignment(), rngs=nnx.Rngs(1), strict=True)


def test_only_some_by_type_path_or_function():
    def converted(**options):
        model = bioflax.convert(mixed(), bioflax.FeedbackAlignment(), rngs=nnx.Rngs(1), **options)
        return [i for i, layer in enumerate(model.layers) if hasattr(layer, "feedback")]

    assert converted() == [1, 3]
    assert converted(only="layers/3") == [3]
    assert converted(skip=Own) == [3]
    assert converted(skip=lambda path, module: path.endswith("3")) == [1]
    with pytest.raises(ValueError, match="'layers/33' is not the path of a module"):
        converted(skip="layers/33")


def test_what_a_rule_needs_is_asked_for_by_name():
    with pytest.raises(TypeError, match="give rngs="):
        bioflax.convert(mlp(), bioflax.FeedbackAlignment())
    with pytest.raises(TypeError, match="is not a rule"):
        bioflax.convert(mlp(), "feedback_alignment", rngs=nnx.Rngs(0))


class Residual(nnx.Module):
    """A small ResNet with batch normalisation."""

    def __init__(self, rngs):
        self.stem = nnx.Conv(1, 4, (3, 3), rngs=rngs)
        self.conv = nnx.Conv(4, 4, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.head = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x):
        h = jax.nn.relu(self.stem(x.reshape(-1, 2, 3, 1)))
        h = jax.nn.relu(h + self.norm(self.conv(h)))
        return self.head(h.mean((1, 2)))


class Transformer(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Linear(2, 8, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs)
        self.head = nnx.Linear(8, 2, rngs=rngs)

    def __call__(self, x):
        h = self.embed(x.reshape(-1, 3, 2))
        return self.head((h + self.attention(h)).mean(1))


class Recurrent(nnx.Module):
    def __init__(self, rngs):
        self.rnn = nnx.RNN(nnx.LSTMCell(2, 8, rngs=rngs))
        self.head = nnx.Linear(8, 2, rngs=rngs)

    def __call__(self, x):
        return self.head(self.rnn(x.reshape(-1, 3, 2))[:, -1])


@pytest.mark.parametrize(
    "rule", [bioflax.FeedbackAlignment(), bioflax.KolenPollack()], ids=["fa", "kp"]
)
@pytest.mark.parametrize("build", [Residual, Transformer, Recurrent])
def test_models_people_have_train_under_a_rule_after_one_line(build, rule):
    # Flax itself promotes types inside attention and recurrent cells.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        model, report = bioflax.convert(
            build(nnx.Rngs(0)), rule, rngs=nnx.Rngs(1), strict=True, report=True
        )
        assert sum(entry.action == "converted" for entry in report.entries) >= 3
        optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)
        y = jnp.arange(4) % 2

        @nnx.jit
        def step(model, optimizer):
            def loss(model):
                z = model(X)
                return optax.softmax_cross_entropy_with_integer_labels(z, y).mean()

            value, gradient = nnx.value_and_grad(loss)(model)
            optimizer.update(model, gradient)
            return value

        losses = [float(step(model, optimizer)) for _ in range(40)]
    assert losses[-1] < 0.7 * losses[0]

"""The spiking net is what the article's equations say, step by step."""

from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from replications.harness.training import spiking
from replications.harness.training.streams import drawing, stream

# Large rate and decay, so that a mistake in either shows within a few steps.
SMALL = spiking.Net(
    inputs=6,
    hidden=(5, 4, 3),
    classes=2,
    group=2,
    tau=0.8,
    slope=0.7,
    learning_rate=0.5,
    weight_decay=0.01,
    init=2.0,
    feedback_init=3.0,
    dtype="float64",
)


class Data(NamedTuple):
    train_x: jax.Array
    train_y: jax.Array
    test_x: jax.Array
    test_y: jax.Array


pytestmark = pytest.mark.usefixtures("double_precision")


def net(**changes):
    return spiking.Net(**{**vars(SMALL), **changes})


# Compiled once for all tests that use them.
learn = jax.jit(spiking.learn, static_argnums=0)
classify = jax.jit(spiking.classify, static_argnums=0)


@cache
def program(chosen, examples=7):
    functions = spiking.program(chosen, examples, stream)
    return functions._replace(
        start=drawing(functions.start),
        advance=jax.jit(functions.advance),
        measure=jax.jit(functions.measure),
    )


def begun(chosen, seed=3):
    """A state with nothing at zero: biases, potentials and signals as in the middle of a run."""
    rng = np.random.default_rng(seed)
    state = program(chosen).start(jnp.uint32(seed))
    return state._replace(
        trained=tuple(w.at[-1].set(rng.normal(size=w.shape[1])) for w in state.trained),
        potentials=tuple(jnp.asarray(rng.normal(size=v.shape)) for v in state.potentials),
        signals=tuple(jnp.asarray(rng.normal(size=u.shape)) for u in state.signals),
    )


def images(chosen, n, steps=None, seed=5):
    """Images with black and white pixels among the grey ones, their classes, uniform numbers."""
    rng = np.random.default_rng(seed)
    x = np.clip(rng.uniform(-0.3, 1.3, (n, chosen.inputs)), 0, 1)
    y = np.eye(chosen.classes)[rng.integers(chosen.classes, size=n)]
    return x, y, rng.uniform(size=(n, steps or chosen.steps, sum(chosen.widths)))


def logistic(v):
    return 1 / (1 + np.exp(-v))


def weights(chosen, state):
    """W as the article has it, decayed, out of a state; the last rows are the biases."""
    left = (1 - chosen.weight_decay) ** (float(state.step) * chosen.steps)
    return [np.asarray(w) * left for w in state.trained]


class Oracle:
    """The article's net in plain NumPy: weights apart from biases, decayed at every update."""

    def __init__(self, chosen, state):
        def arrays(layers):
            return [np.array(a) for a in layers]

        self.net = chosen
        stored = weights(chosen, state)
        self.w, self.b = [w[:-1] for w in stored], [w[-1] for w in stored]
        self.back = arrays(state.feedback)
        self.v, self.u = arrays(state.potentials), arrays(state.signals)

    def step(self, x, y, uniforms, plastic):
        """One time step; the spikes of every layer."""
        n, tau, layers = self.net, self.net.tau, len(self.w)
        probability, spikes, used = np.minimum(x, 0.95), [], 0
        for layer in range(layers + 1):
            own = uniforms[used : used + n.widths[layer]]
            used += len(own)
            spikes.append((own < probability) * 1.0)
            if layer < layers:
                drive = self.b[layer].copy()
                for i, spike in enumerate(spikes[-1]):
                    drive += spike * self.w[layer][i]
                self.v[layer] = (1 - tau) * self.v[layer] + tau * drive
                probability = logistic(self.v[layer])
        wanted = np.concatenate([np.full(n.group, y[c]) for c in range(n.classes)])
        came = spikes[-1] - wanted
        for layer in range(layers)[::-1]:
            self.u[layer] = (1 - tau) * self.u[layer] + tau * came
            if layer:
                came = self.back[layer - 1] @ np.tanh(n.slope * self.u[layer])
        if plastic:
            for layer in range(layers):
                slope = logistic(self.v[layer]) * (1 - logistic(self.v[layer]))
                change = np.tanh(n.slope * self.u[layer]) * slope
                for a, sent in ((self.w, spikes[layer]), (self.b, None)):
                    product = change if sent is None else np.outer(sent, change)
                    a[layer] = a[layer] - n.weight_decay * a[layer] - n.learning_rate * product
        return spikes


def assert_close(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_learning_is_the_articles_equations():
    state = begun(SMALL)
    oracle = Oracle(SMALL, state)
    before = oracle.back
    x, y, uniforms = images(SMALL, 4)
    losses, wrong = [], 0
    for i in range(4):
        state, output = learn(SMALL, state, x[i], y[i], uniforms[i])
        theirs = np.array([oracle.step(x[i], y[i], u, plastic=True)[-1] for u in uniforms[i]])
        np.testing.assert_array_equal(output, theirs)
        losses.append(0.5 * ((theirs - np.repeat(y[i], 2)) ** 2).sum(1).mean())
        wrong += theirs.reshape(5, 2, 2).sum((0, 2)).argmax() != y[i].argmax()
    assert_close(weights(SMALL, state), map(np.vstack, zip(oracle.w, oracle.b, strict=True)))
    assert_close(state.potentials, oracle.v)
    assert_close(state.signals, oracle.u)
    assert_close(state.feedback, before)
    assert state.step == 4
    np.testing.assert_allclose(state.first_losses[:4], losses)
    np.testing.assert_allclose(state.sums, [sum(losses), wrong, 4], rtol=1e-6)


def test_training_shows_the_images_in_their_order_each_with_numbers_of_its_own():
    functions, seed = program(SMALL), jnp.uint32(2)
    x, y, _ = images(SMALL, 7)
    data = Data(*map(jnp.asarray, (x, y, x, y)))
    order = functions.order(seed, jnp.int32(0))
    assert sorted(order.tolist()) == list(range(7))
    by_hand = functions.start(seed)
    for i in range(9):
        key = jax.random.fold_in(stream(jax.random.key(seed), "spikes"), i)
        uniforms = spiking.draw(SMALL, key, SMALL.steps)
        by_hand, _ = learn(SMALL, by_hand, x[order[i % 7]], y[order[i % 7]], uniforms)
    at_once = functions.advance(functions.start(seed), seed, order, data, jnp.int32(9))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), at_once, by_hand)
    in_parts = functions.advance(functions.start(seed), seed, order, data, jnp.int32(2))
    in_parts = functions.advance(in_parts, seed, order, data, jnp.int32(7))
    jax.tree.map(np.testing.assert_array_equal, at_once, in_parts)


def test_seeds_under_vmap_are_the_seeds_alone():
    functions, seeds = program(SMALL), jnp.arange(2, dtype=jnp.uint32)
    x, y, _ = images(SMALL, 7)
    data = Data(*map(jnp.asarray, (x, y, x, y)))

    bare = spiking.program(SMALL, 7, stream)
    states = jax.jit(jax.vmap(bare.start))(seeds)
    orders = jax.vmap(bare.order, in_axes=(0, None))(seeds, jnp.int32(0))
    advance = jax.jit(jax.vmap(bare.advance, in_axes=(0, 0, 0, None, None)))
    together = advance(states, seeds, orders, data, jnp.int32(5))
    for i, seed in enumerate(seeds):
        alone = functions.advance(functions.start(seed), seed, orders[i], data, jnp.int32(5))
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-12, atol=1e-12),
            together,
            alone,
        )
    assert not np.allclose(together.trained[0][0], together.trained[0][1])


def test_the_class_is_the_group_with_most_spikes_while_nothing_learns():
    state = begun(SMALL)._replace(step=jnp.int32(3))
    oracle = Oracle(SMALL, state)
    x, y, uniforms = images(SMALL, 1)
    counts = classify(SMALL, state, x[0], uniforms[0])
    theirs = np.array([oracle.step(x[0], y[0], u, plastic=False)[-1] for u in uniforms[0]])
    np.testing.assert_array_equal(counts, [theirs[:, :2].sum(), theirs[:, 2:].sum()])


def test_measuring_changes_nothing_but_the_running_sums():
    functions, seed = program(SMALL), jnp.uint32(0)
    x, y, _ = images(SMALL, 7)
    data = Data(*map(jnp.asarray, (x, y, x, y)))
    first = functions.start(seed)
    state = functions.advance(first, seed, jnp.arange(7), data, jnp.int32(7))
    after, values = functions.measure(state, first, data)
    for name in ("step", "trained", "feedback", "potentials", "signals", "first_losses"):
        jax.tree.map(np.testing.assert_array_equal, getattr(after, name), getattr(state, name))
    np.testing.assert_array_equal(after.sums, 0)
    np.testing.assert_allclose(values["train_loss"], np.mean(state.first_losses[:7]), rtol=1e-6)
    np.testing.assert_allclose(values["train_error"], state.sums[1] / 7, rtol=1e-6)
    # Image by image, from the same potentials and with numbers that belong to the image.
    wrong = 0
    for i in range(7):
        key = jax.random.fold_in(stream(jax.random.key(0), "test spikes"), i)
        counts = classify(SMALL, state, x[i], spiking.draw(SMALL, key, SMALL.steps))
        wrong += int(counts.argmax() != y[i].argmax())
    np.testing.assert_allclose(values["test_error"], wrong / 7, rtol=1e-6)


def test_decay_alone_shrinks_weights_and_biases():
    still = net(learning_rate=0.0)
    state = begun(still)
    x, y, uniforms = images(still, 3)
    after = state
    for i in range(3):
        after, _ = learn(still, after, x[i], y[i], uniforms[i])
    assert_close(weights(still, after), [0.99**15 * np.asarray(w) for w in state.trained])


def test_the_articles_decay_is_not_lost_in_single_precision():
    article = spiking.Net()
    assert np.float32(1) - np.float32(article.weight_decay) == 1
    passes = 5 * 60_000 * jnp.arange(0, 200, 20)
    left = spiking.remaining(article, passes.astype(jnp.int32))
    assert left.dtype == jnp.float32
    np.testing.assert_allclose(left, (1 - 1e-8) ** np.asarray(passes, float), rtol=2e-7)


def test_a_classs_target_is_its_group():
    y = jnp.array([0.0, 1.0, 0.0])
    wanted = spiking.target(net(classes=3, group=2), y)
    np.testing.assert_array_equal(wanted, [0, 0, 1, 1, 0, 0])
    article = spiking.Net()
    assert article.widths == (784, 1500, 1500, 1500, 1000)
    wanted = spiking.target(article, jnp.eye(10)[3])
    np.testing.assert_array_equal(np.flatnonzero(wanted), np.arange(300, 400))
    # And the answer counts in the same groups.
    np.testing.assert_array_equal(
        spiking.answer(article, jnp.stack([wanted] * 5)), 500 * np.eye(10)[3]
    )


def test_without_error_signals_only_leak():
    state = begun(SMALL)
    silent = tuple(jnp.zeros_like(u) for u in state.signals)
    none = jnp.zeros(4)
    for u in spiking.descend(SMALL, state.feedback, silent, none):
        np.testing.assert_array_equal(u, 0)
    for factor in spiking.factors(SMALL, state.potentials, silent):
        np.testing.assert_array_equal(factor, 0)
    top = spiking.descend(SMALL, state.feedback, state.signals, none)[-1]
    np.testing.assert_allclose(top, 0.2 * state.signals[-1], rtol=1e-15)


def test_an_error_reaches_every_layer_in_its_own_step():
    state = begun(SMALL)
    silent = tuple(jnp.zeros_like(u) for u in state.signals)
    for u in spiking.descend(SMALL, state.feedback, silent, jnp.array([1.0, 0, 0, 0])):
        assert np.any(u != 0)


def test_spikes_reach_every_layer_in_their_own_step():
    """A net whose inputs alone drive it: the output's potential follows them at once."""
    state = program(SMALL).start(jnp.uint32(0))
    ones = tuple(jnp.ones_like(w) for w in state.trained)
    # Between logistic(0) and logistic(tau): a unit spikes just where something drove it.
    uniforms = jnp.full(sum(SMALL.widths), 0.6)
    lit, _ = spiking.forward(SMALL, ones, jnp.ones(()), state.potentials, jnp.ones(6), uniforms)
    np.testing.assert_allclose(lit[0], 0.8 * 7)
    np.testing.assert_allclose(lit[-1], 0.8 * 4)


def test_an_input_spikes_with_its_brightness_up_to_a_bound():
    state = program(SMALL).start(jnp.uint32(0))
    x = jnp.array([0.0, 0.3, 0.3, 1.0, 1.0, 0.95])
    uniforms = (
        jnp.zeros(sum(SMALL.widths)).at[:6].set(jnp.array([0, 0.29, 0.3, 0.949, 0.951, 0.94]))
    )
    spikes = spiking.forward(SMALL, state.trained, jnp.ones(()), state.potentials, x, uniforms)[1]
    np.testing.assert_array_equal(spikes[0], [0, 1, 0, 1, 0, 1])


def test_the_output_descends_its_error():
    """Of one layer in one step without memory, no weight moves against the exact gradient."""
    flat = net(hidden=(), steps=1, tau=1.0, weight_decay=0.0)
    moved = 0
    for seed in range(3):
        state = program(flat).start(jnp.uint32(seed))
        x, y, uniforms = images(flat, 1, seed=seed)
        sent = np.append(uniforms[0, 0, :6] < np.minimum(x[0], 0.95), 1.0)
        wanted = spiking.target(flat, jnp.asarray(y[0]))

        def error(w, sent=sent, wanted=wanted):
            return 0.5 * jnp.sum((jax.nn.sigmoid(sent @ w) - wanted) ** 2)

        after, _ = learn(flat, state, x[0], y[0], uniforms[0])
        change = after.trained[0] - state.trained[0]
        along = np.asarray(change * jax.grad(error)(state.trained[0]))
        assert np.all(along <= 0)
        moved += np.sum(along < 0)
    assert moved > 15


def test_without_feedback_only_the_readout_learns():
    deaf = net(feedback_init=0.0)
    state = program(deaf).start(jnp.uint32(1))
    x, y, uniforms = images(deaf, 1)
    after, _ = learn(deaf, state, x[0], y[0], uniforms[0])
    *hidden, readout = zip(state.trained, after.trained, strict=True)
    for old, new in hidden:
        np.testing.assert_array_equal(old, new)
    assert np.any(readout[0] != readout[1])


def test_a_trace_is_the_net_at_work_and_leaves_it_as_it_was():
    state = begun(SMALL)._replace(step=jnp.int32(3))
    oracle = Oracle(SMALL, state)
    x, y, uniforms = images(SMALL, 2, steps=8)
    seen = spiking.trace(SMALL, state, *map(jnp.asarray, (x, y, uniforms)), units=4)
    names = ["hidden_1", "hidden_2", "hidden_3", "readout"]
    assert set(seen) == {
        "spikes/input",
        *(f"{kind}/{name}" for kind in ("spikes", "potential", "signal") for name in names),
    }
    # Four units of a layer of n, evenly over it; all where there are fewer.
    some = {6: [0, 1, 3, 4], 5: [0, 1, 2, 3], 4: [0, 1, 2, 3], 3: [0, 1, 2]}
    for i in range(2):
        for t in range(8):
            spikes = oracle.step(x[i], y[i], uniforms[i, t], plastic=False)
            np.testing.assert_array_equal(seen["spikes/input"][i, t], spikes[0][some[6]])
            for layer, name in enumerate(names):
                chosen = some[SMALL.widths[layer + 1]]
                values = (spikes[layer + 1], oracle.v[layer], oracle.u[layer])
                for kind, value in zip(("spikes", "potential", "signal"), values, strict=True):
                    np.testing.assert_allclose(
                        seen[f"{kind}/{name}"][i, t], value[chosen], rtol=1e-12, atol=1e-12
                    )


def test_a_trace_of_the_articles_net_has_five_output_units_of_each_class():
    article = spiking.Net()
    state = jax.eval_shape(program(article).start, jnp.uint32(0))
    x, y = jnp.zeros((3, 784), "float32"), jnp.zeros((3, 10), "float32")
    uniforms = jax.ShapeDtypeStruct((3, 50, sum(article.widths)), "float32")
    seen = jax.eval_shape(lambda s, u: spiking.trace(article, s, x, y, u), state, uniforms)
    assert {a.shape for a in seen.values()} == {(3, 50, 50)}
    assert {a.dtype for a in seen.values()} == {jnp.dtype("float32")}


def test_the_start_is_the_articles():
    article = spiking.Net(hidden=(30, 20), group=5)
    state = program(article).start(jnp.uint32(0))
    assert [w.shape for w in state.trained] == [(785, 30), (31, 20), (21, 50)]
    assert [b.shape for b in state.feedback] == [(30, 20), (20, 50)]
    for w in state.trained:
        assert w.dtype == jnp.float32
        np.testing.assert_array_equal(w[-1], 0)
        assert 0.045 < np.abs(w).max() <= 0.05
    for b in state.feedback:
        assert 0.09 < np.abs(b).max() <= 0.1
    for held in (*state.potentials, *state.signals):
        np.testing.assert_array_equal(held, 0)


def test_no_array_of_weights_is_copied():
    """Memory bounds the speed: each W is changed in place, and no outer product is stored."""
    functions, seed = spiking.program(spiking.Net(), 100, stream), jnp.uint32(0)
    state = jax.eval_shape(functions.start, seed)
    x, y = (jax.ShapeDtypeStruct((100, n), "float32") for n in (784, 10))
    order, n = jnp.arange(100), jnp.int32(1)
    advance = jax.jit(functions.advance, donate_argnums=0)
    compiled = advance.lower(state, seed, order, Data(x, y, x, y), n).compile()
    smallest = min(w.size * w.dtype.itemsize for w in state.trained)
    assert compiled.memory_analysis().temp_size_in_bytes < smallest / 2


def test_it_learns_patterns():
    """Ten random patterns, one a class, in single precision."""
    quick = spiking.Net(
        inputs=40, hidden=(60, 60), group=10, learning_rate=0.05, init=0.3, feedback_init=0.5,
        dtype="float32",
    )  # fmt: skip
    functions, seed = program(quick, 10), jnp.uint32(0)
    x = np.random.default_rng(0).integers(2, size=(10, 40)).astype("float32")
    data = Data(*map(jnp.asarray, (x, np.eye(10, dtype="float32")) * 2))
    state = functions.start(seed)
    state, before = functions.measure(state, state, data)
    state = functions.advance(state, seed, jnp.arange(10), data, jnp.int32(1000))
    _, after = functions.measure(state, state, data)
    assert before["test_error"] >= 0.6
    assert after["test_error"] <= 0.1

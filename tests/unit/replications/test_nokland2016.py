"""The protocol of Nøkland's experiments, held against hand computations in NumPy."""

import jax
import numpy as np
import pytest

from replications.harness.judging import claims
from replications.harness.showing import plotting
from replications.harness.training import provenance
from replications.harness.declared import spec
from replications.harness.training import tasks
from replications.harness.training import program

RULES = (
    "backprop",
    "feedback_alignment",
    "direct_feedback_alignment",
    "indirect_feedback_alignment",
)
DIRECT = "direct_feedback_alignment"
CONV = {"convolutions": [2, 3], "hidden": [6, 5]}


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


def resolved(experiment, arm=DIRECT, *, network=None, **changes):
    """A cell of the paper preset with the sizes of its net changed, in double precision."""
    chosen = spec.cell("nokland2016", experiment, arm, "paper").spec
    network = chosen.network.model_copy(update=network or {})
    changes = {"dtype": "float64", "network": network, **changes}
    return chosen.model_copy(update=changes)


def digits(n=6, shape=(7,), classes=3, seed=0):
    random = np.random.default_rng(seed)
    x, y = random.random((n, *shape)), np.eye(classes)[np.arange(n) % classes]
    return tasks.Task(tasks.Data(*map(jax.numpy.asarray, (x, y, x, y))), False, None)


class Net:
    """A program's state, advanced update by update, its arrays by name: W1, b1, B1, ... W, b, B."""

    def __init__(self, chosen, task, seed=0):
        cast = [array.astype(chosen.dtype) for array in task.data]
        self.task, self.seed = task._replace(data=tasks.Data(*cast)), np.uint32(seed)
        self.program = program.program(chosen, self.task)
        self.state = jax.jit(self.program.start)(self.seed)
        self.go = jax.jit(self.program.advance)

    def advance(self, updates=1):
        order = self.program.order(self.seed, 0)
        self.state = self.go(self.state, self.seed, order, self.task.data, np.int32(updates))

    def arrays(self):
        named = {}
        for path, leaf in jax.tree_util.tree_leaves_with_path(
            (self.state.trained, self.state.rest)
        ):
            words = [
                str(getattr(p, "key", getattr(p, "idx", getattr(p, "name", "")))) for p in path
            ]
            kind = next((k for k in ("kernel", "bias", "feedback") if k in words), None)
            if kind is None:
                continue
            number = (
                ""
                if "readout" in words
                else str(1 + int(next(w for w in words[1:] if w.isdigit())))
            )
            named[{"kernel": "W", "bias": "b", "feedback": "B"}[kind] + number] = np.array(leaf)
        return named


def logistic(z):
    return 1 / (1 + np.exp(-z))


class Rmsprop:
    """torch.optim's, with its epsilon outside the root."""

    def __init__(self, rate):
        self.rate, self.m = rate, {}

    def __call__(self, weights, gradients):
        for name, g in gradients.items():
            self.m[name] = 0.99 * self.m.get(name, 0) + 0.01 * g**2
            weights[name] = weights[name] - self.rate * g / (np.sqrt(self.m[name]) + 1e-8)


def gradients(rule, w, x, y, depth):
    """Of a tanh net, by hand. Layer l puts out h_l = tanh(a_l) and learns from d_l = dL/da_l."""
    h = [x]
    for k in range(1, depth + 1):
        h.append(np.tanh(h[-1] @ w[f"W{k}"] + w[f"b{k}"]))
    e = logistic(h[-1] @ w["W"] + w["b"]) - y
    found = {"W": h[-1].T @ e, "b": e.sum(0)}
    d = {}
    layers = range(1, depth + 1) if rule.startswith("indirect") else range(depth, 0, -1)
    for k in layers:
        if rule == DIRECT or (rule.startswith("indirect") and k == 1):
            sent = e @ w[f"B{k}"]
        elif rule.startswith("indirect"):
            sent = d[k - 1] @ w[f"W{k}"]
        else:
            above = "" if k == depth else str(k + 1)
            back = w["B" + above] if rule == "feedback_alignment" else w["W" + above]
            sent = (e if k == depth else d[k + 1]) @ back.T
        d[k] = sent * (1 - h[k] ** 2)
        found[f"W{k}"], found[f"b{k}"] = h[k - 1].T @ d[k], d[k].sum(0)
    return found


# Learning


@pytest.mark.parametrize("rule", RULES)
def test_updates_equal_a_hand_computation(rule):
    """Summed cross-entropy of logistic outputs, RMSprop; batches of 4 and, the last one, of 2."""
    chosen = resolved("mnist_3x800", rule, network={"hidden": [5, 4, 3]}, batch=4)
    net = Net(chosen, digits())
    w, update = net.arrays(), Rmsprop(1e-4)
    x, y = np.array(net.task.data.train_x), np.array(net.task.data.train_y)
    for step in range(6):
        rows = slice(0, 4) if step % 2 == 0 else slice(4, 6)
        update(w, gradients(rule, w, x[rows], y[rows], 3))
        net.advance()
        for name, value in net.arrays().items():
            np.testing.assert_allclose(value, w[name], rtol=1e-9, atol=1e-13, err_msg=name)


def test_from_zeros_the_first_update_moves_biases_and_the_first_layer_only_by_ten_rates():
    net = Net(resolved("mnist_3x800", network={"hidden": [5, 4, 3]}, batch=6), digits())
    assert not any(value.any() for name, value in net.arrays().items() if name[0] != "B")
    net.advance()
    after = net.arrays()
    assert not any(after[name].any() for name in ("W2", "W3", "W"))
    for name in ("W1", "b1", "b2", "b3", "b"):
        np.testing.assert_allclose(np.abs(after[name]), 10 * 1e-4, rtol=1e-4, err_msg=name)
    net.advance()
    assert all(net.arrays()[name].any() for name in ("W2", "W3", "W"))


def test_with_one_hidden_layer_and_one_b_feedback_alignment_is_direct_feedback():
    size = {"network": {"hidden": [8]}, "batch": 6, "dtype": "float32"}
    direct = Net(resolved("mnist_1x800", **size), digits())
    layered = Net(resolved("mnist_1x800", "feedback_alignment", **size), digits())
    b = direct.arrays()["B1"].T
    layered.state = layered.state._replace(
        rest=jax.tree.map(
            lambda leaf: jax.numpy.asarray(b) if leaf.shape == b.shape else leaf, layered.state.rest
        )
    )
    np.testing.assert_array_equal(layered.arrays()["B"], b)
    for net in (direct, layered):
        net.advance(50)
    for name in ("W1", "b1", "W", "b"):
        np.testing.assert_allclose(
            direct.arrays()[name], layered.arrays()[name], atol=1e-6, err_msg=name
        )
    assert np.abs(direct.arrays()["W1"]).max() > 1e-3


def test_backprop_from_zeros_moves_nothing_but_the_output_biases():
    net = Net(resolved("mnist_zeros", "backprop", network={"hidden": [5, 4]}, batch=2), digits())
    net.advance(30)
    after = net.arrays()
    assert not any(value.any() for name, value in after.items() if name != "b")
    assert after["b"].all()


def test_indirect_feedback_from_zeros_never_reaches_the_second_layer():
    """Why this column of ours starts elsewhere."""
    zeros = resolved("mnist_2x800", network={"hidden": [5, 4]}, rule=RULES[3], batch=2)
    net = Net(zeros, digits())
    net.advance(30)
    assert net.arrays()["W1"].any()
    assert not net.arrays()["W2"].any()


@pytest.mark.parametrize("rule", [DIRECT, "feedback_alignment"])
def test_the_update_is_that_of_the_attacked_inputs_alone_attacked_by_exact_backprop(rule):
    chosen = resolved("mnist_2x800_adversarial", rule, network={"hidden": [5, 4]}, batch=6)
    net = Net(chosen, digits())
    w, update = net.arrays(), Rmsprop(1e-4)
    x, y = np.array(net.task.data.train_x), np.array(net.task.data.train_y)
    for _ in range(5):
        h1 = np.tanh(x @ w["W1"] + w["b1"])
        h2 = np.tanh(h1 @ w["W2"] + w["b2"])
        d2 = (logistic(h2 @ w["W"] + w["b"]) - y) @ w["W"].T * (1 - h2**2)
        d1 = d2 @ w["W2"].T * (1 - h1**2)
        attacked = x + 0.08 * np.sign(d1 @ w["W1"].T)
        update(w, gradients(rule, w, attacked, y, 2))
        net.advance()
    for name, value in net.arrays().items():
        np.testing.assert_allclose(value, w[name], rtol=1e-8, atol=1e-13, err_msg=name)
    assert (attacked != x).all()


def patches(x):
    """The 5 x 5 neighbourhoods of each pixel, with two zeros around the image."""
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    return np.moveaxis(windows, 3, 5)  # (n, height, width, 5, 5, channels)


def pooled(h):
    """3 x 3 maxima at every second place, and where each of them stands: the first of equals."""
    windows = np.lib.stride_tricks.sliding_window_view(h, (3, 3), axis=(1, 2))[:, ::2, ::2]
    flat = windows.reshape(*windows.shape[:4], 9)
    return flat.max(-1), flat.argmax(-1)


def unpooled(error, place, shape):
    """The error sent back to the maxima."""
    out = np.zeros(shape)
    for n, i, j, c in np.ndindex(error.shape):
        row, column = divmod(place[n, i, j, c], 3)
        out[n, 2 * i + row, 2 * j + column, c] += error[n, i, j, c]
    return out


def test_a_conv_net_under_direct_feedback_learns_as_by_hand():
    """The error enters after the pooling; from zeros every maximum is at first a tie."""
    chosen = resolved("cifar10_conv", network={"convolutions": [2], "hidden": [4]}, batch=6)
    net = Net(chosen, digits(shape=(8, 8, 3)))
    w, update = net.arrays(), Rmsprop(5e-5)
    x, y = np.array(net.task.data.train_x), np.array(net.task.data.train_y)
    for _ in range(6):
        h1 = np.tanh(np.tensordot(patches(x), w["W1"], 3) + w["b1"])
        maxima, place = pooled(h1)
        flat = maxima.reshape(len(x), -1)
        h2 = np.tanh(flat @ w["W2"] + w["b2"])
        e = logistic(h2 @ w["W"] + w["b"]) - y
        d1 = unpooled(np.tensordot(e, w["B1"], 1), place, h1.shape) * (1 - h1**2)
        d2 = e @ w["B2"] * (1 - h2**2)
        update(w, {
            "W1": np.tensordot(patches(x), d1, ((0, 1, 2), (0, 1, 2))), "b1": d1.sum((0, 1, 2)),
            "W2": flat.T @ d2, "b2": d2.sum(0), "W": h2.T @ e, "b": e.sum(0),
        })  # fmt: skip
        net.advance()
    for name, value in net.arrays().items():
        np.testing.assert_allclose(value, w[name], rtol=1e-7, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(("experiment", "wrong"), [("mnist_2x800", 0), ("mnist_2x800_dropout", 1)])
def test_the_training_error_is_counted_with_dropout_on(experiment, wrong):
    """On targets that the net, held still, gives itself: without dropout it is never wrong."""
    size = {"hidden": [40, 40], "init": spec.Init(kind="fan_in_uniform")}
    still = spec.Optimizer(sgd=spec.Sgd(learning_rate=0.0))
    chosen = resolved(experiment, network=size, optimizer=still, batch=30, measures=["test_error"])
    task = digits(300)
    w, x = Net(chosen, task).arrays(), np.array(task.data.train_x)
    z = np.tanh(np.tanh(x @ w["W1"] + w["b1"]) @ w["W2"] + w["b2"]) @ w["W"] + w["b"]
    y = jax.numpy.asarray(np.eye(3)[z.argmax(1)])
    net = Net(chosen, task._replace(data=task.data._replace(train_y=y, test_y=y)))
    net.advance(10)
    _, values = jax.jit(net.program.measure)(net.state, net.seed, net.task.data)
    assert values["test_error"] == 0
    assert (values["train_error"] > 0.05) == wrong


def test_a_frozen_first_layer_learns_only_after_its_release():
    chosen = resolved("mnist_2x800_frozen", network={"hidden": [5, 4]}, batch=2, frozen_epochs=4)
    net = Net(chosen, digits())
    start = net.arrays()
    net.advance(12)
    frozen = net.arrays()
    for name in ("W1", "b1"):
        np.testing.assert_array_equal(frozen[name], start[name])
    assert (frozen["W2"] != start["W2"]).any()
    net.advance(1)
    np.testing.assert_allclose(np.abs(net.arrays()["W1"] - start["W1"]), 1e-3, rtol=1e-3)


# Where the weights start


def bound(values, expected):
    """U[-expected, expected], seen from its largest of many draws."""
    assert np.abs(values).max() <= expected
    assert np.abs(values).max() > 0.9 * expected


def test_backprop_starts_from_torchs_weights_and_biases():
    net = Net(
        resolved("mnist_2x800", "backprop", network={"hidden": [60, 50]}), digits(shape=(90,))
    )
    w = net.arrays()
    for layer, fan_in in (("1", 90), ("2", 60), ("", 50)):
        bound(w["W" + layer], fan_in**-0.5)
        assert np.abs(w["b" + layer]).max() <= fan_in**-0.5
        assert w["b" + layer].any()
    bound(np.concatenate([w["b1"], w["b2"] * np.sqrt(60 / 90)]), 90**-0.5)


def test_the_biases_of_a_conv_net_have_the_fan_in_of_their_patch():
    network = {"convolutions": [200], "hidden": [5]}
    w = Net(resolved("cifar10_conv", "backprop", network=network), digits(shape=(8, 8, 3))).arrays()
    bound(w["b1"], 75**-0.5)
    bound(w["W1"], 75**-0.5)


def test_feedback_alignment_keeps_only_its_first_layer_and_draws_b_as_torch_draws_w():
    net = Net(
        resolved("mnist_2x800", "feedback_alignment", network={"hidden": [60, 50]}),
        digits(shape=(90,)),
    )
    w = net.arrays()
    bound(w["W1"], 90**-0.5)
    assert w["b1"].any()
    assert not any(w[name].any() for name in ("W2", "b2", "W", "b"))
    bound(w["B2"], 60**-0.5)
    bound(w["B"], 50**-0.5)


def test_with_rectifiers_the_b_of_feedback_alignment_is_the_initial_w():
    chosen = resolved("mnist_2x800_relu", "feedback_alignment", network={"hidden": [6, 5]}, batch=2)
    net = Net(chosen, digits())
    start = net.arrays()
    for layer in ("1", "2", ""):
        np.testing.assert_array_equal(start["B" + layer], start["W" + layer])
    net.advance(3)
    np.testing.assert_array_equal(net.arrays()["B"], start["B"])
    assert (net.arrays()["W"] != start["W"]).any()


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_the_direct_feedback_of_a_conv_net_is_scaled_by_the_units_of_each_pooled_map(dataset):
    classes = int(dataset.removeprefix("cifar"))
    task = digits(shape=(32, 32, 3), n=classes, classes=classes)
    w = Net(resolved(f"{dataset}_conv", network=CONV), task).arrays()
    assert w["B1"].shape == (classes, 15, 15, 2)
    assert w["B2"].shape == (classes, 7, 7, 3)
    assert w["W3"].shape == (7 * 7 * 3, 6)
    for k in range(1, 5):
        bound(w[f"B{k}"], np.prod(w[f"B{k}"].shape[1:]) ** -0.5)
    assert not any(w[f"W{k}"].any() for k in range(1, 5))


@pytest.mark.parametrize(
    ("row", "arm"),
    [
        ("1x1000", "feedback_alignment"),
        ("3x1000", RULES[3]),
        ("3x1000_dropout", DIRECT),
        ("conv", DIRECT),
        ("conv", "feedback_alignment"),
    ],
)
def test_every_row_of_the_cifar_100_table_trains_on_small_arrays(row, arm):
    shape = (32, 32, 3) if row == "conv" else (3072,)
    sizes = CONV if row == "conv" else {"hidden": [4, 4]}
    net = Net(resolved(f"cifar100_{row}", arm, network=sizes, batch=50), digits(100, shape, 100))
    before = net.arrays()
    net.advance(3)
    after = net.arrays()
    assert all(np.isfinite(value).all() for value in after.values())
    assert all((after[name] != before[name]).any() for name in after if name[0] != "B")


@pytest.mark.parametrize("rule", ["backprop", DIRECT])
def test_features_are_what_the_nets_own_hidden_layers_put_out_for_the_first_held_out_examples(rule):
    size = {"network": {"hidden": [5, 4, 3]}, "batch": 6, "probe": 4}
    net = Net(resolved("mnist_3x400", rule, **size), digits())
    net.advance(5)
    w, h = net.arrays(), np.array(net.task.data.test_x)[:4]
    found = net.program.features(net.state, net.task.data)
    assert list(found) == ["features/hidden_1", "features/hidden_2", "features/hidden_3"]
    for k, value in enumerate(found.values(), 1):
        h = np.tanh(h @ w[f"W{k}"] + w[f"b{k}"])
        np.testing.assert_allclose(value, h, rtol=1e-9, atol=1e-13)
    assert h.any()


def test_the_features_of_a_pooled_map_are_its_units_and_dropout_hides_none():
    network = {**CONV, "init": spec.Init(kind="fan_in_uniform"), "dropout_hidden": 0.5}
    net = Net(resolved("cifar10_conv", network=network, probe=2), digits(shape=(32, 32, 3)))
    w = net.arrays()
    h = np.tanh(np.tensordot(patches(np.array(net.task.data.test_x)[:2]), w["W1"], 3) + w["b1"])
    found = net.program.features(net.state, net.task.data)
    maxima = pooled(h)[0].reshape(2, -1)
    np.testing.assert_allclose(found["features/hidden_1"], maxima, rtol=1e-9, atol=1e-13)
    assert [value.shape[1] for value in found.values()] == [15 * 15 * 2, 7 * 7 * 3, 6, 5]
    assert all((np.array(value) != 0).all() for value in found.values())


def test_whitening_leaves_uncorrelated_pixels_of_variance_one():
    random = np.random.default_rng(0)
    train = random.integers(0, 256, (400, 4, 4, 3)).cumsum(axis=1)
    train_x, test_x = tasks._zca(train, train[:5])
    np.testing.assert_allclose(
        np.cov(train_x.reshape(400, -1), rowvar=False), np.eye(48), atol=1e-6
    )
    np.testing.assert_allclose(test_x, train_x[:5])


# What is declared


def test_the_nets_are_those_of_the_tables():
    layers = {"7x240": [240] * 7, "100x240": [240] * 100, "4x800": [800] * 4, "3x1000": [1000] * 3}
    for cell in spec.cells("nokland2016", "paper"):
        name = cell.experiment.split("_")[1]
        assert cell.spec.network.hidden == layers.get(name, cell.spec.network.hidden)
        assert cell.spec.optimizer.rmsprop.eps == 1e-8
        assert cell.spec.batch == 64


@pytest.mark.parametrize("preset", spec.PRESETS)
def test_every_claim_is_about_something_that_is_recorded(preset):
    found = claims.load("nokland2016")
    assert [claim.id for claim in found] == [f"N{k}" for k in range(1, 9)]
    claims.check_names(found, preset, claims.recorded("nokland2016", preset))


def test_a_hundred_layers_depend_on_the_code_that_compiles_them_as_one():
    for cell in spec.cells("nokland2016", "quick"):
        named = {path.name for path in provenance.sources(cell)}
        assert "stack.py" in named or cell.experiment != "mnist_100x240"


def test_every_published_number_has_its_cell():
    known = claims.recorded("nokland2016", "paper")
    for experiment, arm, measure in plotting.published("nokland2016"):
        assert measure.removesuffix("_sd") in known[experiment][arm]

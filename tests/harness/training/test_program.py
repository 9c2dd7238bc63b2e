"""Training is what the papers' equations say: held against hand computations in NumPy."""

import jax
import numpy as np
import pytest

from replications.harness.catalogue.rules import RULES as CATALOGUE
from replications.harness.catalogue.rules import LearningRule, of_arm
from replications.harness.declared import experiments
from replications.harness.declared.spec import Init, Optimizer, Sgd
from replications.harness.judging.tabulate import tabulate
from replications.harness.records import read_run
from replications.harness.training import costs, datasets, tasks
from replications.harness.training.program import program
from replications.harness.training.simulate import simulate
from tests.harness.papers import write_paper
from tests.harness.training import spikes
from tests.harness.training.article import (
    QUADRATIC,
    by_hand,
    digits_like,
    phases,
    small,
    updated,
    weights,
)
from tests.harness.training.nets import CONV, DIRECT, RULES, Net, digits, patches, pooled, resolved
from tests.harness.training.runs import LINEAR, after, arrays, assert_same_bits, cell, run


@pytest.mark.parametrize("rule", ["backprop", "feedback_alignment", "shallow"])
def test_online_learning_is_the_papers_update_rule(tmp_path, rule):
    """An independent NumPy run from the same weights: W += eta e h', A += eta (B or W') e x'."""
    chosen = cell(rule=rule, measures=["test_nse", "features"], seeds=1)
    got = run(tmp_path, chosen)
    with jax.enable_x64(True):
        task = tasks.build(chosen.spec, datasets.stand_in)
        state = program(chosen.spec, task).start(np.uint32(0))
        model = jax.tree.map(np.asarray, dict(arrays(state)))
        x, y = np.asarray(task.data.train_x), np.asarray(task.data.train_y)
        test_x, test_y = np.asarray(task.data.test_x), np.asarray(task.data.test_y)
    a, w = model["hidden"].copy(), model["readout"].copy()
    b = model.get("feedback")
    losses = []
    for i in range(60):
        h = x[i] @ a
        e = y[i] - h @ w
        losses.append(0.5 * e @ e)
        back = {"backprop": w, "feedback_alignment": b, "shallow": np.zeros_like(w)}[rule]
        step = 0.02 * np.outer(x[i], back @ e)
        w = w + 0.02 * np.outer(h, e)
        a = a + step
    error = test_y - test_x @ a @ w
    np.testing.assert_allclose(got.first_losses[0], losses[:20], rtol=1e-10)
    np.testing.assert_allclose(
        got.measures["test_nse"][0, -1], (error**2).sum() / (test_y**2).sum(), rtol=1e-9
    )
    # Of the held-out examples, when training is over.
    np.testing.assert_allclose(got.measures["features/hidden_1"][0], test_x @ a, rtol=1e-9)


def test_a_smaller_last_batch_teaches_node_perturbation_what_its_examples_do():
    """Of 61 examples in batches of 60 the last is alone in its batch, as it is in batches of one."""
    task = {"teacher": {"inputs": 5, "outputs": 3, "train": 61, "test": 20}}
    still = {"sgd": {"learning_rate": 1e-9}}
    few = cell(task=task, rule="node_perturbation", measures=["test_nse"], optimizer=still)
    moved = {}
    for batch, updates in ((60, 2), (60, 1), (1, 61), (1, 60)):
        chosen = few._replace(spec=few.spec.model_copy(update={"batch": batch}))
        moved[batch, updates] = after(chosen, updates)[1]["readout"]
    assert few.spec.batch == 1
    np.testing.assert_allclose(
        moved[60, 2] - moved[60, 1], moved[1, 61] - moved[1, 60], rtol=1e-4, atol=1e-15
    )


def test_without_the_last_batch_a_pass_ends_before_what_is_left_over():
    """Of 61 examples in batches of 20 one is never seen: two passes are those of the first 60."""
    task = {"teacher": {"inputs": 5, "outputs": 3, "train": 61, "test": 20}}
    chosen = cell(task=task, rule="backprop", measures=["test_nse"], batch=20, drop_last=True)
    whole = cell(task=task, rule="backprop", measures=["test_nse"], batch=20)
    assert (chosen.spec.updates_per_pass(61), whole.spec.updates_per_pass(61)) == (3, 4)
    with jax.enable_x64(True):
        made = program(chosen.spec, tasks.build(chosen.spec, datasets.stand_in))
        assert made.steps_per_epoch == 3
        assert len(made.order(np.uint32(0), np.uint32(0))) == 60
    alike, ends = after(chosen, 3)[1], after(whole, 3)[1]
    np.testing.assert_array_equal(alike["readout"], ends["readout"])
    assert (after(chosen, 4)[1]["readout"] != after(whole, 4)[1]["readout"]).any()


def test_mirror_steps_before_the_first_update_move_the_feedback_alone():
    mirror = {"rule": "weight_mirror", "mirror_form": "code", "mirror_samples": 128}
    few, many = (
        after(cell(**mirror, measures=["test_nse"], mirror_first=steps), 1)[0] for steps in (0, 20)
    )
    np.testing.assert_array_equal(few["readout"], many["readout"])
    np.testing.assert_array_equal(few["hidden"], many["hidden"])
    assert (few["feedback"] != many["feedback"]).all()


def test_a_frozen_layer_does_not_decay():
    decaying = {"sgd": {"learning_rate": 0.02}, "weight_decay": 0.01}
    chosen = cell(rule="backprop", measures=["test_nse"], optimizer=decaying, frozen_epochs=1)
    start, end = after(chosen, 30)
    np.testing.assert_array_equal(start["hidden"], end["hidden"])
    assert (start["readout"] != end["readout"]).all()


# Nøkland's nets


double = pytest.mark.usefixtures("double_precision")


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


@double
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


@double
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


@double
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


@double
def test_backprop_from_zeros_moves_nothing_but_the_output_biases():
    net = Net(resolved("mnist_zeros", "backprop", network={"hidden": [5, 4]}, batch=2), digits())
    net.advance(30)
    after = net.arrays()
    assert not any(value.any() for name, value in after.items() if name != "b")
    assert after["b"].all()


@double
def test_indirect_feedback_from_zeros_never_reaches_the_second_layer():
    """Why this column of ours starts elsewhere."""
    zeros = resolved("mnist_2x800", network={"hidden": [5, 4]}, rule=RULES[3], batch=2)
    net = Net(zeros, digits())
    net.advance(30)
    assert net.arrays()["W1"].any()
    assert not net.arrays()["W2"].any()


@double
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


def unpooled(error, place, shape):
    """The error sent back to the maxima."""
    out = np.zeros(shape)
    for n, i, j, c in np.ndindex(error.shape):
        row, column = divmod(place[n, i, j, c], 3)
        out[n, 2 * i + row, 2 * j + column, c] += error[n, i, j, c]
    return out


@double
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


@double
@pytest.mark.parametrize(("experiment", "wrong"), [("mnist_2x800", 0), ("mnist_2x800_dropout", 1)])
def test_the_training_error_is_counted_with_dropout_on(experiment, wrong):
    """On targets that the net, held still, gives itself: without dropout it is never wrong."""
    size = {"hidden": [40, 40], "init": Init(kind="fan_in_uniform")}
    still = Optimizer(sgd=Sgd(learning_rate=0.0))
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


@double
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


@double
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


# The catalogue


def trained(chosen, updates=1):
    """The weights that learn, at the start and after some updates, and the rest of the state likewise."""
    with jax.enable_x64(True):
        task = tasks.build(chosen.spec, datasets.stand_in)
        functions = program(chosen.spec, task)
        seed = np.uint32(0)
        start = functions.start(seed)
        end = functions.advance(start, seed, functions.order(seed, 0), task.data, updates)
        return [
            [{jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in found}
             for found in map(jax.tree_util.tree_leaves_with_path, (state.trained, state.rest))]
            for state in (start, end)
        ]  # fmt: skip


@pytest.mark.parametrize("rule", CATALOGUE)
def test_every_row_of_the_catalogue_makes_a_net_that_trains(rule):
    network = {"hidden": [4, 3], "activation": "tanh", "init": {"uniform": 0.3}}
    row = CATALOGUE[rule]
    # Several examples: centring leaves nothing of one alone.
    own = {"activity_damping": 3.0} if rule == "conditioned_feedback" else {}
    chosen = cell(rule=rule, measures=["test_nse"], network=network, batch=4, **own)
    (before, _), (after_it, rest) = trained(chosen)
    moved = {name for name in before if (before[name] != after_it[name]).any()}
    assert moved == set(before)
    assert any("readout" in name for name in moved)
    assert any("blocks" in name for name in moved) != row.readout_only
    assert all(np.isfinite(value).all() for value in after_it.values())
    # Backward weights of every layer, or of every block.
    fed = [name for name in {**after_it, **rest} if "feedback" in name]
    matrices = 2 if rule == "product_feedback" else 1
    assert len(fed) == (3 * matrices if row.feedback else 2 if row.direct else 0)


def test_a_rule_that_is_one_more_row_trains_and_nothing_else_knows_of_it(tmp_path, monkeypatch):
    """Its net is that of the rule of bioflax that the row names."""
    monkeypatch.setitem(CATALOGUE, "my_rule", LearningRule("my rule", "#123456", "KolenPollack"))
    spec = {**LINEAR, "measures": ["test_nse", "gap", "weight_angle"], "seeds": 1}
    experiment = {
        "title": "t",
        "place": "p",
        "spec": spec,
        "arms": {"my_rule": {"rule": "my_rule"}, "known": {"rule": "kolen_pollack"}},
        "presets": {"quick": None},
    }
    paper = {"title": "t", "reference": "r", "experiments": {"e": experiment}}
    store = write_paper(tmp_path, paper)
    mine, known = experiments.cells("toy", "quick", store)
    assert_same_bits(*(read_run(simulate(one, store)) for one in (mine, known)))
    assert mine.digest != known.digest
    assert of_arm("my_rule_4") == "my_rule"
    assert costs.cost(mine, lambda *_: 1.0) == costs.cost(known, lambda *_: 1.0)
    table = tabulate("toy", "e", "quick", store)
    assert list(table.arm.unique()) == ["my_rule", "known"]


# The article of 2016: its printed rule, and layers that are frozen by phase


@pytest.mark.parametrize("hidden", [[7], [7, 4]])
@pytest.mark.parametrize("rule", ["feedback_alignment", "backprop"])
@double
def test_the_printed_rule_has_the_output_derivative_in_all_but_the_feedback_path(rule, hidden):
    chosen = small(rule=rule, network={"hidden": hidden}, measures=["test_loss"])
    task = digits_like(chosen)
    state, _ = updated(chosen, task, 5)
    W, b = by_hand(chosen, task, 5)
    found = weights(state)
    for k, name in enumerate(["hidden_1", "hidden_2"][: len(hidden)]):
        np.testing.assert_allclose(found[f"blocks/{k}/layers/0/kernel"], W[name].T, atol=1e-12)
        np.testing.assert_allclose(found[f"blocks/{k}/layers/0/bias"], b[name], atol=1e-12)
    np.testing.assert_allclose(found["readout/kernel"], W["readout"].T, atol=1e-12)
    np.testing.assert_allclose(found["readout/bias"], b["readout"], atol=1e-12)


@pytest.mark.parametrize("rule", ["backprop", "shallow"])
@double
def test_without_feedback_the_printed_rule_is_that_of_the_squared_error(rule):
    task = digits_like(small())
    printed, mse = (
        weights(updated(small(rule=rule, output_error=error, measures=["test_loss"]), task, 6)[0])
        for error in ("printed", "mse")
    )
    for name in printed:
        np.testing.assert_array_equal(printed[name], mse[name])


def moved(chosen, begin, end):
    """The layers whose weights change from one update to another."""
    task = tasks.build(chosen, None)
    before, now = (weights(updated(chosen, task, n)[0]) for n in (begin, end))
    return {n.split("/layers")[0] for n in before if not np.array_equal(before[n], now[n])}


@double
def test_a_layer_rests_in_its_phase_and_learns_before_and_after():
    chosen = phases({"layers": ["readout"], "from_step": 5, "to_step": 10})
    assert moved(chosen, 0, 5) == {"blocks/0", "readout/kernel", "readout/bias"}
    assert moved(chosen, 5, 10) == {"blocks/0"}
    assert moved(chosen, 10, 11) == {"blocks/0", "readout/kernel", "readout/bias"}


@double
def test_phases_of_several_layers_add_up():
    chosen = phases({"layers": ["readout"], "to_step": 4}, {"layers": ["hidden_1"], "from_step": 4})
    assert moved(chosen, 0, 4) == {"blocks/0"}
    assert moved(chosen, 4, 60) == {"readout/kernel", "readout/bias"}
    whole = phases({"layers": ["readout", "hidden_1"]})
    assert moved(whole, 0, 60) == set()


@double
def test_frozen_epochs_are_a_phase_of_the_first_layer():
    short = {"epochs": 2, "measures": ["test_nse_variance"]}
    by_epochs = small(QUADRATIC, frozen_epochs=1, **short)
    by_phase = phases({"layers": ["hidden_1"], "to_step": 60}, **short)
    task = tasks.build(by_epochs, None)
    one, other = (weights(updated(chosen, task, 80)[0]) for chosen in (by_epochs, by_phase))
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


# A spiking net is a cell like any other


def test_the_spec_says_what_a_spiking_net_is():
    first, _, found = spikes.trained(spikes.spec(epochs=3))
    assert [w.shape for w in first.trained] == [(9, 6), (7, 5), (6, 6)]
    assert [b.shape for b in first.feedback] == [(6, 5), (5, 6)]
    assert (found.steps_per_epoch, found.steps, found.shuffled) == (12, 36, True)


def test_records_of_a_spiking_net_are_the_error_and_what_its_picture_shows():
    first, state, found = spikes.trained(spikes.spec())
    _, values = found.measure(state, first, spikes.task().data)
    assert 0 <= float(values["test_error"]) <= 1
    assert {"train_loss", "train_error"} < set(values)
    assert values["traces/spikes_input"].shape == (2, 8, 4)  # images, units, steps
    assert values["traces/spikes_readout"].shape == (2, 6, 4)
    assert values["traces/potential_hidden_1"].shape == (2, 4)
    assert values["traces/signal_readout"].shape == (2, 4)
    again = found.measure(state, first, spikes.task().data)[1]
    np.testing.assert_array_equal(values["traces/spikes_hidden_1"], again["traces/spikes_hidden_1"])
    alone = program(spikes.spec(measures=["test_error"]), spikes.task()).measure(
        state, first, spikes.task().data
    )[1]
    assert set(alone) == {"test_error", "train_loss", "train_error"}


def test_without_feedback_the_output_layer_of_a_spiking_net_learns_alone():
    first, state, _ = spikes.trained(spikes.spec(rule="shallow", measures=["test_error"]))
    for before, now in zip(first.trained[:-1], state.trained[:-1], strict=True):
        np.testing.assert_array_equal(before, now)
    assert np.abs(state.trained[-1] - first.trained[-1]).max() > 0

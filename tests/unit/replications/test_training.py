"""Training is what the papers' equations say, whichever way it is run."""

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from replications.harness.training import datasets
from replications.harness import records
from replications.harness.training import simulate
from replications.harness.training import tasks
from replications.harness.training import program
from replications.harness.training.checkpoints import Checkpoint
from replications.harness.errors import UserError
from replications.harness.training.losses import is_wrong
from replications.harness.declared.spec import Cell, RunSpec

LINEAR = {
    "task": {"teacher": {"inputs": 5, "outputs": 3, "train": 60, "test": 20}},
    "network": {
        "hidden": [4],
        "activation": "linear",
        "bias": False,
        "init": {"uniform": 0.3},
        "feedback_init": {"uniform": 0.5},
    },
    "rule": "feedback_alignment",
    "optimizer": {"sgd": {"learning_rate": 0.02}},
    "record": {"every": 20},
    "measures": ["test_nse", "delta_angle", "pseudo_angle", "gap", "features"],
    "dtype": "float64",
    "seeds": 3,
}


def cell(**changes):
    return Cell("paper", "experiment", "arm", "quick", RunSpec.model_validate(LINEAR | changes))


def run(folder, chosen, **how):
    return records.read_run(simulate.simulate(chosen, folder, **how))


def assert_same_bits(a, b):
    np.testing.assert_array_equal(a.first_losses, b.first_losses)
    assert a.measures.keys() == b.measures.keys()
    for name, values in a.measures.items():
        np.testing.assert_array_equal(values, b.measures[name], err_msg=name)


@pytest.mark.parametrize("rule", ["backprop", "feedback_alignment", "shallow"])
def test_online_learning_is_the_papers_update_rule(tmp_path, rule):
    """An independent NumPy run from the same weights: W += eta e h', A += eta (B or W') e x'."""
    chosen = cell(rule=rule, measures=["test_nse", "features"], seeds=1)
    got = run(tmp_path, chosen)
    with jax.enable_x64(True):
        task = tasks.build(chosen.spec, datasets.stand_in)
        state = program.program(chosen.spec, task).start(np.uint32(0))
        model = jax.tree.map(np.asarray, dict(_arrays(state)))
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


def _arrays(state):
    for path, leaf in jax.tree_util.tree_leaves_with_path((state.trained, state.rest)):
        text = jax.tree_util.keystr(path)
        if "readout" in text:
            yield ("feedback" if "feedback" in text else "readout"), leaf
        elif "kernel" in text:
            yield "hidden", leaf


def test_a_seed_alone_has_the_bits_it_has_among_others(tmp_path):
    together = run(tmp_path / "a", cell())
    alone = run(tmp_path / "b", cell(), seeds=[1])
    for name, values in alone.measures.items():
        np.testing.assert_array_equal(values[0], together.measures[name][1], err_msg=name)


def test_seeds_computed_in_two_goes_are_those_computed_in_one(tmp_path):
    whole = run(tmp_path / "a", cell())
    run(tmp_path / "b", cell(), seeds=[2])
    pieces = run(tmp_path / "b", cell())
    assert pieces.seeds.tolist() == [0, 1, 2]
    assert_same_bits(whole, pieces)


def test_single_seeds_do_not_take_the_place_of_a_result_of_another_spec(tmp_path):
    other = cell(optimizer={"sgd": {"learning_rate": 0.01}}, seeds=2)
    before = run(tmp_path, cell(seeds=2))
    with pytest.raises(UserError, match=r"arm\.npz: a result of another spec or of other code"):
        run(tmp_path, other, seeds=[0])
    assert_same_bits(records.read_run(records.run_file(tmp_path, other)), before)
    assert run(tmp_path, other).manifest["spec_digest"] == other.digest


def test_vmap_over_seeds_agrees_with_one_after_the_other_to_rounding(tmp_path):
    one = run(tmp_path / "a", cell())
    all_at_once = run(tmp_path / "b", cell(), batching="vmap")
    assert all_at_once.manifest["batching"] == "vmap"
    np.testing.assert_allclose(one.first_losses, all_at_once.first_losses, rtol=1e-9)
    features = [r.measures["features/hidden_1"] for r in (one, all_at_once)]
    assert features[0].shape == (3, 20, 4)
    np.testing.assert_allclose(*features, rtol=1e-9)


def test_measuring_changes_nothing_that_is_learned(tmp_path):
    """The pseudo-backprop measure swaps the feedback of its own copy, not of the run's net."""
    watched = run(tmp_path / "a", cell())
    alone = run(tmp_path / "b", cell(measures=["test_nse"]))
    # The losses of training to the bit; a measure is another program, which may round differently.
    np.testing.assert_array_equal(watched.measures["train_loss"], alone.measures["train_loss"])
    np.testing.assert_allclose(watched.measures["test_nse"], alone.measures["test_nse"], rtol=1e-12)


class CutError(Exception):
    pass


@pytest.mark.parametrize("batching", ["map", "vmap"])
def test_a_run_that_was_cut_off_goes_on_to_the_same_bits(tmp_path, monkeypatch, batching):
    whole = run(tmp_path / "a", cell(), batching=batching)
    # The folder of results is a relative one by default.
    monkeypatch.chdir(tmp_path)
    cut = Path("b")
    saved = []
    save = Checkpoint.save

    def save_then_die(self, *arguments):
        save(self, *arguments)
        saved.append(1)
        if len(saved) == 2:
            raise CutError

    monkeypatch.setattr(Checkpoint, "save", save_then_die)
    with pytest.raises(CutError):
        run(cut, cell(), batching=batching, checkpoint_seconds=0)
    assert list(cut.glob("**/.*.checkpoint"))
    assert not list(cut.glob("**/arm.npz"))
    monkeypatch.setattr(Checkpoint, "save", save)
    resumed = run(cut, cell(), batching=batching, checkpoint_seconds=0)
    assert_same_bits(whole, resumed)
    assert not list(cut.glob("**/.*.checkpoint"))


def test_a_run_that_diverges_is_a_recorded_result(tmp_path):
    wild = run(tmp_path, cell(optimizer={"sgd": {"learning_rate": 50.0}}, seeds=1))
    assert not np.isfinite(wild.measures["test_nse"][0, -1])
    assert np.isfinite(wild.measures["test_nse"][0, 0])


def test_a_run_that_diverges_has_no_error_either(tmp_path):
    """Its largest output would be the first class: right for a tenth of ten balanced classes."""
    for outputs in ("linear", "logistic"):
        wild = cell(
            optimizer={"sgd": {"learning_rate": 1e200}},
            network=LINEAR["network"] | {"output": outputs, "activation": "linear"},
            measures=["test_error"],
            seeds=1,
        )
        found = run(tmp_path / outputs, wild).measures
        assert np.isnan(found["test_error"][0, -1])
        assert np.isnan(found["train_error"][0, -1])
        assert np.isfinite(found["test_error"][0, 0])
    np.testing.assert_array_equal(
        is_wrong(10)(np.full((2, 10), np.nan), np.eye(10)[:2]), [np.nan, np.nan]
    )
    np.testing.assert_array_equal(
        is_wrong(1)(np.array([[np.nan], [1.0]]), np.ones((2, 1))), [np.nan, 0]
    )


def test_seeds_that_another_process_writes_meanwhile_are_kept(tmp_path, monkeypatch):
    whole = run(tmp_path / "a", cell())
    compute = simulate._compute

    def slow(*words):
        monkeypatch.setattr(simulate, "_compute", compute)
        run(tmp_path / "b", cell(), seeds=[0, 1])
        return compute(*words)

    monkeypatch.setattr(simulate, "_compute", slow)
    both = run(tmp_path / "b", cell(), seeds=[1, 2])
    assert_same_bits(whole, both)
    assert both.seeds.tolist() == both.manifest["seeds"] == [0, 1, 2]
    assert [origin["seeds"] for origin in both.manifest["earlier"]] == [[0, 1]]


def test_single_seeds_leave_the_unfinished_work_on_other_seeds(tmp_path, monkeypatch):
    """And a run killed while it saved goes on from the state before."""
    whole = run(tmp_path / "a", cell())
    begun, write = [], Checkpoint._write

    def die(self, path, tree):
        if path.name.startswith("state-2-2") and begun:
            raise CutError
        if path.name.startswith("state-2-2"):
            begun.append(path)
        write(self, path, tree)

    monkeypatch.setattr(Checkpoint, "_write", die)
    with pytest.raises(CutError):
        run(tmp_path / "b", cell(), checkpoint_seconds=0)
    monkeypatch.setattr(Checkpoint, "_write", write)
    run(tmp_path / "b", cell(), seeds=[7], checkpoint_seconds=0)
    left = sorted(p.name for p in tmp_path.glob("b/**/.arm.checkpoint/*/*"))
    assert left == ["done-0-0", "done-1-1", begun[0].name]
    started = []
    resume = Checkpoint.resume

    def watched(self, group, like):
        found = resume(self, group, like)
        started.append((group, found is not None))
        return found

    monkeypatch.setattr(Checkpoint, "resume", watched)
    resumed = run(tmp_path / "b", cell(), checkpoint_seconds=0)
    assert started == [([2], True)]
    assert resumed.seeds.tolist() == [0, 1, 2, 7]
    np.testing.assert_array_equal(resumed.first_losses[:3], whole.first_losses)
    for name, values in whole.measures.items():
        np.testing.assert_array_equal(resumed.measures[name][:3], values, err_msg=name)
    assert not list(tmp_path.glob("b/**/.*.checkpoint"))


def _after(chosen, updates):
    """The arrays of seed 0 after some updates."""
    with jax.enable_x64(True):
        task = tasks.build(chosen.spec, datasets.stand_in)
        program = program.program(chosen.spec, task)
        seed = np.uint32(0)
        state = program.start(seed)
        start = {k: np.asarray(v) for k, v in _arrays(state)}
        state = program.advance(state, seed, program.order(seed, 0), task.data, updates)
        return start, {k: np.asarray(v) for k, v in _arrays(state)}


def test_a_smaller_last_batch_teaches_node_perturbation_what_its_examples_do():
    """Of 61 examples in batches of 60 the last is alone in its batch, as it is in batches of one."""
    task = {"teacher": {"inputs": 5, "outputs": 3, "train": 61, "test": 20}}
    still = {"sgd": {"learning_rate": 1e-9}}
    few = cell(task=task, rule="node_perturbation", measures=["test_nse"], optimizer=still)
    moved = {}
    for batch, updates in ((60, 2), (60, 1), (1, 61), (1, 60)):
        chosen = few._replace(spec=few.spec.model_copy(update={"batch": batch}))
        moved[batch, updates] = _after(chosen, updates)[1]["readout"]
    assert few.spec.batch == 1
    np.testing.assert_allclose(
        moved[60, 2] - moved[60, 1], moved[1, 61] - moved[1, 60], rtol=1e-4, atol=1e-15
    )


def test_a_frozen_layer_does_not_decay():
    decaying = {"sgd": {"learning_rate": 0.02}, "weight_decay": 0.01}
    chosen = cell(rule="backprop", measures=["test_nse"], optimizer=decaying, frozen_epochs=1)
    start, end = _after(chosen, 30)
    np.testing.assert_array_equal(start["hidden"], end["hidden"])
    assert (start["readout"] != end["readout"]).all()


def test_float32_products_are_float32_on_every_device():
    """By default a GPU would round their factors to TF32; how a CPU multiplies is the same either way."""
    code = (
        "import replications.__main__, jax; "
        "print(jax.jit(lambda a: a @ a).lower(jax.numpy.ones((2, 2))).as_text())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "precision = [HIGHEST, HIGHEST]" in done.stdout


def test_a_rate_halves_after_every_so_many_epochs():
    """At a rate that moves nothing, the same examples move the weights by what is left of it."""
    still = {"sgd": {"learning_rate": 1e-9}}
    for every, left in ((None, [1, 1, 1]), (1, [1, 1 / 2, 1 / 4]), (2, [1, 1, 1 / 2])):
        optimizer = still if every is None else still | {"halve_every": every}
        chosen = cell(rule="backprop", measures=["test_nse"], optimizer=optimizer, epochs=3)
        start, *ends = (_after(chosen, 60 * epochs)[epochs > 0]["readout"] for epochs in range(4))
        moved = np.diff(np.stack([start, *ends]), axis=0)
        np.testing.assert_allclose(moved, np.multiply.outer(left, moved[0]), rtol=1e-4)


def test_absent_weights_stay_absent_in_a_sparse_readout(tmp_path):
    network = LINEAR["network"] | {"sparsity": 0.5, "hidden": [40]}
    start, end = _after(cell(network=network), 30)
    absent = np.asarray(start["readout"]) == 0
    assert 0.3 < absent.mean() < 0.7
    assert 0.3 < (np.asarray(start["feedback"]) == 0).mean() < 0.7
    np.testing.assert_array_equal(np.asarray(end["readout"])[absent], 0)
    assert (np.asarray(end["readout"])[~absent] != np.asarray(start["readout"])[~absent]).all()


def test_the_stop_of_one_run_is_the_same_alone_and_in_a_row_of_seeds(tmp_path):
    stopping = cell(
        task={"patterns": {"encoder": 4}},
        network={"hidden": [8], "activation": "tanh", "output": "logistic",
                 "init": {"uniform": 0.5}, "feedback_init": {"uniform": 1.0}},
        optimizer={"sgd": {"learning_rate": 1.0}},
        batch=4,
        epochs=60,
        record={"epochs": 1},
        stop_below_train_error=0.02,
        measures=["test_error", "test_loss", "features"],
    )  # fmt: skip
    alone, row = run(tmp_path / "a", stopping), run(tmp_path / "b", stopping, batching="vmap")
    loss = alone.measures["test_loss"]
    assert (loss[:, -1] == loss[:, -2]).all(), "every seed has stopped before the last epoch"
    np.testing.assert_allclose(loss, row.measures["test_loss"], rtol=1e-7)
    features = [r.measures["features/hidden_1"] for r in (alone, row)]
    np.testing.assert_allclose(*features, rtol=1e-6)


def test_a_record_after_the_end_is_refused(tmp_path):
    with pytest.raises(UserError, match="at: 99 is not among the 60 updates"):
        run(tmp_path, cell(record={"at": [99]}))

"""What a cell does first tells whether expensive results still hold."""

import numpy as np
import pytest

from replications.harness.declared.experiments import Cell, cell, cells_of
from replications.harness.declared.spec import RunSpec
from replications.harness.records import read_run
from replications.harness.store import Store
from replications.harness.training import datasets, fingerprints
from replications.harness.training.simulate import simulate


def test_a_fingerprint_of_a_short_run_is_what_the_run_records(tmp_path):
    """Fewer updates than are kept, and passes of three updates, each in an order of its own."""
    task = {"patterns": {"encoder": 5, "shuffle": True}}
    chosen = {
        "task": task,
        "network": {"hidden": [4], "activation": "linear", "init": {"uniform": 0.3}},
        "rule": "feedback_alignment",
        "optimizer": {"sgd": {"learning_rate": 0.02}},
        "epochs": 4,
        "batch": 2,
        "record": {"epochs": 1},
        "measures": ["test_nse", "gap"],
        "seeds": 4,
    }
    short = Cell("toy", "short", "arm", "quick", RunSpec.model_validate(chosen))
    run = read_run(simulate(short, Store(tmp_path)))
    assert np.isfinite(run.first_losses).sum(axis=1).tolist() == [12] * 4
    found = fingerprints.first_losses(short, datasets.stand_in, 3)
    np.testing.assert_array_equal(found, run.first_losses[3])


def test_one_fingerprint_stands_for_cells_that_differ_in_the_size_of_numbers_alone():
    distinct = fingerprints.distinct(cells_of("lillicrap2016", "linear_search", "full"))
    assert [one.spec.rule for one in distinct] == [
        "shallow", "node_perturbation", "backprop", "feedback_alignment"
    ]  # fmt: skip
    # A sparse net runs code that a dense one does not, and no decay is not a small one.
    names = {one.arm for one in fingerprints.distinct(cells_of("lillicrap2016", "mnist", "full"))}
    assert names >= {"feedback_alignment", "sparse_feedback_alignment"}
    names = {
        one.arm for one in fingerprints.distinct(cells_of("kolen_pollack1994", "mnist", "full"))
    }
    assert names >= {"kolen_pollack", "kolen_pollack_no_decay"}


def test_a_fingerprint_needs_no_data_set_and_is_the_same_again():
    whole = cell("nokland2016", "mnist_2x800", "direct_feedback_alignment", "full")
    small = whole.spec.network.model_copy(update={"hidden": [9, 8]})
    few = whole._replace(spec=whole.spec.model_copy(update={"network": small}))
    one, two = fingerprints.fingerprint(few), fingerprints.fingerprint(few)
    assert one.equals(two)
    assert one.notna().all()
    assert list(one.index[[0, 19, 20]]) == ["loss 1", "loss 20", "size of the weights"]
    # From zeros every output is one half.
    assert one["loss 1"] == pytest.approx(10 * np.log(2), rel=1e-6)
    assert one["loss 20"] < one["loss 1"]

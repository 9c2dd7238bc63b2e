"""From the runs of an experiment to one tidy table."""

import numpy as np
import pytest

from replications.harness import records
from replications.harness.declared.experiments import cells_of
from replications.harness.errors import UserError
from replications.harness.judging.tabulate import tabulate
from replications.harness.store import Store
from replications.harness.tables import read_table

PAPER, EXPERIMENT = "nokland2016", "mnist_3x400"


@pytest.fixture
def store(tmp_path):
    """Runs of two seeds of every arm, with features."""
    made = Store(tmp_path)
    for cell in cells_of(PAPER, EXPERIMENT, "quick"):
        measures = {
            "test_error": np.array([[0.9, 0.2], [0.9, 0.1]]),
            "features/hidden_1": np.ones((2, 40, 5)),
        }
        run = records.Run(
            np.array([7, 4]),
            np.array([0, 10]),
            np.zeros((2, 20)),
            measures,
            {"steps_per_epoch": 5, "spec_digest": cell.digest},
        )
        records.write_run(made.run("quick", PAPER, EXPERIMENT, cell.arm), run)
    return made


def test_features_stand_in_no_table_of_numbers(store):
    table = tabulate(PAPER, EXPERIMENT, "quick", store)
    arms = [cell.arm for cell in cells_of(PAPER, EXPERIMENT, "quick")]
    assert set(table.measure) == {"test_error"}
    assert list(table.arm.unique()) == arms
    assert len(table) == len(arms) * 2 * 2


def test_the_table_that_is_written_is_the_one_that_is_returned(store):
    table = tabulate(PAPER, EXPERIMENT, "quick", store)
    written = read_table(store.table("quick", PAPER, EXPERIMENT))
    assert written.to_numpy().tolist() == table.to_numpy().tolist()
    assert set(written.epoch) == {0, 2}


def test_a_missing_run_is_named(store):
    store.run("quick", PAPER, EXPERIMENT, "backprop").unlink()
    with pytest.raises(UserError, match=r"backprop\.npz: no such result; make it with"):
        tabulate(PAPER, EXPERIMENT, "quick", store)


def test_a_run_of_another_spec_is_named(store):
    file = store.run("quick", PAPER, EXPERIMENT, "backprop")
    run = records.read_run(file)
    records.write_run(file, run._replace(manifest={**run.manifest, "spec_digest": "another"}))
    with pytest.raises(UserError, match=r"backprop\.npz: the run is of another spec"):
        tabulate(PAPER, EXPERIMENT, "quick", store)

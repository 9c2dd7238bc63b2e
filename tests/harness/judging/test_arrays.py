"""Arrays of the first seed, one vector a row."""

import numpy as np
import pytest

from replications.harness import records
from replications.harness.declared.experiments import Cell
from replications.harness.declared.spec import RunSpec
from replications.harness.errors import UserError
from replications.harness.judging.arrays import COLUMNS, tabulate_arrays
from replications.harness.store import Store
from replications.harness.tables import tidy

SPEC = {
    "task": {"quadratic": {"inputs": 3, "outputs": 2, "train": 5}},
    "network": {"hidden": [4], "init": {"uniform": 1.0}},
    "rule": "feedback_alignment",
    "optimizer": {"sgd": {"learning_rate": 0.1}},
    "measures": ["test_loss", "fields"],
    "seeds": 2,
}


def cell(**changes):
    return Cell("paper", "net", "arm", "quick", RunSpec.model_validate(SPEC | changes))


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    fields = np.arange(2 * 3 * 4 * 3, dtype=np.float32).reshape(2, 3, 4, 3)
    measures = {"fields/hidden_1": fields, "test_loss": np.ones((2, 3))}
    seeds, step = np.array([1, 0]), np.array([0, 2, 5])
    run = records.Run(seeds, step, np.ones((2, 20)), measures, {"steps_per_epoch": 5})
    path = store.run("quick", "paper", "net", "arm")
    path.parent.mkdir(parents=True)
    records.write_run(path, run)
    return store


def test_receptive_fields_are_those_of_the_first_seed_at_the_end(store):
    table = tabulate_arrays([cell()], store)
    assert list(table.columns) == COLUMNS
    assert len(table) == 4
    assert set(table.seed) == {0}
    assert set(table.step) == {5}
    assert table.place.tolist() == ["0", "1", "2", "3"]
    # Seed 0 stands second in the file, its last record third.
    assert table["values"].iloc[1] == "63 64 65"


def test_the_table_of_records_leaves_arrays_out(store):
    run = records.read_run(store.run("quick", "paper", "net", "arm"))
    assert set(tidy("arm", run).measure) == {"test_loss"}


def test_an_experiment_without_arrays_is_an_error(store):
    with pytest.raises(UserError, match="paper/net records none of traces, fields"):
        tabulate_arrays([cell(measures=["test_loss"])], store)

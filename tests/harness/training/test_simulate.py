"""A cell's seeds: the same bits alone and among others, in one go and in two."""

import numpy as np
import pytest

from replications.harness import records
from replications.harness.errors import UserError
from replications.harness.store import Store
from replications.harness.training import provenance, simulate
from replications.harness.training.measures import TESTS
from tests.harness.training.runs import assert_same_bits, cell, run


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
    assert_same_bits(
        records.read_run(Store(tmp_path).run("quick", "paper", "experiment", "arm")), before
    )
    assert run(tmp_path, other).manifest["spec_digest"] == other.digest


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
    assert both.seeds.tolist() == [0, 1, 2]
    new, other = both.manifest["origins"]
    assert (list(new["seeds"]), list(other["seeds"])) == (["1", "2"], ["0"])


def test_a_run_that_diverges_is_a_recorded_result(tmp_path):
    wild = run(tmp_path, cell(optimizer={"sgd": {"learning_rate": 50.0}}, seeds=1))
    assert not np.isfinite(wild.measures["test_nse"][0, -1])
    assert np.isfinite(wild.measures["test_nse"][0, 0])


def test_a_run_that_diverges_says_at_which_update_it_began(tmp_path):
    """To the update among the first ones, then to the record."""
    wild = run(tmp_path, cell(optimizer={"sgd": {"learning_rate": 0.3}}, seeds=2))
    (origin,) = wild.manifest["origins"]
    late, early = (origin["seeds"][seed]["diverged_at"] for seed in ("0", "1"))
    assert np.isfinite(wild.first_losses[1, : early - 1]).all()
    assert not np.isfinite(wild.first_losses[1, early - 1 :]).any()
    assert np.isfinite(wild.first_losses[0]).all()
    test = wild.measures["test_nse"][0]
    assert np.isfinite(test[wild.step < late]).all()
    assert not np.isfinite(test[wild.step >= late]).any()
    assert late > early > 1
    calm = run(tmp_path / "calm", cell(seeds=1)).manifest["origins"][0]["seeds"]["0"]
    assert calm["diverged_at"] is None


@pytest.mark.parametrize("measure", TESTS)
def test_weights_that_cease_to_be_numbers_in_the_last_update_are_seen_by_every_test(measure):
    losses, late = np.ones((1, 20)), np.array([[np.nan, 1.0, np.nan]])
    found = records.Run(np.arange(1), np.array([0, 10, 30]), losses, {measure: late}, {})
    assert simulate.diverged_at(found) == [30]


def test_an_unknown_way_of_batching_is_one_line_that_names_the_nearest(tmp_path):
    with pytest.raises(UserError, match="unknown batching 'vmab'; did you mean 'vmap'"):
        run(tmp_path, cell(), batching="vmab")


def test_a_manifest_says_what_ran_and_where_the_data_was_from(tmp_path):
    chosen = cell(seeds=1)
    found = run(tmp_path, chosen).manifest
    assert {key: found[key] for key in ("paper", "experiment", "arm", "preset")} == {
        "paper": "paper", "experiment": "experiment", "arm": "arm", "preset": "quick"
    }  # fmt: skip
    assert found["steps_per_epoch"] == 60
    assert found["spec_digest"] == chosen.digest
    (origin,) = found["origins"]
    assert (list(origin["seeds"]), origin["batching"]) == (["0"], "map")
    assert origin["source_digest"] == provenance.source_digest(chosen)
    assert origin["dataset"] == {"name": None, "sha256": None, "content": None}
    assert found["spec"] == chosen.spec.model_dump(exclude_none=True)

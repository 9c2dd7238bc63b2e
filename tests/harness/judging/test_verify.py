"""The verb verify: what is asked for, what cannot be reached, and how far numbers may be apart."""

import pytest

from replications.harness.declared import experiments
from replications.harness.errors import UserError
from replications.harness.judging import verify
from replications.harness.store import Store
from replications.harness.training import provenance


def test_cells_are_asked_for_by_paper_experiment_and_arm():
    cells = verify.accepted_seeds("kolen_pollack1994", "mnist")
    assert {cell.experiment for cell, _ in cells} == {"mnist"}
    ((cell, seeds),) = verify.accepted_seeds("kolen_pollack1994", "mnist", "kolen_pollack")
    assert cell.arm == "kolen_pollack"
    assert seeds == sorted(set(seeds))
    assert len(verify.accepted_seeds()) > len(verify.accepted_seeds("kolen_pollack1994"))


def test_unknown_names_and_what_was_never_accepted_are_one_line():
    with pytest.raises(UserError, match=r"unknown arm 'kolen'.*did you mean"):
        verify.accepted_seeds("kolen_pollack1994", "mnist", "kolen")
    with pytest.raises(UserError, match="kolen_pollack1994/xor: nothing is accepted"):
        verify.accepted_seeds("kolen_pollack1994", "xor")


def test_without_its_data_a_cell_is_not_reached_and_nothing_is_claimed(tmp_path):
    said = []
    asked = verify.accepted_seeds("kolen_pollack1994", "mnist", "kolen_pollack")
    with pytest.raises(UserError, match="nothing was verified"):
        verify.verify(asked, Store(tmp_path), sample=1, say=said.append)
    assert len(said) == 1
    assert said[0].startswith("not reached: kolen_pollack1994/mnist/kolen_pollack: ")
    assert "python -m replications dataset mnist" in said[0]


@pytest.mark.parametrize("paper", [p for p in experiments.papers() if experiments.kept(p)])
def test_every_accepted_cell_has_the_records_of_its_spec(paper):
    """At the updates that the spec says, of seeds that it declares: without training anything."""
    for cell, seeds in verify.accepted_seeds(paper):
        assert max(seeds) < cell.spec.seeds, cell.name
        stops = verify.stops_of(cell)
        for seed, kept in verify.accepted(cell, seeds, Store()).items():
            assert sorted({step for step, _ in kept.numbers}) == stops, (cell.name, seed)
            assert kept.origin["records"], (cell.name, seed)


def test_machines_of_one_kind_owe_each_other_every_digit():
    here = provenance.machine_once()
    assert verify.tier(here) == verify.SAME
    assert verify.tolerance("test_loss", "float32", 1.0, verify.SAME, 10**6) == 0
    assert verify.tier(here | {"processor": "another"}) == "another processor"
    # A seed of before instructions were recorded.
    assert verify.tier(here | {"instructions": None}) == "another processor"
    assert verify.tier(here | {"device": "NVIDIA H200"}) == "a GPU"


def test_another_processor_may_be_further_off_the_more_updates_carry_its_round_off():
    def allowed(measure, value, step, dtype="float32"):
        return verify.tolerance(measure, dtype, value, "another processor", step)

    losses = [allowed("test_loss", 0.5, step) for step in (0, 20, 100, 1000, 10**6)]
    assert losses == pytest.approx([2e-6, 2e-6, 6e-6, 5.1e-5, 5.1e-5], rel=0.01)
    assert allowed("test_loss", 0.5, 1000, "float64") == pytest.approx(1.05e-6, rel=0.01)
    # Feedback times 1.0001 turns an angle of 77 degrees by a thousandth within 50 updates.
    assert allowed("weight_angle", 77.0, 50) < 1e-3
    # An angle of exactly 0 comes out as the root of round-off.
    assert allowed("delta_angle", 0.0, 50) == pytest.approx(2e-3)


def test_as_many_passes_as_a_run_has_reach_its_end_and_one_the_first_record():
    ((cell, _),) = verify.accepted_seeds("nokland2016", "mnist_1x800", "backprop")
    assert verify.last_update(cell, 1) == 938
    assert verify.last_update(cell, 10**6) == verify.stops_of(cell)[-1] == 938 * cell.spec.epochs

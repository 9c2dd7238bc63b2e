"""What the 2016 article asks of a spec is no part of the specs that were there before it."""

import pytest

from replications.harness.declared import experiments
from replications.harness.declared.claims import check_claims, read_claims
from replications.harness.declared.published import read_published

PAPER = "lillicrap2016"


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_every_claim_is_about_what_is_recorded(preset):
    check_claims(PAPER, preset)


def test_choices_that_a_spec_does_not_make_are_no_part_of_its_digest():
    spec = experiments.cell(PAPER, "linear", "feedback_alignment", "quick").spec
    said = spec.model_dump()
    assert {"frozen", "spiking"}.isdisjoint(said)
    assert "quadratic" not in said["task"]


def test_choices_that_it_makes_are():
    spec = experiments.cell(PAPER, "phases", "feedback_alignment", "full").spec
    said = spec.model_dump()
    assert said["task"]["quadratic"]["outputs"] == 20
    assert [phase["layers"] for phase in said["frozen"]] == [["readout"], ["hidden_1"], ["readout"]]
    spiking = experiments.cell(PAPER, "spiking", "feedback_alignment", "full").spec.model_dump()
    assert (spiking["spiking"]["group"], spiking["network"]["hidden"]) == (100, [1500] * 3)


def test_digits_are_judged_at_every_printed_record():
    """What a claim compares with print is recorded: quick's claims and full's alike are about updates that
    the experiment measures."""
    for claim in read_claims(PAPER).claims:
        for part in claim.under("full")[1]:
            for q in part.quantities:
                step = q.at.from_step
                if q.experiment != "digits" or step != q.at.to_step:
                    continue
                record = experiments.cell(PAPER, "digits", q.arm, "full").spec.record
                assert step in record.at or step % 60_000 == 0


def test_printed_curves_are_complete():
    numbers = read_published(PAPER)
    for arm in ("backprop", "feedback_alignment", "shallow"):
        curve = [k for k in numbers if k[:2] == ("digits", arm) and k[2].startswith("test_error@")]
        assert len(curve) == 12

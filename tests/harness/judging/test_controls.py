"""Every claim can fail: its control is judged too, and a claim that its control passes counts for nothing."""

import pandas as pd
import pytest

from replications.harness.declared import claims, experiments
from replications.harness.declared.claims import Claim, Control, Part, Saying
from replications.harness.judging import verdicts

COLUMNS = ["arm", "seed", "step", "epoch", "measure", "layer", "value"]


def table_of(**ends):
    """A table of runs that end at the given errors, and begin at 0.9."""
    rows = []
    for arm, values in ends.items():
        for seed, value in enumerate(values):
            rows.append((arm, seed, 0, 0.0, "test_error", "", 0.9))
            rows.append((arm, seed, 10, 1.0, "test_error", "", value))
    return pd.DataFrame(rows, columns=COLUMNS)


def part(**options):
    value = {"experiment": "net", "arm": "feedback_alignment", "measure": "test_error"}
    return Part.model_validate({"value": value, **options})


def judged(part, table, declared=3):
    return verdicts.judge_part(part, lambda _: table, lambda *_: declared)


def test_every_claim_of_every_paper_has_a_control_or_is_an_identity():
    for paper in experiments.papers():
        for claim in claims.read_claims(paper).claims:
            assert claim.identity != (claim.control is not None), claim.id
            if claim.control:
                assert any(claim.control.of(p) != p for p in claim.parts), claim.id


def test_a_claim_without_a_control_is_refused():
    data = {
        "id": "X",
        "place": "p",
        "statement": "s",
        "parts": [part(below=1).model_dump(exclude_unset=True)],
    }
    with pytest.raises(ValueError, match="needs a control"):
        Claim.model_validate(data)


def test_a_control_takes_the_place_of_the_value_and_not_of_what_it_is_compared_with():
    one = part(minus={"arm": "backprop"}, below=0)
    swapped = Control(why="w", arms={"feedback_alignment": "shallow"}).of(one)
    assert (swapped.value.arm, swapped.minus.arm) == ("shallow", "backprop")
    table = table_of(
        feedback_alignment=[0.02, 0.021, 0.02], backprop=[0.03, 0.031, 0.03], shallow=[0.1] * 3
    )
    assert judged(one, table)["verdict"] == "reproduced"
    assert judged(swapped, table)["verdict"] == "not reproduced"


def test_a_control_may_be_the_net_before_it_learns():
    one = part(below=0.5)
    table = table_of(feedback_alignment=[0.02, 0.021, 0.02])
    assert judged(Control(why="w", at="start").of(one), table)["verdict"] == "not reproduced"


def test_parts_of_a_preset_need_words_of_their_own():
    with pytest.raises(ValueError, match="a statement of their own"):
        Saying.model_validate({"parts": [part(below=1).model_dump(exclude_unset=True)]})


def test_two_arms_are_no_pairs_and_two_records_of_one_arm_are():
    assert not part(minus={"arm": "backprop"}, below=0).paired
    assert part(minus={"at": "start"}, below=0).paired


def test_the_interval_between_two_arms_is_welchs():
    from scipy import stats

    ours, theirs = [0.02, 0.025, 0.03, 0.021], [0.03, 0.05, 0.04, 0.033]
    found = judged(
        part(minus={"arm": "backprop"}, below=0),
        table_of(feedback_alignment=ours, backprop=theirs),
        declared=4,
    )
    expected = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    assert found["interval"] == pytest.approx([expected.low, expected.high], rel=1e-5)


def test_all_intervals_are_95_percent_unless_a_claim_says_otherwise():
    assert part(below=1).confidence == part(margin=1).confidence == 0.95

"""Claims as data: what they may say, the ways to write one wrongly, and those of the papers."""

import copy
from math import log10, sqrt

import pytest

from replications.harness.declared import experiments
from replications.harness.declared.claims import (
    Claim,
    Part,
    Saying,
    check_claims,
    comparisons,
    published_value,
    published_words,
    read_claims,
)
from replications.harness.declared.published import read_published
from replications.harness.declared.reading import parse
from replications.harness.errors import UserError
from replications.harness.store import PRESETS
from tests.harness.papers import CLAIM, TOY, write_paper, write_toy


def changed(part=None, **keys):
    return {**CLAIM, **keys, "parts": [{**CLAIM["parts"][0], **(part or {})}]}


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ({**CLAIM, "plase": "x"}, r"unknown key 'claims.0.plase'.*did you mean 'place'"),
        (changed({"belov": 1.0}), r"unknown key 'claims.0.parts.0.belov'.*did you mean 'below'"),
        (changed({"aggregate": "medain"}), r"'medain'; did you mean 'median'"),
        (changed({"margin": 1.0}), r"either below and/or above, or a margin"),
        (changed({"below": None}), r"either below and/or above, or a margin"),
        (changed({"above": 0.7}), r"region is empty: above 0.7, below 0.5"),
        (changed({"minus": {"arm": "b"}, "over": {"arm": "b"}}), r"at most one of minus, over"),
        (changed({"over": {"arm": "b"}, "below": 0}), r"a ratio .* is positive"),
        (changed({"confidence": 95}), r"confidence: 95 is wrong"),
        (
            changed({"minus": {"arm": "b"}, "aggregate": "median"}),
            r"a median over runs is of one arm",
        ),
        (changed(control=None), r"a claim needs a control for which it should not hold"),
        (changed(control={"why": "none"}), r"a control changes arms, experiments or at"),
        (changed(identity=True), r"a claim needs a control .* an identity has none"),
        (changed(presets={"quick": {"statement": "less"}}), r"parts of a preset need a statement"),
        ({**CLAIM, "parts": []}, r"claims.0.parts"),
        (
            changed({"value": {**CLAIM["parts"][0]["value"], "at": {"take": "reaches"}}}),
            r"a level is what `take: reaches` needs",
        ),
        (
            changed(said={**CLAIM["said"], "certainty": "D"}),
            r"certainty: unknown value 'D'",
        ),
        (
            changed({"value": {**CLAIM["parts"][0]["value"], "at": "ende"}}),
            r"'ende'; did you mean 'end'",
        ),
        (
            changed({"value": {**CLAIM["parts"][0]["value"], "measure": "test_eror"}}),
            r"'test_error'",
        ),
    ],
)
def test_a_claim_written_wrongly_is_one_line_that_names_it(tmp_path, claim, message):
    store = write_toy(tmp_path, claim)
    with pytest.raises(UserError, match=message) as error:
        read_claims("toy", store)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("replications/toy/claims.yaml: ")


def of(**value):
    """The claim about another quantity. Of arm a ``test_error`` is recorded, at the start and the end."""
    return changed({"value": {**CLAIM["parts"][0]["value"], **value}})


@pytest.mark.parametrize(
    ("claim", "line"),
    [
        (of(experiment="toi"), "unknown experiment 'toi'; did you mean 'toy'?"),
        (of(arm="c"), "toy has no arm 'c'"),
        (of(measure="test_loss"), "toy/a does not record 'test_loss'; did you mean"),
        (of(measure="features"), "toy/a does not record 'features'"),
        (of(layer="hidden_1"), "test_error is not recorded for layer 'hidden_1'"),
        (of(at=7), "toy/a: at: the run has 1 updates, not 7"),
        (of(at={"from_step": 1, "to_step": 0, "take": "last"}), "to_step 0 is before from_step"),
        (of(at={"from_epoch": 2, "take": "last"}), "toy/a: at: the run has 1 passes, not 2"),
    ],
)
def test_what_is_not_recorded_is_told_before_anything_runs(tmp_path, claim, line):
    with pytest.raises(UserError) as error:
        check_claims("toy", "quick", write_toy(tmp_path, claim))
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "part",
    [
        {"below": float("nan")},
        {"below": float("inf")},
        {"below": None, "margin": float("nan")},
        {"around": 0.0},
        {"trend": {"a": 1.0}},
        {"value": {**CLAIM["parts"][0]["value"], "at": -1}},
        {"value": {**CLAIM["parts"][0]["value"], "at": True}},
    ],
)
def test_a_bound_that_is_none_is_refused(tmp_path, part):
    with pytest.raises(UserError, match=r"claims\.0\.parts\.0") as error:
        read_claims("toy", write_toy(tmp_path, changed(part)))
    assert "\n" not in str(error.value)


def test_two_claims_cannot_share_an_id(tmp_path):
    with pytest.raises(UserError, match="two claims have the id 'T1'"):
        read_claims("toy", write_toy(tmp_path, CLAIM, CLAIM))


# The paper's numbers

NUMBERS = [
    {"experiment": "toy", "arm": arm, "measure": measure, "value": value, "unit": unit,
     "at": "end", "certainty": certainty, "place": place, "source": "text"}
    for arm, measure, value, unit, certainty, place in (
        ("a", "test_error", 2.0, "%", "A", "Table 1, row 1"),
        ("b", "test_error", 2.5, "%", "B", "Table 1, row 2"),
        ("a", "test_loss", -3.0, "log10 NSE", "A", "Fig. 1"),
        ("b", "test_loss", -1.0, "log10 NSE", "A", "Fig. 1"),
        ("a", "test_error@7", 9.0, "%", "INF", "Fig. 2"),
        ("a", "delta_angle/hidden_1", 45.0, "°", "A", "Fig. 3"),
    )
]  # fmt: skip


def part(value, **more):
    value = {"experiment": "toy", "arm": "a", "measure": "test_error", **value}
    more = more if {"below", "margin"} & more.keys() else {"below": 9.0, **more}
    return parse(Part, {"value": value, **more}, "test")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (part({}), 0.02),
        (part({"scale": "percent"}), 2.0),
        (part({"scale": "accuracy"}), 0.98),
        (part({"scale": "log10"}), log10(0.02)),
        (part({"scale": "percent"}, minus={"arm": "b"}), -0.5),
        (part({}, over={"arm": "b"}), 0.8),
        (part({"measure": "test_loss", "scale": "log10"}), -3.0),
        (part({"measure": "test_loss"}), 1e-3),
        (part({"measure": "test_loss"}, over={"arm": "b"}), 0.01),
        (part({"measure": "test_loss", "scale": "log10"}, minus={"arm": "b"}), -2.0),
        (part({"at": 7, "scale": "percent"}), 9.0),
        (part({"measure": "delta_angle", "layer": "hidden_1"}), 45.0),
        # Of no record, arm, layer or trend that the paper does not give.
        (part({"at": 8}), None),
        (part({"at": "start"}), None),
        (part({"arm": "c"}), None),
        (part({}, minus={"arm": "c"}), None),
        (part({"measure": "delta_angle", "layer": "hidden_2"}), None),
        (part({}, trend={"a": 1, "b": 2}), None),
    ],
)
def test_what_the_paper_gives_for_a_part_is_computed_from_its_numbers(tmp_path, asked, expected):
    numbers = read_published("toy", write_toy(tmp_path, CLAIM, published=NUMBERS))
    assert published_value(asked, numbers) == pytest.approx(expected)


def test_what_the_paper_says_is_as_sure_as_its_least_sure_number(tmp_path):
    numbers = read_published("toy", write_toy(tmp_path, CLAIM, published=NUMBERS))
    claim = Claim.model_validate(CLAIM)
    assert published_words(claim, numbers) == (
        "2.4 %; 2 % (a); 2.5 % (b)",
        "B",
        "text; Table 1, row 1 (text); Table 1, row 2 (text)",
    )
    assert published_words(claim, {}) == ("2.4 %", "A", "text")
    silent = Claim.model_validate({k: v for k, v in CLAIM.items() if k != "said"})
    assert published_words(silent, {}) == ("", "", "")


def around(**more):
    value = {"experiment": "toy", "arm": "a", "measure": "test_error", "scale": "percent"}
    return {"value": value, "around": "published", "margin": 0.3, **more}


def test_a_part_around_the_published_number_is_centred_there(tmp_path):
    other = {"quick": {"statement": "less", "parts": [around(minus={"arm": "b"})]}}
    store = write_toy(tmp_path, {**CLAIM, "parts": [around()], "presets": other}, published=NUMBERS)
    (claim,) = read_claims("toy", store).claims
    (full,), (quick,) = claim.under("full")[1], claim.under("quick")[1]
    assert full.region == pytest.approx((1.7, 2.3))
    assert (full.region_text, full.confidence) == ("2 ± 0.3", 0.95)
    assert quick.region == pytest.approx((-0.8, -0.2))


def test_a_part_around_a_number_that_the_paper_does_not_give_is_one_line(tmp_path):
    store = write_toy(tmp_path, {**CLAIM, "parts": [around()]}, published=NUMBERS[1:])
    with pytest.raises(UserError) as caught:
        read_claims("toy", store)
    assert str(caught.value) == (
        "replications/toy/claims.yaml: claim T1: published.yaml has no number for percent test_error"
        " of a of toy"
    )


def test_a_part_around_the_published_number_needs_a_margin():
    with pytest.raises(UserError, match="around needs a margin"):
        part({}, around="published", below=9.0)


# Which numbers are to agree

RULE = {"table": "Table 1", "measure": "test_error", "scale": "percent", "margin": 0.4, "why": "w"}


def test_every_number_of_a_table_is_to_agree_within_its_margin(tmp_path):
    store = write_toy(tmp_path, CLAIM, published=NUMBERS, agreement=[RULE])
    found = comparisons("toy", "full", store)
    assert list(found) == [("toy", "a", "test_error"), ("toy", "b", "test_error")]
    second = found["toy", "b", "test_error"]
    assert (second.quantity.arm, second.quantity.scale, second.margin) == ("b", "percent", 0.4)
    assert (second.published.value, second.rule.confidence, second.rule.runs) == (2.5, 0.95, 1)
    assert comparisons("toy", "full", write_toy(tmp_path, CLAIM, published=NUMBERS)) == {}


def test_a_number_of_an_arm_or_a_size_that_a_preset_does_not_run_is_not_to_agree(tmp_path):
    smaller = copy.deepcopy(TOY)
    smaller["experiments"]["toy"]["presets"]["quick"] = {"epochs": 2}
    content = {"claims": [CLAIM], "agreement": [RULE]}
    elsewhere = [{**NUMBERS[0], "arm": "c"}, NUMBERS[1]]
    store = write_paper(tmp_path, smaller, content, elsewhere)
    assert comparisons("toy", "quick", store) == {}
    assert list(comparisons("toy", "full", store)) == [("toy", "b", "test_error")]


def test_a_margin_of_published_spreads_needs_one(tmp_path):
    rule = {**RULE, "margin": "published_sd"}
    spread = [{**NUMBERS[0], "sd": 0.3}, {**NUMBERS[1], "sd": 0.4}]
    found = comparisons(
        "toy", "full", write_toy(tmp_path, CLAIM, published=spread, agreement=[rule])
    )
    assert [one.margin for one in found.values()] == pytest.approx([sqrt((0.09 + 0.16) / 2)] * 2)
    store = write_toy(tmp_path, CLAIM, published=NUMBERS, agreement=[rule])
    with pytest.raises(UserError, match=r"published\.yaml has no spread for toy; give a number"):
        comparisons("toy", "full", store)


# Those of the papers


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("paper", experiments.papers())
def test_every_claim_of_every_paper_speaks_of_what_its_experiments_record(paper, preset):
    assert read_claims(paper).claims
    check_claims(paper, preset)


def test_lillicraps_claims_are_all_there():
    ids = {claim.id.split("-")[0] for claim in read_claims("lillicrap2016").claims}
    assert ids == {f"L{i}" for i in range(1, 12)}


def test_kolens_and_pollacks_claims_are_all_there():
    ids = {claim.id.split("-")[0] for claim in read_claims("kolen_pollack1994").claims}
    assert ids == {f"K{i}" for i in range(9)}


def test_noklands_claims_are_all_there():
    ids = [claim.id for claim in read_claims("nokland2016").claims]
    assert ids == [f"N{k}" for k in range(1, 9)]


def test_every_newer_rule_has_a_claim():
    ids = [claim.id for claim in read_claims("newer_rules").claims]
    assert ids == ["C1", "C2", "C3", "D1", "D2", "P1"]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_slope_that_is_claimed_is_that_of_the_decay_of_its_cell(preset):
    parts = [p for c in read_claims("kolen_pollack1994").claims for p in c.under(preset)[1]]
    slopes = [part for part in parts if part.value.at.take == "slope"]
    assert len(slopes) == 5
    for part in slopes:
        cell = experiments.cell("kolen_pollack1994", part.value.experiment, part.value.arm, preset)
        assert part.around == pytest.approx(log10(1 - cell.spec.optimizer.weight_decay), rel=1e-6)
        assert part.margin == pytest.approx(1e-3 * abs(part.around), rel=1e-6)


def test_lillicraps_digits_are_judged_at_every_printed_record():
    """What a claim compares with print is recorded: quick's claims and full's alike are about updates that
    the experiment measures."""
    for claim in read_claims("lillicrap2016").claims:
        for part in claim.under("full")[1]:
            for q in part.quantities:
                step = q.at.from_step
                if q.experiment != "digits" or step != q.at.to_step:
                    continue
                record = experiments.cell("lillicrap2016", "digits", q.arm, "full").spec.record
                assert step in record.at or step % 60_000 == 0


def test_a_margin_from_the_published_spreads_is_their_root_mean_square():
    pair = comparisons("nokland2016", "full")["mnist_7x240", "backprop", "test_error"]
    assert pair.margin == pytest.approx(sqrt((0.13**2 + 0.13**2 + 0.15**2) / 3))


# Controls, statements, intervals


def of_net(**options):
    value = {"experiment": "net", "arm": "feedback_alignment", "measure": "test_error"}
    return Part.model_validate({"value": value, **options})


def test_every_claim_of_every_paper_has_a_control_or_is_an_identity():
    for paper in experiments.papers():
        for claim in read_claims(paper).claims:
            assert claim.identity != (claim.control is not None), claim.id
            if claim.control:
                assert any(claim.control.of(p) != p for p in claim.parts), claim.id


def test_a_claim_without_a_control_is_refused():
    data = {
        "id": "X",
        "place": "p",
        "statement": "s",
        "parts": [of_net(below=1).model_dump(exclude_unset=True)],
    }
    with pytest.raises(ValueError, match="needs a control"):
        Claim.model_validate(data)


def test_parts_of_a_preset_need_words_of_their_own():
    with pytest.raises(ValueError, match="a statement of their own"):
        Saying.model_validate({"parts": [of_net(below=1).model_dump(exclude_unset=True)]})


def test_two_arms_are_no_pairs_and_two_records_of_one_arm_are():
    assert not of_net(minus={"arm": "backprop"}, below=0).paired
    assert of_net(minus={"at": "start"}, below=0).paired


def test_all_intervals_are_95_percent_unless_a_claim_says_otherwise():
    assert of_net(below=1).confidence == of_net(margin=1).confidence == 0.95

"""Every row of the catalogue of rules is of something that bioflax and a spec have."""

import inspect

import pytest

import bioflax
from replications.harness.catalogue.rules import RULES, of_arm
from replications.harness.declared.spec import RunSpec
from replications.harness.errors import UserError


@pytest.mark.parametrize("name", RULES)
def test_a_row_names_what_is_in_bioflax_and_in_a_spec(name):
    row = RULES[name]
    assert issubclass(getattr(bioflax, row.layer), bioflax.Rule)
    assert all(hasattr(bioflax, one) for one in row.library)
    taken = inspect.signature(getattr(bioflax, row.layer)).parameters
    assert row.options.keys() <= taken.keys()
    assert set(row.options.values()) <= RunSpec.model_fields.keys()
    if row.after_update:
        assert callable(getattr(bioflax, row.after_update))


def test_no_two_rules_look_alike_in_a_picture():
    for look in ("label", "colour"):
        assert len({getattr(row, look) for row in RULES.values()}) == len(RULES)


def test_how_a_rule_looks_decides_no_number():
    computes = RULES["backprop"].computes
    assert {"layer", "direct", "readout_only", "carried"} <= computes.keys()
    assert {"label", "colour"}.isdisjoint(computes)


@pytest.mark.parametrize(
    ("arm", "rule"),
    [
        ("backprop", "backprop"),
        ("backprop_4", "backprop"),
        ("sparse_backprop", "backprop"),
        ("sparse_feedback_alignment_b_0.2", "feedback_alignment"),
        ("direct_feedback_alignment", "direct_feedback_alignment"),
    ],
)
def test_an_arm_is_of_the_rule_that_its_name_starts_with(arm, rule):
    assert of_arm(arm) == rule


def test_an_arm_of_no_rule_is_one_line_that_names_the_nearest():
    with pytest.raises(UserError, match=r"'backprob_4'.*did you mean 'backprop'") as caught:
        of_arm("backprob_4")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name, row in RULES.items() if row.direct])
def test_a_rule_of_whole_nets_depends_on_the_way_in_which_it_feeds_them(name):
    row = RULES[name]
    ways = [getattr(bioflax, one) for one in row.library]
    assert row.direct in [way.__name__ for way in ways]


def test_an_arm_whose_word_only_begins_like_a_rule_is_of_none():
    with pytest.raises(UserError, match=r"no colour for arm 'backpropagation'.*'backprop'"):
        of_arm("backpropagation")

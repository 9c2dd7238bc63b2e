"""How an error names the nearest valid choice, and a damaged file."""

from pathlib import Path

import pytest

from replications.harness.errors import UserError, damaged, nearest


def test_the_nearest_name_is_asked_for_and_all_are_listed_in_order():
    assert nearest("quik", ["quick", "full"]) == "did you mean 'quick'? (valid: full, quick)"


def test_of_several_close_names_the_closest_is_asked_for():
    rules = ["backprop", "feedback_alignment", "direct_feedback_alignment"]
    assert nearest("feedback_aligment", rules).startswith("did you mean 'feedback_alignment'? ")


@pytest.mark.parametrize("name", ["zzz", 3, None])
def test_what_is_near_to_nothing_gets_the_list_alone(name):
    assert nearest(name, ["quick", "full"]) == "(valid: full, quick)"


def test_names_may_come_from_anything_that_is_gone_through_once():
    assert nearest("b1", (name for name in ("b2", "a"))) == "did you mean 'b2'? (valid: a, b2)"


def test_a_users_error_is_no_error_of_python():
    """Whoever catches one of Python's errors does not take a user's mistake for it."""
    assert UserError.__bases__ == (Exception,)


@pytest.mark.parametrize(
    ("error", "said"), [(ValueError("one\ntwo"), "one"), (KeyError(), "KeyError")]
)
def test_a_damaged_file_is_named_in_one_line_whatever_was_raised(error, said):
    line = str(damaged(Path("a.csv"), error))
    assert line == f"a.csv: damaged ({said}); take it back from git"

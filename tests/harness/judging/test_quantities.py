"""From a table to one number per seed: which record, what is taken of a window, and in what scale."""

from math import nan

import numpy as np
import pytest

from replications.harness.declared.claims import Quantity
from replications.harness.errors import UserError
from replications.harness.judging.quantities import per_seed
from tests.harness.judging.made_up import judged, tidy


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("start", 1.0),
        ("end", 4.0),
        (10, 7.0),
        ({"take": "max"}, 7.0),
        ({"take": "min"}, 1.0),
        ({"take": "mean", "from_step": 10, "to_step": 20}, 5.5),
        ({"take": "max", "from_epoch": 2}, 4.0),
    ],
)
def test_a_record_is_chosen_by_update_or_pass(at, expected):
    table = tidy({("a", "test_error", ""): np.tile([1.0, 7.0, 4.0], (3, 1))})
    assert judged({"value": {"at": at}, "above": 0}, table)["estimate"] == expected


@pytest.mark.parametrize(
    ("values", "at", "expected"),
    [
        ([9.0, 4.0, 2.0], {"level": 4}, 10),
        ([9.0, 4.0, 2.0], {"level": 3}, 20),
        ([0.1, 0.8, 0.9], {"level": 0.8}, 10),
        ([0.1, 0.8, 0.9], {"level": 0.9, "relative": True}, 20),
        ([0.1, 0.8, 0.8], {"level": 0.9, "relative": True}, 10),
        # A level once reached may be left again.
        ([9.0, 4.0, 8.0], {"level": 5}, 10),
    ],
)
def test_a_level_is_reached_at_the_first_record_on_its_other_side(values, at, expected):
    table = tidy({("a", "test_error", ""): np.tile(values, (3, 1))})
    found = judged({"value": {"at": {"take": "reaches", **at}}, "above": 0}, table)
    assert found["estimate"] == expected


def test_a_time_before_one_that_never_comes_is_a_ratio_of_0():
    runs = {("a", "test_error", ""): np.tile([0.9, 0.1, 0.1], (3, 1)),
            ("a", "weight_angle", "readout"): np.tile([90.0, 30.0, 20.0], (3, 1))}  # fmt: skip
    part = {
        "value": {"scale": "accuracy", "at": {"take": "reaches", "level": 0.9, "relative": True}},
        "over": {"measure": "weight_angle", "layer": "readout", "scale": "plain",
                 "at": {"take": "reaches", "level": 5}},
        "below": 1,
    }  # fmt: skip
    found = judged(part, tidy(runs))
    assert (found["estimate"], found["diverged"], found["verdict"]) == (0, 0, "reproduced")


def test_a_run_that_diverged_reaches_nothing():
    table = tidy({("a", "test_error", ""): np.array([[9.0, 1.0, nan], [9.0, 1.0, 1.0]])})
    found = judged({"value": {"at": {"take": "reaches", "level": 5}}, "below": 99}, table)
    assert (found["verdict"], found["diverged"]) == ("not reproduced", 1)


def test_the_line_through_the_logarithms_of_a_decay_is_its_rate():
    steps = (0, 10, 20, 30)
    kept = {("a", "test_error", ""): np.tile([0.99**t for t in steps], (2, 1))}
    bent = {("b", "test_error", ""): np.tile([1, 1, 0.5, 0.1], (2, 1))}
    table = tidy(kept | bent, steps)
    slope = {"scale": "log10", "at": {"take": "slope"}}
    found = judged({"value": slope, "around": np.log10(0.99), "margin": 1e-9}, table)
    assert found["verdict"] == "reproduced"
    straight = {"scale": "log10", "at": {"take": "r_squared"}}
    assert judged({"value": straight, "above": 0.9999}, table)["verdict"] == "reproduced"
    of_b = {**straight, "arm": "b"}
    assert judged({"value": of_b, "above": 0.9999}, table)["verdict"] == "not reproduced"
    one = {**straight, "at": {"take": "slope", "from_step": 30}}
    with pytest.raises(UserError, match="no line through 1 record"):
        judged({"value": one, "above": 0}, table)


def test_a_run_that_diverged_in_between_is_not_forgotten():
    values = np.tile([1.0, 7.0, 4.0], (3, 1))
    values[1, 1] = nan
    found = judged(
        {"value": {"at": {"take": "max"}}, "below": 9}, tidy({("a", "test_error", ""): values})
    )
    assert (found["verdict"], found["diverged"]) == ("not reproduced", 1)


def test_a_record_or_layer_that_is_not_there_is_an_error_that_names_the_nearest():
    table = tidy({("a", "delta_angle", "hidden_1"): np.ones((2, 3))})
    angle = {"measure": "delta_angle", "layer": "hidden_1"}
    with pytest.raises(UserError, match=r"at update 12; nearest record: 10"):
        judged({"value": {**angle, "at": 12}, "below": 9}, table)
    with pytest.raises(UserError, match=r"did you mean 'hidden_1'"):
        judged({"value": {**angle, "layer": "hiden_1"}, "below": 9}, table)


@pytest.mark.parametrize("at", ["end", {"take": "last", "from_step": 20}])
@pytest.mark.parametrize(
    ("scale", "expected"),
    [("plain", 0.04), ("percent", 4.0), ("accuracy", 0.96), ("log10", np.log10(0.04))],
)
def test_the_end_and_the_last_record_of_a_window_are_one_number_in_every_scale(at, scale, expected):
    table = tidy({("a", "test_error", ""): np.tile([0.9, 0.5, 0.04], (2, 1))})
    asked = {"experiment": "toy", "arm": "a", "measure": "test_error", "scale": scale, "at": at}
    found = per_seed(Quantity.model_validate(asked), table)
    assert found.tolist() == pytest.approx([expected] * 2)
    assert found.index.tolist() == [0, 1]

"""Every measure of the catalogue has its function, and can be recorded by some net."""

import pytest

from replications.harness.catalogue.measures import MEASURES, UNITS
from replications.harness.training import measures

# What is counted in training itself, taken of the net once at the end, or of a spiking net alone.
ELSEWHERE = {"train_loss", "train_error", "features", "traces"}


def test_every_measure_of_the_catalogue_has_its_function_and_every_function_its_row():
    known = {*measures.TESTS, *measures.ANGLES, *measures.ALONE}
    assert known | ELSEWHERE == MEASURES.keys()
    assert known & ELSEWHERE == set()
    for name, function in measures.ALONE.items():
        assert (function, function.__name__) == (getattr(measures, name), name)


def test_as_many_units_are_measured_one_by_one_as_the_catalogue_says():
    assert measures.UNITS == UNITS


@pytest.mark.parametrize("name", MEASURES)
def test_a_row_says_what_a_number_may_differ_by_in_the_unit_of_the_tables(name):
    row = MEASURES[name]
    assert row.label
    assert 0 < row.resolution <= 1
    assert row.unit in ("", "%", "°", "NSE", "NSE by variance")
    assert not (row.direct and not row.feedback)

"""Where an interval must lie."""

from math import inf

from replications.harness.declared.claims import Part
from replications.harness.region import ANYWHERE, Region

VALUE = {"experiment": "toy", "arm": "a", "measure": "test_error"}


def test_a_side_without_a_bound_is_infinite():
    assert Region() == ANYWHERE == (-inf, inf)
    assert Region(low=2) == (2, inf)
    assert Region(high=2) == (-inf, 2)


def test_the_region_of_a_claims_part_is_what_its_bounds_say():
    assert Part.model_validate({"value": VALUE, "below": 0.5}).region == Region(high=0.5)
    assert Part.model_validate({"value": VALUE, "above": 0.1, "below": 0.5}).region == (0.1, 0.5)

"""Every data set's row is whole."""

import math

import pytest

from replications.harness.catalogue.datasets import DATASETS


@pytest.mark.parametrize("name", DATASETS)
def test_a_row_says_what_the_data_is_to_the_last_bit(name):
    row = DATASETS[name]
    assert math.prod(row.image) in (784, 3072)
    assert row.train % row.classes == row.test % row.classes == 0
    assert len(bytes.fromhex(row.digest)) == 32


def test_no_two_names_stand_for_the_same_data():
    assert len({row.digest for row in DATASETS.values()}) == len(DATASETS)

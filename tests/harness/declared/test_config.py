"""A bad configuration: one line that names the key, the value and the nearest valid one."""

import pytest

from replications.harness.declared import config
from replications.harness.errors import UserError

GOOD = {"preset": "quick", "papers": ["lillicrap2016"], "figure_formats": ["svg", "png"]}

BAD = {
    "an unknown key": ({"presets": "quick"}, ["'presets'", "'quick'", "did you mean 'preset'?"]),
    "an unknown preset": ({"preset": "qick"}, ["preset", "'qick'", "did you mean 'quick'?"]),
    "a preset that is a number": ({"preset": 3}, ["preset", "3", "full, quick"]),
    "an unknown paper": (
        {"papers": ["lilicrap2016"]},
        ["papers", "'lilicrap2016'", "did you mean 'lillicrap2016'?"],
    ),
    "a paper that is no list": ({"papers": "lillicrap2016"}, ["papers", "list"]),
    "no paper": ({"papers": []}, ["papers", "[]"]),
    "a paper twice": ({"papers": ["lillicrap2016"] * 2}, ["papers", "'lillicrap2016'", "twice"]),
    "an unknown format": (
        {"figure_formats": ["svg", "pgn"]},
        ["figure_formats.1", "'pgn'", "did you mean 'png'?"],
    ),
}


def test_a_good_configuration_is_read_as_it_stands():
    assert config.read(GOOD).model_dump() == GOOD


@pytest.mark.parametrize(("change", "words"), BAD.values(), ids=BAD)
def test_one_line_names_the_key_the_value_and_the_nearest_valid_one(change, words):
    with pytest.raises(UserError) as error:
        config.read({**GOOD, **change})
    message = str(error.value)
    assert "\n" not in message
    assert "config (workflow/config.yaml or --config)" in message
    for word in words:
        assert word in message


def test_a_missing_key_is_named():
    with pytest.raises(UserError, match="missing key 'papers'"):
        config.read({"preset": "quick", "figure_formats": ["svg"]})

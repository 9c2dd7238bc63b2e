"""One look for all pictures: a colour per rule, how spread is drawn."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb

from figures import style
from replications.harness.catalogue.rules import RULES

COLOURS = {rule: row.colour for rule, row in RULES.items()}


def test_every_rule_of_the_harness_has_a_colour_of_its_own():
    assert all(to_hex(colour).upper() == colour for colour in COLOURS.values())
    assert len(set(COLOURS.values())) == len(RULES)


def test_any_two_rules_and_any_two_classes_differ_in_colour_for_every_kind_of_colour_vision():
    # Machado, Oliveira and Fernandes 2009, full severity; distances in CIELAB.
    kinds = {
        "normal": np.eye(3),
        "protan": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
        "deutan": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        "tritan": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
    }
    for kind, seen in kinds.items():
        for colours in ([*COLOURS.values(), style.FAILED], style.CLASSES):
            for one, other in combinations(colours, 2):
                distance = np.linalg.norm(lab(seen, one) - lab(seen, other))
                assert distance > 12, (kind, one, other)


def lab(seen, colour):
    srgb = np.array(to_rgb(colour))
    light = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4339, 0.3762, 0.1899], [0.2127, 0.7152, 0.0722], [0.0178, 0.1095, 0.8727]]
    xyz = np.array(to_xyz) @ np.clip(np.array(seen) @ light, 0, 1)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize(
    ("arm", "rule"),
    [
        ("backprop", "backprop"),
        ("backprop_4", "backprop"),
        ("feedback_alignment_b_2", "feedback_alignment"),
        ("sparse_feedback_alignment", "feedback_alignment"),
        ("direct_feedback_alignment_3", "direct_feedback_alignment"),
        ("sign_symmetry_uniform", "sign_symmetry"),
    ],
)
def test_an_arm_has_the_colour_of_the_rule_that_it_begins_with(arm, rule):
    assert style.Look(arm, "").colour == COLOURS[rule]


def test_a_sweep_goes_from_light_to_dark():
    lightness = [lab(np.eye(3), shade)[0] for shade in style.shades("feedback_alignment", 9)]
    assert all(np.diff(lightness) < 0)


def test_the_centre_is_the_median_and_the_band_the_quartiles():
    (centre, low, high) = traced(np.arange(1.0, 6), "quartiles")
    assert (low, centre, high) == (2, 3, 4)


def test_the_centre_is_the_mean_and_the_band_one_standard_deviation():
    (centre, low, high) = traced(np.array([2.0, 4, 9]), "sd")
    sd = np.sqrt((9 + 1 + 16) / 2)
    assert (low, centre, high) == pytest.approx((5 - sd, 5, 5 + sd))


def traced(values, spread):
    """What is drawn of one value per seed: the centre, and the lowest and highest of the band."""
    _, (axes,) = style.panels(1, 3, 3)
    runs = pd.DataFrame([values, values], index=[0, 1])
    style.trace(axes, runs, style.Look("backprop", ""), spread)
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    return axes.get_lines()[0].get_ydata()[0], band.min(), band.max()

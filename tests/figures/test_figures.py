"""The pictures: one style, published values in place, nothing hidden, the same bytes each time."""

import builtins
import os
import subprocess
import sys
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb

import figures
from figures import style
from figures._lillicrap2016_article import FIGURES as ARTICLE
from replications.harness.catalogue.rules import RULES, of_arm
from replications.harness.declared import experiments
from replications.harness.declared.published import read_published
from replications.harness.errors import UserError
from replications.harness.showing import plotting
from replications.harness.store import Store
from replications.harness.tables import write_table

PAPER = "lillicrap2016"
# The article's own pictures have tables and tests of their own: test_lillicrap2016_article.py.
NAMES = [name for name in figures.of(PAPER) if name not in ARTICLE]
PUBLISHED = read_published(PAPER)
COLOURS = {rule: row.colour for rule, row in RULES.items()}


@pytest.fixture(scope="module")
def drawings(tables):
    return {name: plotting.draw(PAPER, name, tables) for name in NAMES}


def lines(drawing):
    """All lines of the axes and legends of a drawing."""
    for axes in drawing.axes:
        yield from axes.get_lines()
    for legend in [*drawing.legends, *(a.get_legend() for a in drawing.axes)]:
        yield from legend.get_lines() if legend else ()


def run_python(code, **environment):
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return done.stdout


# The registry


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_that_a_figure_needs_exists(name):
    assert set(figures.find(PAPER, name).needs) <= set(experiments.names(PAPER, "full"))


def test_looking_a_figure_up_imports_neither_matplotlib_nor_pandas_nor_jax():
    code = f"import figures, sys; figures.of({PAPER!r}); print(*sys.modules)"
    assert {"matplotlib", "pandas", "jax"}.isdisjoint(run_python(code).split())


@pytest.mark.parametrize(
    ("paper", "name", "hint"),
    [(PAPER, "fig1_liner", "fig1_linear"), ("lilicrap2016", "fig1_linear", PAPER)],
)
def test_an_unknown_figure_or_paper_is_refused_with_the_nearest_name(paper, name, hint):
    with pytest.raises(UserError, match=f"did you mean '{hint}'"):
        figures.find(paper, name)


# The style


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


def test_an_arm_of_no_rule_is_refused():
    with pytest.raises(UserError, match=r"no colour for arm 'backpropagation'.*'backprop'"):
        of_arm("backpropagation")


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_has_its_one_colour_in_every_picture(drawings, name):
    rules = {rule.replace("_", " "): colour for rule, colour in COLOURS.items()}
    named = [(line, r) for line in lines(drawings[name]) for r in rules if _names(line, r)]
    # Fig. 3 and 4 show one rule, and name starts and scales instead.
    assert named or name in ("fig3_flow_field", "fig4_sweep")
    for line, rule in named:
        assert to_hex(line.get_color()).upper() == rules[rule]


def _names(line, rule):
    return str(line.get_label()).startswith(rule)


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


# What the pictures say


SHOWN = {"linear": "fig1_linear", "mnist": "fig2_mnist", "nonlinear": "fig2_nonlinear"}
# Whose published curve stands in the picture of an experiment of the same task.
CURVES = {"digits": "fig2_mnist", "depth": "fig2_nonlinear"}


@pytest.mark.parametrize("key", [k for k in PUBLISHED if k[0] in SHOWN | CURVES])
def test_every_published_value_is_drawn_in_the_colour_of_its_rule_at_its_own_x(drawings, key):
    experiment, arm, measure = key
    number = PUBLISHED[key]
    _, at, place = measure.partition("@")
    if experiment in CURVES and not at:
        pytest.skip("an end of the article's own experiment: in its own picture")
    times = 1e-5 if experiment != "linear" else 1
    drawing = drawings[(SHOWN | CURVES)[experiment]]
    scale = 100 if number.unit == "%" else 1
    found = [
        float(x)
        for axes in drawing.axes
        for line in axes.get_lines()
        if line.get_marker() not in ("None", None)
        and to_hex(line.get_markeredgecolor()) == style.Look(arm, "").colour.lower()
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
        if y == pytest.approx(scale * number.plain, rel=1e-9)
    ]
    assert found
    if at:
        ends = [float(word) for word in place.split() if word.isdigit()]
        assert any(x == pytest.approx(times * sum(ends) / len(ends)) for x in found)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fig1_linear", "n = 20 seeds; NSE: median and quartiles; angle: mean ± 1 SD"),
        ("fig1_linear", "published, Fig. 2a (NC16), Fig. 2b (NC16), certainty A"),
        ("fig2_mnist", "n = 5 seeds; mean ± 1 SD"),
        ("fig3_flow_field", "n = 441 starts"),
    ],
)
def test_the_small_print_tells_n_spread_and_certainty(drawings, name, text):
    assert text in drawings[name].get_supxlabel().replace("\n", " ")


def test_diverged_runs_are_told_and_never_flatter_the_rest(tables):
    linear = tables["linear"].copy()
    lost = (linear.arm == "feedback_alignment") & (linear.seed < 11) & (linear.step >= 1000)
    linear.loc[lost, "value"] = np.nan
    drawing = plotting.draw(PAPER, "fig1_linear", {"linear": linear})
    assert "(11 of 80 runs diverged)" in drawing.get_supxlabel()
    label = "feedback alignment"
    (curve,) = [c for c in drawing.axes[0].get_lines() if c.get_label() == label]
    steps, median = curve.get_data()
    # With 11 of 20 runs lost there is no median run left to draw.
    assert np.isnan(median[steps >= 1000]).all()
    assert np.isfinite(median[steps < 1000]).all()


def test_the_flow_field_counts_the_starts_on_each_branch(drawings, tables):
    weight = tables["flow_field"].query("layer == 'readout'")
    bad = int((weight[weight.step == weight.step.max()].value < 0).sum())
    labels = [str(line.get_label()) for line in lines(drawings["fig3_flow_field"])]
    assert {f"{441 - bad} starts end at W > 0", f"{bad} starts end at W < 0"} <= set(labels)


def test_an_arm_missing_from_the_table_is_an_error_and_no_gap(tables):
    linear = tables["linear"]
    with pytest.raises(UserError, match="no test_nse of arm 'backprop'"):
        plotting.draw(PAPER, "fig1_linear", {"linear": linear[linear.arm != "backprop"]})


# Drawing and saving


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_reads_no_file_and_leaves_its_tables_alone(tables, name, monkeypatch):
    before = {e: table.copy() for e, table in tables.items()}

    def refuse(path, *_, **__):
        raise AssertionError(f"a figure opened {path}")

    with style.applied():
        monkeypatch.setattr(builtins, "open", refuse)
        figures.find(PAPER, name).function(tables, PUBLISHED)
        monkeypatch.undo()
    for experiment, table in tables.items():
        pd.testing.assert_frame_equal(table, before[experiment])


@pytest.fixture(scope="module")
def store(tables, tmp_path_factory):
    made = Store(tmp_path_factory.mktemp("results"))
    for experiment, table in tables.items():
        write_table(made.table("quick", PAPER, experiment), table)
    return made


def test_two_processes_with_other_settings_write_the_same_bytes(store, tmp_path):
    names = ["fig2_mnist", "fig3_flow_field"]
    here = {p: p.read_bytes() for n in names for p in plotting.plot(PAPER, n, "quick", store)}
    assert {p.name for p in here} == {f"{n}.{f}" for n in names for f in ("pdf", "svg", "png")}
    (tmp_path / "matplotlibrc").write_text("xtick.direction: in\nsvg.hashsalt: other\n")
    code = "from pathlib import Path; from replications.harness.showing.plotting import plot\n"
    code += "from replications.harness.store import Store\n"
    code += f"for n in {names}: plot({PAPER!r}, n, 'quick', Store(Path({str(store.results)!r})))"
    for path in here:
        path.unlink()
    run_python(code, MPLCONFIGDIR=str(tmp_path), PYTHONHASHSEED="1", TZ="Asia/Tokyo")
    for path, content in here.items():
        assert path.read_bytes() == content, path.name


def test_an_unknown_format_is_refused_before_anything_is_written(store):
    with pytest.raises(UserError, match="did you mean 'png'"):
        plotting.plot(PAPER, "fig1_linear", "full", store, ["pdf", "pgn"])
    assert not store.preset("full").exists()


def test_a_missing_table_is_named(store):
    with pytest.raises(UserError, match=r"full/lillicrap2016/tables/linear\.csv: no such table"):
        plotting.plot(PAPER, "fig1_linear", "full", store)


def test_a_published_number_needs_a_known_certainty(tmp_path):
    (tmp_path / "published.yaml").write_text(
        "- {experiment: e, arm: a, measure: m, value: 1, unit: u, at: end, place: p, "
        "certainty: sure, source: s}"
    )
    with pytest.raises(UserError, match=r"published\.yaml: entry 1: certainty: .*'sure'"):
        read_published(tmp_path.name, Store(papers=tmp_path.parent))

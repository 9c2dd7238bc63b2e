"""Where training ends, beside the paper's number: against sums done by hand."""

from math import inf, isnan, log10, nan, sqrt

import pandas as pd
import pytest

from replications.harness.judging import drift
from replications.harness.judging.end_table import (
    COLUMNS,
    end_table,
    end_table_of_aggregates,
    scale_of,
    summarize,
)
from tests.harness.judging.made_up import tidy
from tests.harness.papers import TOY, write_paper

NUMBERS = [
    {"experiment": "toy", "arm": arm, "measure": measure, "value": value, "unit": unit, "at": "end",
     "certainty": certainty, "place": place, "source": "text"} | more
    for arm, measure, value, unit, certainty, place, more in (
        ("a", "test_error", 2.0, "%", "A", "Table 1, row 1", {"sd": 0.1}),
        ("a", "test_nse", -2.0, "log10 NSE", "C+", "Fig. 1", {}),
        ("a", "delta_angle/hidden_1", 45.0, "°", "B", "Fig. 2", {}),
        # Of another moment than the end.
        ("b", "test_error@7", 9.0, "%", "INF", "Fig. 2", {}),
    )
]  # fmt: skip
# Student's t at 97.5 % for 2 and 1 degrees of freedom.
T2, T1 = 4.302652729911275, 12.706204736432095


def records():
    """Three seeds of two arms, at updates 0 and 10; one run of b has diverged."""
    return tidy(
        {
            ("a", "test_error", ""): [[0.9, 0.01], [0.9, 0.02], [0.9, 0.03]],
            ("a", "test_nse", ""): [[1.0, 1e-2], [1.0, 1e-3], [1.0, 0.0]],
            ("a", "delta_angle", "hidden_1"): [[90, 40], [90, 44], [90, 48]],
            ("b", "test_error", ""): [[0.9, 0.5], [0.9, 0.7], [0.9, nan]],
        },
        steps=(0, 10),
    )


@pytest.fixture
def store(tmp_path):
    """The paper with those numbers, run by quick as it is at full scale."""
    return write_paper(tmp_path, TOY, published=NUMBERS)


def rows(store, preset="quick", verdicts=None, names=("toy",)):
    known = {"toy": records()}
    found = end_table("toy", preset, names, known.get, verdicts or {}, store)
    assert list(found.columns) == COLUMNS
    return found.set_index(["arm", "measure", "layer"])


def test_an_error_is_in_percent_beside_the_papers_with_the_difference_of_the_two(store):
    row = rows(store, verdicts={"toy/a/test_error": "reproduced"}).loc["a", "test_error", ""]
    assert row["unit"] == "%"
    assert row["mean"] == pytest.approx(2.0)
    assert row["sd"] == pytest.approx(1.0)
    assert (row["n"], row["diverged"]) == (3, 0)
    assert row["low"] == pytest.approx(2.0 - T2 / sqrt(3))
    assert row["high"] == pytest.approx(2.0 + T2 / sqrt(3))
    assert (row["published"], row["published_sd"]) == (2.0, 0.1)
    assert row["difference"] == pytest.approx(0.0)
    assert (row["certainty"], row["place"]) == ("A", "Table 1, row 1")
    assert row["verdict"] == "reproduced"
    assert row["experiment"] == "toy"


def test_what_falls_over_decades_is_averaged_as_a_logarithm_and_zero_is_round_off(store):
    row = rows(store).loc["a", "test_nse", ""]
    assert row["unit"] == "log10"
    assert row["mean"] == pytest.approx((-2 - 3 - 30) / 3)
    assert (row["published"], row["certainty"]) == (-2.0, "C+")
    assert row["difference"] == pytest.approx((-2 - 3 - 30) / 3 + 2)
    assert isnan(row["published_sd"])


def test_an_angle_of_a_layer_is_in_degrees(store):
    row = rows(store).loc["a", "delta_angle", "hidden_1"]
    assert (row["unit"], row["mean"], row["sd"], row["published"]) == ("°", 44, 4, 45)
    assert row["difference"] == -1


def test_a_run_that_diverged_is_counted_and_not_averaged(store):
    row = rows(store).loc["b", "test_error", ""]
    assert row["mean"] == pytest.approx(60)
    assert row["sd"] == pytest.approx(10 * sqrt(2))
    assert (row["n"], row["diverged"]) == (3, 1)
    assert row["high"] == pytest.approx(60 + T1 * 10)


def test_a_number_of_another_moment_is_not_that_of_the_end(store):
    row = rows(store).loc["b", "test_error", ""]
    assert isnan(row["published"])
    assert isnan(row["difference"])
    assert (row["certainty"], row["place"], row["verdict"]) == ("", "", "")


def test_the_papers_number_stands_only_beside_runs_of_the_papers_size(tmp_path):
    toy = TOY["experiments"]["toy"]
    smaller = {**toy, "presets": {"quick": {"epochs": 2}, "full": {"epochs": 3}}}
    store = write_paper(tmp_path, {**TOY, "experiments": {"toy": smaller}}, published=NUMBERS)
    assert rows(store, "quick")["published"].isna().all()
    assert rows(store, "full").loc["a", "test_error", ""]["published"] == 2.0


def test_where_the_paper_saw_no_convergence_there_is_its_place_and_no_number(tmp_path):
    stuck = [{k: v for k, v in NUMBERS[0].items() if k not in ("value", "sd")}]
    row = rows(write_paper(tmp_path, TOY, published=stuck)).loc["a", "test_error", ""]
    assert isnan(row["published"])
    assert isnan(row["difference"])
    assert row["place"] == "Table 1, row 1"


def test_an_experiment_that_has_not_been_run_has_no_rows(store):
    assert rows(store, names=["toy", "other"])["experiment"].unique().tolist() == ["toy"]
    nothing = end_table("toy", "quick", ["other"], {}.get, {}, store)
    assert list(nothing.columns) == COLUMNS
    assert nothing.empty


def test_a_single_run_has_no_spread_and_no_interval(store):
    single = records().query("seed == 0")
    found = end_table("toy", "quick", ["toy"], {"toy": single}.get, {}, store).iloc[0]
    assert found["mean"] == pytest.approx(1.0)
    assert isnan(found["sd"])
    assert (found["low"], found["high"]) == (-inf, inf)


def test_the_table_from_accepted_aggregates_is_the_same(store):
    verdicts = {"toy/a/test_error": "inconclusive"}
    table = end_table("toy", "quick", ["toy"], {"toy": records()}.get, verdicts, store)
    aggregates = {"toy": drift.aggregates(records())}
    found = end_table_of_aggregates("toy", "quick", aggregates, verdicts, store)
    pd.testing.assert_frame_equal(found, table)
    assert found["verdict"].tolist()[0] == "inconclusive"


def test_an_aggregate_of_one_run_has_no_interval(store):
    row = {"mean": 0.02, "sd": nan, "n": 2, "diverged": 1}
    frame = pd.DataFrame.from_dict({"a/test_error": row}, orient="index")
    found = end_table_of_aggregates("toy", "quick", {"toy": frame}, {}, store).iloc[0]
    assert (found["mean"], found["n"], found["diverged"]) == (2.0, 2, 1)
    assert isnan(found["low"])
    assert found["difference"] == 0


def test_a_summary_is_what_the_row_is_made_of():
    found = summarize(records(), "a", "test_nse", "")
    assert found.mean == pytest.approx((log10(1e-2) + log10(1e-3) - 30) / 3)
    assert (found.n, found.diverged) == (3, 0)


@pytest.mark.parametrize(
    ("measure", "scale"),
    [("test_error", "percent"), ("test_nse", "log10"), ("gap", "log10"), ("delta_angle", "plain")],
)
def test_a_measure_is_shown_on_the_scale_of_claims(measure, scale):
    assert scale_of(measure) == scale

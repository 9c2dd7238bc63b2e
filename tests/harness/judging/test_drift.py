"""Which numbers are accepted, and how far each may move before the check is red."""

from math import nan

import numpy as np
import pandas as pd
import pytest

from replications.harness.errors import UserError
from replications.harness.judging import drift
from replications.harness.tables import read_table, write_table
from tests.harness.judging.made_up import ARMS, SEEDS, save


def measured(kind, store):
    return drift.measured(kind, "toy", "quick", "linear", store)


def test_the_aggregates_are_those_of_the_last_record(tmp_path):
    found = measured("aggregates", save(tmp_path))
    angle = ARMS["feedback_alignment"]["delta_angle/hidden_1"]
    row = found.loc["feedback_alignment/delta_angle/hidden_1"]
    assert row["mean"] == pytest.approx(angle.mean())
    assert row["sd"] == pytest.approx(angle.std(ddof=1))
    assert row["n"] == SEEDS


def test_errors_over_decades_are_averaged_as_logarithms(tmp_path):
    found = measured("aggregates", save(tmp_path))
    expected = np.log10(ARMS["backprop"]["test_nse"]).mean()
    assert found.loc["backprop/test_nse (log10)", "mean"] == pytest.approx(expected)


def test_a_diverged_run_is_counted(tmp_path):
    store = save(
        tmp_path,
        change=lambda _, name, x: (
            x + np.where(np.arange(len(x)) == 1, nan, 0) if name == "test_nse" else x
        ),
    )
    found = measured("aggregates", store).loc["backprop/test_nse (log10)"]
    kept = np.log10(np.delete(ARMS["backprop"]["test_nse"], 1))
    assert (found["n"], found["diverged"]) == (SEEDS, 1)
    assert found["mean"] == pytest.approx(kept.mean())


def test_an_exact_zero_is_round_off_and_no_divergence(tmp_path):
    store = save(tmp_path, change=lambda _, name, x: 0 * x if name == "test_nse" else x)
    found = measured("aggregates", store).loc["backprop/test_nse (log10)"]
    assert (found["mean"], found["diverged"]) == (-30, 0)


def test_a_mean_may_move_by_one_standard_error(tmp_path):
    frame = measured("aggregates", save(tmp_path))
    allowed = pd.Series(drift.tolerances("aggregates", frame)["mean"]["atol"], frame.index)
    sd = ARMS["feedback_alignment"]["delta_angle/hidden_1"].std(ddof=1)
    assert allowed["feedback_alignment/delta_angle/hidden_1"] == pytest.approx(sd / 2)


def test_runs_without_spread_may_move_by_the_resolution_of_their_measure(tmp_path):
    frame = measured("aggregates", save(tmp_path))
    allowed = pd.Series(drift.tolerances("aggregates", frame)["mean"]["atol"], frame.index)
    assert allowed["backprop/delta_angle/hidden_1"] == pytest.approx(0.5 / 2)
    assert allowed["feedback_alignment/test_error"] == pytest.approx(0.005 / 2)


def aggregates(**runs):
    """Arms of one measure, ``n`` runs each, of mean 1 and the given sd."""
    rows = {
        f"{arm}/test_error": {"mean": 1.0, "sd": sd, "n": n, "diverged": 0}
        for arm, (n, sd) in runs.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("quantity")


def may_move(frame):
    allowed = drift.tolerances("aggregates", frame)["mean"]["atol"]
    return dict(zip(frame.index.str.split("/").str[0], allowed, strict=True))


def test_a_few_runs_may_move_as_two_samples_of_the_pooled_spread_differ():
    found = may_move(aggregates(backprop=(3, 0.03), feedback_alignment=(3, 0.01)))
    pooled = np.sqrt((2 * 0.03**2 + 2 * 0.01**2) / 4)
    assert found["backprop"] == pytest.approx(8.610 * np.sqrt(2 / 3) * pooled, rel=1e-3)
    assert found["feedback_alignment"] == found["backprop"]


def test_many_runs_keep_their_own_standard_error_beside_arms_of_few():
    found = may_move(aggregates(backprop=(20, 0.03), feedback_alignment=(1, np.nan)))
    assert found["backprop"] == pytest.approx(0.03 / np.sqrt(20))
    assert found["feedback_alignment"] == pytest.approx(3.883 * np.sqrt(2) * 0.03, rel=1e-3)


def test_few_runs_of_a_wide_spread_may_move_by_no_more_than_a_share_of_the_mean():
    found = may_move(aggregates(backprop=(3, 0.3), feedback_alignment=(3, 0.1)))
    assert found == {"backprop": drift.SHARE, "feedback_alignment": drift.SHARE}


def test_single_runs_alone_may_move_by_a_share_of_themselves():
    assert may_move(aggregates(backprop=(1, np.nan)))["backprop"] == drift.SHARE


def test_what_falls_over_decades_may_move_by_so_many_of_them():
    row = {"mean": -9.0, "sd": np.nan, "n": 1, "diverged": 0}
    frame = pd.DataFrame.from_dict({"backprop/test_nse (log10)": row}, orient="index")
    assert may_move(frame.rename_axis("quantity"))["backprop"] == drift.DECADES


def test_early_records_forgive_round_off_and_no_more(tmp_path):
    before = measured("early", save(tmp_path))
    assert before.columns.tolist() == ["float64"]
    assert before.loc["backprop/delta_angle/hidden_1 at 10", "float64"] == 0
    assert set(before.index.str.rpartition(" at ").get_level_values(2)) == {"0", "10"}
    allowed = drift.tolerances("early", before)
    assert not drift.differences(before, before * (1 + 1e-10), allowed)
    wrong = drift.differences(before, before * 1.01, allowed)
    assert any("test_nse at 0" in line for line in wrong)
    # One example of a thousand in another class.
    errors = before.index.str.contains("test_error")
    one_more, two_more = before.copy(), before.copy()
    one_more.loc[errors] += 1e-3
    two_more.loc[errors] += 2e-3
    assert not drift.differences(before, one_more, allowed)
    assert len(drift.differences(before, two_more, allowed)) == errors.sum()


def test_the_tables_that_are_accepted_are_those_of_their_runs(tmp_path):
    store = save(tmp_path)
    assert drift.stale_tables("toy", "quick", ["linear"], store) == []
    file = store.table("quick", "toy", "linear")
    table = read_table(file)
    table.loc[0, "value"] *= 2
    write_table(file, table)
    (line,) = drift.stale_tables("toy", "quick", ["linear"], store)
    assert "not the table of its runs; tabulate again" in line


def test_verdicts_that_their_numbers_do_not_give_are_named():
    def judged(**verdicts):
        claims = [
            {"id": i, "verdict": v, "parts": [{"experiment": "e"}]} for i, v in verdicts.items()
        ]
        return {"claims": claims, "numbers": []}

    derived = judged(T1="inconclusive", T2="reproduced")
    assert drift.stale_verdicts(derived, derived) == []
    assert drift.stale_verdicts(judged(T1="reproduced"), derived) == [
        "claim T1: judged reproduced, its numbers give inconclusive",
        "claim T2: judged not at all, its numbers give reproduced",
    ]
    accepted = {"T1": "reproduced", "T2": "reproduced"}
    assert drift.other_verdicts(accepted, derived, ["e"]) == [
        "claim T1: accepted reproduced, the accepted records give inconclusive"
    ]
    assert drift.other_verdicts(accepted, derived, []) == []


@pytest.mark.parametrize(("dtype", "harmless", "real"), [
    ("float64", 1e-10, 1e-7), ("float32", 1e-6, 1e-4),
])  # fmt: skip
def test_first_losses_forgive_round_off_of_their_precision_only(tmp_path, dtype, harmless, real):
    before = measured("first_losses", save(tmp_path, dtype))
    allowed = drift.tolerances("first_losses", before)
    assert list(before.columns) == [f"backprop ({dtype})", f"feedback_alignment ({dtype})"]
    assert before.index.tolist() == list(range(1, 21))
    assert not drift.differences(before, before * (1 + harmless), allowed)
    assert len(drift.differences(before, before * (1 + real), allowed)) == 40


def test_a_difference_names_the_row_the_column_and_all_three_numbers(tmp_path):
    before = measured("aggregates", save(tmp_path))
    after = before.copy()
    after.loc["feedback_alignment/test_error", "mean"] = 0.2
    allowed = drift.tolerances("aggregates", before)
    assert drift.differences(before, after, allowed) == [
        "feedback_alignment/test_error, mean: baseline 0.1, now 0.2, tolerance 0.0025"
    ]


def test_rows_and_columns_that_come_or_go_are_differences(tmp_path):
    before = measured("aggregates", save(tmp_path))
    allowed = drift.tolerances("aggregates", before)
    name = "feedback_alignment/test_error"
    assert drift.differences(before, before.drop(name), allowed) == [f"row {name!r} is gone"]
    fewer = before.drop(name)
    allowed = drift.tolerances("aggregates", fewer)
    assert drift.differences(fewer, before, allowed) == [f"row {name!r} has no baseline"]


@pytest.mark.parametrize(
    ("before", "now", "fell", "rose"),
    [
        ("reproduced", "reproduced", 0, 0),
        ("reproduced", "inconclusive", 1, 0),
        ("inconclusive", "not reproduced", 1, 0),
        ("not reproduced", "reproduced", 0, 1),
        (None, "reproduced", 1, 0),
        ("reproduced", None, 1, 0),
    ],
)
def test_a_verdict_may_rise_and_not_fall_come_or_go(before, now, fell, rose):
    found = drift.verdict_changes({"T1": before} if before else {}, {"T1": now} if now else {})
    assert (len(found.fell), len(found.rose)) == (fell, rose)


def test_where_no_processor_decides_the_lower_of_two_verdicts_stands():
    accepted = {"T1": "inconclusive", "T2": "reproduced"}
    judged = {"T1": "reproduced", "T2": "not reproduced", "T3": "reproduced"}
    assert drift.lower_verdicts(accepted, judged) == {
        "T1": "inconclusive",
        "T2": "not reproduced",
        "T3": "reproduced",
    }


def test_without_accepted_results_the_error_says_what_to_do(tmp_path):
    store = save(tmp_path)
    with pytest.raises(
        UserError, match=r"runs\.csv: no accepted results; see `python -m replications accept"
    ):
        drift.accepted_numbers("aggregates", "toy", "full", "linear", store)
    with pytest.raises(UserError, match=r"linear\.aggregates\.csv: no such file"):
        drift.accepted_numbers("aggregates", "toy", "quick", "linear", store)
    assert drift.accepted_verdicts("toy", "quick", store) == {}


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("e.aggregates.csv", "quantity,mean,sd,n\na/test_error,1,2,3\n", "no column diverged"),
        (
            "e.aggregates.csv",
            "quantity,mean,sd,n,diverged\na/eror,1,2,3,0\n",
            "row 1 is of no measure",
        ),
        ("e.aggregates.csv", "quantity,mean,sd,n,diverged\na,1,2,3,0\n", "row 1 is of no measure"),
        ("e.aggregates.csv", "quantity,mean,sd,n,diverged\n", "it has no rows"),
        ("e.aggregates.csv", "quantity,mean,sd,n,diverged\na/test_error", "no number of runs"),
        ("e.aggregates.csv", "quantity,mean,sd,n,diverged\na/test_error,x,2,3,0\n", "are numbers"),
        ("e.early.csv", "record,float16\na/test_error at 0,1\n", "'float16' is no type of number"),
        ("e.first_losses.csv", "update,a (float3)\n1,2.0\n", "'float3' is no type of number"),
        ("e.first_losses.csv", "update,a (float32)\n1,2.0\n1,2.0\n", "a row stands twice"),
        ("e.fingerprints.csv", "", "No columns"),
    ],
)
def test_an_accepted_table_of_another_shape_is_one_line(tmp_path, name, text, line):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError) as caught:
        drift.read_numbers(tmp_path / name)
    assert f"{tmp_path / name}: damaged (" in str(caught.value)
    assert line in str(caught.value)
    assert "take it back from git" in str(caught.value)

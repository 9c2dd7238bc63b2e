"""Which numbers a baseline holds, how far each may move, and what it takes to renew it."""

import json
from math import nan

import numpy as np
import pandas as pd
import pytest

from replications.harness.judging import baselines
from replications.harness.errors import UserError
from replications.harness.records import Run, write_run

STEPS = np.array([0, 10])
RNG = np.random.default_rng(0)
SEEDS = 4
ARMS = {
    "backprop": {
        "test_nse": 10.0 ** RNG.normal(-12, 1, SEEDS),
        "delta_angle/hidden_1": np.zeros(4),
    },
    "feedback_alignment": {
        "test_nse": 10.0 ** RNG.normal(-11, 1, SEEDS),
        "delta_angle/hidden_1": RNG.normal(35, 4, SEEDS),
        "test_error": np.array([0.1, 0.1, 0.1, 0.1]),
    },
}


def save(results, dtype="float64", change=None, verdict="reproduced"):
    """Results of a paper ``toy`` with one experiment ``linear``; ``change(arm, name, values)``."""
    folder = results / "quick" / "toy"
    tables = []
    for i, (arm, measures) in enumerate(ARMS.items()):
        losses = np.linspace(5 + i, 1, 20) + np.arange(SEEDS)[:, None]
        found = {"first_losses": losses, **measures}
        if change:
            found = {name: change(arm, name, np.array(values)) for name, values in found.items()}
        losses = found.pop("first_losses")
        runs = {name: np.stack([np.ones(SEEDS), values], axis=1) for name, values in found.items()}
        manifest = {"spec": {"dtype": dtype}, "commit": "c0ffee"}
        path = folder / "runs" / "linear" / f"{arm}.npz"
        write_run(path, Run(np.arange(SEEDS), STEPS, losses, runs, manifest))
        for name, values in runs.items():
            measure, _, layer = name.partition("/")
            for seed in range(SEEDS):
                tables += [
                    (arm, seed, step, step / 10, measure, layer, value)
                    for step, value in zip(STEPS, values[seed], strict=True)
                ]
    columns = ["arm", "seed", "step", "epoch", "measure", "layer", "value"]
    file = folder / "tables" / "linear.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(tables, columns=columns).to_csv(file, index=False)
    judged = {"id": "T1", "verdict": verdict, "parts": [{"experiment": "linear"}]}
    (folder / "claims.json").write_text(json.dumps([judged]))
    return folder


def accept(results, papers, **options):
    options = {"yes": True, "say": lambda _: None, **options}
    status = baselines.accept("toy", "quick", results, names=["linear"], folder=papers, **options)
    return status == 0


def test_the_aggregates_are_those_of_the_last_record(tmp_path):
    found = baselines.measured("aggregates", save(tmp_path), "linear")
    angle = ARMS["feedback_alignment"]["delta_angle/hidden_1"]
    row = found.loc["feedback_alignment/delta_angle/hidden_1"]
    assert row["mean"] == pytest.approx(angle.mean())
    assert row["sd"] == pytest.approx(angle.std(ddof=1))
    assert row["n"] == SEEDS


def test_errors_over_decades_are_averaged_as_logarithms(tmp_path):
    found = baselines.measured("aggregates", save(tmp_path), "linear")
    expected = np.log10(ARMS["backprop"]["test_nse"]).mean()
    assert found.loc["backprop/test_nse (log10)", "mean"] == pytest.approx(expected)


def test_a_diverged_run_is_counted(tmp_path):
    folder = save(
        tmp_path,
        change=lambda _, name, x: (
            x + np.where(np.arange(len(x)) == 1, nan, 0) if name == "test_nse" else x
        ),
    )
    found = baselines.measured("aggregates", folder, "linear").loc["backprop/test_nse (log10)"]
    kept = np.log10(np.delete(ARMS["backprop"]["test_nse"], 1))
    assert (found["n"], found["diverged"]) == (SEEDS, 1)
    assert found["mean"] == pytest.approx(kept.mean())


def test_an_exact_zero_is_round_off_and_no_divergence(tmp_path):
    folder = save(tmp_path, change=lambda _, name, x: 0 * x if name == "test_nse" else x)
    found = baselines.measured("aggregates", folder, "linear").loc["backprop/test_nse (log10)"]
    assert (found["mean"], found["diverged"]) == (-30, 0)


def test_a_mean_may_move_by_one_standard_error(tmp_path):
    frame = baselines.measured("aggregates", save(tmp_path), "linear")
    allowed = pd.Series(baselines.tolerances("aggregates", frame)["mean"]["atol"], frame.index)
    sd = ARMS["feedback_alignment"]["delta_angle/hidden_1"].std(ddof=1)
    assert allowed["feedback_alignment/delta_angle/hidden_1"] == pytest.approx(sd / 2)


def test_runs_without_spread_may_move_by_the_resolution_of_their_measure(tmp_path):
    frame = baselines.measured("aggregates", save(tmp_path), "linear")
    allowed = pd.Series(baselines.tolerances("aggregates", frame)["mean"]["atol"], frame.index)
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
    allowed = baselines.tolerances("aggregates", frame)["mean"]["atol"]
    return dict(zip(frame.index.str.split("/").str[0], allowed, strict=True))


def test_a_few_runs_may_move_as_two_samples_of_the_pooled_spread_differ():
    found = may_move(aggregates(backprop=(3, 0.3), feedback_alignment=(3, 0.1)))
    pooled = np.sqrt((2 * 0.3**2 + 2 * 0.1**2) / 4)
    assert found["backprop"] == pytest.approx(8.610 * np.sqrt(2 / 3) * pooled, rel=1e-3)
    assert found["feedback_alignment"] == found["backprop"]


def test_many_runs_keep_their_own_standard_error_beside_arms_of_few():
    found = may_move(aggregates(backprop=(20, 0.3), feedback_alignment=(1, np.nan)))
    assert found["backprop"] == pytest.approx(0.3 / np.sqrt(20))
    assert found["feedback_alignment"] == pytest.approx(3.883 * np.sqrt(2) * 0.3, rel=1e-3)


def test_single_runs_alone_are_guarded_by_their_first_losses_only():
    assert may_move(aggregates(backprop=(1, np.nan)))["backprop"] > 1e100


@pytest.mark.parametrize(("dtype", "harmless", "real"), [
    ("float64", 1e-10, 1e-7), ("float32", 1e-6, 1e-4),
])  # fmt: skip
def test_first_losses_forgive_round_off_of_their_precision_only(tmp_path, dtype, harmless, real):
    before = baselines.measured("first_losses", save(tmp_path, dtype), "linear")
    allowed = baselines.tolerances("first_losses", before)
    assert list(before.columns) == [f"backprop ({dtype})", f"feedback_alignment ({dtype})"]
    assert before.index.tolist() == list(range(1, 21))
    assert not baselines.differences(before, before * (1 + harmless), allowed)
    assert len(baselines.differences(before, before * (1 + real), allowed)) == 40


def test_a_difference_names_the_row_the_column_and_all_three_numbers(tmp_path):
    before = baselines.measured("aggregates", save(tmp_path), "linear")
    after = before.copy()
    after.loc["feedback_alignment/test_error", "mean"] = 0.2
    allowed = baselines.tolerances("aggregates", before)
    assert baselines.differences(before, after, allowed) == [
        "feedback_alignment/test_error, mean: baseline 0.1, now 0.2, tolerance 0.0025"
    ]


def test_rows_and_columns_that_come_or_go_are_differences(tmp_path):
    before = baselines.measured("aggregates", save(tmp_path), "linear")
    allowed = baselines.tolerances("aggregates", before)
    name = "feedback_alignment/test_error"
    assert baselines.differences(before, before.drop(name), allowed) == [f"row {name!r} is gone"]
    fewer = before.drop(name)
    allowed = baselines.tolerances("aggregates", fewer)
    assert baselines.differences(fewer, before, allowed) == [f"row {name!r} has no baseline"]


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
    found = baselines.verdict_changes({"T1": before} if before else {}, {"T1": now} if now else {})
    assert (len(found.fell), len(found.rose)) == (fell, rose)


def test_accepted_numbers_read_back_as_they_were(tmp_path):
    folder = save(tmp_path)
    assert accept(tmp_path, tmp_path / "papers")
    target = baselines.folder_of("toy", "quick", tmp_path / "papers")
    assert sorted(file.name for file in target.iterdir()) == [
        "claims.csv",
        "linear.aggregates.csv",
        "linear.first_losses.csv",
        "manifest.json",
    ]
    origins = json.loads((target / "manifest.json").read_text())
    assert {cell: origin["commit"] for cell, origin in origins.items()} == {
        "linear/backprop": "c0ffee",
        "linear/feedback_alignment": "c0ffee",
    }
    for kind in baselines.KINDS:
        pd.testing.assert_frame_equal(
            baselines.read(target / f"linear.{kind}.csv"),
            baselines.measured(kind, folder, "linear"),
            rtol=1e-15,
        )
    assert baselines.accepted_verdicts(target) == {"T1": "reproduced"}


def test_nothing_is_renewed_without_a_yes_and_the_difference_is_shown_first(tmp_path):
    papers = tmp_path / "papers"
    save(tmp_path)
    accept(tmp_path, papers)
    target = baselines.folder_of("toy", "quick", papers)
    old = {file.name: file.read_bytes() for file in target.iterdir()}
    save(
        tmp_path,
        change=lambda _, name, x: x + 0.1 if name == "test_error" else x,
        verdict="inconclusive",
    )
    told = []

    def ask(_):
        assert told, "asked before the difference was shown"
        return ""

    assert not accept(tmp_path, papers, yes=False, say=told.append, ask=ask)
    assert {file.name: file.read_bytes() for file in target.iterdir()} == old
    assert told[0].splitlines() == [
        "linear.aggregates.csv: feedback_alignment/test_error, mean: "
        "baseline 0.1, now 0.2, tolerance 0.0025",
        "claim T1 fell: accepted reproduced, now inconclusive",
    ]
    assert accept(tmp_path, papers, yes=False, say=told.append, ask=lambda _: "y")
    assert baselines.accepted_verdicts(target) == {"T1": "inconclusive"}


def test_renewing_removes_the_baselines_of_experiments_that_are_gone(tmp_path):
    papers = tmp_path / "papers"
    save(tmp_path)
    accept(tmp_path, papers)
    stale = baselines.folder_of("toy", "quick", papers) / "old.aggregates.csv"
    stale.write_text("quantity,mean\n")
    told = []
    accept(tmp_path, papers, say=told.append)
    assert not stale.exists()
    assert told == ["old.aggregates.csv: removed, there is no such experiment"]


def test_what_was_not_computed_cannot_be_accepted(tmp_path):
    with pytest.raises(UserError, match="no such table"):
        accept(tmp_path, tmp_path / "papers")
    assert not (tmp_path / "papers").exists()

"""The check itself, on small made-up results: what makes it red, and that round-off does not."""

import json

import numpy as np
import pandas as pd
import pytest

from replications.harness.judging import baselines
from replications.harness.records import Run, write_run

SEEDS = 4
ERRORS = {"backprop": [0.10, 0.11, 0.12, 0.11], "feedback_alignment": [0.11, 0.12, 0.10, 0.12]}


@pytest.fixture
def folders(tmp_path):
    """Results and a folder of papers, whose paper ``toy`` has them accepted."""
    results, papers = tmp_path / "results", tmp_path / "papers"
    save(results)
    baselines.accept("toy", "quick", results, True, ["linear"], papers, say=lambda _: None)
    return results, papers


def save(results, losses=1.0, errors=0.0, verdict="reproduced"):
    """Results with losses times ``losses``, feedback alignment's errors plus ``errors``."""
    folder, rows = results / "quick" / "toy", []
    for arm, values in ERRORS.items():
        shift = errors if arm == "feedback_alignment" else 0.0
        values = np.array(values)[:, None] + shift
        first = np.tile(np.linspace(3, 2, 20), (SEEDS, 1)) * losses
        run = Run(np.arange(SEEDS), np.array([10]), first, {}, {"spec": {"dtype": "float64"}})
        write_run(folder / "runs" / "linear" / f"{arm}.npz", run)
        rows += [(arm, seed, 10, 1.0, "test_error", "", values[seed, 0]) for seed in range(SEEDS)]
    columns = ["arm", "seed", "step", "epoch", "measure", "layer", "value"]
    file = folder / "tables" / "linear.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=columns).to_csv(file, index=False)
    (folder / "claims.json").write_text(
        json.dumps([{"id": "T1", "verdict": verdict, "parts": [{"experiment": "linear"}]}])
    )


def check(results, papers, names=("linear",)):
    said = []
    status = baselines.check("toy", "quick", results, names, papers, say=said.append)
    return status == 0, "\n".join(said) + "\n"


def written(results):
    return (results / "quick" / "toy" / "regression.txt").exists()


def test_the_same_numbers_and_round_off_are_green_with_the_same_report(folders):
    results, papers = folders
    green, report = check(results, papers)
    assert green, report
    assert "test_no_number_moved[linear-aggregates] PASSED" in report
    path = results / "quick" / "toy" / "regression.txt"
    assert path.read_text() == report
    save(results, losses=1 + 1e-11, errors=1e-4)
    assert check(results, papers) == (True, report)


def test_a_first_loss_that_moved_is_red_and_named(folders):
    results, papers = folders
    assert check(results, papers)[0]
    save(results, losses=1 + 1e-6)
    green, report = check(results, papers)
    assert not green
    assert "linear, first_losses:" in report
    assert "20, feedback_alignment (float64): baseline 2, now 2.000002, tolerance 2e-08" in report
    assert "python -m replications accept toy --preset quick" in report
    assert not written(results)


def test_a_mean_that_moved_is_red_and_named(folders):
    results, papers = folders
    save(results, errors=0.01)
    green, report = check(results, papers)
    assert not green
    moved = "feedback_alignment/test_error, mean: baseline 0.1125, now 0.1225, tolerance 0.0048"
    assert moved in report
    assert "backprop/test_error" not in report


def test_a_missing_baseline_is_red_and_not_created(folders):
    results, papers = folders
    target = baselines.folder_of("toy", "quick", papers)
    for file in list(target.iterdir()):
        file.unlink()
    green, report = check(results, papers)
    assert not green
    for name in ("linear.first_losses.csv", "linear.aggregates.csv", "claims.csv"):
        assert f"no baseline {name}" in report
    assert "accept them: python -m replications accept toy --preset quick" in report
    assert list(target.iterdir()) == []


def test_missing_results_and_left_over_baselines_are_red(folders):
    results, papers = folders
    green, report = check(results, papers, ["nonlinear"])
    assert not green
    assert "no baseline nonlinear.aggregates.csv" in report
    assert "baselines of no experiment: linear.aggregates.csv, linear.first_losses.csv" in report
    (results / "quick" / "toy" / "tables" / "linear.csv").unlink()
    green, report = check(results, papers)
    assert not green
    assert "linear.csv: no such table" in report


def test_no_experiment_at_all_is_red(folders):
    assert not check(*folders, [])[0]


def test_a_verdict_that_fell_is_red_and_one_that_rose_is_green_and_told(folders):
    results, papers = folders
    save(results, verdict="not reproduced")
    green, report = check(results, papers)
    assert not green
    assert "claim T1 fell: accepted reproduced, now not reproduced" in report
    baselines.accept("toy", "quick", results, True, ["linear"], papers, say=lambda _: None)
    save(results, verdict="reproduced")
    # The same numbers with a better verdict: a border, on which the lower one stands.
    baselines.accept("toy", "quick", results, True, ["linear"], papers, say=lambda _: None)
    green, report = check(results, papers)
    assert green
    assert "claim T1 rose: accepted not reproduced, now reproduced" in report


def test_a_better_verdict_of_numbers_that_moved_is_accepted(folders):
    results, papers = folders
    save(results, verdict="not reproduced")
    baselines.accept("toy", "quick", results, True, ["linear"], papers, say=lambda _: None)
    save(results, errors=0.05, verdict="reproduced")
    baselines.accept("toy", "quick", results, True, ["linear"], papers, say=lambda _: None)
    accepted = baselines.accepted_verdicts(baselines.folder_of("toy", "quick", papers))
    assert accepted == {"T1": "reproduced"}


def test_pytests_own_way_to_renew_is_closed(folders, monkeypatch):
    results, papers = folders
    save(results, errors=0.01)
    target = baselines.folder_of("toy", "quick", papers)
    old = {file.name: file.read_bytes() for file in target.iterdir()}
    run = baselines.subprocess.run
    forced = lambda words, **options: run([*words, "--force-regen"], **options)  # noqa: E731
    monkeypatch.setattr(baselines.subprocess, "run", forced)
    green, report = check(results, papers)
    assert not green
    assert "baselines are renewed by: python -m replications accept" in report
    assert {file.name: file.read_bytes() for file in target.iterdir()} == old

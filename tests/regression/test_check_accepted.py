"""The check itself, on small made-up results: what makes it red, and that round-off does not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from replications.harness.declared import experiments
from replications.harness.judging import acceptance, drift
from replications.harness.records import Run, write_run
from replications.harness.store import Store
from replications.harness.tables import COLUMNS

ROOT = Path(__file__).parents[2]
SEEDS = 4
ERRORS = {"backprop": [0.10, 0.11, 0.12, 0.11], "feedback_alignment": [0.11, 0.12, 0.10, 0.12]}
EXPERIMENTS = """\
title: A toy
reference: none
experiments:
  linear:
    title: Two arms
    place: none
    spec:
      task: {teacher: {inputs: 2, outputs: 1, train: 10, test: 4}}
      network: {hidden: [2], activation: linear, bias: false, init: {uniform: 0.1}}
      rule: backprop
      optimizer: {sgd: {learning_rate: 0.1}}
      measures: [test_nse]
      dtype: float64
      seeds: 4
    arms: {backprop: , feedback_alignment: {rule: feedback_alignment}}
    presets: {quick: , full: {seeds: 8}}
"""


@pytest.fixture
def store(tmp_path):
    """Results and a folder of papers, whose paper ``toy`` has them accepted."""
    made = Store(tmp_path / "results", tmp_path / "papers")
    declare(made)
    save(made)
    accept(made)
    return made


def declare(store, *changes):
    """Write the paper's experiments, with ``changes`` of words in them."""
    text = EXPERIMENTS
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    store.experiments("toy").parent.mkdir(parents=True, exist_ok=True)
    store.experiments("toy").write_text(text)


def save(store, losses=1.0, errors=0.0, verdict="reproduced"):
    """Results with losses times ``losses``, feedback alignment's errors plus ``errors``."""
    rows = []
    for arm, values in ERRORS.items():
        shift = errors if arm == "feedback_alignment" else 0.0
        values = np.array(values) + shift
        first = np.tile(np.linspace(3, 2, 20), (SEEDS, 1)) * losses
        run = Run(np.arange(SEEDS), np.array([10]), first, {}, {"spec": {"dtype": "float64"}})
        write_run(store.run("quick", "toy", "linear", arm), run)
        rows += [(arm, seed, 10, 1.0, "test_error", "", values[seed]) for seed in range(SEEDS)]
    file = store.table("quick", "toy", "linear")
    file.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=COLUMNS).to_csv(file, index=False)
    claim = {"id": "T1", "verdict": verdict, "parts": [{"experiment": "linear"}]}
    store.verdicts("quick", "toy").write_text(json.dumps({"claims": [claim], "numbers": []}))


def accept(store):
    assert acceptance.accept("toy", "quick", store, yes=True, say=lambda _: None) == 0


def check(store, *words, **environment):
    """Whether the check is green, what it said, and the report that it left, if any."""
    file = store.results / "check.txt"
    command = ["-m", "pytest", "-c", "tests/regression/pytest.ini"]
    command += ["tests/regression/check_accepted.py", "--paper", "toy", "--report", str(file)]
    command += ["--results", str(store.results), "--papers", str(store.papers), *words]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "", **environment},
        capture_output=True,
        text=True,
    )
    report = file.read_text() if file.exists() else None
    # Green and a report, or neither.
    assert (done.returncode == 0) == (report is not None), done.stdout + done.stderr
    return done.returncode == 0, done.stdout + done.stderr, report


def test_the_same_numbers_and_round_off_are_green_with_the_same_report(store):
    green, said, report = check(store)
    assert green, said
    assert "passed: test_no_number_moved[linear-aggregates]\n" in report
    assert report.endswith("5 passed\n")
    save(store, losses=1 + 1e-11, errors=1e-4)
    assert check(store)[2] == report


def test_the_report_knows_no_terminal_no_time_and_no_place(store):
    report = check(store)[2]
    other = {"COLUMNS": "40", "FORCE_COLOR": "1", "PY_COLORS": "1", "TZ": "Asia/Tokyo", "CI": "1"}
    assert check(store, PYTEST_ADDOPTS="-q --durations=0 --color=yes", **other)[2] == report
    assert str(ROOT) not in report
    assert str(store.results) not in report


def test_a_first_loss_that_moved_is_red_and_named_and_leaves_no_report(store):
    assert check(store)[2] is not None
    save(store, losses=1 + 1e-6)
    green, said, report = check(store)
    assert not green
    assert report is None
    assert "linear, first_losses:" in said
    assert "20, feedback_alignment (float64): baseline 2, now 2.000002, tolerance 2e-08" in said
    assert "python -m replications accept toy --preset quick" in said


def test_a_mean_that_moved_is_red_and_named(store):
    save(store, errors=0.01)
    green, said, _ = check(store)
    assert not green
    moved = "feedback_alignment/test_error, mean: baseline 0.1125, now 0.1225, tolerance 0.0048"
    assert moved in said
    assert "backprop/test_error" not in said


def test_accepted_results_that_are_missing_are_red_and_not_created(store):
    target = store.accepted("toy", "quick")
    for file in list(target.iterdir()):
        file.unlink()
    green, said, _ = check(store)
    assert not green
    for name in ("linear.first_losses.csv", "linear.aggregates.csv"):
        assert f"nothing accepted: {name}" in said
    assert "no accepted verdicts" in said
    assert "accept them: python -m replications accept toy --preset quick" in said
    assert list(target.iterdir()) == []


def test_what_was_accepted_of_an_experiment_that_is_gone_is_red(store):
    declare(store, ("  linear:", "  nonlinear:"))
    green, said, _ = check(store)
    assert not green
    assert "nothing accepted: nonlinear.aggregates.csv" in said
    stale = "linear.aggregates.csv, linear.first_losses.csv"
    assert f"accepted, but of no experiment: {stale}" in said


def test_missing_results_are_red_and_named(store):
    store.table("quick", "toy", "linear").unlink()
    green, said, _ = check(store)
    assert not green
    assert "linear.csv: no such table" in said


def test_missing_verdicts_are_red_and_named(store):
    store.verdicts("quick", "toy").unlink()
    green, said, _ = check(store)
    assert not green
    assert "claims.json: no such file; make it with `python -m replications judge`" in said


def test_no_experiment_at_all_is_red(store):
    declare(store, ("presets: {quick: , full: {seeds: 8}}", "presets: {full: }"))
    green, said, _ = check(store)
    assert not green
    assert "toy has no experiment in preset 'quick'" in said


def test_an_unknown_paper_is_red_with_the_nearest_name(store):
    green, said, _ = check(store, "--paper", "toys")
    assert not green
    assert "unknown paper 'toys'; did you mean 'toy'?" in said
    assert "Traceback" not in said


def test_a_verdict_that_fell_is_red_and_one_that_rose_is_green_and_told(store):
    save(store, verdict="not reproduced")
    green, said, _ = check(store)
    assert not green
    assert "claim T1 fell: accepted reproduced, now not reproduced" in said
    accept(store)
    save(store, verdict="reproduced")
    # The same numbers with a better verdict: a border, on which the lower one stands.
    accept(store)
    green, said, report = check(store)
    assert green
    for text in (said, report):
        assert "claim T1 rose: accepted not reproduced, now reproduced" in text


def test_a_better_verdict_of_numbers_that_moved_is_accepted(store):
    save(store, verdict="not reproduced")
    accept(store)
    save(store, errors=0.05, verdict="reproduced")
    accept(store)
    assert drift.accepted_verdicts("toy", "quick", store) == {"T1": "reproduced"}


@pytest.mark.parametrize("option", ["--force-regen", "--regen-all"])
def test_pytests_own_way_to_renew_is_closed(store, option):
    save(store, errors=0.01)
    target = store.accepted("toy", "quick")
    old = {file.name: file.read_bytes() for file in target.iterdir()}
    green, said, _ = check(store, option)
    assert not green
    assert "accepted results are renewed by: python -m replications accept" in said
    assert {file.name: file.read_bytes() for file in target.iterdir()} == old


def at_full_scale(store, losses=1.0):
    """The paper accepted at full scale, and today's fingerprints, times ``losses``."""
    target = store.accepted("toy", "full")
    target.mkdir(parents=True, exist_ok=True)
    cells = experiments.cells_of("toy", "linear", "full", store)
    (target / "linear.runs.csv").write_text("arm,seed,step,epoch,test_nse\nbackprop,0,9,1,0.1\n")
    prints = pd.DataFrame({f"{cell.arm} (float64)": [3.0, 2.0] for cell in cells}, index=[1, 2])
    prints.rename_axis("update").to_csv(target / "linear.fingerprints.csv")
    origins = {cell.key: {"spec_digest": cell.digest} for cell in cells}
    (target / "manifest.json").write_text(json.dumps(origins))
    (target / "claims.csv").write_text("id,verdict\nT1,reproduced\n")
    file = store.fingerprints("full", "toy", "linear")
    file.parent.mkdir(parents=True, exist_ok=True)
    (losses * prints).rename_axis("update").to_csv(file)
    store.verdicts("full", "toy").write_bytes(store.verdicts("quick", "toy").read_bytes())


def test_accepted_results_of_full_scale_are_held_by_fingerprints_alone(store):
    at_full_scale(store)
    green, said, report = check(store, "--preset", "full", "--accepted")
    assert green, said
    assert "passed: test_no_number_moved[linear-fingerprints]\n" in report
    assert report.endswith("4 passed\n")
    at_full_scale(store, losses=1 + 1e-6)
    green, said, _ = check(store, "--preset", "full", "--accepted")
    assert not green
    assert "linear, fingerprints:" in said
    assert "python -m replications accept toy --preset full" in said


def test_an_accepted_cell_of_another_spec_is_red_and_named(store):
    at_full_scale(store)
    declare(store, ("{rule: feedback_alignment}", "{rule: feedback_alignment, epochs: 2}"))
    green, said, _ = check(store, "--preset", "full", "--accepted")
    assert not green
    assert "accepted under another spec: linear/feedback_alignment" in said

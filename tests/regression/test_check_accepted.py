"""The check itself, on small results: what makes it red, and that round-off does not."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from replications.harness.declared import experiments
from replications.harness.judging import acceptance, drift, manifests, verdicts
from replications.harness.judging.tabulate import tabulate
from replications.harness.records import read_run, write_run
from replications.harness.store import Store
from replications.harness.training.simulate import simulate
from tests import warm

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
      task: {teacher: {inputs: 2, outputs: 2, train: 24, test: 4}}
      network: {hidden: [2], activation: linear, bias: false, init: {uniform: 0.1}}
      rule: backprop
      optimizer: {sgd: {learning_rate: 0.1}}
      record: {every: 2}
      measures: [test_error]
      dtype: float64
      seeds: 4
    arms: {backprop: , feedback_alignment: {rule: feedback_alignment}}
    presets: {quick: , full: {seeds: 5}}
"""
# The upper end of the 95 % interval of the errors of feedback alignment is 0.12773.
CLAIMS = """\
claims:
  - id: T1
    place: none
    statement: Feedback alignment errs on less than 12.78 %.
    said: {text: "< 12.78 %", certainty: OWN, source: these tests}
    control: {why: nothing is learnt yet, at: start}
    parts:
      - value: {experiment: linear, arm: feedback_alignment, measure: test_error}
        below: 0.1278
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The paper ``toy``, run under both presets and accepted. Not to be written to."""
    folder = tmp_path_factory.mktemp("check")
    store = Store(folder / "results", folder / "papers")
    declare(store)
    store.claims("toy").write_text(CLAIMS)
    for preset in ("quick", "full"):
        for cell in experiments.cells("toy", preset, store):
            simulate(cell, store)
    save(store)
    for preset in ("quick", "full"):
        accept(store, preset)
    return store


@pytest.fixture
def store(made, tmp_path):
    """The same in folders of its own, to change something in."""
    shutil.copytree(made.papers, tmp_path / "papers")
    shutil.copytree(made.results, tmp_path / "results")
    return Store(tmp_path / "results", tmp_path / "papers")


def declare(store, *changes):
    """Write the paper's experiments, with ``changes`` of words in them."""
    text = EXPERIMENTS
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    store.experiments("toy").parent.mkdir(parents=True, exist_ok=True)
    store.experiments("toy").write_text(text)


LOSSES = np.tile(np.linspace(3, 2, 20), (SEEDS, 1))


def save(store, losses=1.0, errors=0.0):
    """Runs under quick with made-up numbers, and what is derived of them; of feedback alignment losses times
    ``losses``, and test errors at the end plus ``errors``."""
    for arm, values in ERRORS.items():
        file = store.run("quick", "toy", "linear", arm)
        run = read_run(file)
        moved = arm == "feedback_alignment"
        shift, factor = (errors, losses) if moved else (0.0, 1.0)
        made_up = np.full_like(run.measures["test_error"], 0.9)
        made_up[:, -1] = np.array(values) + shift
        measures = {**run.measures, "test_error": made_up}
        write_run(file, run._replace(first_losses=LOSSES * factor, measures=measures))
    tabulate("toy", "linear", "quick", store)
    verdicts.judge("toy", "quick", store)


def accept(store, preset="quick"):
    said = acceptance.accept("toy", preset, store, yes=True, say=lambda _: None, passes=0)
    assert said == 0


def check(store, *words, **environment):
    """Whether the check is green, what it said, and the report that it left, if any."""
    file = store.results / "check.txt"
    command = ["pytest", "-c", "tests/regression/pytest.ini"]
    command += ["tests/regression/check_accepted.py", "--paper", "toy", "--report", str(file)]
    command += ["--results", str(store.results), "--papers", str(store.papers), *words]
    status, said = warm.module(command, ROOT, {**os.environ, "PYTHONPATH": "", **environment})
    report = file.read_text() if file.exists() else None
    # Green and a report, or neither.
    assert (status == 0) == (report is not None), said
    return status == 0, said, report


def test_the_same_numbers_and_round_off_are_green_with_the_same_report(store):
    green, said, report = check(store)
    assert green, said
    assert "passed: test_no_number_moved[linear-aggregates]\n" in report
    assert report.endswith(f"\n{report.count('passed: ')} passed\n")
    save(store, losses=1 + 1e-11, errors=1e-5)
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
    assert "1, feedback_alignment (float64): baseline 3, now 3.000003, tolerance 3e-08" in said
    assert "backprop (float64)" not in said
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
    for name in ("linear.first_losses.csv", "linear.early.csv", "linear.aggregates.csv"):
        assert f"nothing accepted: {name}" in said
    assert "no accepted verdicts" in said
    assert "accept them: python -m replications accept toy --preset quick" in said
    assert list(target.iterdir()) == []


def test_what_was_accepted_of_an_experiment_that_is_gone_is_red(store):
    declare(store, ("  linear:", "  nonlinear:"))
    green, said, _ = check(store)
    assert not green
    assert "nothing accepted: nonlinear.aggregates.csv" in said
    stale = "linear.aggregates.csv, linear.early.csv, linear.first_losses.csv"
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
    declare(store, ("presets: {quick: , full: {seeds: 5}}", "presets: {full: }"))
    green, said, _ = check(store)
    assert not green
    assert "toy has no experiment in preset 'quick'" in said


def test_an_unknown_paper_is_red_with_the_nearest_name(store):
    green, said, _ = check(store, "--paper", "toys")
    assert not green
    assert "unknown paper 'toys'; did you mean 'toy'?" in said
    assert "Traceback" not in said


def test_a_verdict_that_fell_is_red_and_one_that_rose_is_green_and_told(store):
    # Far less than the numbers may move, but over the border of the claim's region.
    save(store, errors=2e-4)
    green, said, _ = check(store)
    assert not green
    assert "claim T1 fell: accepted reproduced, now inconclusive" in said
    accept(store)
    save(store)
    # The same numbers but for round-off, with a better verdict: the lower one stands.
    accept(store)
    green, said, report = check(store)
    assert green, said
    for text in (said, report):
        assert "claim T1 rose: accepted inconclusive, now reproduced" in text


def test_a_better_verdict_of_numbers_that_moved_is_accepted(store):
    save(store, errors=0.05)
    accept(store)
    assert drift.accepted_verdicts("toy", "quick", store) == {"T1": "not reproduced"}
    save(store)
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


def check_full(store, losses=1.0):
    """The check of what was accepted at full scale, where today's fingerprints are times ``losses``."""
    kept = store.kept("toy", "full", "linear", "fingerprints")
    file = store.fingerprints("full", "toy", "linear")
    file.parent.mkdir(parents=True, exist_ok=True)
    (losses * pd.read_csv(kept, index_col=0)).to_csv(file)
    verdicts.judge("toy", "full", store, accepted=True)
    return check(store, "--preset", "full", "--accepted")


def other_code(store):
    """As if the fingerprints had been seen to stand under other code than today's."""
    old = manifests.read_manifest("toy", "full", store)
    cells = {name: {**cell, "stands_with": {}} for name, cell in old.cells.items()}
    file = store.accepted("toy", "full") / manifests.MANIFEST
    file.write_text(manifests.Manifest(old.declared, old.files, cells).text)


def test_accepted_results_of_full_scale_are_held_by_fingerprints_alone(store):
    other_code(store)
    shutil.rmtree(store.preset("full") / "toy" / "runs")
    green, said, report = check_full(store)
    assert green, said
    assert "passed: test_no_number_moved[linear-fingerprints]\n" in report
    assert "first_losses" not in report
    green, said, _ = check_full(store, losses=1 + 1e-6)
    assert not green
    assert "linear, fingerprints:" in said
    assert "python -m replications accept toy --preset full" in said


def test_an_accepted_cell_of_another_spec_is_red_and_named(store):
    declare(store, ("{rule: feedback_alignment}", "{rule: feedback_alignment, epochs: 2}"))
    green, said, _ = check_full(store)
    assert not green
    assert "accepted under another spec: linear/feedback_alignment" in said

"""Accepting results: shown first, asked for, and at full scale kept whole with the seeds that all arms have."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from replications.harness import tables
from replications.harness.declared import experiments
from replications.harness.errors import UserError
from replications.harness.judging import drift, embedding, verdicts
from replications.harness.judging.acceptance import accept, read_not_run
from replications.harness.judging.tabulate import tabulate
from replications.harness.records import read_run, write_run
from replications.harness.showing.pages import write_verdicts
from replications.harness.store import ROOT, Store
from replications.harness.training import fingerprints, networks
from replications.harness.training.simulate import simulate
from tests.harness.judging.made_up import save
from tests.harness.papers import write_paper

# Of quick


def accepted_folder(store, preset="quick"):
    return store.accepted("toy", preset)


def accept_quick(store, yes=True, say=lambda _: None, ask=input):
    return accept("toy", "quick", store, yes, say, ask) == 0


def test_accepted_numbers_read_back_as_they_were(tmp_path):
    store = save(tmp_path)
    assert accept_quick(store)
    target = accepted_folder(store)
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
    for kind in drift.COMPUTED:
        pd.testing.assert_frame_equal(
            drift.accepted_numbers(kind, "toy", "quick", "linear", store),
            drift.measured(kind, "toy", "quick", "linear", store),
            rtol=1e-15,
        )
    assert drift.accepted_verdicts("toy", "quick", store) == {"T1": "reproduced"}


def test_nothing_is_renewed_without_a_yes_and_the_difference_is_shown_first(tmp_path):
    store = save(tmp_path)
    accept_quick(store)
    old = {file.name: file.read_bytes() for file in accepted_folder(store).iterdir()}
    save(
        tmp_path,
        change=lambda _, name, x: x + 0.1 if name == "test_error" else x,
        verdict="inconclusive",
    )
    told = []

    def ask(_):
        assert told, "asked before the difference was shown"
        return ""

    assert not accept_quick(store, yes=False, say=told.append, ask=ask)
    assert {file.name: file.read_bytes() for file in accepted_folder(store).iterdir()} == old
    assert told[0].splitlines() == [
        "linear.aggregates.csv: feedback_alignment/test_error, mean: "
        "baseline 0.1, now 0.2, tolerance 0.0025",
        "claim T1 fell: accepted reproduced, now inconclusive",
    ]
    assert accept_quick(store, yes=False, say=told.append, ask=lambda _: "y")
    assert drift.accepted_verdicts("toy", "quick", store) == {"T1": "inconclusive"}


def test_renewing_removes_what_was_accepted_of_experiments_that_are_gone(tmp_path):
    store = save(tmp_path)
    accept_quick(store)
    stale = accepted_folder(store) / "old.aggregates.csv"
    stale.write_text("quantity,mean\n")
    told = []
    accept_quick(store, say=told.append)
    assert not stale.exists()
    assert told == ["old.aggregates.csv: removed, there is no such experiment"]


def test_what_was_not_computed_cannot_be_accepted(tmp_path):
    store = save(tmp_path)
    store.table("quick", "toy", "linear").unlink()
    with pytest.raises(UserError, match="no such table"):
        accept_quick(store)
    assert not accepted_folder(store).exists()


# At full scale


PAPER = {
    "title": "A paper",
    "reference": "none",
    "experiments": {
        "line": {
            "title": "A linear net",
            "place": "none",
            "spec": {
                "task": {"teacher": {"inputs": 5, "outputs": 3, "train": 60, "test": 20}},
                "network": {"hidden": [4], "activation": "linear", "init": {"uniform": 0.3}},
                "rule": "feedback_alignment",
                "optimizer": {"sgd": {"learning_rate": 0.02}},
                "record": {"every": 20},
                "measures": ["test_nse", "gap"],
                "seeds": 4,
            },
            "arms": {
                "backprop": {"rule": "backprop", "measures": ["test_nse"]},
                "feedback_alignment": None,
            },
            "presets": {"quick": {"seeds": 2}, "full": None},
        },
        "same": {
            "title": "An experiment of the same size under both presets",
            "place": "none",
            "spec": {
                "task": {"patterns": {"encoder": 3}},
                "network": {"hidden": [2], "init": {"uniform": 0.3}},
                "rule": "backprop",
                "optimizer": {"sgd": {"learning_rate": 0.02}},
                "epochs": 30,
                "measures": ["test_loss"],
                "seeds": 2,
            },
            "arms": {"backprop": None},
            "presets": {"quick": None, "full": None},
        },
    },
}


ERROR = {"experiment": "line", "arm": "feedback_alignment", "measure": "test_nse"}


CLAIMS = [
    {
        "id": name,
        "place": "none",
        "statement": "It learns.",
        "said": {"text": "< 10", "certainty": "OWN", "source": "tests"},
        "parts": [{"value": value, "below": 10}],
    }
    for name, value in (
        ("T1", ERROR),
        ("T2", {"experiment": "same", "arm": "backprop", "measure": "test_loss"}),
    )
]


@pytest.fixture(scope="module", autouse=True)
def _fingerprints_once():
    """Today's code does not change between two tests: its fingerprints are computed once."""
    compute, known = fingerprints.fingerprint, {}

    def fingerprint(cell):
        if cell.digest not in known:
            known[cell.digest] = compute(cell)
        return known[cell.digest].rename(f"{cell.arm} ({cell.spec.dtype})")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprints, "fingerprint", fingerprint)
        fingerprint.anew = known.clear
        yield


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """Quick results of the whole, and at full scale three seeds of one arm, two of the other."""
    store = write_paper(tmp_path_factory.mktemp("computed"), PAPER, {"claims": CLAIMS})
    for cell in experiments.cells_of("toy", "same", "quick", store):
        simulate(cell, store)
    tabulate("toy", "same", "quick", store)
    for arm, seeds in (("backprop", range(3)), ("feedback_alignment", range(2))):
        simulate(experiments.cell("toy", "line", arm, "full", store), store, seeds)
    return store


@pytest.fixture
def store(computed, tmp_path):
    """A copy of the paper with its results, to change."""
    shutil.copytree(computed.results.parent, tmp_path, dirs_exist_ok=True)
    return Store(tmp_path / "results", tmp_path / "papers")


@pytest.fixture
def more(store, tmp_path):
    """Results of another machine in place of those of full scale: of these seeds alone."""

    def compute(seeds=(1, 3)):
        shutil.rmtree(store.preset("full"))
        for cell in experiments.cells_of("toy", "line", "full", store):
            simulate(cell, store, seeds)

    return compute


def accept_full(store):
    said = []
    assert accept("toy", "full", store, True, said.append) == 0
    return "\n".join(said)


def kept(store, name):
    return pd.read_csv(store.accepted("toy", "full") / name)


def judged(store):
    found = verdicts.judge("toy", "full", store, accepted=True)
    return {claim["id"]: claim for claim in found["claims"]}


def test_an_experiment_is_accepted_with_the_seeds_that_all_arms_have(store):
    assert "line: 2 of 4 seeds" in accept_full(store)
    assert experiments.kept("toy", store) == ["line"]
    assert experiments.accepted("toy", store) == ["line", "same"]
    assert set(kept(store, "line.runs.csv").seed) == {0, 1}
    lack = kept(store, "not_run.csv")
    assert lack[["experiment", "arm", "seeds", "updates"]].to_numpy().tolist() == [
        ["line", "backprop", 2, 120],
        ["line", "feedback_alignment", 2, 120],
    ]
    assert read_not_run("toy", store).equals(lack)


def test_accepted_records_are_those_of_the_runs_to_six_digits(store):
    accept_full(store)
    found = verdicts.tables("toy", "full", store, accepted=True)("line")
    runs = {
        cell.arm: read_run(store.run("full", "toy", "line", cell.arm))
        for cell in experiments.cells_of("toy", "line", "full", store)
    }
    whole = pd.concat([tables.tidy(arm, run) for arm, run in runs.items()])
    whole = whole[whole.seed < 2]
    keys = [name for name in tables.COLUMNS if name != "value"]
    found, whole = (t.sort_values(keys).reset_index(drop=True) for t in (found, whole))
    # The losses of the first record have no value: nothing has been seen by then.
    blank = whole.value.isna()
    assert (whole[blank].step == 0).all()
    pd.testing.assert_frame_equal(found[keys], whole[keys], check_dtype=False)
    np.testing.assert_allclose(found.value, whole.value, rtol=1e-5, equal_nan=True)


def test_the_accepted_aggregates_follow_from_the_accepted_records(store):
    accept_full(store)
    assert not store.kept("toy", "full", "line", "aggregates").exists()
    found = drift.accepted_numbers("aggregates", "toy", "full", "line", store)
    run = read_run(store.run("full", "toy", "line", "feedback_alignment"))
    ended = np.log10(run.measures["test_nse"][:2, -1])
    row = found.loc["feedback_alignment/test_nse (log10)"]
    assert row["mean"] == pytest.approx(ended.mean(), rel=1e-5)
    assert row["sd"] == pytest.approx(ended.std(ddof=1), rel=1e-3)
    assert set(found["n"]) == {2}


def test_claims_of_accepted_results_are_judged_and_kept_and_a_later_run_says_the_same(store):
    accept_full(store)
    verdict = dict(kept(store, "claims.csv").to_numpy().tolist())
    assert verdict == {"T1": "reproduced", "T2": "reproduced"}
    assert {name: claim["verdict"] for name, claim in judged(store).items()} == verdict


def test_a_claim_that_cannot_be_judged_stops_before_anything_is_written(store):
    file = store.claims("toy")
    file.write_text(file.read_text().replace("arm: feedback_alignment", "arm: feedback_alignmend"))
    with pytest.raises(UserError, match="did you mean 'feedback_alignment'"):
        accept_full(store)
    assert not store.accepted("toy", "full").exists()


def test_a_verdict_that_moved_is_said_before_the_question(store):
    accept_full(store)
    file = store.accepted("toy", "full") / "claims.csv"
    file.write_text(file.read_text().replace("T1,reproduced", "T1,inconclusive"))
    said = []
    assert accept("toy", "full", store, False, said.append, lambda _: "n") == 1
    assert "claim T1 rose: accepted inconclusive, now reproduced" in said[0]


def test_what_was_accepted_of_an_experiment_that_is_gone_goes(store):
    accept_full(store)
    file = store.kept("toy", "full", "circle", "runs")
    shutil.copy(store.kept("toy", "full", "line", "runs"), file)
    names = drift.guarded("toy", "full", True, store)
    assert drift.outlived("toy", "full", names, store) == [file]
    assert "circle.runs.csv: removed, there is no such experiment" in accept_full(store)
    assert not file.exists()
    assert drift.outlived("toy", "full", names, store) == []


def test_accepting_the_same_seeds_again_changes_no_origin(store, more):
    accept_full(store)
    more()
    accept_full(store)
    file = store.accepted("toy", "full") / "manifest.json"
    once = file.read_text()
    accept_full(store)
    assert file.read_text() == once


def test_what_another_machine_did_not_run_stays_as_it_was_accepted(store):
    accept_full(store)
    target = store.accepted("toy", "full")
    before = {file.name: file.read_bytes() for file in target.iterdir()}
    shutil.rmtree(store.preset("full"))
    assert "line: not run, the accepted results stay" in accept_full(store)
    after = {file.name: file.read_bytes() for file in target.iterdir()}
    hours = "not_run.csv"  # estimated anew
    assert kept(store, hours).drop(columns="core_hours").to_numpy().tolist() == [
        ["line", "backprop", 2, 120],
        ["line", "feedback_alignment", 2, 120],
    ]
    assert {n: b for n, b in after.items() if n != hours} == {
        n: b for n, b in before.items() if n != hours
    }


def test_seeds_of_another_machine_join_those_accepted_before(store, more):
    accept_full(store)
    target = store.accepted("toy", "full")
    before, first = kept(store, "line.runs.csv"), kept(store, "line.first_losses.csv")
    earlier = json.loads((target / "manifest.json").read_text())["line/backprop"]
    more()
    assert "line: 2 of 4 seeds; 1 accepted before stay" in accept_full(store)
    after = kept(store, "line.runs.csv")
    columns = ["arm", "seed"]
    assert after[columns].drop_duplicates().to_numpy().tolist() == [
        [arm, seed] for arm in ("backprop", "feedback_alignment") for seed in (0, 1, 3)
    ]
    for seed in (0, 1):
        old, new = (t[t.seed == seed].reset_index(drop=True) for t in (before, after))
        pd.testing.assert_frame_equal(old, new)
    assert set(drift.accepted_numbers("aggregates", "toy", "full", "line", store)["n"]) == {3}
    assert kept(store, "line.first_losses.csv").equals(first)
    assert set(kept(store, "not_run.csv").seeds) == {1}
    origin = json.loads((target / "manifest.json").read_text())["line/backprop"]
    assert origin["seeds"] == [1, 3]
    assert origin["earlier"] == [earlier]
    assert earlier["seeds"] == [0, 1, 2]


def test_accepted_seeds_of_another_code_do_not_stay_beside_new_ones(store, more):
    accept_full(store)
    file = store.kept("toy", "full", "line", "fingerprints")
    moved = pd.read_csv(file, index_col=0) * 1.001
    moved.to_csv(file)
    more()
    assert "line: 2 of 4 seeds; 1 accepted before go" in accept_full(store)
    assert set(kept(store, "line.runs.csv").seed) == {1, 3}


def test_without_the_quick_results_nothing_is_written(store):
    shutil.rmtree(store.preset("quick"))
    with pytest.raises(UserError, match=r"same\.csv: no such table"):
        accept_full(store)
    assert not store.accepted("toy", "full").exists()


def test_nothing_is_written_where_the_question_is_not_answered_with_yes(store):
    said = []
    assert accept("toy", "full", store, False, said.append, lambda _: "") == 1
    assert said
    assert not store.accepted("toy", "full").exists()


def rewrite(store, old, new):
    """Another content of experiments.yaml, read anew."""
    file = store.experiments("toy")
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    experiments.load.cache_clear()
    experiments._resolved.cache_clear()


def test_a_run_of_another_spec_is_refused(store):
    rewrite(store, "learning_rate: 0.02", "learning_rate: 0.03")
    with pytest.raises(UserError, match="toy/line/backprop: the run is of another spec"):
        accept_full(store)


def test_a_run_that_todays_code_would_not_begin_is_refused(store):
    file = store.run("full", "toy", "line", "backprop")
    run = read_run(file)
    other = run.manifest | {"source_digest": "another"}
    write_run(file, run._replace(manifest=other))
    accept_full(store)
    write_run(file, run._replace(manifest=other, first_losses=run.first_losses * 1.001))
    with pytest.raises(UserError, match="today's code begins another run"):
        accept_full(store)


def test_the_embedding_of_hidden_features_is_kept_with_the_first_seed(tmp_path, mnist5k):
    seen = {
        "title": "What a hidden layer puts out",
        "place": "none",
        "spec": {
            "task": {"images": {"name": "mnist5k"}},
            "network": {"hidden": [4], "init": {"uniform": 0.3}},
            "rule": "backprop",
            "optimizer": {"sgd": {"learning_rate": 0.02}},
            "batch": 500,
            "measures": ["test_error", "features"],
            "probe": 40,
            "seeds": 2,
        },
        "arms": {"backprop": None},
        "presets": {"full": None},
    }
    paper = {**PAPER, "experiments": {"seen": seen}}
    made = write_paper(tmp_path, paper, {"claims": []})
    store = Store(made.results, made.papers, mnist5k)
    cell = experiments.cell("toy", "seen", "backprop", "full", store)
    simulate(cell, store, range(1))
    accept_full(store)
    found = verdicts.tables("toy", "full", store, accepted=True)("seen.embedding")
    now = embedding.embed_features([cell], store)
    assert len(now) == 40
    pd.testing.assert_frame_equal(found, now, check_dtype=False, rtol=1e-5)
    # Another machine runs the next seed and has no other.
    store.run("full", "toy", "seen", "backprop").unlink()
    simulate(cell, store, range(1, 2))
    assert "1 accepted before stay" in accept_full(store)
    assert set(kept(store, "seen.embedding.csv").seed) == {0}
    assert set(kept(store, "seen.runs.csv").seed) == {0, 1}


def test_what_was_not_run_is_said_and_decides_nothing(store):
    accept_full(store)
    store.kept("toy", "full", "line", "runs").unlink()
    found = judged(store)
    assert found["T1"]["verdict"] == "not run"
    assert found["T1"]["parts"][0]["estimate"] is None
    assert found["T2"]["verdict"] == "reproduced"
    write_verdicts(["toy"], "full", store)
    text = store.all_verdicts("full", "md").read_text()
    assert "1 reproduced, 0 inconclusive, 1 not run, 0 not reproduced" in text


@pytest.mark.parametrize("table", ["lime", "lime.embedding"])
def test_a_table_of_no_accepted_experiment_is_none(store, table):
    accept_full(store)
    assert verdicts.tables("toy", "full", store, accepted=True)(table) is None


def test_an_accepted_table_that_is_not_there_is_named(store):
    accept_full(store)
    with pytest.raises(UserError, match=r"line\.embedding\.csv: no such table"):
        verdicts.tables("toy", "full", store, accepted=True)("line.embedding")


# Held against today's code


def moved(store):
    fingerprints.fingerprint.anew()
    fingerprints.write_fingerprints("toy", "line", store)
    file = store.kept("toy", "full", "line", "fingerprints")
    now = drift.measured("fingerprints", "toy", "full", "line", store)
    return drift.moved(drift.read_numbers(file), now, file)


def test_a_change_of_a_rule_moves_the_fingerprints_of_its_cells_only(store, monkeypatch):
    accept_full(store)
    assert moved(store) == []
    rule = networks.layer_rule

    def scaled(chosen):
        found = rule(chosen)
        if chosen.rule == "backprop":
            return found
        init = found.feedback_init
        return type(found)(feedback_init=lambda *words, **more: 1.001 * init(*words, **more))

    monkeypatch.setattr(networks, "layer_rule", scaled)
    said = "\n".join(moved(store))
    assert "loss 20, feedback_alignment (float32): baseline" in said
    assert "backprop (float32): baseline" not in said
    fingerprints.fingerprint.anew()


@pytest.mark.parametrize("change", ["every: 20", "test: 20"])
def test_a_change_of_a_spec_that_the_first_updates_do_not_show_is_caught(store, change):
    accept_full(store)
    assert drift.other_specs("toy", ["line"], store) == []
    rewrite(store, change, change.replace("20", "30"))
    cells = ["line/backprop", "line/feedback_alignment"]
    assert drift.other_specs("toy", ["line"], store) == cells


def test_the_check_of_accepted_results_is_green_and_then_red_with_the_way_to_renew(store):
    accept_full(store)
    fingerprints.write_fingerprints("toy", "line", store)
    judged(store)

    def check():
        folder = ROOT / "tests/regression"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-c", folder / "pytest.ini", "-p", "no:cacheprovider",
             folder / "check_accepted.py", "--paper", "toy", "--preset", "full", "--accepted",
             "--results", store.results, "--papers", store.papers],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
        return done.returncode, done.stdout

    status, said = check()
    assert status == 0, said
    file = store.fingerprints("full", "toy", "line")
    now = drift.read_numbers(file)
    now["feedback_alignment (float32)"] *= 1.001
    now.to_csv(file)
    rewrite(store, "every: 20", "every: 30")
    status, said = check()
    assert status == 1
    assert "loss 20, feedback_alignment (float32): baseline" in said
    assert "backprop (float32): baseline" not in said
    assert "accepted under another spec: line/backprop, line/feedback_alignment; renew: " in said
    assert "renew: python -m replications accept toy --preset full" in said

"""Accepting results: shown first, asked for, and at full scale kept whole with the seeds that all arms have."""

import copy
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from replications.harness import tables
from replications.harness.declared import experiments
from replications.harness.errors import UserError
from replications.harness.judging import drift, embedding, manifests, verdicts
from replications.harness.judging.acceptance import accept, read_not_run
from replications.harness.judging.tabulate import tabulate
from replications.harness.records import read_run, write_run
from replications.harness.sealed import read_json, write_json
from replications.harness.showing.pages import write_verdicts
from replications.harness.store import ROOT, Store
from replications.harness.training import fingerprints, networks, provenance
from replications.harness.training.simulate import simulate
from tests.harness.papers import write_paper

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
        "identity": True,
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
    for cell in experiments.cells("toy", "quick", store):
        simulate(cell, store)
    for name in ("line", "same"):
        tabulate("toy", name, "quick", store)
    verdicts.judge("toy", "quick", store)
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


# Of quick


def accept_quick(store, yes=True, say=lambda _: None, ask=input, passes=0):
    return accept("toy", "quick", store, yes, say, ask, passes) == 0


def change(store, arm, factor):
    """Results of quick with this arm's errors at the end times ``factor``, as a run would have left them."""
    file = store.run("quick", "toy", "line", arm)
    run = read_run(file)
    run.measures["test_nse"][:, -1] *= factor
    write_run(file, run)
    tabulate("toy", "line", "quick", store)
    verdicts.judge("toy", "quick", store)


def test_accepted_numbers_read_back_as_they_were(store):
    assert accept_quick(store, passes=1)
    target = store.accepted("toy", "quick")
    assert {file.name for file in target.iterdir()} == {
        "claims.csv",
        *(f"{name}.{kind}.csv" for name in ("line", "same") for kind in drift.COMPUTED),
        "manifest.json",
        "verdicts.json",
    }
    cells = manifests.read_manifest("toy", "quick", store).cells
    assert list(cells) == ["line/backprop", "line/feedback_alignment", "same/backprop"]
    assert {origin["commit"] for cell in cells.values() for origin in cell["origins"]} == {
        provenance.commit()
    }
    for kind in drift.COMPUTED:
        pd.testing.assert_frame_equal(
            drift.accepted_numbers(kind, "toy", "quick", "line", store),
            drift.measured(kind, "toy", "quick", "line", store),
            rtol=1e-15,
        )
    assert drift.accepted_verdicts("toy", "quick", store) == {
        "T1": "reproduced",
        "T2": "reproduced",
    }
    assert manifests.damage("toy", "quick", store) == []


def test_nothing_is_renewed_without_a_yes_and_the_difference_is_shown_first(store):
    accept_quick(store)
    target = store.accepted("toy", "quick")
    old = {file.name: file.read_bytes() for file in target.iterdir()}
    change(store, "feedback_alignment", 1e3)
    told = []

    def ask(_):
        assert told, "asked before the difference was shown"
        return ""

    assert not accept_quick(store, yes=False, say=told.append, ask=ask)
    assert {file.name: file.read_bytes() for file in target.iterdir()} == old
    said = told[0].splitlines()
    assert any(
        line.startswith("line.aggregates.csv: feedback_alignment/test_nse (log10), mean: baseline")
        for line in said
    )
    assert not any("backprop" in line for line in said)
    assert said[-1].startswith("claim T1 fell: accepted reproduced, now ")
    assert accept_quick(store, yes=False, say=told.append, ask=lambda _: "y")
    assert drift.accepted_verdicts("toy", "quick", store)["T1"] == "not reproduced"


def test_renewing_removes_what_was_accepted_of_experiments_that_are_gone(store):
    accept_quick(store)
    stale = store.accepted("toy", "quick") / "old.aggregates.csv"
    stale.write_text("quantity,mean\n")
    told = []
    accept_quick(store, say=told.append)
    assert not stale.exists()
    assert "old.aggregates.csv: removed, there is no such experiment" in told[0].splitlines()


def test_what_was_not_computed_cannot_be_accepted(store):
    store.table("quick", "toy", "line").unlink()
    with pytest.raises(UserError, match="no such table"):
        accept_quick(store)
    assert not store.accepted("toy", "quick").exists()


def test_a_verdict_that_its_numbers_do_not_give_is_not_accepted(store):
    file = store.verdicts("quick", "toy")
    judged = read_json(file, "")
    judged["claims"][0]["verdict"] = "near"
    write_json(file, judged)
    with pytest.raises(
        UserError, match="claim T1: judged near, its numbers give reproduced; judge again"
    ):
        accept_quick(store)


@pytest.mark.parametrize("seed", [0, 1])
def test_numbers_that_todays_code_does_not_give_are_not_accepted(store, seed):
    """The first seed's first pass is trained again, and the others' first record."""
    file = store.run("quick", "toy", "line", "backprop")
    run = read_run(file)
    run.measures["test_nse"][seed, 1] *= 1.1
    write_run(file, run)
    tabulate("toy", "line", "quick", store)
    verdicts.judge("toy", "quick", store)
    with pytest.raises(
        UserError, match=f"toy/line/backprop, seed {seed}: today's code gives another run"
    ):
        accept_quick(store, passes=1)


# At full scale


def accept_full(store, passes=0):
    said = []
    assert accept("toy", "full", store, True, said.append, passes=passes) == 0
    return "\n".join(said)


def kept(store, name):
    return pd.read_csv(store.accepted("toy", "full") / name)


def judged(store):
    found = verdicts.judge("toy", "full", store, accepted=True)
    return {claim["id"]: claim for claim in found["claims"]}


def test_an_experiment_is_accepted_with_the_seeds_that_all_arms_have(store):
    assert "line: 2 of 4 seeds" in accept_full(store, passes=1)
    assert experiments.kept("toy", store) == ["line"]
    assert experiments.accepted("toy", store) == ["line", "same"]
    assert set(kept(store, "line.runs.csv").seed) == {0, 1}
    lack = kept(store, "not_run.csv")
    assert lack[["experiment", "arm", "seeds", "updates"]].to_numpy().tolist() == [
        ["line", "backprop", 2, 120],
        ["line", "feedback_alignment", 2, 120],
    ]
    assert read_not_run("toy", store).equals(lack)


def test_an_arm_that_declares_fewer_seeds_does_not_take_them_from_the_others(tmp_path):
    paper = copy.deepcopy(PAPER)
    paper["experiments"]["line"]["arms"]["backprop"]["seeds"] = 2
    store = write_paper(tmp_path, paper, {"claims": CLAIMS})
    simulate(experiments.cell("toy", "same", "backprop", "quick", store), store)
    tabulate("toy", "same", "quick", store)
    cells = {c.arm: c for c in experiments.cells_of("toy", "line", "full", store)}
    simulate(cells["backprop"], store)
    simulate(cells["feedback_alignment"], store, range(3))
    assert "line: 2 of 2, 3 of 4 seeds" in accept_full(store, passes=1)
    table = kept(store, "line.runs.csv")
    assert {arm: set(rows.seed) for arm, rows in table.groupby("arm")} == {
        "backprop": {0, 1}, "feedback_alignment": {0, 1, 2}
    }  # fmt: skip
    lack = kept(store, "not_run.csv")
    assert lack[["arm", "seeds"]].to_numpy().tolist() == [["feedback_alignment", 1]]
    # One more seed of the arm that lacks one joins the rest, which stays to the digit.
    simulate(cells["feedback_alignment"], store, [3])
    simulate(cells["backprop"], store)
    assert "line: 2 of 2, 4 of 4 seeds" in accept_full(store, passes=1)
    later = kept(store, "line.runs.csv")
    assert later[~((later.arm == "feedback_alignment") & (later.seed == 3))].equals(table)
    assert kept(store, "not_run.csv").empty


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
    assert verdict == {"T1": "incomplete", "T2": "reproduced"}, "T1 is of four runs"
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
    file.write_text(file.read_text().replace("T1,incomplete", "T1,not run"))
    said = []
    assert accept("toy", "full", store, False, said.append, lambda _: "n") == 1
    assert "claim T1 rose: accepted not run, now incomplete" in said[0]


def test_what_was_accepted_of_an_experiment_that_is_gone_goes(store):
    accept_full(store)
    file = store.kept("toy", "full", "circle", "first_losses")
    shutil.copy(store.kept("toy", "full", "line", "first_losses"), file)
    names = drift.guarded("toy", "full", True, store)
    assert drift.outlived("toy", "full", names, store) == [file]
    assert "circle.first_losses.csv: removed, there is no such experiment" in accept_full(store)
    assert not file.exists()
    assert drift.outlived("toy", "full", names, store) == []


def test_records_that_nobody_accepted_are_refused(store):
    accept_full(store)
    shutil.copy(
        store.kept("toy", "full", "line", "runs"), store.kept("toy", "full", "circle", "runs")
    )
    with pytest.raises(UserError, match=r"circle\.runs\.csv: nobody accepted it; take it back"):
        accept_full(store)


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
    hours = ("not_run.csv", "manifest.json")  # estimated anew, and the digest of that
    assert kept(store, "not_run.csv").drop(columns="core_hours").to_numpy().tolist() == [
        ["line", "backprop", 2, 120],
        ["line", "feedback_alignment", 2, 120],
    ]
    assert {n: b for n, b in after.items() if n not in hours} == {
        n: b for n, b in before.items() if n not in hours
    }


def test_seeds_of_another_machine_join_those_accepted_before(store, more):
    accept_full(store)
    before, first = kept(store, "line.runs.csv"), kept(store, "line.first_losses.csv")
    earlier = origins(store)
    assert earlier.keys() == {0, 1}
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
    now = origins(store)
    assert now.keys() == {0, 1, 3}
    assert now[0] == earlier[0]
    assert now[1]["records"] == earlier[1]["records"], "computed again, to the digit"
    assert manifests.damage("toy", "full", store) == []


def add_an_arm(store):
    """A third arm, declared later, run on another machine: nothing of the others is here."""
    file = store.papers / "toy" / "experiments.yaml"
    declared = yaml.safe_load(file.read_text())
    rate = {"optimizer": {"sgd": {"learning_rate": 0.02, "momentum": 0.5}}}
    declared["experiments"]["line"]["arms"]["slow"] = rate
    rewrite(store, file.read_text(), yaml.safe_dump(declared, sort_keys=False))
    shutil.rmtree(store.preset("full"))
    simulate(experiments.cell("toy", "line", "slow", "full", store), store, range(3))


def test_a_new_arm_joins_those_accepted_before(store):
    accept_full(store)
    names = ("line.runs.csv", "line.first_losses.csv", "line.fingerprints.csv")
    before = {name: kept(store, name) for name in names}
    cells = manifests.read_manifest("toy", "full", store).cells
    add_an_arm(store)
    assert "line: 3 of 4 seeds; 2 accepted before stay" in accept_full(store, passes=1)
    runs = kept(store, "line.runs.csv")
    pd.testing.assert_frame_equal(
        runs[runs.arm != "slow"].reset_index(drop=True), before["line.runs.csv"], check_dtype=False
    )
    assert set(runs[runs.arm == "slow"].seed) == {0, 1, 2}
    for name in names[1:]:
        now = kept(store, name)
        assert now[before[name].columns].equals(before[name])
        assert "slow (float32)" in now
    after = manifests.read_manifest("toy", "full", store).cells
    assert {key: after[key] for key in cells} == cells
    assert manifests.damage("toy", "full", store) == []


def test_more_seeds_of_one_arm_that_was_accepted_do_not_join_it_alone(store):
    accept_full(store)
    before = kept(store, "line.runs.csv")
    shutil.rmtree(store.preset("full"))
    simulate(experiments.cell("toy", "line", "backprop", "full", store), store, range(3, 4))
    assert "line: not run, the accepted results stay" in accept_full(store)
    assert kept(store, "line.runs.csv").equals(before)


def test_a_new_arm_does_not_join_arms_that_todays_code_makes_otherwise(store):
    accept_full(store)
    file = store.kept("toy", "full", "line", "fingerprints")
    (pd.read_csv(file, index_col=0) * 1.001).to_csv(file)
    add_an_arm(store)
    before = {file.name: file.read_bytes() for file in store.accepted("toy", "full").iterdir()}
    with pytest.raises(UserError, match=r"toy/line/backprop.*run it again"):
        accept_full(store)
    assert before == {f.name: f.read_bytes() for f in store.accepted("toy", "full").iterdir()}


def origins(store):
    """Seed -> where its accepted numbers come from, of one cell."""
    cell = manifests.read_manifest("toy", "full", store).cells["line/backprop"]
    return provenance.of_seeds(cell["origins"])


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


@pytest.mark.parametrize("given", ["", "<&-", "< /dev/null", "< bytes"])
def test_an_answer_that_cannot_be_read_is_one_line_and_accepts_nothing(tmp_path, given):
    """Of a shell that closes standard input, gives an empty one, or one that is no text."""
    (tmp_path / "bytes").write_bytes(b"\xff\n")
    code = "from replications.harness.judging.acceptance import _answer; _answer(input)"
    shell = f"PYTHONPATH={ROOT} PYTHONIOENCODING=utf-8 {sys.executable} -c '{code}' {given}"
    done = subprocess.run(
        shell, shell=True, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("replications.harness.errors.UserError: no answer, ")
    assert last.endswith(": nothing was accepted; say --yes")


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


def spoiled(store, change):
    """The run of one arm, changed."""
    file = store.run("full", "toy", "line", "backprop")
    write_run(file, change(read_run(file)))


def test_a_run_that_todays_code_would_not_begin_is_refused(store):
    spoiled(store, lambda run: run._replace(first_losses=run.first_losses * 1.01))
    with pytest.raises(
        UserError, match="toy/line/backprop, seed 0: today's code gives another run"
    ):
        accept_full(store, passes=1)
    assert not store.accepted("toy", "full").exists()


def other_data(run):
    (origin,) = run.manifest["origins"]
    data = {"name": "mnist", "sha256": "0", "content": "0"}
    return run._replace(manifest=run.manifest | {"origins": [origin | {"dataset": data}]})


def other_seeds(run):
    (origin,) = run.manifest["origins"]
    seeds = {seed: own for seed, own in origin["seeds"].items() if seed != "1"}
    return run._replace(manifest=run.manifest | {"origins": [origin | {"seeds": seeds}]})


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (other_data, "trained on other data than None; run it again"),
        (other_seeds, "its manifest tells of other seeds than it has"),
        (
            lambda run: run._replace(
                step=run.step[:-1], measures={k: v[:, :-1] for k, v in run.measures.items()}
            ),
            "recorded after 3 numbers of updates up to 40, its spec says 4 up to 60",
        ),
        (
            lambda run: run._replace(
                measures=run.measures | {"delta_angle/hidden_1": np.full((3, 4), 0.5)}
            ),
            "delta_angle/hidden_1 is 0.5 degrees: the run is not by backprop",
        ),
    ],
)
def test_a_run_that_is_not_what_its_spec_says_is_refused(store, change, line):
    spoiled(store, change)
    with pytest.raises(UserError) as caught:
        accept_full(store)
    assert line in str(caught.value)
    assert str(caught.value).startswith("toy/line/backprop: ")
    assert not store.accepted("toy", "full").exists()


def test_seeds_beyond_those_declared_are_refused(store):
    for cell in experiments.cells_of("toy", "line", "full", store):
        simulate(cell, store, [7])
    with pytest.raises(UserError, match="seed 7 is not among the 4 declared"):
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
    headings = [line for line in text.splitlines() if line.startswith("### T")]
    assert ["not run" in line for line in headings] == [True, False], headings


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
    assert drift.other_specs("toy", "full", ["line"], store) == []
    rewrite(store, change, change.replace("20", "30"))
    cells = ["line/backprop", "line/feedback_alignment"]
    assert drift.other_specs("toy", "full", ["line"], store) == cells

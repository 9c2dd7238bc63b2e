"""Results at full scale: kept whole, compared over the seeds that all have, guarded by fingerprints."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml


    accepted,
    baselines,
    claims,
    datasets,
    embedding,
    fingerprints,
    results,
    spec,
    statistics,
)  # fmt: skip
from replications.harness.errors import UserError
from replications.harness.training.simulate import simulate

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
            "presets": {"quick": {"seeds": 2}, "paper": None},
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
            "presets": {"quick": None, "paper": None},
        },
    },
}
ERROR = {"experiment": "line", "arm": "feedback_alignment", "measure": "test_nse"}
CLAIMS = [
    {
        "id": name,
        "place": "none",
        "statement": "It learns.",
        "published": {"value": "< 10", "certainty": "OWN", "source": "tests"},
        "parts": [{"value": value, "below": 10}],
    }
    for name, value in (
        ("T1", ERROR),
        ("T2", {"experiment": "same", "arm": "backprop", "measure": "test_loss"}),
    )
]


@pytest.fixture
def folder(tmp_path):
    """A folder of papers with the one above."""
    home = tmp_path / "papers" / "toy"
    home.mkdir(parents=True)
    (home / "experiments.yaml").write_text(yaml.safe_dump(PAPER))
    (home / "claims.yaml").write_text(yaml.safe_dump({"claims": CLAIMS}))
    return tmp_path / "papers"


@pytest.fixture
def ran(tmp_path, folder):
    """Quick results of the whole, and of the paper preset three seeds of one arm, two of the other."""
    home = tmp_path / "results"
    for cell in spec.cells("toy", "quick", folder):
        if cell.experiment == "same":
            simulate(cell, home)
            run = results.read_run(results.run_file(home, cell))
            file = results.table_file(home, "quick", "toy", "same")
            file.parent.mkdir(parents=True)
            results.tidy(cell.arm, run).to_csv(file, index=False)
    for arm, seeds in (("backprop", range(3)), ("feedback_alignment", range(2))):
        simulate(spec.cell("toy", "line", arm, "paper", folder), home, seeds)
    return home


def accept(ran, folder):
    said = []
    assert accepted.accept("toy", ran, True, folder, said.append) == 0
    return "\n".join(said)


def kept(folder, name):
    return pd.read_csv(accepted.folder_of("toy", folder) / name)


def test_an_experiment_of_one_size_in_both_presets_is_quicks_own(folder):
    assert spec.also_quick("toy", "same", folder)
    assert not spec.also_quick("toy", "line", folder)
    assert spec.accepted("toy", folder) == []


def test_an_experiment_is_accepted_with_the_seeds_that_all_arms_have(ran, folder):
    assert "line: 2 of 4 seeds" in accept(ran, folder)
    assert spec.kept("toy", folder) == ["line"]
    assert spec.accepted("toy", folder) == ["line", "same"]
    assert set(kept(folder, "line.runs.csv").seed) == {0, 1}
    lack = kept(folder, "not_run.csv")
    assert lack[["experiment", "arm", "seeds", "updates"]].to_numpy().tolist() == [
        ["line", "backprop", 2, 120],
        ["line", "feedback_alignment", 2, 120],
    ]
    assert accepted.not_run("toy", folder).equals(lack)


def test_restored_records_are_those_of_the_runs_to_six_digits(ran, folder):
    accept(ran, folder)
    accepted.restore("toy", "line", ran, folder)
    found = results.read_table(results.table_file(ran, spec.ACCEPTED, "toy", "line"))
    cells = spec.cells_of("toy", "line", "paper", folder)
    runs = {c.arm: results.read_run(results.run_file(ran, c)) for c in cells}
    whole = pd.concat([results.tidy(arm, run) for arm, run in runs.items()])
    whole = whole[whole.seed < 2]
    keys = [name for name in results.COLUMNS if name != "value"]
    found, whole = (t.sort_values(keys).reset_index(drop=True) for t in (found, whole))
    # The losses of the first record have no value: nothing has been seen by then.
    blank = whole.value.isna()
    assert (whole[blank].step == 0).all()
    pd.testing.assert_frame_equal(found[keys], whole[keys], check_dtype=False)
    np.testing.assert_allclose(found.value, whole.value, rtol=1e-5, equal_nan=True)


def test_claims_of_accepted_results_are_judged_and_kept_and_a_later_run_says_the_same(ran, folder):
    accept(ran, folder)
    verdicts = dict(kept(folder, "claims.csv").to_numpy().tolist())
    assert verdicts == {"T1": "reproduced", "T2": "reproduced"}
    assert {name: claim["verdict"] for name, claim in judge(ran, folder).items()} == verdicts


def test_a_claim_that_cannot_be_judged_stops_before_anything_is_written(ran, folder):
    file = folder / "toy" / "claims.yaml"
    file.write_text(file.read_text().replace("arm: feedback_alignment", "arm: feedback_alignmend"))
    with pytest.raises(UserError, match="did you mean 'feedback_alignment'"):
        accept(ran, folder)
    assert not accepted.folder_of("toy", folder).exists()


def test_a_verdict_that_moved_is_said_before_the_question(ran, folder):
    accept(ran, folder)
    verdicts = accepted.folder_of("toy", folder) / "claims.csv"
    verdicts.write_text(verdicts.read_text().replace("T1,reproduced", "T1,inconclusive"))
    said = []
    assert accepted.accept("toy", ran, False, folder, said.append, lambda _: "n") == 1
    assert "claim T1 rose: accepted inconclusive, now reproduced" in said[0]


def test_what_was_accepted_of_an_experiment_that_is_gone_goes(ran, folder):
    accept(ran, folder)
    target = accepted.folder_of("toy", folder)
    shutil.copy(target / "line.runs.csv", target / "circle.runs.csv")
    assert check(ran, folder)[0] == 1
    assert "circle.runs.csv: removed, there is no such experiment" in accept(ran, folder)
    assert not (target / "circle.runs.csv").exists()
    assert check(ran, folder)[0] == 0


def test_accepting_the_same_seeds_again_changes_no_origin(ran, folder):
    accept(ran, folder)
    more(ran, folder)
    accept(ran, folder)
    file = accepted.folder_of("toy", folder) / "manifest.json"
    once = file.read_text()
    accept(ran, folder)
    assert file.read_text() == once


def test_what_another_machine_did_not_run_stays_as_it_was_accepted(ran, folder):
    accept(ran, folder)
    target = accepted.folder_of("toy", folder)
    before = {file.name: file.read_bytes() for file in target.iterdir()}
    shutil.rmtree(ran / "paper")
    assert "line: not run, the accepted results stay" in accept(ran, folder)
    after = {file.name: file.read_bytes() for file in target.iterdir()}
    hours = "not_run.csv"  # estimated anew
    assert kept(folder, hours).drop(columns="core_hours").to_numpy().tolist() == [
        ["line", "backprop", 2, 120],
        ["line", "feedback_alignment", 2, 120],
    ]
    assert {n: b for n, b in after.items() if n != hours} == {
        n: b for n, b in before.items() if n != hours
    }


def more(ran, folder, seeds=(1, 3)):
    """Results of another machine: these seeds of both arms, and nothing else of the preset paper."""
    shutil.rmtree(ran / "paper")
    for cell in spec.cells_of("toy", "line", "paper", folder):
        simulate(cell, ran, seeds)


def test_seeds_of_another_machine_join_those_accepted_before(ran, folder):
    accept(ran, folder)
    target = accepted.folder_of("toy", folder)
    before, first = kept(folder, "line.runs.csv"), kept(folder, "line.first_losses.csv")
    earlier = json.loads((target / "manifest.json").read_text())["line/backprop"]
    more(ran, folder)
    assert "line: 2 of 4 seeds; 1 accepted before stay" in accept(ran, folder)
    after = kept(folder, "line.runs.csv")
    columns = ["arm", "seed"]
    assert after[columns].drop_duplicates().to_numpy().tolist() == [
        [arm, seed] for arm in ("backprop", "feedback_alignment") for seed in (0, 1, 3)
    ]
    for seed in (0, 1):
        old, new = (t[t.seed == seed].reset_index(drop=True) for t in (before, after))
        pd.testing.assert_frame_equal(old, new)
    assert set(kept(folder, "line.aggregates.csv").n) == {3}
    assert kept(folder, "line.first_losses.csv").equals(first)
    assert set(kept(folder, "not_run.csv").seeds) == {1}
    origin = json.loads((target / "manifest.json").read_text())["line/backprop"]
    assert origin["seeds"] == [1, 3]
    assert origin["earlier"] == [earlier]
    assert earlier["seeds"] == [0, 1, 2]


def test_accepted_seeds_of_another_code_do_not_stay_beside_new_ones(ran, folder):
    accept(ran, folder)
    file = accepted.folder_of("toy", folder) / "line.fingerprints.csv"
    moved = pd.read_csv(file, index_col=0) * 1.001
    moved.to_csv(file)
    more(ran, folder)
    assert "line: 2 of 4 seeds; 1 accepted before go" in accept(ran, folder)
    assert set(kept(folder, "line.runs.csv").seed) == {1, 3}


def test_without_the_quick_results_nothing_is_written(ran, folder):
    shutil.rmtree(ran / "quick")
    with pytest.raises(UserError, match=r"same\.csv: no such table"):
        accept(ran, folder)
    assert not accepted.folder_of("toy", folder).exists()


def test_nothing_is_written_where_the_question_is_not_answered_with_yes(ran, folder):
    asked = []
    assert accepted.accept("toy", ran, False, folder, asked.append, lambda _: "") == 1
    assert not accepted.folder_of("toy", folder).exists()


def test_a_run_of_another_spec_is_refused(ran, folder):
    file = folder / "toy" / "experiments.yaml"
    moved = folder.parent / "moved" / "toy"
    shutil.copytree(file.parent, moved)
    text = file.read_text().replace("learning_rate: 0.02", "learning_rate: 0.03")
    (moved / "experiments.yaml").write_text(text)
    with pytest.raises(UserError, match="toy/line/backprop: the run is of another spec"):
        accept(ran, moved.parent)


def test_a_run_that_todays_code_would_not_begin_is_refused(ran, folder):
    cell = spec.cell("toy", "line", "backprop", "paper", folder)
    file = results.run_file(ran, cell)
    run = results.read_run(file)
    other = run.manifest | {"source_digest": "another"}
    results.write_run(file, run._replace(manifest=other))
    accept(ran, folder)
    results.write_run(file, run._replace(manifest=other, first_losses=run.first_losses * 1.001))
    with pytest.raises(UserError, match="today's code begins another run"):
        accept(ran, folder)


def test_the_embedding_of_hidden_features_is_kept_with_the_first_seed(tmp_path):
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
        "presets": {"paper": None},
    }
    papers, home = tmp_path / "papers", tmp_path / "results"
    (papers / "toy").mkdir(parents=True)
    (papers / "toy" / "claims.yaml").write_text("claims: []")
    paper = {**PAPER, "experiments": {"seen": seen}}
    (papers / "toy" / "experiments.yaml").write_text(yaml.safe_dump(paper))
    datasets.write("mnist5k", home / "datasets" / "mnist5k.npz")
    cell = spec.cell("toy", "seen", "backprop", "paper", papers)
    simulate(cell, home, range(1))
    accept(home, papers)
    accepted.restore("toy", "seen.embedding", home, papers)
    restored = results.read_table(results.embedding_file(home, spec.ACCEPTED, "toy", "seen"))
    now = embedding.placed([cell], home, home / "datasets")
    assert len(now) == 40
    pd.testing.assert_frame_equal(restored, now, check_dtype=False, rtol=1e-5)
    # Another machine runs the next seed and has no other.
    results.run_file(home, cell).unlink()
    simulate(cell, home, range(1, 2))
    assert "1 accepted before stay" in accept(home, papers)
    assert set(kept(papers, "seen.embedding.csv").seed) == {0}
    assert set(kept(papers, "seen.runs.csv").seed) == {0, 1}


def test_what_was_not_run_is_said_and_decides_nothing(ran, folder):
    accept(ran, folder)
    (accepted.folder_of("toy", folder) / "line.runs.csv").unlink()
    (ran / spec.ACCEPTED / "toy" / "tables").mkdir(parents=True)
    accepted.restore("toy", "same", ran, folder)
    judged = {c["id"]: c for c in claims.judge("toy", spec.ACCEPTED, ran, folder)}
    assert judged["T1"]["verdict"] == "not run"
    assert judged["T1"]["parts"][0]["estimate"] is None
    assert judged["T2"]["verdict"] == "reproduced"
    claims.verdicts(["toy"], spec.ACCEPTED, ran)
    text = (ran / spec.ACCEPTED / "claims.md").read_text()
    assert "1 reproduced, 0 inconclusive, 1 not run, 0 not reproduced" in text


def test_a_part_that_fails_decides_a_claim_that_was_run_in_part_only():
    order = statistics.VERDICTS.index
    assert order("inconclusive") < order("not run") < order("not reproduced")


def test_without_accepted_results_the_error_says_what_to_do(tmp_path, folder):
    with pytest.raises(
        UserError, match=r"no accepted results of line; see `accept --preset paper`"
    ):
        accepted.restore("toy", "line", tmp_path, folder)


@pytest.mark.parametrize("table", ["lime", "line.aggregates", "lime.embedding"])
def test_a_table_that_is_none_is_refused_and_nothing_is_written(ran, folder, table):
    accept(ran, folder)
    with pytest.raises(UserError, match=table.removesuffix(".embedding")):
        accepted.restore("toy", table, ran, folder)
    assert not (ran / spec.ACCEPTED).exists()


def judge(ran, folder):
    for name in ("line", "same"):
        accepted.restore("toy", name, ran, folder)
    return {claim["id"]: claim for claim in claims.judge("toy", spec.ACCEPTED, ran, folder)}


def check(ran, folder):
    accepted.fingerprint("toy", "line", ran, folder)
    judge(ran, folder)
    said = []
    status = baselines.check("toy", spec.ACCEPTED, ran, folder=folder, say=said.append)
    return status, "\n".join(said)


def test_a_change_of_a_rule_moves_the_fingerprints_of_its_cells_only(ran, folder, monkeypatch):
    accept(ran, folder)
    assert check(ran, folder)[0] == 0
    rule = fingerprints.program.__globals__["networks"].layer_rule

    def scaled(chosen):
        found = rule(chosen)
        if chosen.rule == "backprop":
            return found
        init = found.feedback_init
        return type(found)(feedback_init=lambda *words, **more: 1.001 * init(*words, **more))

    monkeypatch.setattr(fingerprints.program.__globals__["networks"], "layer_rule", scaled)
    status, said = check(ran, folder)
    assert status == 1
    assert "loss 20, feedback_alignment (float32): baseline" in said
    assert "backprop (float32): baseline" not in said
    assert "renew: python -m replications accept toy --preset paper" in said


@pytest.mark.parametrize("change", ["every: 20", "test: 20"])
def test_a_change_of_a_spec_that_the_first_updates_do_not_show_is_caught(ran, folder, change):
    accept(ran, folder)
    assert check(ran, folder)[0] == 0
    changed = folder.parent / "changed" / "toy"
    shutil.copytree(folder / "toy", changed)
    file = changed / "experiments.yaml"
    text = file.read_text()
    assert change in text
    file.write_text(text.replace(change, change.replace("20", "30")))
    spec.load.cache_clear()
    status, said = check(ran, changed.parent)
    assert status == 1
    assert "accepted under another spec: line/backprop, line/feedback_alignment; renew: " in said


def test_a_fingerprint_of_a_short_run_is_what_the_run_records(tmp_path):
    """Fewer updates than are kept, and passes of three updates, each in an order of its own."""
    task = {"patterns": {"encoder": 5, "shuffle": True}}
    chosen = {**PAPER["experiments"]["line"]["spec"], "task": task, "epochs": 4, "batch": 2}
    chosen["record"] = {"epochs": 1}
    cell = spec.Cell("toy", "short", "arm", "quick", spec.RunSpec.model_validate(chosen))
    run = results.read_run(simulate(cell, tmp_path))
    assert np.isfinite(run.first_losses).sum(axis=1).tolist() == [12] * 4
    found = fingerprints.first_losses(cell, datasets.stand_in, 3)
    np.testing.assert_array_equal(found, run.first_losses[3])


def test_one_fingerprint_stands_for_cells_that_differ_in_the_size_of_numbers_alone():
    distinct = fingerprints.distinct(spec.cells_of("lillicrap2016", "linear_search", "paper"))
    assert [cell.spec.rule for cell in distinct] == [
        "shallow", "node_perturbation", "backprop", "feedback_alignment"
    ]  # fmt: skip
    # A sparse net runs code that a dense one does not, and no decay is not a small one.
    names = {
        cell.arm for cell in fingerprints.distinct(spec.cells_of("lillicrap2016", "mnist", "paper"))
    }
    assert names >= {"feedback_alignment", "sparse_feedback_alignment"}
    names = {
        cell.arm
        for cell in fingerprints.distinct(spec.cells_of("kolen_pollack1994", "mnist", "paper"))
    }
    assert names >= {"kolen_pollack", "kolen_pollack_no_decay"}


def test_a_fingerprint_needs_no_data_set_and_is_the_same_again():
    cell = spec.cell("nokland2016", "mnist_2x800", "direct_feedback_alignment", "paper")
    small = cell.spec.network.model_copy(update={"hidden": [9, 8]})
    cell = cell._replace(spec=cell.spec.model_copy(update={"network": small}))
    one, two = fingerprints.fingerprint(cell), fingerprints.fingerprint(cell)
    assert one.equals(two)
    assert one.notna().all()
    assert list(one.index[[0, 19, 20]]) == ["loss 1", "loss 20", "size of the weights"]
    # From zeros every output is one half.
    assert one["loss 1"] == pytest.approx(10 * np.log(2), rel=1e-6)
    assert one["loss 20"] < one["loss 1"]

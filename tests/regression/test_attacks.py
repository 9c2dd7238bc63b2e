"""Attacks on results: edits of what was accepted, and code that quietly computes something else.

Each is caught, and the test says by what: the check of accepted files, the refusals of ``accept``, or
``verify``, which trains accepted seeds again. All on a paper of seconds, whose results honest code made.
Of a paper's own cells ``verify`` reaches the first passes alone: CONTRIBUTING.md says what that leaves.
"""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from replications.harness.catalogue.datasets import DATASETS, Source
from replications.harness.catalogue.rules import RULES
from replications.harness.declared import experiments
from replications.harness.errors import UserError
from replications.harness.judging import (
    acceptance,
    accepted_verdicts,
    drift,
    manifests,
    verdicts,
    verify,
)
from replications.harness.judging.tabulate import tabulate
from replications.harness.records import read_run, write_run
from replications.harness.store import Store
from replications.harness.tables import read_table, write_table
from replications.harness.training import datasets, networks, program, run, tasks
from replications.harness.training.simulate import diverged_at, simulate

PAPER, NET, FROZEN, DESCENT = "small", "net", "frozen", "descent"
EPOCHS, UPDATES, BATCH = 8, 7, 8  # 50 examples: six whole batches and one of two
EXPERIMENTS = """
title: A paper of seconds
reference: none
experiments:
  net:
    title: A net on 50 examples
    place: none
    spec: &spec
      task: {images: {name: toy}}
      network: {hidden: [6], activation: tanh, output: logistic, init: {uniform: 0.5}}
      rule: backprop
      optimizer: {rmsprop: {learning_rate: 0.01, eps: 1.0e-8}}
      batch: 8
      epochs: 8
      record: {epochs: 1}
      stop_below_train_error: 0.02
      measures: [test_error, test_loss, delta_angle]
      probe: 20
      seeds: 3
    arms: {backprop: , feedback_alignment: {rule: feedback_alignment}}
    presets: {full: }
  frozen:
    title: The first layer waits for two epochs
    place: none
    spec: {<<: *spec, frozen_epochs: 2, seeds: 1}
    arms: {feedback_alignment: {rule: feedback_alignment}}
    presets: {full: }
  descent:
    title: Plain gradient descent, which feels how large a signal is
    place: none
    spec: {<<: *spec, optimizer: {sgd: {learning_rate: 0.1}}, seeds: 1}
    arms: {feedback_alignment: {rule: feedback_alignment}}
    presets: {full: }
"""
CLAIMS = """
claims:
  - id: T1
    place: none
    statement: Backprop errs on less than 90 %.
    said: {text: "< 90 %", certainty: OWN, source: these tests}
    control: {why: nothing is learnt yet, at: start}
    parts:
      - {value: {experiment: net, arm: backprop, measure: test_error}, below: 0.9}
"""
PUBLISHED = "[]\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The paper with its results, accepted at full scale. Not to be written to."""
    folder = tmp_path_factory.mktemp("attacks")
    # Most of these seconds are compilation.
    jax.config.update("jax_disable_most_optimizations", True)
    random = np.random.RandomState(0)
    arrays = {}
    for part, n in (("train", 50), ("test", 20)):
        arrays[f"{part}_y"] = (np.arange(n) % 3).astype(np.int32)
        noise = random.randint(0, 200, (n, 16))
        arrays[f"{part}_x"] = (noise + 18 * arrays[f"{part}_y"][:, None]).astype(np.uint8)
    source = Source("these tests", "1", (16,), 50, 20, 3, datasets.content_digest(arrays))
    DATASETS["toy"] = source
    store = Store(folder / "results", folder / "papers")
    store.dataset("toy").parent.mkdir(parents=True)
    np.savez(store.dataset("toy"), **arrays)
    digest = datasets._file_sha256(store.dataset("toy"))
    datasets._sha256_file(store.dataset("toy")).write_text(digest)
    (store.papers / PAPER).mkdir(parents=True)
    for file, text in (("experiments", EXPERIMENTS), ("claims", CLAIMS), ("published", PUBLISHED)):
        (store.papers / PAPER / f"{file}.yaml").write_text(text)
    for cell in experiments.cells(PAPER, "full", store):
        simulate(cell, store)
    assert acceptance.accept(PAPER, "full", store, yes=True, say=lambda _: None, passes=0) == 0
    yield store
    del DATASETS["toy"]
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def store(made, tmp_path):
    """The same in folders of its own, to be attacked."""
    shutil.copytree(made.papers, tmp_path / "papers")
    shutil.copytree(made.results, tmp_path / "results")
    return Store(tmp_path / "results", tmp_path / "papers")


def cell_of(store, arm="feedback_alignment", experiment=NET):
    return experiments.cell(PAPER, experiment, arm, "full", store)


def caught_by_verify(store, seed=1, passes=EPOCHS, arm="feedback_alignment", experiment=NET):
    """What ``verify`` finds different in a seed."""
    cell = cell_of(store, arm, experiment)
    return verify.compare(cell, verify.accepted(cell, [seed], store), store, passes)[seed].differ


def first_of(differ):
    """The first update after which something differs."""
    return min(int(line.split()[1].rstrip(",")) for line in differ if line.startswith("step"))


# Edits of what was accepted. A forger who renews the digests as well meets `verify`.


def edit_records(store, change, experiment=NET):
    file = store.kept(PAPER, "full", experiment, "runs")
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    change(table).to_csv(file, index=False)


def forge(store):
    """Renew every digest, as who can edit the records can."""
    folder = store.accepted(PAPER, "full")
    old = manifests.read_manifest(PAPER, "full", store)
    there = (f for f in folder.iterdir() if f.name != "manifest.json")
    files = {f.name: manifests.text_digest(f.read_text()) for f in there}
    (folder / "manifest.json").write_text(manifests.Manifest(old.declared, files, old.cells).text)


def lower(arm, seed, epochs, by):
    def change(table):
        rows = (table.arm == arm) & (table.seed == str(seed)) & table.epoch.isin(map(str, epochs))
        value = table.loc[rows, "test_error"].astype(float) + by
        table.loc[rows, "test_error"] = value.map("{:.6g}".format)
        return table

    return change


def exchanged(column, a, b):
    def change(table):
        table[column] = table[column].replace({a: b, b: a})
        return table

    return change


def copied(table):
    """Seed 1 with the records of seed 0."""
    kept = table[table.seed != "1"]
    return pd.concat([kept, table[table.seed == "0"].assign(seed="1")])


def an_epoch_late(table):
    """Every error where the one of the epoch after belongs; the last stands twice."""
    shifted = table.groupby(["arm", "seed"]).test_error.shift(-1)
    return table.assign(test_error=shifted.fillna(table.test_error))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lower("backprop", 2, range(4, EPOCHS + 1), -0.1), "backprop, seed 2"),
        (lower("backprop", 0, [EPOCHS], 0.0003), "backprop, seed 0"),
        (lambda t: t[~((t.arm == "backprop") & (t.seed != "0"))], "backprop, seed 1"),
        (exchanged("seed", "1", "2"), "backprop, seed 1"),
        (exchanged("arm", "backprop", "feedback_alignment"), "backprop, seed 0"),
        (lambda t: t.iloc[: len(t) // 2], "feedback_alignment, seed 0"),
        (lambda t: pd.concat([t, t.tail(9).assign(seed="3")]), "feedback_alignment, seed 3"),
    ],
    ids=["late records", "one number", "seeds deleted", "seeds swapped", "arms swapped",
         "cut in half", "a seed made up"],
)  # fmt: skip
def test_edited_records_are_named_by_the_check_of_digests(store, change, named):
    assert manifests.damage(PAPER, "full", store) == []
    edit_records(store, change)
    assert any(named in line for line in manifests.damage(PAPER, "full", store))


@pytest.mark.parametrize("epoch", [1, EPOCHS], ids=["early", "late"])
def test_an_edit_with_renewed_digests_is_caught_by_verify(store, epoch):
    edit_records(store, lower("feedback_alignment", 1, [epoch], -0.05))
    forge(store)
    assert manifests.damage(PAPER, "full", store) == []
    assert first_of(caught_by_verify(store)) == epoch * UPDATES


@pytest.mark.parametrize(
    ("change", "step"),
    [
        (exchanged("seed", "1", "2"), 0),
        (exchanged("arm", "backprop", "feedback_alignment"), 0),
        (copied, 0),
        (an_epoch_late, UPDATES),
        (lambda t: t[t.epoch != "5"], 5 * UPDATES),
    ],
    ids=["seeds swapped", "arms swapped", "a seed copied", "an epoch late", "a bad epoch left out"],
)
def test_records_put_elsewhere_with_renewed_digests_are_caught_by_verify(store, change, step):
    edit_records(store, change)
    forge(store)
    assert manifests.damage(PAPER, "full", store) == []
    assert first_of(caught_by_verify(store)) == step


def test_a_second_column_of_one_name_is_caught_by_the_digest_of_the_file(store):
    # Readers differ in which of the two they take.
    file = store.kept(PAPER, "full", NET, "runs")
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    table.insert(4, "forged", "0.01")
    text = table.to_csv(index=False)
    file.write_text(text.replace("forged", "test_error", 1))
    assert "net.runs.csv: another text" in manifests.damage(PAPER, "full", store)[0]


def test_a_late_edit_is_out_of_reach_of_the_first_passes(store):
    edit_records(store, lower("feedback_alignment", 1, [EPOCHS], -0.05))
    forge(store)
    assert caught_by_verify(store, passes=2) == []


def test_an_edited_verdict_is_caught_by_deriving_it_again(store):
    file = store.accepted(PAPER, "full") / "claims.csv"
    honest = drift.accepted_verdicts(PAPER, "full", store)["T1"]
    forged = "not reproduced" if honest == "reproduced" else "reproduced"
    file.write_text(file.read_text().replace(f"T1,{honest}", f"T1,{forged}"))
    assert any("claims.csv" in line for line in manifests.damage(PAPER, "full", store))
    forge(store)
    read = verdicts.tables(PAPER, "full", store, accepted=True)
    derived = verdicts.judge_tables(PAPER, "full", read, store)
    accepted = drift.accepted_verdicts(PAPER, "full", store)
    lines = drift.other_verdicts(accepted, derived, [NET, FROZEN])
    assert lines == [f"claim T1: accepted {forged}, the accepted records give {honest}"]
    judged = json.loads(json.dumps(derived))
    judged["claims"][0]["verdict"] = forged
    assert len(drift.stale_verdicts(judged, derived)) == 1


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("Backprop errs on less than 90 %.", "Backprop errs on less than 5 %.", "statement"),
        ('"region": "< 0.9"', '"region": "< 0.05"', "parts"),
        ('"power": false', '"power": true', "power"),
        ('"declared": 3', '"declared": 2', "parts"),
    ],
)
def test_edited_words_and_numbers_of_a_verdict_are_caught_by_deriving_them_again(
    store, old, new, named
):
    read = verdicts.tables(PAPER, "full", store, accepted=True)
    derived = verdicts.judge_tables(PAPER, "full", read, store)
    honest = accepted_verdicts.judged_as_accepted(PAPER, "full", store)
    assert drift.other_accounts(honest, derived, [NET, FROZEN, DESCENT]) == []
    file = store.kept_verdicts(PAPER, "full")
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    forge(store)
    forged = accepted_verdicts.judged_as_accepted(PAPER, "full", store)
    lines = drift.other_accounts(forged, derived, [NET, FROZEN, DESCENT])
    assert lines == [f"claim T1: {named} is not that of its numbers and of claims.yaml"]
    # The same of what was judged now, before it is accepted.
    assert drift.stale_verdicts(forged, derived) == lines


def test_fewer_declared_runs_after_a_result_are_caught_by_its_verdict(store):
    text = store.experiments(PAPER).read_text().replace("seeds: 3", "seeds: 2")
    store.experiments(PAPER).write_text(text)
    read = verdicts.tables(PAPER, "full", store, accepted=True)
    derived = verdicts.judge_tables(PAPER, "full", read, store)
    accepted = accepted_verdicts.judged_as_accepted(PAPER, "full", store)
    lines = drift.other_accounts(accepted, derived, [NET, FROZEN, DESCENT])
    assert "claim T1: parts is not that of its numbers and of claims.yaml" in lines


def test_a_margin_loosened_after_a_result_is_caught_by_the_digest_of_the_claims(store):
    assert manifests.other_declarations(PAPER, "full", store) == []
    store.claims(PAPER).write_text(CLAIMS + "# a comment says nothing\n")
    assert manifests.other_declarations(PAPER, "full", store) == []
    store.claims(PAPER).write_text(CLAIMS.replace("below: 0.9", "below: 0.99"))
    assert "claims.yaml is another" in manifests.other_declarations(PAPER, "full", store)[0]
    store.published(PAPER).write_text("- made up\n")
    assert "published.yaml is another" in manifests.other_declarations(PAPER, "full", store)[2]


def test_a_stale_figure_is_caught_by_its_pixels(tmp_path):
    from matplotlib.figure import Figure

    from tests.regression.check_accepted import unlike

    for name, end in (("kept", 2.0), ("same", 2.0), ("stale", 2.1)):
        drawing = Figure(figsize=(2, 2))
        drawing.subplots().plot([0, 1], [1, end])
        drawing.savefig(tmp_path / f"{name}.png")
    kept, same, stale = (tmp_path / f"{name}.png" for name in ("kept", "same", "stale"))
    assert unlike(kept, same, exact=True) == ""
    assert "pixels" in unlike(kept, stale, exact=True)


def test_an_edited_or_cut_table_is_caught_by_its_runs(store):
    tabulate(PAPER, NET, "full", store)
    file = store.table("full", PAPER, NET)
    assert drift.stale_tables(PAPER, "full", [NET], store) == []
    whole = file.read_text()
    edited = read_table(file)
    edited.loc[0, "value"] += 0.001
    write_table(file, edited)  # with the sha256 that belongs to it
    assert len(drift.stale_tables(PAPER, "full", [NET], store)) == 1
    cut = "".join(whole.splitlines(True)[:40])
    for text in (whole.replace(",0.0,", ",0.001,", 1), whole[: len(whole) // 2], cut, "", "\0"):
        file.write_text(text)
        with pytest.raises(UserError, match=r"\.csv: (damaged|cut off)"):
            drift.stale_tables(PAPER, "full", [NET], store)


def test_damaged_results_and_accepted_files_are_refused_in_one_line(store):
    cell = cell_of(store)
    file = store.run("full", PAPER, NET, cell.arm)
    whole = file.read_bytes()
    middle = len(whole) // 2
    flipped = bytes([*whole[:middle], whole[middle] ^ 1, *whole[middle + 1 :]])
    for content in (whole[:-20], flipped, b"", b"PK\x03\x04 no archive"):
        file.write_bytes(content)
        with pytest.raises(
            UserError, match=r"feedback_alignment\.npz: (not a whole|damaged)"
        ) as told:
            read_run(file)
        assert "\n" not in str(told.value)
    shutil.copy(store.run("full", PAPER, NET, "backprop"), file)
    with pytest.raises(UserError, match=r"the result of .*net/backprop"):
        read_run(file)
    folder = store.accepted(PAPER, "full")
    (folder / "manifest.json").write_text("{")
    with pytest.raises(UserError, match=r"manifest\.json: damaged"):
        manifests.damage(PAPER, "full", store)


# Runs that `accept` refuses.


def tampered(store, change, arm="backprop", **more):
    """Change a run and offer it: what ``accept`` says."""
    file = store.run("full", PAPER, NET, arm)
    write_run(file, change(read_run(file)))
    with pytest.raises(UserError) as told:
        acceptance.accept(PAPER, "full", store, yes=True, say=lambda _: None, **more)
    return str(told.value)


def with_measure(name, by):
    return lambda run: run._replace(measures=run.measures | {name: run.measures[name] + by})


def with_manifest(**more):
    return lambda run: run._replace(manifest=run.manifest | more)


def more_seeds(run):
    origin = run.manifest["origins"][0]
    seeds = {**origin["seeds"], "3": origin["seeds"]["0"]}
    arrays = {name: np.concatenate([v, v[:1]]) for name, v in run.measures.items()}
    losses = np.concatenate([run.first_losses, run.first_losses[:1]])
    manifest = run.manifest | {"origins": [origin | {"seeds": seeds}]}
    return run._replace(
        seeds=np.append(run.seeds, 3), first_losses=losses, measures=arrays, manifest=manifest
    )


def other_data(run):
    origin = run.manifest["origins"][0]
    origins = [origin | {"dataset": origin["dataset"] | {"content": "of another"}}]
    return run._replace(manifest=run.manifest | {"origins": origins})


def one_epoch_less(run):
    cut = {name: v[:, :-1] for name, v in run.measures.items()}
    return run._replace(step=run.step[:-1], measures=cut)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (with_measure("delta_angle/hidden_1", 14.0), "degrees: the run is not by backprop"),
        (with_manifest(spec_digest="another"), "of another spec"),
        (more_seeds, "seed 3 is not among the 3 declared"),
        (other_data, "trained on other data than toy"),
        (one_epoch_less, "its spec says 9 up to 56"),
        (with_measure("test_error", 0.05), "today's code gives another run"),
        (lambda run: run._replace(first_losses=0 * run.first_losses), "first losses"),
    ],
    ids=["backprop at an angle", "another spec", "seeds beyond", "other data", "an epoch less",
         "made-up errors", "made-up first losses"],
)  # fmt: skip
def test_accept_refuses(store, change, words):
    before = {f.name: f.read_bytes() for f in store.accepted(PAPER, "full").iterdir()}
    assert words in tampered(store, change)
    assert {f.name: f.read_bytes() for f in store.accepted(PAPER, "full").iterdir()} == before


def test_an_edit_cannot_slip_in_beside_new_seeds(store):
    edit_records(store, lower("backprop", 2, [EPOCHS], -0.1))
    assert "backprop, seed 2" in tampered(store, lambda run: run, passes=0)


@pytest.mark.parametrize("name", ["frozen.first_losses.csv", "notes.txt"])
def test_an_edit_of_what_stays_cannot_slip_in_beside_new_results(store, name):
    # Nothing of this experiment is offered, so that its accepted files stay.
    store.run("full", PAPER, FROZEN, "feedback_alignment").unlink()
    with (store.accepted(PAPER, "full") / name).open("a") as file:
        file.write("21,0.1\n")
    assert name in tampered(store, lambda run: run, passes=0)


def test_accept_interrupted_leaves_the_old_results(store, monkeypatch):
    folder = store.accepted(PAPER, "full")
    before = {f.name: f.read_bytes() for f in folder.iterdir()}
    offered = acceptance.Proposal([NET, FROZEN], {"net.runs.csv": "other records"})
    monkeypatch.setattr(acceptance, "_of_full_scale", lambda *_: offered)

    def closed(_):
        raise EOFError

    with pytest.raises(UserError, match="standard input is closed"):
        acceptance.accept(PAPER, "full", store, say=lambda _: None, ask=closed)

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(manifests.Manifest, "text", property(interrupted))
    with pytest.raises(KeyboardInterrupt):
        acceptance.accept(PAPER, "full", store, yes=True, say=lambda _: None)
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == before
    assert [f.name for f in folder.parent.iterdir()] == ["full"]


# Code that computes something else. Where in a run it begins to differ tells how many passes are needed.


def of_program(monkeypatch, **changes):
    """Runs of a program with some functions exchanged: name -> (program, old function) -> new one."""
    honest = program.program

    def attacked(spec, task):
        made = honest(spec, task)
        return made._replace(**{k: change(made, getattr(made, k)) for k, change in changes.items()})

    monkeypatch.setattr(run, "program", attacked)


def update_by_update(change):
    """An ``advance`` that makes of (state before, state after one update) another state after it."""

    def attack(_, advance):
        def attacked(state, seed, indices, data, updates):
            def one(_, before):
                return change(before, advance(before, seed, indices, data, jnp.int32(1)))

            return jax.lax.fori_loop(0, updates, one, state)

        return attacked

    return attack


def scaled_rest(factor):
    """Feedback, drawn once, times a factor."""

    def attack(_, start):
        def attacked(seed):
            state = start(seed)
            floats = lambda x: jnp.issubdtype(x.dtype, jnp.floating)  # noqa: E731
            rest = jax.tree.map(lambda x: x * factor if floats(x) else x, state.rest)
            return state._replace(rest=rest)

        return attacked

    return attack


def weights_times(factor):
    def attack(_, start):
        def attacked(seed):
            state = start(seed)
            return state._replace(trained=jax.tree.map(lambda x: x * factor, state.trained))

        return attacked

    return attack


def other_seed(which):
    return lambda _, f: lambda seed, *more: f(which(seed), *more)


def one_and_two(seed):
    return jnp.where(seed == 1, 2, jnp.where(seed == 2, 1, seed)).astype(seed.dtype)


def every_second(before, after):
    """The running error counts every second batch."""
    return after._replace(sums=jnp.where(after.step % 2 == 0, after.sums, before.sums))


def weaker_after(updates, factor):
    def change(before, after):
        times = jnp.where(before.step >= updates, factor, 1.0)
        move = lambda a, b: a + times * (b - a)  # noqa: E731
        return after._replace(trained=jax.tree.map(move, before.trained, after.trained))

    return change


def without_last_batch(before, after):
    """The seventh batch of an epoch, of two examples, teaches nothing."""
    last = before.step % UPDATES == UPDATES - 1
    keep = lambda a, b: jnp.where(last, a, b)  # noqa: E731
    trained = jax.tree.map(keep, before.trained, after.trained)
    return after._replace(trained=trained, sums=keep(before.sums, after.sums))


def no_average(before, after):
    """RMSprop forgets its average at the end of every epoch."""
    border = after.step % UPDATES == 0
    return after._replace(
        optimizer=jax.tree.map(
            lambda x: jnp.where(border, 0 * x, x) if jnp.issubdtype(x.dtype, jnp.floating) else x,
            after.optimizer,
        )
    )


def measured_with(change):
    """Measures of other weights than those that were trained."""

    def attack(_, measure):
        def attacked(state, before, data):
            other = state._replace(trained=change(state.trained, before.trained))
            _, found = measure(other, before, data)
            return measure(state, before, data)[0], found

        return attacked

    return attack


PROGRAMS = {
    "measured with averaged weights": (
        {
            "measure": measured_with(
                lambda now, start: jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, now, start)
            )
        },
        UPDATES,
    ),
    # attack: (functions exchanged, first update by whose record it is seen)
    "first weights times 1.0001": ({"start": weights_times(1.0001)}, 0),
    "seeds shifted": ({"start": other_seed(lambda seed: seed + 1)}, 0),
    "seeds 1 and 2 exchanged": ({"start": other_seed(one_and_two)}, 0),
    "one order for all epochs": (
        {"order": lambda _, f: lambda seed, epoch: f(seed, 0 * epoch)},
        2 * UPDATES,
    ),
    "the order of another seed": ({"order": other_seed(one_and_two)}, UPDATES),
    "a last batch dropped": ({"advance": update_by_update(without_last_batch)}, UPDATES),
    "training error over every second batch": (
        {"advance": update_by_update(every_second)},
        UPDATES,
    ),
    "updates times 0.97 after update 20": (
        {"advance": update_by_update(weaker_after(20, 0.97))},
        3 * UPDATES,
    ),
    "moments forgotten at every epoch": ({"advance": update_by_update(no_average)}, 2 * UPDATES),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_another_program_is_caught_by_verify_at_its_first_record(store, monkeypatch, name):
    functions, step = PROGRAMS[name]
    of_program(monkeypatch, **functions)
    assert first_of(caught_by_verify(store, passes=4)) == step


def test_feedback_times_1_0001_is_caught_where_the_size_of_a_signal_counts(store, monkeypatch):
    # RMSprop divides it out again: there it changes no number, and there is nothing to catch.
    of_program(monkeypatch, start=scaled_rest(1.0001))
    assert first_of(caught_by_verify(store, 0, 3, experiment=DESCENT)) <= 3 * UPDATES


def test_feedback_times_1_001_is_caught_on_another_processor_too(store, monkeypatch):
    # These cells are of a few updates: there another processor's round-off is small, and so is what is allowed.
    monkeypatch.setattr(verify, "tier", lambda origin: "another processor")
    assert caught_by_verify(store, 0, 3, experiment=DESCENT) == []
    of_program(monkeypatch, start=scaled_rest(1.001))
    assert first_of(caught_by_verify(store, 0, 3, experiment=DESCENT)) <= 3 * UPDATES


def another_optimizer(**changes):
    def attack(monkeypatch):
        honest = program.optimizer

        def attacked(spec, steps_per_epoch):
            other = spec.optimizer.model_copy(
                update={"rmsprop": spec.optimizer.rmsprop.model_copy(update=changes)}
            )
            return honest(spec.model_copy(update={"optimizer": other}), steps_per_epoch)

        monkeypatch.setattr(program, "optimizer", attacked)

    return attack


def another_task(change):
    def attack(monkeypatch):
        honest = tasks.build
        monkeypatch.setattr(
            tasks,
            "build",
            lambda spec, images: (lambda t: t._replace(data=change(t.data)))(honest(spec, images)),
        )

    return attack


def handicapped(monkeypatch):
    """Feedback alignment trains at another rate than its spec says, and backprop does not."""
    honest = program.optimizer

    def attacked(spec, steps_per_epoch):
        rate = 0.009 if spec.rule == "feedback_alignment" else 0.01
        changed = spec.optimizer.rmsprop.model_copy(update={"learning_rate": rate})
        other = spec.optimizer.model_copy(update={"rmsprop": changed})
        return honest(spec.model_copy(update={"optimizer": other}), steps_per_epoch)

    monkeypatch.setattr(program, "optimizer", attacked)


def swapped_rule(monkeypatch):
    rules = {**RULES, "feedback_alignment": RULES["backprop"]}
    monkeypatch.setattr(program, "RULES", rules)
    monkeypatch.setattr(networks, "RULES", rules)


OTHERS = {
    "an optimiser's epsilon": another_optimizer(eps=1e-6),
    "a rate rounded": another_optimizer(learning_rate=0.01001),
    "evaluation on training data": another_task(
        lambda d: d._replace(test_x=d.train_x[:20], test_y=d.train_y[:20])
    ),
    "the hardest test example left out": another_task(
        lambda d: d._replace(test_x=d.test_x[:-1], test_y=d.test_y[:-1])
    ),
    "test examples among those of training": another_task(
        lambda d: d._replace(
            train_x=jnp.concatenate([d.test_x, d.train_x[20:]]),
            train_y=jnp.concatenate([d.test_y, d.train_y[20:]]),
        )
    ),
    "one label of the test another": another_task(
        lambda d: d._replace(test_y=jnp.asarray(d.test_y).at[0].set(jnp.roll(d.test_y[0], 1)))
    ),
    "another memory of the optimiser": another_optimizer(decay=0.999),
    "inputs a little stronger": another_task(lambda d: d._replace(train_x=d.train_x * 1.0005)),
    "backprop under another name": swapped_rule,
    "one rule at another rate": handicapped,
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_task_rule_or_optimiser_is_caught_by_verify_in_the_first_pass(
    store, monkeypatch, name
):
    OTHERS[name](monkeypatch)
    assert first_of(caught_by_verify(store, passes=1)) <= UPDATES


def test_a_first_layer_that_never_unfreezes_is_caught_once_it_should_have(store, monkeypatch):
    honest = program._free

    def never(spec, step, per_epoch):
        return dict.fromkeys(honest(spec, step, per_epoch), step < 0)

    monkeypatch.setattr(program, "_free", never)
    # Before it should have learnt there is nothing to see.
    assert caught_by_verify(store, 0, 2, experiment=FROZEN) == []
    assert first_of(caught_by_verify(store, 0, 3, experiment=FROZEN)) == 3 * UPDATES


def best_at_the_end(monkeypatch):
    honest = run.Trainer.train

    def attacked(self, group, checkpoint, progress, last=None):
        found = honest(self, group, checkpoint, progress, last)
        if last in (None, self.when[-1]):
            error = found["test_error"].copy()
            error[:, -1] = error.min(axis=1)
            found |= {"test_error": error}
        return found

    monkeypatch.setattr(run.Trainer, "train", attacked)


def test_the_best_checkpoint_at_the_end_is_caught_by_verifying_a_short_cell_whole(
    store, monkeypatch
):
    errors = read_run(store.run("full", PAPER, NET, "feedback_alignment")).measures["test_error"]
    seed = int(np.argmax(errors[:, -1] - errors.min(axis=1)))
    assert errors[seed, -1] > errors[seed].min(), "a seed whose end is not its best"
    best_at_the_end(monkeypatch)
    assert first_of(caught_by_verify(store, seed)) == EPOCHS * UPDATES


def test_an_epoch_more_is_another_spec(store):
    text = store.experiments(PAPER).read_text().replace("epochs: 8", "epochs: 9")
    store.experiments(PAPER).write_text(text)
    moved = drift.other_specs(PAPER, "full", [NET], store)
    assert moved == ["net/backprop", "net/feedback_alignment"]


def test_honest_code_gives_every_digit_again(store):
    said = []
    asked = verify.accepted_seeds(PAPER, NET, None, store)
    assert verify.verify(asked, store, EPOCHS, say=said.append) == 0
    assert len(said) == 7
    assert all("equal in every digit" in line for line in said[:-1])
    assert said[-1] == "6 of 6 accepted seeds trained again, none differs"


def test_a_diverged_run_is_recorded_with_its_update(store):
    found = read_run(store.run("full", PAPER, NET, "backprop"))
    losses = found.measures["train_loss"].copy()
    losses[1, 3:] = np.inf
    first = found.first_losses.copy()
    first[2, 4:] = np.nan
    diverged = found._replace(measures=found.measures | {"train_loss": losses}, first_losses=first)
    assert diverged_at(diverged) == [None, 3 * UPDATES, 5]
    assert diverged_at(found) == [None, None, None]

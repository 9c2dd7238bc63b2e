"""Experiments are resolved as the file says, and what was accepted is still what they say."""

import hashlib
import json

import pytest

from replications.harness.declared import experiments
from replications.harness.declared.experiments import (
    accepted,
    cell,
    cells,
    cells_of,
    kept,
    papers,
    same_in_both,
)
from replications.harness.errors import UserError
from replications.harness.store import PRESETS, Store
from tests.harness.papers import TOY, write_line, write_paper


def resolve(store, arm="backprop", preset="quick"):
    return cell("paper", "line", arm, preset, store).spec


def test_a_cell_is_the_base_then_the_preset_then_the_arm(tmp_path):
    store = write_line(tmp_path)
    assert resolve(store).rule == "backprop"
    assert resolve(store).network.hidden == [4]
    assert resolve(store, "wide").network.hidden == [9]
    assert resolve(store, "wide").network.activation == "linear"
    assert (resolve(store, "backprop", "full").epochs, resolve(store).epochs) == (5, 1)
    assert resolve(store, "backprop", "full").seeds == 3
    assert resolve(store, "wide", "full").seeds == 7


def test_another_choice_replaces_the_bases_and_does_not_join_it(tmp_path):
    adam = resolve(write_line(tmp_path), "adam")
    assert adam.optimizer.sgd is None
    assert adam.optimizer.adam is not None
    assert adam.network.init.kind == "zeros"


def test_a_choice_that_a_cell_does_not_make_is_no_part_of_its_digest():
    for name, made in (("mnist_2x800_dropout", False), ("mnist_2x800_dropout_halved", True)):
        one = experiments.cell("nokland2016", name, "backprop", "full")
        assert ("halve_every" in one.spec.model_dump()["optimizer"]) == made


def test_the_digest_of_a_cell_moves_with_its_own_numbers_only(tmp_path):
    def change(paper):
        paper["experiments"]["line"]["arms"]["wide"]["network"]["hidden"] = [8]

    before = {c.arm: c.digest for c in cells("paper", "quick", write_line(tmp_path / "a"))}
    after = {c.arm: c.digest for c in cells("paper", "quick", write_line(tmp_path / "b", change))}
    assert {arm for arm in before if before[arm] != after[arm]} == {"wide"}


@pytest.mark.parametrize(
    ("ask", "line"),
    [
        (("papre", "line", "wide", "quick"), "unknown paper 'papre'; did you mean 'paper'?"),
        (("paper", "lien", "wide", "quick"), "unknown experiment 'lien'; did you mean 'line'?"),
        (("paper", "line", "wyde", "quick"), "unknown arm 'wyde'; did you mean 'wide'?"),
        (("paper", "line", "wide", "quik"), "unknown preset 'quik'; did you mean 'quick'?"),
    ],
)
def test_an_unknown_name_is_one_line_that_names_the_nearest(tmp_path, ask, line):
    with pytest.raises(UserError) as caught:
        cell(*ask, write_line(tmp_path))
    assert line in str(caught.value)


@pytest.mark.parametrize(
    ("presets", "line"),
    [
        ({"qick": {"seeds": 2}}, "wide: unknown preset 'qick'; did you mean 'quick'?"),
        (None, "wide: presets: None is wrong: give a mapping"),
        ({"quick": 3}, "wide: presets: quick: 3 is wrong: give a mapping"),
    ],
)
def test_a_mistake_in_the_presets_of_an_arm_is_one_line(tmp_path, presets, line):
    def change(paper):
        paper["experiments"]["line"]["arms"]["wide"]["presets"] = presets

    with pytest.raises(UserError) as caught:
        resolve(write_line(tmp_path, change))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def renamed(old, new):
    def change(paper):
        arms = paper["experiments"]["line"]["arms"]
        arms[new] = arms.pop(old)

    return change


@pytest.mark.parametrize("name", ["../up", "a/b", "a b", "", "null", "NaN", ".hidden", "a,b"])
def test_a_name_that_is_none_for_a_file_or_a_column_is_one_line(tmp_path, name):
    store = write_line(tmp_path / "arm", renamed("wide", name))
    with pytest.raises(UserError) as caught:
        cells("paper", "quick", store)
    assert f"experiments.line.arms: arm {name!r}: a name is letters, digits" in str(caught.value)
    assert "\n" not in str(caught.value)

    def change(paper):
        paper["experiments"][name] = paper["experiments"].pop("line")

    with pytest.raises(UserError) as caught:
        cells("paper", "quick", write_line(tmp_path / "experiment", change))
    assert f"experiment {name!r}: a name is letters, digits" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [None, 3, 0.1])
def test_an_arm_that_yaml_reads_as_no_text_is_one_line(tmp_path, name):
    with pytest.raises(UserError) as caught:
        cells("paper", "quick", write_line(tmp_path, renamed("wide", name)))
    assert "experiments.line.arms" in str(caught.value)
    assert "\n" not in str(caught.value)


# At full scale


@pytest.fixture
def store(tmp_path):
    """A paper with an experiment of one size in both presets, and one of two."""
    paper = {**TOY, "experiments": {"same": TOY["experiments"]["toy"]}}
    paper["experiments"]["line"] = {
        **TOY["experiments"]["toy"],
        "presets": {"quick": {"seeds": 2}, "full": None},
    }
    return write_paper(tmp_path, paper)


def test_an_experiment_of_one_size_in_both_presets_is_quicks_own(store):
    assert same_in_both("toy", "same", store)
    assert not same_in_both("toy", "line", store)
    assert accepted("toy", store) == []


def test_accepted_are_the_experiments_whose_records_are_kept_and_those_that_quick_runs(store):
    store.accepted("toy", "full").mkdir(parents=True)
    assert (kept("toy", store), accepted("toy", store)) == ([], ["same"])
    store.kept("toy", "full", "line", "runs").write_text("arm\n")
    assert (kept("toy", store), accepted("toy", store)) == (["line"], ["same", "line"])


def test_an_experiment_that_a_preset_does_not_have_is_named(store):
    with pytest.raises(
        UserError, match="toy: no experiment 'lime' in preset 'quick'; did you mean"
    ):
        cells_of("toy", "lime", "quick", store)


# Those of the papers


def origins():
    for paper in papers():
        for preset in PRESETS:
            file = Store().accepted(paper, preset) / "manifest.json"
            if preset == "full" and not file.exists():  # nothing was run at full scale
                continue
            yield paper, preset, json.loads(file.read_text())["cells"]


def test_what_was_accepted_is_of_the_specs_of_today():
    found = 0
    for paper, preset, cells_of_it in origins():
        now = {one.key: one.digest for one in cells(paper, preset)}
        for key, origin in cells_of_it.items():
            assert origin["spec_digest"] == now[key], f"{paper}/{key} ({preset})"
            found += 1
    assert found == 270


def test_the_digests_of_all_accepted_cells_are_what_they_were():
    """A change of a default or of a field's name moves this one number."""
    lines = [
        f"{paper} {preset} {one.key} {one.digest}"
        for paper, preset, known in origins()
        for one in cells(paper, preset)
        if one.key in known
    ]
    assert len(lines) == 270
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == (
        "95f1c00cb62e727801c6c534fa7d4e6579d70f55a9f3b189f1167c7cb7657b92"
    )


def test_the_nets_are_those_of_the_tables():
    layers = {"7x240": [240] * 7, "100x240": [240] * 100, "4x800": [800] * 4, "3x1000": [1000] * 3}
    for one in cells("nokland2016", "full"):
        name = one.experiment.split("_")[1]
        assert one.spec.network.hidden == layers.get(name, one.spec.network.hidden)
        assert one.spec.optimizer.rmsprop.eps == 1e-8
        assert one.spec.batch == 64


@pytest.mark.parametrize("preset", PRESETS)
def test_backprop_with_the_decay_differs_from_kolen_pollack_in_the_rule_alone(preset):
    for experiment in {c.experiment for c in cells("kolen_pollack1994", preset)} & {
        "mnist",
        "cifar10",
    }:
        ours, theirs = (
            cell("kolen_pollack1994", experiment, arm, preset).spec
            for arm in ("kolen_pollack", "backprop_decay")
        )
        assert ours.model_copy(update={"rule": "backprop", "measures": theirs.measures}) == theirs

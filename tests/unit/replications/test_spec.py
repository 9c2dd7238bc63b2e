"""Experiments are resolved as the file says, and a mistake in it is one clear line."""

import copy
import subprocess
import sys

import pytest
import yaml

from replications import __main__ as cli
from replications.harness.declared import spec
from replications.harness.errors import UserError

PAPER = {
    "title": "A paper",
    "reference": "Somebody (1999)",
    "experiments": {
        "line": {
            "title": "A line",
            "place": "Fig. 1",
            "spec": {
                "task": {"teacher": {"inputs": 3, "outputs": 2, "train": 50}},
                "network": {"hidden": [4], "activation": "linear", "init": {"uniform": 0.1}},
                "rule": "feedback_alignment",
                "optimizer": {"sgd": {"learning_rate": 0.01}},
                "measures": ["test_nse"],
                "seeds": 2,
            },
            "arms": {
                "backprop": {"rule": "backprop"},
                "wide": {"network": {"hidden": [9]}, "presets": {"paper": {"seeds": 7}}},
                "adam": {
                    "optimizer": {"adam": {"learning_rate": 0.1}},
                    "network": {"init": "zeros"},
                },
            },
            "presets": {"quick": None, "paper": {"epochs": 5, "seeds": 3}},
        }
    },
}


def written(tmp_path, change=lambda paper: None):
    content = copy.deepcopy(PAPER)
    change(content)
    (tmp_path / "paper").mkdir(parents=True)
    (tmp_path / "paper" / "experiments.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return tmp_path


def resolve(folder, arm="backprop", preset="quick"):
    return spec.cell("paper", "line", arm, preset, folder).spec


def test_a_cell_is_the_base_then_the_preset_then_the_arm(tmp_path):
    folder = written(tmp_path)
    assert resolve(folder).rule == "backprop"
    assert resolve(folder).network.hidden == [4]
    assert resolve(folder, "wide").network.hidden == [9]
    assert resolve(folder, "wide").network.activation == "linear"
    assert (resolve(folder, "backprop", "paper").epochs, resolve(folder).epochs) == (5, 1)
    assert resolve(folder, "backprop", "paper").seeds == 3
    assert resolve(folder, "wide", "paper").seeds == 7


def test_another_choice_replaces_the_bases_and_does_not_join_it(tmp_path):
    adam = resolve(written(tmp_path), "adam")
    assert adam.optimizer.sgd is None
    assert adam.optimizer.adam is not None
    assert adam.network.init.kind == "zeros"


def test_a_choice_that_a_cell_does_not_make_is_no_part_of_its_digest():
    for chosen, made in (("mnist_2x800_dropout", False), ("mnist_2x800_dropout_halved", True)):
        cell = spec.cell("nokland2016", chosen, "backprop", "paper")
        assert ("halve_every" in cell.spec.model_dump()["optimizer"]) == made


def test_the_digest_of_a_cell_moves_with_its_own_numbers_only(tmp_path):
    def change(paper):
        paper["experiments"]["line"]["arms"]["wide"]["network"]["hidden"] = [8]

    before = {c.arm: c.digest for c in spec.cells("paper", "quick", written(tmp_path / "a"))}
    after = {c.arm: c.digest for c in spec.cells("paper", "quick", written(tmp_path / "b", change))}
    assert {arm for arm in before if before[arm] != after[arm]} == {"wide"}


def put(path, value):
    def change(paper):
        place = paper["experiments"]["line"]["spec"]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def deep_features(paper):
    put(["measures"], ["features"])(paper)
    paper["experiments"]["line"]["arms"]["wide"]["network"]["hidden"] = [4] * 9


def of_feedback(measure):
    def change(paper):
        put(["rule"], "shallow")(paper)
        put(["measures"], [measure])(paper)

    return change


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (put(["sede"], 3), "unknown key 'sede' (value 3); did you mean 'seeds'?"),
        (put(["network", "hiden"], [3]), "unknown key 'network.hiden' (value [3]); did you mean 'hidden'?"),
        (put(["rule"], "backprob"), "rule: unknown value 'backprob'; did you mean 'backprop'?"),
        (
            put(["task"], {"images": {"name": "minst"}}),
            "task.images.name: unknown value 'minst'; did you mean 'mnist'?",
        ),
        (put(["measures"], ["test_nce"]), "measures.0: unknown value 'test_nce'; did you mean 'test_nse'?"),
        (put(["seeds"], "many"), "seeds: 'many' is wrong"),
        (put(["seeds"], 0), "seeds: 0 is wrong: input should be greater than 0"),
        (put(["optimizer", "adam"], {"learning_rate": 1.0}), "exactly one of sgd, rmsprop, adam"),
        (put(["network", "init"], {"unifrom": 1.0}), "network.init.kind: unknown value 'unifrom'"),
        (put(["stop_below_train_error"], 0.1), "stop_below_train_error needs record: {epochs: 1}"),
        (put(["optimizer", "sgd"], {"learning_rate": -1.0}), "optimizer.sgd.learning_rate: -1.0 is wrong"),
        (
            put(["optimizer", "sgd"], {"learning_rate": 0.0, "bias_learning_rate": 0.1}),
            "optimizer.sgd: a bias_learning_rate needs a learning_rate above 0",
        ),
        (deep_features, "measures: features is of at most 8 hidden layers"),
        (of_feedback("gap"), "measures: shallow has no feedback for gap"),
        (of_feedback("weight_angle"), "measures: shallow has no feedback for weight_angle"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_names_key_value_and_the_nearest_valid_one(
    tmp_path, change, line
):
    with pytest.raises(UserError) as caught:
        resolve(written(tmp_path, change), "wide")
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "paper/experiments.yaml: line/wide (quick)" in str(caught.value)


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
        spec.cell(*ask, written(tmp_path))
    assert line in str(caught.value)


def test_a_command_with_a_mistake_says_one_line_and_fails():
    done = subprocess.run(
        [sys.executable, "-m", "replications", "simulate", "lilicrap2016", "linear", "backprop"],
        capture_output=True,
        text=True,
        cwd=spec.HERE.parent,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(
        "error: unknown paper 'lilicrap2016'; did you mean 'lillicrap2016'?"
    )
    assert done.stderr.count("\n") == 1


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
        resolve(written(tmp_path, change))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_early_stop_counts_in_whole_epochs(tmp_path):
    def change(paper):
        place = paper["experiments"]["line"]["spec"]
        place |= {"stop_below_train_error": 0.1, "record": {"epochs": 1, "every": 3}}

    with pytest.raises(UserError, match=r"stop_below_train_error needs record: \{epochs: 1\}"):
        resolve(written(tmp_path, change))


@pytest.mark.parametrize("seeds", ["3:3", "5:2", "4294967296", "0:4294967297", "x"])
def test_a_range_without_seeds_or_beyond_32_bits_is_refused(seeds, capsys):
    words = ["simulate", "lillicrap2016", "linear", "backprop", "--seeds", seeds]
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert f"{seeds!r} is no range of seeds" in capsys.readouterr().err


def test_a_folder_that_is_a_file_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    words = ["judge", "lillicrap2016", "--results", str(tmp_path / "file" / "results")]
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_planning_needs_no_jax():
    code = (
        "import sys; from replications import spec, provenance; "
        "[provenance.source_digest(c) for c in spec.cells('lillicrap2016', 'quick')]; "
        "sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=spec.HERE.parent).returncode == 0

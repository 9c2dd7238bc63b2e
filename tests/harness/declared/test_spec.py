"""A mistake in a spec is one clear line."""

import pytest

from replications.harness.catalogue.measures import MEASURES
from replications.harness.catalogue.starts import STARTS
from replications.harness.declared.experiments import cell
from replications.harness.declared.spec import Init, Network
from replications.harness.errors import UserError
from tests.harness.papers import put, write_line
from tests.harness.training import spikes
from tests.harness.training.article import (
    phases,
    small,
)


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
        (put(["optimizer", "sgd", "learning_rate"], float("inf")), "learning_rate: inf is wrong"),
        (put(["optimizer", "sgd", "learning_rate"], "1e-2"), "a valid number; write 1.0e-2"),
        (put(["network", "init"], {"uniform": float("nan")}), "network.init.value: nan is wrong"),
        (put(["network", "init"], {"uniform": None}), "network.init.value: None is wrong"),
        (put(["network", "init"], {"uniform": -0.1}), "uniform: -0.1 is below 0"),
        (put(["network", "bias_init"], {"grid": 1.0}), "network.bias_init: grid is of network.init alone"),
        (put(["network", "init"], {"grid": 1.0}), "grid is of a net of one input, one hidden unit"),
        (put(["task", "teacher", "hidden"], [0]), "task.teacher.hidden.0: 0 is wrong"),
        (put(["network", "convolutions"], [4]), "network.convolutions: 1 are too many for inputs of shape (3,)"),
        (put(["task", "teacher", "train"], 0), "task.teacher.train: 0 is wrong"),
        (put(["task", "teacher", "inputs"], -1), "task.teacher.inputs: -1 is wrong"),
        (put(["task", "teacher", "seed"], 2**32), "task.teacher.seed: 4294967296 is wrong"),
        (put(["task"], {"images": {"name": "mnist5k", "train": 4001}}), "mnist5k has 4000 examples, not 4001"),
        (put(["task"], {"patterns": {"x": [[1.0], []], "y": [[1.0]] * 2}}), "x: patterns are rows of one"),
        (put(["epochs"], 10**30), "epochs: 1000000000000000000000000000000 is wrong"),
        (put(["epochs"], 2**30), "epochs: 53687091200 updates are more than 2147483647"),
        (put(["seeds"], 10**7), "seeds: 10000000 is wrong"),
        (put(["record"], {"at": [51]}), "record.at: 51 is not among the 50 updates of the run"),
        (deep_features, "measures: features is of at most 8 hidden layers"),
        (of_feedback("gap"), "measures: shallow has no feedback for gap"),
        (of_feedback("weight_angle"), "measures: shallow has no feedback for weight_angle"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_names_key_value_and_the_nearest_valid_one(
    tmp_path, change, line
):
    with pytest.raises(UserError) as caught:
        cell("paper", "line", "wide", "quick", write_line(tmp_path, change))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "paper/experiments.yaml: line/wide (quick)" in str(caught.value)


def test_an_early_stop_counts_in_whole_epochs(tmp_path):
    def change(paper):
        place = paper["experiments"]["line"]["spec"]
        place |= {"stop_below_train_error": 0.1, "record": {"epochs": 1, "every": 3}}

    with pytest.raises(UserError, match=r"stop_below_train_error needs record: \{epochs: 1\}"):
        cell("paper", "line", "backprop", "quick", write_line(tmp_path, change))


@pytest.mark.parametrize(
    ("init", "line"),
    [
        ({"uniform": None}, "network.init.value: None is wrong"),
        ({"uniform": "0.1"}, "network.init.value: '0.1' is wrong"),
        ({"uniform": True}, "network.init.value: True is wrong"),
        ({"zeros": 1}, "network.init: zeros is written zeros"),
        ("uniform", "network.init: uniform is written {uniform: NUMBER}"),
        ({"fan_in_uniform": 2.0}, "network.init: fan_in_uniform is written fan_in_uniform"),
        ({"uniform": 0.1, "normal": 0.1}, "unknown key 'network.init."),
    ],
)
def test_a_start_with_a_number_too_much_or_too_few_is_one_line(tmp_path, init, line):
    store = write_line(tmp_path, put(["network", "init"], init))
    with pytest.raises(UserError) as caught:
        cell("paper", "line", "backprop", "quick", store)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", STARTS)
def test_every_start_of_the_catalogue_is_written_as_it_needs(name):
    written = {name: 1} if STARTS[name].needs_value else name
    assert Init.model_validate(written).value == STARTS[name].needs_value


@pytest.mark.parametrize("hidden", ["1x10000000", "100000x4", "1" * 30 + "x4"])
def test_more_layers_or_units_than_anybody_has_are_one_line(tmp_path, hidden):
    store = write_line(tmp_path, put(["network", "hidden"], hidden))
    with pytest.raises(UserError) as caught:
        cell("paper", "line", "backprop", "quick", store)
    assert "network.hidden" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_layers_by_units_are_that_many_layers():
    assert Network.model_validate({"hidden": "7x240", "init": "zeros"}).hidden == [240] * 7
    with pytest.raises(ValueError, match="list"):
        Network.model_validate({"hidden": "0x240", "init": "zeros"})


def test_direct_feedback_has_no_forward_weights_to_start_as(tmp_path):
    def change(paper):
        put(["rule"], "direct_feedback_alignment")(paper)
        put(["network", "feedback_init"], "forward_weights")(paper)

    with pytest.raises(UserError, match="direct_feedback_alignment has no forward_weights"):
        cell("paper", "line", "wide", "quick", write_line(tmp_path, change))


@pytest.mark.parametrize("measure", [n for n, m in MEASURES.items() if m.one_hidden])
def test_a_measure_of_one_hidden_layer_is_refused_for_two(tmp_path, measure):
    def change(paper):
        put(["measures"], [measure])(paper)
        paper["experiments"]["line"]["arms"]["wide"]["network"]["hidden"] = [4, 4]

    store = write_line(tmp_path, change)
    with pytest.raises(UserError, match=f"{measure} is of nets with one hidden layer"):
        cell("paper", "line", "wide", "quick", store)


def test_a_measure_named_twice_is_refused(tmp_path):
    store = write_line(tmp_path, put(["measures"], ["test_nse", "test_nse"]))
    with pytest.raises(UserError, match="measures: a measure is named twice"):
        cell("paper", "line", "backprop", "quick", store)


def test_choices_that_a_spec_does_not_make_are_no_part_of_its_digest():
    spec = cell("lillicrap2016", "linear", "feedback_alignment", "quick").spec
    said = spec.model_dump()
    assert {"frozen", "spiking"}.isdisjoint(said)
    assert "quadratic" not in said["task"]


def test_choices_that_a_spec_makes_are_part_of_it():
    spec = cell("lillicrap2016", "phases", "feedback_alignment", "full").spec
    said = spec.model_dump()
    assert said["task"]["quadratic"]["outputs"] == 20
    assert [phase["layers"] for phase in said["frozen"]] == [["readout"], ["hidden_1"], ["readout"]]
    spiking = cell("lillicrap2016", "spiking", "feedback_alignment", "full").spec.model_dump()
    assert (spiking["spiking"]["group"], spiking["network"]["hidden"]) == (100, [1500] * 3)


@pytest.mark.parametrize("rule", ["kolen_pollack", "direct_feedback_alignment"])
def test_the_printed_rule_is_of_the_articles_rules(rule):
    with pytest.raises(ValueError, match="output_error: printed is of backprop"):
        small(rule=rule, measures=["test_loss"])


def test_a_softmax_has_one_error():
    network = {"hidden": [3], "init": {"uniform": 0.1}, "output": "softmax"}
    with pytest.raises(
        ValueError, match="output_error: mse is of logistic outputs, not of softmax"
    ):
        small(network=network, output_error="mse", measures=["test_loss"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rule": "conditioned_feedback"}, "conditioned_feedback needs one of them"),
        ({"rule": "backprop", "error_damping": 1.0}, "backprop has no use for them"),
        ({"rule": "conditioned_feedback", "activity_damping": 0.0}, "greater than 0"),
    ],
)
def test_dampings_are_of_the_rule_that_divides_by_moments(changes, said):
    with pytest.raises(ValueError, match=said):
        small(measures=["test_loss"], **changes)


@pytest.mark.parametrize(
    ("frozen", "message"),
    [
        ([{"layers": ["hidden_2"]}], "unknown layer 'hidden_2'"),
        ([{"layers": ["readout"], "from_step": 5, "to_step": 5}], "to_step comes after from_step"),
        ([{"layers": []}], "at least 1 item"),
    ],
)
def test_phases_are_checked(frozen, message):
    with pytest.raises(ValueError, match=message):
        phases(*frozen)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "backprop"}, "spiking: rule"),
        ({"batch": 2}, "spiking: batch"),
        ({"network": {"init": "fan_in_uniform"}}, "spiking: network.init"),
        ({"network": {"hidden": []}}, "spiking: network"),
        ({"optimizer": {"adam": {"learning_rate": 0.1}}}, "spiking: optimizer"),
        ({"frozen_epochs": 1}, "spiking: frozen"),
        ({"measures": ["delta_angle"]}, "delta_angle is not of spiking nets"),
        ({"spiking": None}, "traces is of spiking nets"),
    ],
)
def test_what_a_spiking_net_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        spikes.spec(**changes)

"""The first layer's updates in blocks are the updates one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pydantic import ValidationError

from replications.harness.declared.spec import RunSpec
from replications.harness.training import blocked, tasks
from replications.harness.training.run import Trainer

SPEC = {
    "task": {"teacher": {"inputs": 7, "hidden": [5], "outputs": 3, "weights": {"uniform": 1.0},
                         "train": 23, "test": 11}},
    "network": {"hidden": [6], "activation": "logistic", "output": "logistic",
                "init": {"uniform": 0.5}, "feedback_init": {"uniform": 0.7}},
    "rule": "feedback_alignment",
    "output_error": "printed",
    # A decay that a float32 would show.
    "optimizer": {"sgd": {"learning_rate": 0.3}, "weight_decay": 0.02, "coupled": True},
    "epochs": 3,
    "record": {"at": [1, 5, 12, 40]},
    "measures": ["test_error", "train_error"],
    "dtype": "float64",
    "seeds": 2,
}  # fmt: skip


def final(changes, batching="map"):
    """The state at the end, and the records on the way, of seeds 3 and 4."""
    spec = RunSpec.model_validate(SPEC | changes)
    with jax.enable_x64(True):
        task = tasks.build(spec, None)
        trainer = Trainer(spec, task, batching)
        seen = []

        class Kept:
            """Stands where a checkpoint does, and sees every state."""

            def resume(self, group, like):
                return None

            def save(self, group, state, records):
                seen.append(jax.tree.map(np.asarray, (state.trained, state.rest, state.optimizer)))

        groups = [[3, 4]] if batching == "vmap" else [[3], [4]]
        records = [trainer.train(group, Kept(), lambda _: None) for group in groups]
    return seen, records


CASES = {
    "feedback alignment": {},
    "backprop": {"rule": "backprop"},
    "shallow": {"rule": "shallow"},
    "sparse": {"network": SPEC["network"] | {"sparsity": 0.5}},
    "decoupled decay": {"optimizer": SPEC["optimizer"] | {"coupled": False}},
    "no decay": {"optimizer": {"sgd": {"learning_rate": 0.3}}},
    "biases at a rate of their own": {
        "optimizer": {
            "sgd": {"learning_rate": 0.3, "bias_learning_rate": 0.1},
            "weight_decay": 0.02,
        }
    },
    "no biases": {"network": SPEC["network"] | {"bias": False}},
    "three hidden layers": {"network": SPEC["network"] | {"hidden": [6, 5, 4]}},
    "raw error": {"output_error": "raw"},
    "linear outputs": {"network": SPEC["network"] | {"output": "linear"}},
}


@pytest.mark.parametrize(
    ("case", "block"), [*((case, 5) for case in CASES), ("backprop", 2), ("feedback alignment", 32)]
)
def test_blocks_are_the_updates_one_by_one(case, block):
    """In float64, at every record: blocks that a stretch or an epoch cuts short, and one longer than both."""
    plain, records = final(CASES[case])
    ours, ours_records = final(CASES[case] | {"block": block})
    assert len(plain) == 2 * 5
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), plain, ours)
    for one, other in zip(records, ours_records, strict=True):
        for name in one:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-9, err_msg=name)


def test_weights_have_moved_and_feedback_has_not():
    """What the test above compares is training."""
    ours, _ = final({"block": 5})
    (first, _, last) = ours[0], ours[1], ours[4]
    assert all(
        np.abs(a - b).max() > 1e-2
        for a, b in zip(jax.tree.leaves(first[0]), jax.tree.leaves(last[0]), strict=True)
    )
    jax.tree.map(np.testing.assert_array_equal, first[1], last[1])


def test_several_seeds_at_once_are_each_alone():
    one, _ = final({"block": 5})
    several, _ = final({"block": 5}, "vmap")
    for i, states in enumerate((one[:5], one[5:])):
        for alone, together in zip(states, several, strict=True):
            jax.tree.map(
                lambda a, b, i=i: np.testing.assert_allclose(a, b[i], rtol=1e-9, atol=1e-12),
                alone, together,
            )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch": 2, "epochs": 4}, "batch: 1"),
        ({"rule": "kolen_pollack", "output_error": "mse"}, "a rule of backprop"),
        ({"rule": "direct_feedback_alignment", "output_error": "mse"}, "a rule of backprop"),
        ({"optimizer": {"adam": {"learning_rate": 0.1}}}, "sgd without momentum"),
        ({"optimizer": {"sgd": {"learning_rate": 0.1, "momentum": 0.9}}}, "sgd without momentum"),
        ({"optimizer": SPEC["optimizer"] | {"halve_every": 1}}, "no halve_every"),
        ({"network": SPEC["network"] | {"hidden": []}, "rule": "backprop"}, "hidden layers"),
        ({"network": SPEC["network"] | {"dropout_input": 0.1}}, "no dropout of inputs"),
        ({"frozen_epochs": 1}, "no frozen layers"),
        ({"frozen": [{"layers": ["readout"], "to_step": 2}]}, "no frozen layers"),
        ({"adversarial": 0.1}, "adversarial: 0"),
    ],
)
def test_what_cannot_wait_is_refused_by_name(changes, said):
    RunSpec.model_validate(SPEC | changes)
    with pytest.raises(ValidationError, match=f"block: needs {said}"):
        RunSpec.model_validate(SPEC | changes | {"block": 8})


@pytest.mark.parametrize("size", [0, 1, 1001])
def test_a_block_has_two_to_a_thousand_updates(size):
    with pytest.raises(ValidationError, match="block"):
        RunSpec.model_validate(SPEC | {"block": size})


def test_without_a_block_a_spec_says_nothing_of_it():
    """The digests of what was accepted stay what they are."""
    assert "block" not in RunSpec.model_validate(SPEC).model_dump()


def test_decay_is_a_fraction_of_an_update():
    spec = RunSpec.model_validate(SPEC)
    assert blocked.decay_of(spec.optimizer) == pytest.approx(0.006)
    apart = spec.optimizer.model_copy(update={"coupled": False})
    assert blocked.decay_of(apart) == 0.02


def test_a_decay_too_small_for_float32_adds_up_over_a_block():
    """One by one, 1 - 1e-8 is 1 in float32, and nothing decays; 32 of them are a change that float32 has."""
    nothing_learnt = {"optimizer": {"sgd": {"learning_rate": 0.0}, "weight_decay": 1e-8}}
    whole = {"dtype": "float32", "epochs": 32, "record": {}, **nothing_learnt}

    def left(**block):
        spec = RunSpec.model_validate(SPEC | whole | block)
        trainer = Trainer(spec, tasks.build(spec, None), "map")
        functions, data = trainer.program, trainer.task.data
        start = functions.start(jnp.uint32(0))
        indices = functions.order(jnp.uint32(0), jnp.int32(0))
        end = functions.advance(start, jnp.uint32(0), indices, data, jnp.int32(320))
        before, after = (
            np.float64(s.trained["blocks"][0]["layers"][0]["kernel"][...]) for s in (start, end)
        )
        return np.sum(before * after) / np.sum(before**2)

    assert left() == 1
    assert left(block=32) == pytest.approx(1 - 320e-8, abs=5e-7)

"""What a cell costs is known before it runs."""

import time
import types

import jax
import numpy as np
import pytest

from replications.harness.declared import experiments
from replications.harness.store import PRESETS
from replications.harness.training import costs, tasks
from replications.harness.training.program import program
from tests.harness.training import spikes

RULES = ("backprop", "feedback_alignment", "direct_feedback_alignment")


def chosen(rule, **changes):
    cell = experiments.cell("nokland2016", "mnist_3x800", rule, "full").spec
    net = cell.network.model_copy(update={"hidden": [300, 200, 250]})
    return cell.model_copy(update={"network": net, "batch": 50, **changes})


@pytest.mark.parametrize("rule", RULES)
def test_the_operations_of_an_update_are_those_that_xla_counts(rule):
    settings = chosen(rule)
    shapes = [(100, 400), (100, 10), (10, 400), (10, 10)]
    data = tasks.Data(*(jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes))
    functions = program(settings, tasks.Task(data, True, None))
    state = jax.eval_shape(functions.start, np.uint32(0))
    order = jax.ShapeDtypeStruct((100,), np.int32)
    step = jax.jit(functions.advance).lower(state, np.uint32(0), order, data, np.int32(1))
    counted = step.compile().cost_analysis()["flops"]
    ours = costs.operations(settings, costs.Size(100, 10, (400,), 10))
    # XLA also counts the elementwise work: RMSprop, tanh, the loss.
    assert ours < counted < 1.1 * ours


def test_a_conv_net_costs_what_its_maps_and_kernels_multiply_to():
    settings = experiments.cell("nokland2016", "cifar10_conv", "backprop", "full").spec
    of = settings.size
    assert of == costs.Size(50000, 10000, (32, 32, 3), 10)
    products = [layer.products for layer in costs.layers(settings, of)]
    assert products == [
        32 * 32 * 75 * 96,
        15 * 15 * 2400 * 128,
        7 * 7 * 3200 * 256,
        2304 * 2048,
        2048 * 2048,
        2048 * 10,
    ]


def test_a_cell_costs_its_updates_and_its_tests_for_every_seed():
    cell = experiments.cell("nokland2016", "mnist_2x800", "backprop", "full")
    one = costs.cost(cell, lambda *_: 1.0)
    updates = 938 * 299
    assert one.updates == 5 * updates
    left = (3 * (784 + 800 + 10) * 800 - 784 * 800) / (3 * (784 + 800 + 10) * 800)
    records = 2 + 299
    expected = 5 * 3 * (updates * left + records * 10000 / 64 / 3)
    assert one.seconds == pytest.approx(expected)


def test_a_first_layer_that_is_written_once_a_block_costs_its_share_of_one():
    cell = experiments.cell("lillicrap2016", "digits", "backprop", "quick")
    asked = []

    def timer(rows, *layer):
        asked.append((rows, *layer[:2]))
        return 1.0 if rows == 1 else 16.0

    plain = cell._replace(spec=cell.spec.model_copy(update={"block": None}))
    costs.cost(cell, timer)
    assert asked == [(32, 784, 1000), (1, 1000, 10)]
    assert costs.cost(cell, timer).seconds == pytest.approx(
        costs.cost(plain, timer).seconds * 1.5 / 2
    )


def test_every_cell_of_every_paper_is_planned():
    for preset in PRESETS:
        for paper in experiments.papers():
            for cell in experiments.cells(paper, preset):
                assert costs.cost(cell, lambda *_: 1e-6).seconds > 0


def test_a_plan_has_a_line_a_cell_and_totals(monkeypatch):
    monkeypatch.setattr(costs, "time_layer", lambda *_: 1e-6)
    lines = list(costs.report(["nokland2016"], "quick"))
    cells = experiments.cells("nokland2016", "quick")
    assert [line.split()[0] for line in lines[1:-1]] == [cell.name for cell in cells]
    assert lines[-1].startswith(f"nokland2016: {len(cells)} cells")
    assert lines[1].split()[1:3] == ["3", "7,560"]


def test_the_cost_of_a_spiking_net_counts_every_time_step():
    one, five = (spikes.spec(spiking={"group": 3, "steps": steps}) for steps in (1, 5))
    sizes = one.size
    assert costs.operations(five, sizes) == 5 * costs.operations(one, sizes)
    assert costs.layers(one, sizes)[-1].outputs == 30


def test_a_plan_does_not_count_what_a_busy_machine_does_meanwhile(monkeypatch):
    """The clock on the wall runs a thousand times as fast as this process is served."""
    layer = (8, 50, 40, "float32", False)
    quiet = costs.time_layer.__wrapped__(*layer)
    slow = types.SimpleNamespace(
        perf_counter=lambda: 1000 * time.perf_counter(), process_time=time.process_time
    )
    monkeypatch.setattr(costs, "time", slow)
    assert costs.time_layer.__wrapped__(*layer) < 50 * quiet

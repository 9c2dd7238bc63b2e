"""Training on one core, optimiser included, batch 64: the rules beside backprop, and epochs beside sgemm.

python -m tests.benchmarks training
"""

import functools

from replications.harness.declared import experiments
from replications.harness.training.costs import layers, operations
from tests.benchmarks.timing import NETS, Row, Table, Training, cell, in_turns, products

GOALS = {"backprop": 1.0, "feedback_alignment": 1.05, "kolen_pollack": 1.10}
DIRECT = "direct_feedback_alignment"
OPTIMIZERS = {"RMSprop": "nokland2016", "SGD with decay": "kolen_pollack1994"}
WITHIN = 1.05  # of the arithmetic limit, for direct feedback alignment
RATE = 0.80  # of sgemm
UPDATES = {"2x800": 40, "7x240": 80, "100x240": 6}


def measure() -> list[Table]:
    return [Table(
        "Training, one core",
        ["net", "optimiser", "rule", "ms an update", "of backprop", "limit"],
        [row for net in NETS for optimizer in OPTIMIZERS for row in _rules(net, optimizer)],
        "Shuffled digits, running sums, batch 64: the suite's own program. The limit is the share of backprop's "
        "multiplications that the rule has. Kolen-Pollack trains twice the parameters: its RMSprop keeps and "
        "divides by twice the averages.",
    ), Table(
        "Whole epochs beside sgemm",
        ["net", "rule", "s an epoch", "GFLOP/s", "sgemm here", "share"],
        [row for net in ("2x800", "7x240") for row in _epochs(net)],
        "An epoch with its shuffling, test error and angles; sgemm is the faster of NumPy's and XLA's, for the "
        "same products at the same shapes and nothing else, in the same run. Counted are the products of the "
        "updates and of the test.",
    )]  # fmt: skip


def _rules(net: str, optimizer: str) -> list[Row]:
    plain = OPTIMIZERS[optimizer] == "kolen_pollack1994"
    rules = GOALS if plain else (*GOALS, DIRECT)
    changed = {}
    if plain:  # the paper's own, for the rule whose paper it is
        of = experiments.cell("kolen_pollack1994", "mnist", "kolen_pollack", "full").spec
        changed["optimizer"] = of.optimizer
    chosen = {rule: cell(net, rule, **changed) for rule in rules}
    n = UPDATES[net]
    runs = {rule: functools.partial(Training(one).updates, n) for rule, one in chosen.items()}
    best = in_turns(runs)
    whole = operations(chosen["backprop"].spec, chosen["backprop"].spec.size)
    rows = []
    for rule, seconds in best.items():
        ratio = seconds / best["backprop"]
        limit = operations(chosen[rule].spec, chosen[rule].spec.size) / whole
        goal = GOALS.get(rule, WITHIN * limit)
        said = [rule.replace("_", " "), f"{1e3 * seconds / n:.2f}", f"{ratio:.2f}", f"{limit:.2f}"]
        held = ("", None) if rule == "backprop" else (f"<= {goal:.2f}", ratio <= goal)
        rows.append(Row([net, optimizer, *said], *held))
    return rows


def _epochs(net: str) -> list[Row]:
    rules = ("backprop", "feedback_alignment", DIRECT)
    chosen = {rule: cell(net, rule) for rule in rules}
    spec = chosen["backprop"].spec
    n = UPDATES[net]
    alone = {name: functools.partial(go, n) for name, go in products(chosen["backprop"]).items()}
    runs = {rule: Training(one) for rule, one in chosen.items()}
    goes = {rule: run.epoch for rule, run in runs.items()}
    best = in_turns({**goes, **alone}, rounds=3)
    sgemm = operations(spec, spec.size) * n / min(best[name] for name in alone) / 1e9
    rows = []
    for rule, one in chosen.items():
        updates = one.spec.updates_per_pass(one.spec.size.train)
        forward = sum(layer.products for layer in layers(one.spec, one.spec.size))
        done = operations(one.spec, one.spec.size) * updates + 2 * forward * one.spec.size.test
        rate = done / best[rule] / 1e9
        share = rate / sgemm
        cells = [
            net,
            rule.replace("_", " "),
            f"{best[rule]:.2f}",
            f"{rate:.1f}",
            f"{sgemm:.1f}",
            f"{share:.0%}",
        ]
        rows.append(Row(cells, f"{RATE:.0%}", share >= RATE))
    return rows

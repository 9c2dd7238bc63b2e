"""When a number of ours agrees with the paper's: both spreads, a margin from print alone, enough runs."""

import numpy as np
import pandas as pd
import pytest

from replications.harness.declared import claims, experiments
from replications.harness.declared.claims import Agreement, Comparison, Quantity
from replications.harness.declared.published import Published
from replications.harness.judging import verdicts
from replications.harness.store import Store

QUANTITY = Quantity.model_validate(
    {"experiment": "net", "arm": "backprop", "measure": "test_error", "scale": "percent"}
)


def compared(errors, value=2.0, sd=0.1, margin=0.1, runs=5, declared=5, stuck=None):
    """The judge's word on runs that end at ``errors`` (in %) beside a published number."""
    rows = [("backprop", seed, 10, 1.0, "test_error", "", e / 100) for seed, e in enumerate(errors)]
    table = pd.DataFrame(
        rows, columns=["arm", "seed", "step", "epoch", "measure", "layer", "value"]
    )
    said = Published(
        experiment="net", arm="backprop", measure="test_error", value=value, sd=sd,
        unit="%", at="end", certainty="A", place="Table 1", source="made up",
    )  # fmt: skip
    rule = Agreement(
        table="Table 1", measure="test_error", scale="percent", margin=margin, why="made up",
        runs=runs, stuck_above=stuck,
    )  # fmt: skip
    pair = Comparison(QUANTITY, said, rule, margin)
    return verdicts.compare(pair, lambda _: table, lambda *_: declared)


def around(mean, sd, n=5):
    """``n`` numbers with exactly this mean and standard deviation."""
    x = np.arange(n) - (n - 1) / 2
    return mean + x * sd / x.std(ddof=1)


def test_within_the_margin_and_within_what_both_spreads_explain_agrees():
    assert compared(around(2.05, 0.1))["verdict"] == "reproduced"


def test_within_the_margin_but_further_off_than_the_spreads_explain_is_near():
    # The standard error of the difference is sqrt(.01^2/5 + .02^2/5) = .01, t of 6 degrees 2.4.
    assert compared(around(2.05, 0.01), sd=0.02)["verdict"] == "near"


def test_beyond_the_margin_but_within_the_spreads_is_open():
    assert compared(around(2.2, 0.4), sd=0.4)["verdict"] == "inconclusive"


def test_beyond_the_margin_and_the_spreads_differs():
    assert compared(around(2.5, 0.1))["verdict"] == "not reproduced"


def test_the_width_is_welchs():
    from scipy import stats

    ours, theirs = around(2.0, 0.2), around(2.0, 0.1, 7)
    interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    half = (interval.high - interval.low) / 2
    for side, verdict in ((0.999, "reproduced"), (1.001, "near")):
        found = compared(ours + side * half, sd=0.1, runs=7, margin=1.0)
        assert found["verdict"] == verdict


@pytest.mark.parametrize("n", [1, 4])
def test_before_the_declared_number_of_runs_there_is_no_verdict(n):
    found = compared(around(2.0, 0.1, n) if n > 1 else [2.0])
    assert found["verdict"] == "incomplete"
    assert (found["n"], found["declared"]) == (n, 5)
    assert found["estimate"] == pytest.approx(2.0)


def test_one_run_is_never_judged_though_one_be_declared():
    assert compared([2.0], declared=1)["verdict"] == "incomplete"


def test_seeds_beyond_the_declared_number_are_left_out():
    found = compared([*around(2.0, 0.1), 50.0, 60.0])
    assert (found["verdict"], found["n"]) == ("reproduced", 5)


def test_a_run_that_diverged_is_no_agreement():
    assert compared([2.0, 2.0, 2.0, 2.0, float("nan")])["verdict"] == "not reproduced"


def test_where_the_paper_saw_no_convergence_every_run_must_be_stuck():
    stuck = {"value": None, "sd": None, "stuck": 50.0}
    assert compared([88, 89, 90, 90, 90], **stuck)["verdict"] == "reproduced"
    assert compared([88, 89, 90, 90, 10], **stuck)["verdict"] == "not reproduced"


def test_a_margin_from_the_published_spreads_is_their_root_mean_square():
    pair = claims.comparisons("nokland2016", "full")["mnist_7x240", "backprop", "test_error"]
    assert pair.margin == pytest.approx(np.sqrt((0.13**2 + 0.13**2 + 0.15**2) / 3))


GREEN = ("reproduced", "near")


def exchanges():
    """For every number of ours that agrees: whether it would agree with another rule's of its row,
    and whether the paper's own margin tells the two apart."""
    for paper in experiments.papers():
        store = Store()
        table = verdicts.tables(paper, "full", store, accepted=True)

        def declared(experiment, arm, paper=paper):
            return experiments.cell(paper, experiment, arm, "full").spec.seeds

        pairs = {
            key: pair
            for key, pair in claims.comparisons(paper, "full").items()
            if key[0] in experiments.kept(paper)
        }
        for key, pair in pairs.items():
            if verdicts.compare(pair, table, declared)["verdict"] not in GREEN:
                continue
            for other in pairs.values():
                swapped = pair._replace(published=other.published)
                if (
                    other is pair
                    or other.quantity.experiment != key[0]
                    or not other.published.value
                ):
                    continue
                verdict = verdicts.compare(swapped, table, declared)["verdict"]
                scale = pair.rule.scale
                gap = abs(other.published.scaled(scale) - pair.published.scaled(scale))
                yield verdict in GREEN, gap > pair.margin


def test_published_numbers_exchanged_between_rules_lose_most_of_their_green():
    found = list(exchanges())
    assert len(found) >= 20
    assert sum(green for green, _ in found) < len(found) / 2
    # Where the margin tells two rules apart, hardly any stays.
    apart = [green for green, separable in found if separable]
    assert sum(apart) <= len(apart) / 10

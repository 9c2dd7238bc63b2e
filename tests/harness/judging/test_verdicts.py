"""Claims on small made-up tables, where the verdict is known."""

import copy
import json
from math import inf, nan

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from replications.harness.declared import claims, experiments
from replications.harness.declared.claims import (
    Agreement,
    Comparison,
    Control,
    Part,
    Quantity,
    read_claims,
)
from replications.harness.declared.published import Published
from replications.harness.errors import UserError
from replications.harness.judging import verdicts
from replications.harness.judging.verdicts import (
    VERDICTS,
    by_id,
    gather,
    judge,
    read_verdicts,
    verdict,
)
from replications.harness.region import Region
from replications.harness.statistics import Interval, mean_interval
from replications.harness.store import Store
from replications.harness.tables import COLUMNS, write_table
from tests.harness.judging.made_up import ends, errors, judged, tidy
from tests.harness.papers import CLAIM, TOY, write_paper, write_toy

RNG = np.random.default_rng(0)


# The rule


@pytest.mark.parametrize(
    ("interval", "region", "expected"),
    [
        ((2, 1, 3), Region(0, 4), "reproduced"),
        ((2, 1, 3), Region(2, 4), "inconclusive"),
        ((2, 1, 3), Region(4, 5), "not reproduced"),
        ((2, 1, 3), Region(high=4), "reproduced"),
        ((2, 1, 3), Region(low=0), "reproduced"),
        ((2, 1, 3), Region(high=1), "not reproduced"),
        ((2, 1, 3), Region(low=3), "not reproduced"),
        ((2, -inf, inf), Region(high=4), "inconclusive"),
        ((2, -inf, inf), Region(0, 4), "inconclusive"),
        ((-inf, -inf, -inf), Region(high=0), "reproduced"),
        ((inf, inf, inf), Region(high=0), "not reproduced"),
        ((-inf, -inf, -inf), Region(low=0), "not reproduced"),
        ((nan, nan, nan), Region(high=0), "not reproduced"),
        # No difference at all is no ordering.
        ((0, 0, 0), Region(high=0), "not reproduced"),
    ],
)
def test_a_verdict_asks_where_the_whole_interval_lies(interval, region, expected):
    assert verdict(Interval(*interval), region) == expected


def test_equivalence_is_two_one_sided_tests_at_five_percent():
    rng = np.random.default_rng(2)
    margin, found = 0.5, set()
    for _ in range(100):
        x = rng.normal(0.2, 0.6, size=10)
        below = stats.ttest_1samp(x, margin, alternative="less").pvalue < 0.05
        above = stats.ttest_1samp(x, -margin, alternative="greater").pvalue < 0.05
        equivalent = verdict(mean_interval(x, 0.9), Region(-margin, margin)) == "reproduced"
        assert equivalent == (below and above)
        found.add(equivalent)
    assert found == {True, False}


@pytest.mark.parametrize(
    ("values", "region", "expected"),
    [
        # Towards the region an infinity decides nothing; away from it, it decides.
        ([1.0, 2.0, -inf], Region(high=5), "inconclusive"),
        ([-inf], Region(high=5), "inconclusive"),
        ([-inf, -inf], Region(high=5), "reproduced"),
        ([1.0, 2.0, inf], Region(high=5), "not reproduced"),
        ([inf], Region(high=5), "not reproduced"),
        ([1.0, 2.0, inf], Region(low=0), "inconclusive"),
        ([1.0, 2.0, inf], Region(0, 5), "not reproduced"),
        ([-inf, 2.0, inf], Region(high=5), "not reproduced"),
    ],
)
def test_an_infinite_run_never_makes_a_claim_true_by_itself(values, region, expected):
    assert verdict(mean_interval(values, 0.95, region), region) == expected


def test_a_part_that_fails_decides_a_claim_that_was_run_in_part_only():
    order = VERDICTS.index
    assert order("inconclusive") < order("not run") < order("not reproduced")


# Parts


def test_a_level_is_reproduced_where_the_whole_interval_lies_below_the_bound():
    table = errors(a=[0.10, 0.12, 0.11, 0.09])
    percent = {"scale": "percent"}
    assert judged({"value": percent, "below": 15}, table)["verdict"] == "reproduced"
    assert judged({"value": percent, "below": 11}, table)["verdict"] == "inconclusive"
    assert judged({"value": percent, "below": 5}, table)["verdict"] == "not reproduced"
    assert judged({"value": percent, "above": 5}, table)["estimate"] == pytest.approx(10.5)


def test_two_numbers_of_one_run_are_paired_and_those_of_two_arms_are_not():
    """Pairing finds an order that the spread over runs hides; seeds of two arms have but numbers in common."""
    level, offset = np.array([1.0, 5.0, 9.0, 13.0]), np.array([0.9, 1.0, 1.1, 1.0])
    runs = np.stack([level + offset, level + offset, level], axis=1)
    table = tidy({("a", "test_error", ""): runs, ("b", "test_error", ""): runs[:, ::-1]})
    before = {"minus": {"at": 10}}
    assert judged({**before, "below": 0}, table)["verdict"] == "reproduced"
    assert judged({**before, "above": 0}, table)["verdict"] == "not reproduced"
    assert judged({"minus": {"arm": "b"}, "below": 0}, table)["verdict"] == "inconclusive"
    backwards = tidy({("a", "test_error", ""): runs, ("b", "test_error", ""): runs[::-1, ::-1]})
    found = [judged({"minus": {"arm": "b"}, "below": 0}, one) for one in (table, backwards)]
    assert found[0] == found[1]


def test_the_difference_of_two_arms_has_welchs_interval():
    a, b = [1.0, 2.0, 4.0], [1.0, 9.0, 3.0, 5.0]
    found = judged({"minus": {"arm": "b"}, "below": 0}, errors(a=a, b=b))
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert found["interval"] == pytest.approx([expected.low, expected.high], rel=1e-5)
    assert found["estimate"] == pytest.approx(np.mean(a) - np.mean(b), rel=1e-5)


def test_equivalence_needs_a_tight_interval_and_not_just_a_missing_difference():
    tight, loose = [1.0, -1.0, 0.5, -0.5], [40.0, -40.0, 20.0, -20.0]
    table = errors(a=np.add(50, tight), b=[50] * 4)
    assert judged({"minus": {"arm": "b"}, "margin": 3}, table)["verdict"] == "reproduced"
    table = errors(a=np.add(50, loose), b=[50] * 4)
    assert judged({"minus": {"arm": "b"}, "margin": 3}, table)["verdict"] == "inconclusive"


def test_every_interval_is_at_95_percent_unless_the_part_says_another():
    table = errors(a=[1.0, 2.0], b=[1.0, 1.0])
    for region in ({"margin": 3}, {"below": 3}):
        assert judged({"minus": {"arm": "b"}, **region}, table)["confidence"] == 0.95
    assert judged({"below": 3, "confidence": 0.999}, table)["confidence"] == 0.999


def test_a_level_around_the_published_number_is_centred_there():
    found = judged({"around": 2.4, "margin": 0.3}, errors(a=[2.3, 2.4, 2.5, 2.4]))
    assert (found["verdict"], found["region"]) == ("reproduced", "2.4 ± 0.3")


def test_a_ratio_is_averaged_as_a_ratio():
    table = errors(a=[2.0, 8.0, 4.0, 4.0], b=[1.0, 1.0, 1.0, 1.0])
    found = judged({"over": {"arm": "b"}, "above": 1}, table)
    assert found["estimate"] == pytest.approx(4.0)
    assert found["interval"][0] * found["interval"][1] == pytest.approx(16.0, rel=1e-4)
    assert found["verdict"] == "reproduced"
    assert judged({"over": {"arm": "b"}, "below": 1.2}, table)["verdict"] == "not reproduced"


def test_errors_over_decades_are_compared_as_logarithms():
    found = judged(
        {"value": {"scale": "log10"}, "aggregate": "median", "below": -8},
        errors(a=10.0 ** -np.arange(9, 17)),
    )
    assert (found["estimate"], found["verdict"]) == (pytest.approx(-12.5), "reproduced")


def test_a_trend_is_a_rank_correlation_within_each_seed():
    x = {f"w_{i}": i**3 for i in range(5)}
    rising = {arm: np.exp(i) + RNG.normal(0, 0.01, 4) for i, arm in enumerate(x)}
    found = judged({"value": {"arm": ""}, "trend": x, "above": 0.9}, errors(**rising))
    assert (found["estimate"], found["n"], found["verdict"]) == (1.0, 4, "reproduced")
    swapped = {**rising, "w_0": rising["w_4"], "w_4": rising["w_0"]}
    found = judged({"value": {"arm": ""}, "trend": x, "above": 0.9}, errors(**swapped))
    assert found["verdict"] == "not reproduced"


@pytest.mark.parametrize("bound", [{"below": 1.0}, {"above": -1.0}, {"margin": 1.0}])
@pytest.mark.parametrize("aggregate", ["mean", "worst"])
def test_a_diverged_run_is_the_worst_case_whichever_side_is_good(bound, aggregate):
    found = judged({"aggregate": aggregate, **bound}, errors(a=[0.1, 0.2, 0.0, -0.1, nan]))
    assert (found["verdict"], found["n"], found["diverged"]) == ("not reproduced", 5, 1)


def test_one_diverged_run_costs_a_median_one_rank_and_not_the_claim():
    x = [*np.linspace(0, 1, 19), nan]
    found = judged({"aggregate": "median", "below": 2}, errors(a=x))
    assert (found["verdict"], found["diverged"]) == ("reproduced", 1)
    ranks = np.sort(np.where(np.isnan(x), inf, x))
    assert found["interval"] == pytest.approx([ranks[5], ranks[14]], rel=1e-5)


def test_before_the_declared_number_of_runs_there_is_no_verdict_and_later_runs_are_left_out():
    table = errors(a=[1.0, 2.0, 3.0], b=[1.0, 2.0])
    found = judged({"minus": {"arm": "b"}, "below": 9}, table, declared=3)
    assert (found["verdict"], found["n"], found["declared"]) == ("incomplete", 2, 3)
    found = judged({"below": 2.5}, errors(a=[1.0, 1.1, 50.0]), declared=2)
    assert (found["verdict"], found["n"], found["estimate"]) == ("reproduced", 2, 1.05)


def test_an_arm_that_was_declared_after_its_experiment_was_accepted_is_not_run():
    table = errors(a=[1.0, 1.1])
    found = judged({"value": {"arm": "later"}, "below": 2}, table)
    assert (found["verdict"], found["n"], found["estimate"]) == ("not run", 0, None)
    found = judged({"minus": {"arm": "later"}, "below": 2}, table)
    assert found["verdict"] == "not run"
    with pytest.raises(UserError, match="no train_error of arm 'a'"):
        judged({"value": {"measure": "train_error"}, "below": 2}, table)


def test_a_seed_without_its_pair_counts_as_diverged():
    loss = ends([1.0, 2.0])
    table = tidy({("a", "test_error", ""): ends([1.0, 2.0, 3.0]), ("a", "test_loss", ""): loss})
    found = judged({"minus": {"measure": "test_loss"}, "below": 9}, table)
    assert (found["verdict"], found["diverged"]) == ("incomplete", 1)


def test_one_run_decides_nothing():
    found = judged({"below": 9}, errors(a=[1.0]), declared=1)
    assert (found["verdict"], found["interval"]) == ("incomplete", [None, None])


def test_an_identity_fails_with_the_one_run_that_breaks_it():
    broken = [1e-9] * 19 + [1e-3]
    assert judged({"aggregate": "worst", "below": 1e-6}, errors(a=broken))["verdict"] == (
        "not reproduced"
    )
    assert (
        judged({"aggregate": "worst", "below": 1e-6}, errors(a=[1e-9] * 2))["verdict"]
        == "reproduced"
    )


# Papers


def save(store, table):
    write_table(store.table("quick", "toy", "toy"), table)


def test_a_claim_is_as_good_as_its_worst_part(tmp_path):
    store = write_toy(tmp_path, CLAIM)
    save(store, errors(a=[0.1, 0.11, 0.12, 0.1], b=[0.1, 0.12, 0.11, 0.1]))
    (claim,) = judge("toy", "quick", store)["claims"]
    assert [part["verdict"] for part in claim["parts"]] == ["reproduced", "inconclusive"]
    assert claim["verdict"] == "inconclusive"


def test_a_preset_may_say_something_else(tmp_path):
    other = {"quick": {"statement": "weaker", "parts": [{**CLAIM["parts"][0], "below": 0.9}]}}
    store = write_toy(tmp_path, {**CLAIM, "presets": other})
    save(store, errors(a=[0.6, 0.61, 0.62, 0.6], b=[0.1, 0.1, 0.1, 0.1]))
    (claim,) = judge("toy", "quick", store)["claims"]
    assert (claim["statement"], claim["verdict"]) == ("weaker", "reproduced")
    (loaded,) = read_claims("toy", store).claims
    assert [part.below for part in loaded.under("full")[1]] == [0.5, 0]


def test_a_claim_may_say_nothing_under_a_preset(tmp_path):
    silent = {**CLAIM, "id": "T2", "presets": {"quick": None}}
    store = write_toy(tmp_path, CLAIM, silent)
    save(store, errors(a=[0.1, 0.11, 0.1, 0.1], b=[0.5] * 4))
    (claim,) = judge("toy", "quick", store)["claims"]
    assert claim["id"] == "T1"
    assert read_claims("toy", store).claims[1].under("full")[1]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"experiment": "tox"}, r"T1 \(quick\): unknown experiment 'tox'; did you mean 'toy'"),
        ({"arm": "c"}, r"toy has no arm 'c'"),
        ({"measure": "test_nse"}, r"toy/a does not record 'test_nse'"),
    ],
)
def test_a_claim_on_what_is_not_recorded_is_refused_before_any_table_is_read(
    tmp_path, value, message
):
    first = CLAIM["parts"][0]
    store = write_toy(
        tmp_path, {**CLAIM, "parts": [{**first, "value": {**first["value"], **value}}]}
    )
    with pytest.raises(UserError, match=message):
        judge("toy", "quick", store)


PUBLISHED = [
    {"experiment": "toy", "arm": arm, "measure": "test_error", "value": value, "unit": "%",
     "at": "end", "certainty": "A", "place": "Table 1, row 1", "source": "text"}
    for arm, value in (("a", 2.1), ("b", 2.4))
]  # fmt: skip


def test_each_part_stands_beside_what_the_paper_gives_for_it(tmp_path):
    store = write_toy(tmp_path, CLAIM, published=PUBLISHED)
    save(store, errors(a=[0.1, 0.11, 0.12, 0.1], b=[0.1, 0.12, 0.11, 0.1]))
    (claim,) = judge("toy", "quick", store)["claims"]
    assert [part["published"] for part in claim["parts"]] == [0.021, -0.003]
    assert claim["published"]["text"] == "2.4 %; 2.1 % (a); 2.4 % (b)"


def test_a_number_of_a_table_agrees_where_its_interval_lies_within_the_margin(tmp_path):
    rule = {
        "table": "Table 1",
        "measure": "test_error",
        "scale": "percent",
        "margin": 0.5,
        "why": "w",
    }
    store = write_toy(tmp_path, CLAIM, published=PUBLISHED, agreement=[rule])
    save(store, errors(a=[0.021, 0.022, 0.020, 0.021], b=[0.040, 0.041, 0.042, 0.041]))
    judged_of_toy = judge("toy", "quick", store)
    numbers = {one["id"]: one for one in judged_of_toy["numbers"]}
    assert {name: one["verdict"] for name, one in numbers.items()} == {
        "toy/a/test_error": "reproduced",
        "toy/b/test_error": "not reproduced",
    }
    (part,) = numbers["toy/a/test_error"]["parts"]
    assert (part["region"], part["confidence"], part["published"]) == ("2.1 ± 0.5", 0.95, 2.1)
    assert part["estimate"] == pytest.approx(2.1)
    assert numbers["toy/a/test_error"]["place"] == "Table 1, row 1"
    assert by_id(judged_of_toy)["toy/b/test_error"] == "not reproduced"
    assert by_id(judged_of_toy)["T1"] in VERDICTS


def test_a_number_is_not_compared_where_quick_runs_another_size(tmp_path):
    rule = {
        "table": "Table 1",
        "measure": "test_error",
        "scale": "percent",
        "margin": 0.5,
        "why": "w",
    }
    smaller = copy.deepcopy(TOY)
    smaller["experiments"]["toy"]["presets"]["quick"] = {"epochs": 2}
    store = write_paper(tmp_path, smaller, {"claims": [CLAIM], "agreement": [rule]}, PUBLISHED)
    save(store, errors(a=[0.021, 0.022, 0.020, 0.021], b=[0.040, 0.041, 0.042, 0.041]))
    found = judge("toy", "quick", store)
    assert found["numbers"] == []
    assert [part["published"] for part in found["claims"][0]["parts"]] == [None, None]


def test_where_the_paper_saw_no_convergence_every_run_must_end_stuck(tmp_path):
    rule = {
        "table": "Table 1", "measure": "test_error", "scale": "percent", "margin": 0.5,
        "why": "w", "stuck_above": 50,
    }  # fmt: skip
    stuck = [{k: v for k, v in one.items() if k != "value"} for one in PUBLISHED]
    store = write_toy(tmp_path, CLAIM, published=stuck, agreement=[rule])
    save(store, errors(a=[0.9, 0.89, 0.91, 0.9], b=[0.9, 0.9, 0.4, 0.9]))
    numbers = {one["id"]: one for one in judge("toy", "quick", store)["numbers"]}
    assert numbers["toy/a/test_error"]["verdict"] == "reproduced"
    assert numbers["toy/b/test_error"]["verdict"] == "not reproduced"
    assert numbers["toy/a/test_error"]["statement"] == "no convergence in the paper"


def test_gathered_verdicts_say_which_paper_they_are_of(tmp_path):
    store = write_toy(tmp_path, CLAIM)
    save(store, errors(a=[0.1, 0.11, 0.12, 0.1], b=[0.5] * 4))
    with pytest.raises(UserError, match=r"claims\.json: no such file; make it with"):
        gather(["toy"], "quick", store)
    found = judge("toy", "quick", store)
    assert read_verdicts("toy", "quick", store) == found
    (claim,) = gather(["toy"], "quick", store)["claims"]
    assert claim == {"paper": "toy", **found["claims"][0]}
    joined = json.loads(store.all_verdicts("quick", "json").read_text())
    joined.pop("sha256")
    assert joined == {"claims": [claim], "numbers": []}


# Agreement with a published number: both spreads, a margin from print alone, enough runs


QUANTITY = Quantity.model_validate(
    {"experiment": "net", "arm": "backprop", "measure": "test_error", "scale": "percent"}
)


def compared(errors, value=2.0, sd=0.1, margin=0.1, runs=5, declared=5, stuck=None):
    """The judge's word on runs that end at ``errors`` (in %) beside a published number."""
    rows = [("backprop", seed, 10, 1.0, "test_error", "", e / 100) for seed, e in enumerate(errors)]
    table = pd.DataFrame(rows, columns=COLUMNS)
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


def test_the_width_of_an_agreement_is_welchs():
    ours, theirs = around(2.0, 0.2), around(2.0, 0.1, 7)
    interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    half = (interval.high - interval.low) / 2
    for side, expected in ((0.999, "reproduced"), (1.001, "near")):
        found = compared(ours + side * half, sd=0.1, runs=7, margin=1.0)
        assert found["verdict"] == expected


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
                word = verdicts.compare(swapped, table, declared)["verdict"]
                scale = pair.rule.scale
                gap = abs(other.published.scaled(scale) - pair.published.scaled(scale))
                yield word in GREEN, gap > pair.margin


def test_published_numbers_exchanged_between_rules_lose_most_of_their_green():
    found = list(exchanges())
    assert len(found) >= 20
    assert sum(green for green, _ in found) < len(found) / 2
    # Where the margin tells two rules apart, hardly any stays.
    apart = [green for green, separable in found if separable]
    assert sum(apart) <= len(apart) / 10


# A claim can fail: its control is judged too, and a claim that its control passes counts for nothing


def table_of(**ends):
    """A table of runs that end at the given errors, and begin at 0.9."""
    rows = []
    for arm, values in ends.items():
        for seed, value in enumerate(values):
            rows.append((arm, seed, 0, 0.0, "test_error", "", 0.9))
            rows.append((arm, seed, 10, 1.0, "test_error", "", value))
    return pd.DataFrame(rows, columns=COLUMNS)


def of_net(**options):
    value = {"experiment": "net", "arm": "feedback_alignment", "measure": "test_error"}
    return Part.model_validate({"value": value, **options})


def judged_at(part, table, declared=3):
    return verdicts.judge_part(part, lambda _: table, lambda *_: declared)


def test_a_control_takes_the_place_of_the_value_and_not_of_what_it_is_compared_with():
    one = of_net(minus={"arm": "backprop"}, below=0)
    swapped = Control(why="w", arms={"feedback_alignment": "shallow"}).of(one)
    assert (swapped.value.arm, swapped.minus.arm) == ("shallow", "backprop")
    table = table_of(
        feedback_alignment=[0.02, 0.021, 0.02], backprop=[0.03, 0.031, 0.03], shallow=[0.1] * 3
    )
    assert judged_at(one, table)["verdict"] == "reproduced"
    assert judged_at(swapped, table)["verdict"] == "not reproduced"


def test_a_control_may_be_the_net_before_it_learns():
    one = of_net(below=0.5)
    table = table_of(feedback_alignment=[0.02, 0.021, 0.02])
    assert judged_at(Control(why="w", at="start").of(one), table)["verdict"] == "not reproduced"


def test_the_interval_between_two_arms_is_welchs():
    ours, theirs = [0.02, 0.025, 0.03, 0.021], [0.03, 0.05, 0.04, 0.033]
    found = judged_at(
        of_net(minus={"arm": "backprop"}, below=0),
        table_of(feedback_alignment=ours, backprop=theirs),
        declared=4,
    )
    expected = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    assert found["interval"] == pytest.approx([expected.low, expected.high], rel=1e-5)

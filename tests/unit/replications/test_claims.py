"""Claims on small made-up tables, where the verdict is known; and the ways to write one wrongly."""

import json
from math import inf, nan

import numpy as np
import pandas as pd
import pytest
import yaml

from replications.harness.judging import claims
from replications.harness.declared import spec
from replications.harness.errors import UserError
from replications.harness.declared.reading import parse

RNG = np.random.default_rng(0)


def tidy(runs, steps=(0, 10, 20)):
    """{(arm, measure, layer): array (seeds, records)} as a tidy table, 10 steps a pass."""
    rows = [
        (arm, seed, step, step / 10, measure, layer, value)
        for (arm, measure, layer), values in runs.items()
        for seed, run in enumerate(values)
        for step, value in zip(steps, run, strict=True)
    ]
    columns = ["arm", "seed", "step", "epoch", "measure", "layer", "value"]
    return pd.DataFrame(rows, columns=columns)


def ends(values):
    """Runs that all start at 1 and end at ``values``."""
    values = np.asarray(values, dtype=float)
    return np.stack([np.ones_like(values), np.ones_like(values), values], axis=1)


def judged(part, table):
    value = {"experiment": "toy", "arm": "a", "measure": "test_error", **part.pop("value", {})}
    found = claims.judge_part(
        parse(claims.Part, {"value": value, **part}, "test"), {"toy": table}.__getitem__
    )
    json.dumps(found, allow_nan=False)
    return found


def errors(**arms):
    return tidy({(arm, "test_error", ""): ends(values) for arm, values in arms.items()})


def test_a_level_is_reproduced_where_the_whole_interval_lies_below_the_bound():
    table = errors(a=[0.10, 0.12, 0.11, 0.09])
    percent = {"scale": "percent"}
    assert judged({"value": percent, "below": 15}, table)["verdict"] == "reproduced"
    assert judged({"value": percent, "below": 11}, table)["verdict"] == "inconclusive"
    assert judged({"value": percent, "below": 5}, table)["verdict"] == "not reproduced"
    assert judged({"value": percent, "above": 5}, table)["estimate"] == pytest.approx(10.5)


def test_pairing_by_seed_finds_an_order_that_the_spread_over_seeds_hides():
    level, offset = np.array([1.0, 5.0, 9.0, 13.0]), np.array([0.9, 1.0, 1.1, 1.0])
    table = errors(a=level, b=level + offset)
    assert judged({"minus": {"arm": "b"}, "below": 0}, table)["verdict"] == "reproduced"
    assert judged({"minus": {"arm": "b"}, "above": 0}, table)["verdict"] == "not reproduced"
    unpaired = errors(a=level, b=(level + offset)[::-1])
    assert judged({"minus": {"arm": "b"}, "below": 0}, unpaired)["verdict"] == "inconclusive"


def test_equivalence_needs_a_tight_interval_and_not_just_a_missing_difference():
    tight, loose = [1.0, -1.0, 0.5, -0.5], [40.0, -40.0, 20.0, -20.0]
    table = errors(a=np.add(50, tight), b=[50] * 4)
    assert judged({"minus": {"arm": "b"}, "margin": 3}, table)["verdict"] == "reproduced"
    table = errors(a=np.add(50, loose), b=[50] * 4)
    assert judged({"minus": {"arm": "b"}, "margin": 3}, table)["verdict"] == "inconclusive"


def test_equivalence_is_judged_at_90_percent_and_the_rest_at_95():
    table = errors(a=[1.0, 2.0], b=[1.0, 1.0])
    assert judged({"minus": {"arm": "b"}, "margin": 3}, table)["confidence"] == 0.90
    assert judged({"minus": {"arm": "b"}, "below": 3}, table)["confidence"] == 0.95


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


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("start", 1.0),
        ("end", 4.0),
        (10, 7.0),
        ({"take": "max"}, 7.0),
        ({"take": "min"}, 1.0),
        ({"take": "mean", "from_step": 10, "to_step": 20}, 5.5),
        ({"take": "max", "from_epoch": 2}, 4.0),
    ],
)
def test_a_record_is_chosen_by_update_or_pass(at, expected):
    table = tidy({("a", "test_error", ""): np.tile([1.0, 7.0, 4.0], (3, 1))})
    assert judged({"value": {"at": at}, "above": 0}, table)["estimate"] == expected


@pytest.mark.parametrize(
    ("values", "at", "expected"),
    [
        ([9.0, 4.0, 2.0], {"level": 4}, 10),
        ([9.0, 4.0, 2.0], {"level": 3}, 20),
        ([0.1, 0.8, 0.9], {"level": 0.8}, 10),
        ([0.1, 0.8, 0.9], {"level": 0.9, "relative": True}, 20),
        ([0.1, 0.8, 0.8], {"level": 0.9, "relative": True}, 10),
        # A level once reached may be left again.
        ([9.0, 4.0, 8.0], {"level": 5}, 10),
    ],
)
def test_a_level_is_reached_at_the_first_record_on_its_other_side(values, at, expected):
    table = tidy({("a", "test_error", ""): np.tile(values, (3, 1))})
    found = judged({"value": {"at": {"take": "reaches", **at}}, "above": 0}, table)
    assert found["estimate"] == expected


def test_a_time_before_one_that_never_comes_is_a_ratio_of_0():
    runs = {("a", "test_error", ""): np.tile([0.9, 0.1, 0.1], (3, 1)),
            ("a", "weight_angle", "readout"): np.tile([90.0, 30.0, 20.0], (3, 1))}  # fmt: skip
    part = {
        "value": {"scale": "accuracy", "at": {"take": "reaches", "level": 0.9, "relative": True}},
        "over": {"measure": "weight_angle", "layer": "readout", "scale": "plain",
                 "at": {"take": "reaches", "level": 5}},
        "below": 1,
    }  # fmt: skip
    found = judged(part, tidy(runs))
    assert (found["estimate"], found["diverged"], found["verdict"]) == (0, 0, "reproduced")


def test_a_run_that_diverged_reaches_nothing():
    table = tidy({("a", "test_error", ""): np.array([[9.0, 1.0, nan], [9.0, 1.0, 1.0]])})
    found = judged({"value": {"at": {"take": "reaches", "level": 5}}, "below": 99}, table)
    assert (found["verdict"], found["diverged"]) == ("not reproduced", 1)


def test_the_line_through_the_logarithms_of_a_decay_is_its_rate():
    steps = (0, 10, 20, 30)
    kept = {("a", "test_error", ""): np.tile([0.99**t for t in steps], (2, 1))}
    bent = {("b", "test_error", ""): np.tile([1, 1, 0.5, 0.1], (2, 1))}
    table = tidy(kept | bent, steps)
    slope = {"scale": "log10", "at": {"take": "slope"}}
    found = judged({"value": slope, "around": np.log10(0.99), "margin": 1e-9}, table)
    assert found["verdict"] == "reproduced"
    straight = {"scale": "log10", "at": {"take": "r_squared"}}
    assert judged({"value": straight, "above": 0.9999}, table)["verdict"] == "reproduced"
    of_b = {**straight, "arm": "b"}
    assert judged({"value": of_b, "above": 0.9999}, table)["verdict"] == "not reproduced"
    one = {**straight, "at": {"take": "slope", "from_step": 30}}
    with pytest.raises(UserError, match="no line through 1 record"):
        judged({"value": one, "above": 0}, table)


@pytest.mark.parametrize("bound", [{"below": 1.0}, {"above": -1.0}, {"margin": 1.0}])
@pytest.mark.parametrize("aggregate", ["mean", "worst"])
def test_a_diverged_run_is_the_worst_case_whichever_side_is_good(bound, aggregate):
    found = judged({"aggregate": aggregate, **bound}, errors(a=[0.1, 0.2, 0.0, -0.1, nan]))
    assert (found["verdict"], found["n"], found["diverged"]) == ("not reproduced", 5, 1)


def test_a_run_that_diverged_in_between_is_not_forgotten():
    values = np.tile([1.0, 7.0, 4.0], (3, 1))
    values[1, 1] = nan
    found = judged(
        {"value": {"at": {"take": "max"}}, "below": 9}, tidy({("a", "test_error", ""): values})
    )
    assert (found["verdict"], found["diverged"]) == ("not reproduced", 1)


def test_one_diverged_run_costs_a_median_one_rank_and_not_the_claim():
    x = [*np.linspace(0, 1, 19), nan]
    found = judged({"aggregate": "median", "below": 2}, errors(a=x))
    assert (found["verdict"], found["diverged"]) == ("reproduced", 1)
    ranks = np.sort(np.where(np.isnan(x), inf, x))
    assert found["interval"] == pytest.approx([ranks[5], ranks[14]], rel=1e-5)


def test_a_seed_without_its_pair_counts_as_diverged():
    found = judged({"minus": {"arm": "b"}, "below": 9}, errors(a=[1.0, 2.0, 3.0], b=[1.0, 2.0]))
    assert (found["verdict"], found["n"], found["diverged"]) == ("not reproduced", 3, 1)


def test_one_run_decides_nothing():
    found = judged({"below": 9}, errors(a=[1.0]))
    assert (found["verdict"], found["interval"]) == ("inconclusive", [None, None])
    assert "no interval" in claims.ours(found)


def test_an_identity_fails_with_the_one_run_that_breaks_it():
    broken = [1e-9] * 19 + [1e-3]
    assert judged({"aggregate": "worst", "below": 1e-6}, errors(a=broken))["verdict"] == (
        "not reproduced"
    )
    assert (
        judged({"aggregate": "worst", "below": 1e-6}, errors(a=[1e-9]))["verdict"] == "reproduced"
    )


def test_a_record_or_layer_that_is_not_there_is_an_error_that_names_the_nearest():
    table = tidy({("a", "delta_angle", "hidden_1"): np.ones((2, 3))})
    angle = {"measure": "delta_angle", "layer": "hidden_1"}
    with pytest.raises(UserError, match=r"at update 12; nearest record: 10"):
        judged({"value": {**angle, "at": 12}, "below": 9}, table)
    with pytest.raises(UserError, match=r"did you mean 'hidden_1'"):
        judged({"value": {**angle, "layer": "hiden_1"}, "below": 9}, table)


CLAIM = {
    "id": "T1",
    "place": "Fig. 1",
    "statement": "a is good | and\n stays so",
    "published": {"value": "2.4", "unit": "%", "certainty": "A", "source": "text"},
    "parts": [
        {"value": {"experiment": "toy", "arm": "a", "measure": "test_error"}, "below": 0.5},
        {
            "value": {"experiment": "toy", "arm": "a", "measure": "test_error"},
            "minus": {"arm": "b"},
            "below": 0,
            "published": -0.3,
        },
    ],
}
TOY = {
    "title": "t",
    "reference": "r",
    "experiments": {
        "toy": {
            "title": "t",
            "place": "p",
            "spec": {
                "task": {"patterns": {"x": [[1.0]], "y": [[1.0]]}},
                "network": {"hidden": [1], "init": "zeros"},
                "optimizer": {"sgd": {"learning_rate": 0.1}},
                "measures": ["test_error"],
                "seeds": 4,
            },
            "arms": {"a": {"rule": "backprop"}, "b": {"rule": "feedback_alignment"}},
            "presets": {"quick": None, "paper": None},
        }
    },
}


@pytest.fixture
def write(tmp_path):
    """A paper called ``toy`` with the given claims; the folder of papers."""

    def write(*content):
        folder = tmp_path / "papers"
        (folder / "toy").mkdir(parents=True, exist_ok=True)
        (folder / "toy" / "experiments.yaml").write_text(yaml.safe_dump(TOY))
        (folder / "toy" / "claims.yaml").write_text(yaml.safe_dump({"claims": list(content)}))
        return folder

    return write


def save(results, table):
    file = results / "quick" / "toy" / "tables" / "toy.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(file, index=False)


def test_a_claim_is_as_good_as_its_worst_part(write, tmp_path):
    save(tmp_path, errors(a=[0.1, 0.11, 0.12], b=[0.1, 0.12, 0.11]))
    (claim,) = claims.judge("toy", "quick", tmp_path, write(CLAIM))
    assert [part["verdict"] for part in claim["parts"]] == ["reproduced", "inconclusive"]
    assert claim["verdict"] == "inconclusive"


def test_a_preset_may_say_something_else(write, tmp_path):
    other = {"quick": {"statement": "weaker", "parts": [{**CLAIM["parts"][0], "below": 0.9}]}}
    save(tmp_path, errors(a=[0.6, 0.61, 0.62], b=[0.1, 0.1, 0.1]))
    (claim,) = claims.judge("toy", "quick", tmp_path, write({**CLAIM, "presets": other}))
    assert (claim["statement"], claim["verdict"]) == ("weaker", "reproduced")
    (loaded,) = claims.load("toy", tmp_path / "papers")
    assert [part.below for part in loaded.under("paper")[1]] == [0.5, 0]


def test_a_claim_may_say_nothing_under_a_preset(write, tmp_path):
    save(tmp_path, errors(a=[0.1, 0.11], b=[0.5, 0.5]))
    silent = {**CLAIM, "id": "T2", "presets": {"quick": None}}
    (claim,) = claims.judge("toy", "quick", tmp_path, write(CLAIM, silent))
    assert claim["id"] == "T1"
    assert claims.load("toy", tmp_path / "papers")[1].under("paper")[1]


def test_verdicts_join_papers_into_one_table_with_the_same_bytes_every_time(write, tmp_path):
    save(tmp_path, errors(a=[0.1, 0.11, nan], b=[0.5, 0.5, 0.6]))
    folder = write(CLAIM)
    read = []
    for _ in range(2):
        claims.judge("toy", "quick", tmp_path, folder)
        claims.verdicts(["toy"], "quick", tmp_path)
        read.append(
            [(tmp_path / "quick" / f"claims.{kind}").read_bytes() for kind in ("json", "md")]
        )
    assert read[0] == read[1]
    (claim,) = json.loads(read[0][0])
    assert (claim["paper"], claim["verdict"]) == ("toy", "not reproduced")
    text = read[0][1].decode()
    assert "0 reproduced, 0 inconclusive, 1 not reproduced" in text
    assert "✘ not reproduced | **T1** | Fig. 1 | a is good \\| and stays so | 2.4 % (A)" in text
    assert "3 (1 diverged)" in text
    assert {line.replace("\\|", "").count("|") for line in text.splitlines()[2:]} == {9}


def changed(part=None, **keys):
    return {**CLAIM, **keys, "parts": [{**CLAIM["parts"][0], **(part or {})}]}


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ({**CLAIM, "plase": "x"}, r"unknown key 'claims.0.plase'.*did you mean 'place'"),
        (changed({"belov": 1.0}), r"unknown key 'claims.0.parts.0.belov'.*did you mean 'below'"),
        (changed({"aggregate": "medain"}), r"'medain'; did you mean 'median'"),
        (changed({"margin": 1.0}), r"either below and/or above, or a margin"),
        (changed({"below": None}), r"either below and/or above, or a margin"),
        (changed({"above": 0.7}), r"region is empty: above 0.7, below 0.5"),
        (changed({"minus": {"arm": "b"}, "over": {"arm": "b"}}), r"at most one of minus, over"),
        (changed({"over": {"arm": "b"}, "below": 0}), r"a ratio .* is positive"),
        (changed({"confidence": 95}), r"confidence: 95 is wrong"),
        ({**CLAIM, "parts": []}, r"claims.0.parts"),
        (
            changed({"value": {**CLAIM["parts"][0]["value"], "at": {"take": "reaches"}}}),
            r"a level is what `take: reaches` needs",
        ),
        (
            changed(published={**CLAIM["published"], "certainty": "D"}),
            r"certainty: unknown value 'D'",
        ),
        (
            changed({"value": {**CLAIM["parts"][0]["value"], "at": "ende"}}),
            r"'ende'; did you mean 'end'",
        ),
        (
            changed({"value": {**CLAIM["parts"][0]["value"], "measure": "test_eror"}}),
            r"'test_error'",
        ),
    ],
)
def test_a_claim_written_wrongly_is_one_line_that_names_it(write, claim, message):
    folder = write(claim)
    with pytest.raises(UserError, match=message) as error:
        claims.load("toy", folder)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("replications/toy/claims.yaml: ")


def test_two_claims_cannot_share_an_id(write):
    with pytest.raises(UserError, match="two claims have the id 'T1'"):
        claims.load("toy", write(CLAIM, CLAIM))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"experiment": "tox"}, r"T1 \(quick\): unknown experiment 'tox'; did you mean 'toy'"),
        ({"arm": "c"}, r"toy has no arm 'c'"),
        ({"measure": "test_nse"}, r"toy/a does not record 'test_nse'"),
    ],
)
def test_a_claim_on_what_is_not_recorded_is_refused_before_any_table_is_read(
    write, tmp_path, value, message
):
    folder = write(changed({"value": {**CLAIM["parts"][0]["value"], **value}}))
    with pytest.raises(UserError, match=message):
        claims.judge("toy", "quick", tmp_path, folder)


@pytest.mark.parametrize("preset", spec.PRESETS)
@pytest.mark.parametrize("paper", spec.papers())
def test_every_claim_of_every_paper_speaks_of_what_its_experiments_record(paper, preset):
    found = claims.load(paper)
    assert found
    claims.check_names(found, preset, claims.recorded(paper, preset))


def test_lillicraps_claims_are_all_there():
    ids = {claim.id.split("-")[0] for claim in claims.load("lillicrap2016")}
    assert ids == {f"L{i}" for i in range(1, 9)}

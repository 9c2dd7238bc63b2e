"""The papers' numbers, as data: each stands there once, in the unit of the paper."""

import pytest

from replications.harness.declared.experiments import papers, recorded
from replications.harness.declared.published import Published, read_published
from replications.harness.errors import UserError
from replications.harness.store import Store
from tests.harness.papers import TOY, write_paper

NUMBER = {
    "experiment": "toy", "arm": "a", "measure": "test_error", "value": 2.1, "unit": "%",
    "at": "end", "certainty": "A", "place": "Table 1, row 4", "source": "text",
}  # fmt: skip


def number(**changes):
    return Published.model_validate({k: v for k, v in (NUMBER | changes).items() if v is not None})


@pytest.mark.parametrize(
    ("changes", "scales"),
    [
        ({}, {"plain": 0.021, "percent": 2.1, "accuracy": 0.979, "log10": -1.6777807}),
        (
            {"unit": "log10 NSE", "value": -2.0},
            {"plain": 0.01, "percent": 1.0, "accuracy": 0.99, "log10": -2.0},
        ),
        ({"unit": "NSE", "value": 0.1}, {"plain": 0.1, "log10": -1.0}),
        ({"unit": "°", "value": 45.0}, {"plain": 45.0}),
        ({"value": None}, {"plain": None, "percent": None, "log10": None, "accuracy": None}),
    ],
)
def test_a_number_is_told_in_the_scale_of_a_claim(changes, scales):
    for scale, expected in scales.items():
        assert number(**changes).scaled(scale) == pytest.approx(expected)


def test_a_percentage_keeps_its_last_digit():
    assert number(value=2.3).scaled("percent") == 2.3
    assert number(unit="log10 NSE", value=-10.9).scaled("log10") == -10.9


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "2.1 %"),
        ({"sd": 0.05}, "2.1 ± 0.05 %"),
        ({"unit": "log10 NSE", "value": -10.9}, "10^-10.9"),
        ({"unit": "NSE", "value": 0.128}, "0.128 NSE"),
        ({"unit": "°", "value": 45.0}, "45°"),
        ({"value": None}, "no convergence"),
    ],
)
def test_a_number_in_words(changes, text):
    assert str(number(**changes)) == text


def test_a_number_knows_its_table():
    assert number().table == "Table 1"
    assert number(place="Fig. 2a").table == "Fig. 2a"


def test_of_training_that_did_not_converge_there_is_no_number():
    assert number().number == 2.1
    with pytest.raises(UserError, match="toy/a: the paper gives no test_error"):
        _ = number(value=None).number


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([NUMBER, NUMBER], "published.yaml: entry 2: toy/a/test_error stands twice"),
        ([{**NUMBER, "value": None, "sd": 0.1}], "entry 1: sd: a spread needs a value"),
        ([{**NUMBER, "certainty": "D"}], "entry 1: certainty: unknown value 'D'"),
        ([{**NUMBER, "valeu": 1.0}], "unknown key 'valeu' (value 1.0); did you mean 'value'?"),
        ([{**NUMBER, "value": float("nan")}], "value: nan is wrong"),
        ([{**NUMBER, "value": "2.1"}], "value: '2.1' is wrong"),
        ({"numbers": []}, "a list of numbers is wanted, not dict"),
    ],
)
def test_a_number_written_wrongly_is_one_line_that_names_the_entry(tmp_path, rows, line):
    store = write_paper(tmp_path, TOY, published=rows)
    with pytest.raises(UserError) as caught:
        read_published("toy", store)
    assert str(caught.value).startswith("replications/toy/published.yaml: ")
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_paper_without_a_file_of_numbers_has_none(tmp_path):
    assert read_published("toy", write_paper(tmp_path, TOY)) == {}


@pytest.mark.parametrize("paper", papers())
def test_every_published_number_has_its_cell(paper):
    known = recorded(paper, "full")
    for experiment, arm, measure in read_published(paper):
        name = measure.partition("@")[0].partition("/")[0]
        assert name in known[experiment][arm], f"{experiment}/{arm}"


def test_lillicraps_printed_curves_are_complete():
    numbers = read_published("lillicrap2016")
    for arm in ("backprop", "feedback_alignment", "shallow"):
        curve = [k for k in numbers if k[:2] == ("digits", arm) and k[2].startswith("test_error@")]
        assert len(curve) == 12


def test_a_published_number_needs_a_known_certainty(tmp_path):
    (tmp_path / "published.yaml").write_text(
        "- {experiment: e, arm: a, measure: m, value: 1, unit: u, at: end, place: p, "
        "certainty: sure, source: s}"
    )
    with pytest.raises(UserError, match=r"published\.yaml: entry 1: certainty: .*'sure'"):
        read_published(tmp_path.name, Store(papers=tmp_path.parent))

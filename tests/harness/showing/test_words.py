"""The words and symbols that a reader meets everywhere."""

import pytest

from replications.harness.declared import experiments
from replications.harness.declared.published import CERTAINTIES
from replications.harness.judging.verdicts import VERDICTS
from replications.harness.showing import words
from tests.harness.papers import TOY, write_paper


def part(**changes):
    return {"n": 5, "declared": 5, "diverged": 0, "estimate": 0.123456, "interval": [0.1, 0.2],
            "quantity": "test_error of a at the end", **changes}  # fmt: skip


def claim(verdict, *parts, identity=False, power=True):
    return {"verdict": verdict, "identity": identity, "power": power, "parts": parts or [part()]}


def test_every_verdict_of_the_judge_has_one_symbol_and_its_words():
    for known in (words.SYMBOLS, words.OF_CLAIM, words.OF_NUMBER):
        assert set(known) == set(VERDICTS)
        assert len(set(known.values())) == len(known)


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("Smith. A title. 1999", "Smith 1999"),
        ("Smith, Jones. A title. 1999", "Smith and Jones 1999"),
        ("Smith, Jones, Wu. A title. 1999", "Smith et al. 1999"),
    ],
)
def test_a_paper_is_cited_by_its_authors_and_its_year(tmp_path, reference, name):
    store = write_paper(tmp_path, {**TOY, "reference": reference}, name="toy1999")
    assert words.short_name("toy1999", store) == name


def test_the_papers_of_the_repository_are_cited_as_their_folders_are_called():
    for paper in experiments.papers():
        name = words.short_name(paper)
        if paper[-4:].isdigit():
            assert paper[:-4] in name.lower().replace("ø", "o").replace(" and ", "_")
            assert name.endswith(paper[-4:])
        else:  # of several papers
            assert name == experiments.load(paper).title


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (part(), "n = 5"),
        (part(n=7), "n = 7"),
        (part(n=3), "3 of 5 runs"),
        (part(n=5, diverged=2), "n = 5, 2 diverged"),
    ],
)
def test_runs_are_counted_against_those_declared(found, text):
    assert words.runs_of(found) == text


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (part(), "0.1235 (0.1 to 0.2)"),
        (part(interval=[None, 0.2]), "0.1235 (unbounded to 0.2)"),
        (part(n=1), "0.1235"),
        (part(quantity="worst test_error"), "0.1235"),
        (part(estimate=None), "not finite"),
        (part(estimate=None, n=0), "not run"),
    ],
)
def test_an_interval_is_told_where_there_is_one(found, text):
    assert words.interval_of(found) == text


@pytest.mark.parametrize(
    ("judged", "text"),
    [
        (claim("reproduced"), "✔ reproduced"),
        (claim("inconclusive"), "? open"),
        (claim("not reproduced"), "✘ failed"),
        (claim("reproduced", identity=True), "✔ reproduced, exact identity"),
        (claim("reproduced", power=False), "✔ reproduced, without power"),
        # Of the part that is furthest from its runs.
        (claim("incomplete", part(n=4), part(n=9, declared=20)), "… 9 of 20 runs"),
    ],
)
def test_a_claims_verdict_says_what_it_is_worth(judged, text):
    assert words.verdict_of_claim(judged) == text


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        ("reproduced", "✔ agrees"),
        ("not reproduced", "✘ differs"),
        ("incomplete", "… 3 of 5 runs"),
    ],
)
def test_a_number_agrees_or_differs(verdict, text):
    assert words.verdict_of_number({"verdict": verdict, "parts": [part(n=3)]}) == text


def test_the_legend_explains_every_letter_once():
    text = words.legend()
    for letter, meaning in CERTAINTIES.items():
        assert text.count(f"**{letter}** {meaning}") == 1

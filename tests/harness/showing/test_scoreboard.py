"""The score counts what the judge said, and nothing else."""

import pytest

from replications.harness.showing import scoreboard


def part(verdict="reproduced", estimate=1.0, interval=(0.9, 1.1), published=None, n=5):
    return {
        "quantity": "percent test_error of a at the end", "experiment": "toy", "confidence": 0.95,
        "region": "< 2", "declared": 5, "published": published, "estimate": estimate,
        "interval": list(interval), "n": n, "diverged": 0, "verdict": verdict,
    }  # fmt: skip


def claim(name, verdict, identity=False, power=True):
    return {"id": name, "place": "Fig. 1", "statement": "so", "identity": identity, "power": power,
            "control": "another rule", "parts": [part(verdict)], "verdict": verdict}  # fmt: skip


def number(name, verdict, **options):
    return {"id": name, "certainty": "C", "verdict": verdict, "parts": [part(verdict, **options)]}


@pytest.fixture
def score():
    judged = {
        "claims": [
            claim("A", "reproduced"),
            claim("B", "reproduced", power=False),
            claim("C", "not reproduced"),
            claim("D", "inconclusive"),
            claim("E", "reproduced", identity=True),
            claim("F", "not reproduced", identity=True),
        ],
        "numbers": [
            number("x", "reproduced", published=1.05),
            number("y", "not reproduced", published=3.0),
            number("z", "incomplete", published=1.0, interval=(None, None), n=1),
            number("w", "not run", published=1.0, interval=(None, None), n=0),
        ],
    }
    return scoreboard.score("lillicrap2016", judged, "full")


def test_claims_are_counted_by_verdict(score):
    assert score.claims["reproduced"] == ["A"]
    assert score.claims["inconclusive"] == ["D"]
    assert score.claims["not reproduced"] == ["C"]


def test_a_claim_that_its_control_passes_counts_for_nothing(score):
    assert score.powerless == ["B"]


def test_identities_are_apart_and_a_broken_one_is_named(score):
    assert (score.identities, score.broken) == (["E"], ["F"])


def test_an_interval_contains_print_or_not_and_one_run_has_none(score):
    assert (score.inside, score.compared) == (1, 2)


def test_only_numbers_that_are_there_have_runs(score):
    assert score.runs == (1, 5)


def test_a_failed_claim_is_told_by_name_place_and_number(score):
    (line,) = scoreboard.failures([score])
    assert line.startswith("**C** (Fig. 1): percent test error of a")
    assert line.endswith("is 1 (0.9 to 1.1), declared < 2")


def test_a_difference_names_its_measure_once():
    part = {"quantity": "percent test_error of a at the end minus percent test_error of b", "region": "< 2",
            "estimate": 3.0, "interval": (2.5, 3.5), "n": 5}  # fmt: skip
    text = "percent test error of a at the end minus that of b is 3 (2.5 to 3.5), declared < 2"
    assert scoreboard.failing(part) == text
    other = {**part, "quantity": "test_nse of a at the end over train_nse of b"}
    assert scoreboard.failing(other).startswith("test NSE of a at the end over train NSE of b is")


def test_the_score_has_a_row_a_paper_in_both_tables(score):
    text = scoreboard.scoreboard([score], link="there/{}")
    assert (
        "(there/lillicrap2016) (A, B, C, D, E, F) | 1 | 1 | 1 | 0 | 0 | 1 | 1, broken: F |" in text
    )
    assert "| 1 | 0 | 0 | 1 | 1 | 1 | 1 of 2 |" in text
    assert "1 to 5 | 4 C |" in text


def test_the_score_is_said_in_one_paragraph(score):
    text = scoreboard.tally([score, score])
    assert text.startswith("Of 6 claims 2 are reproduced, 2 open, 2 failed (C, C), 0 not judged")
    assert text.endswith(
        "Of 8 published numbers ours agree with 2, are near 0, differ from 2; 0 are open, 4 lack runs."
    )
    assert scoreboard.named([score]) == "Open: D. Too few runs yet: none."

"""A paper's page: numbers beside print, each preset's verdict beside its own words, prose that is so."""

import functools
import math
import re

import pytest
import scipy

from replications.harness.declared import experiments
from replications.harness.declared.claims import read_claims
from replications.harness.declared.published import CERTAINTIES
from replications.harness.showing import paper_page
from replications.harness.store import Store

PAPERS = experiments.papers()
STORE = Store()


def rows(text):
    """The cells of each row of the first table of a text, by heading."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [
        [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines
        if not line.startswith("| ---")
    ]
    heads, *others = cells
    return [dict(zip(heads, one, strict=True)) for one in others]


@functools.cache
def page(paper):
    """The table of a paper's numbers, which takes seconds to derive."""
    return paper_page.numbers(paper)


@pytest.fixture(scope="module", params=PAPERS)
def numbers(request):
    return rows(page(request.param))


def test_every_letter_is_explained_where_it_is_shown(numbers):
    text = page("nokland2016")
    assert all(f"**{letter}** {meaning}" in text for letter, meaning in CERTAINTIES.items())
    assert {said_of(row)[1] for row in numbers} <= CERTAINTIES.keys()


def said_of(row):
    """The published value, its letter, and what is said about a recollected one."""
    value, letter, said = re.match(
        r"(-?[\d.]+) \(.+; ([\w+-]+)(?:, ([\w*]+))?\)$", row["published"]
    ).groups("")
    return float(value), letter, said


def test_each_published_number_has_its_place(numbers):
    assert all(re.search(r"\((Fig|Table|logs|text|abstract)", row["published"]) for row in numbers)


def test_a_recollection_that_agrees_says_so_and_a_bare_one_stands_out(numbers):
    for row in numbers:
        _, letter, said = said_of(row)
        if letter == "C":
            assert said == ("again" if row["verdict"] == "✔ agrees" else "**bare**")


def test_print_outside_the_interval_is_told(numbers):
    for row in numbers:
        ends = re.match(r"(-?[\d.]+)\sto\s(-?[\d.]+)", row["95 % interval"])
        if ends is None:
            continue
        low, high, said = float(ends[1]), float(ends[2]), said_of(row)[0]
        # All are rounded to two digits.
        if not (math.isclose(low, said, abs_tol=0.02) or math.isclose(high, said, abs_tol=0.02)):
            assert ("**out**" in row["95 % interval"]) == (not low <= said <= high)


def test_the_interval_of_a_row_is_students(numbers):
    for row in numbers:
        ends = re.match(r"(-?[\d.]+)\sto\s(-?[\d.]+)", row["95 % interval"])
        found = re.match(r"(-?[\d.]+)\s±\s([\d.]+)\s\((\d+)", row["ours, mean ± sd (n)"])
        if ends is None or found is None or "diverged" in row["ours, mean ± sd (n)"]:
            continue
        mean, sd, n = float(found[1]), float(found[2]), int(found[3])
        half = scipy.stats.t.ppf(0.975, n - 1) * sd / math.sqrt(n)
        # Rounded to two digits, and the deviation is multiplied by up to 9.
        assert float(ends[1]) == pytest.approx(mean - half, abs=0.06)
        assert float(ends[2]) == pytest.approx(mean + half, abs=0.06)


@pytest.mark.parametrize("paper", PAPERS)
def test_a_weaker_statement_has_its_own_words_and_its_verdict_in_brackets(paper):
    for row in rows(paper_page.claims(paper)):
        words = row["in words, where others"]
        assert bool(words) == row["quick"].startswith("("), row["claim"]


@pytest.mark.parametrize("paper", PAPERS)
def test_what_is_without_power_says_so(paper):
    text = paper_page.claims(paper)
    for row in rows(text):
        name = re.match(r"\*\*([\w-]+)\*\*", row["claim"])[1]
        if "without power" in row["full scale"]:
            assert f"{name} is without power" in text


def test_a_paper_of_which_nothing_was_run_at_full_scale_says_so_beside_its_words():
    (paper,) = [paper for paper in PAPERS if not experiments.accepted(paper)]
    assert paper_page.not_run(paper) == "Nothing has been run at full scale."
    for row in rows(paper_page.claims(paper)):
        assert row["full scale"] == "- not run"
        assert len(row["in words"]) > 20


@pytest.mark.parametrize("paper", PAPERS)
def test_every_claim_on_full_scale_has_a_verdict_or_is_not_run_beside_its_words(paper):
    declared = {claim.id: claim for claim in read_claims(paper).claims}
    for row in rows(paper_page.claims(paper)):
        claim = declared[re.match(r"\*\*([\w-]+)\*\*", row["claim"])[1]]
        silent = claim.presets.get("full", True) is None
        assert (row["full scale"] == "", row["in words"] == "") == (silent, silent), claim.id


# The six lines at the top of each page, held to the accepted numbers.


@pytest.fixture(scope="module")
def ends():
    return {paper: paper_page.ends_at_full_scale(paper) for paper in PAPERS}


@pytest.fixture(scope="module")
def tops():
    pages = {paper: STORE.readme(paper).read_text(encoding="utf-8") for paper in PAPERS}
    return {paper: text.split("![", 1)[0] for paper, text in pages.items()}


def end(table, experiment, arm, measure="test_error", layer="", what="mean"):
    (found,) = table[
        (table.experiment == experiment)
        & (table.arm == arm)
        & (table.measure == measure)
        & (table.layer == layer)
    ].itertuples()
    return getattr(found, what)


@pytest.mark.parametrize("paper", PAPERS)
def test_a_page_begins_with_six_lines(tops, paper):
    assert tops[paper].count("\n- ") == 6


@pytest.mark.parametrize(
    ("paper", "text", "places"),
    [
        ("kolen_pollack1994", "({:.1f} and {:.1f} degrees at the readout; logged {:.1f} and {:.0f})", [
            ("mnist", "kolen_pollack_no_decay", "weight_angle", "readout"),
            ("mnist", "feedback_alignment", "weight_angle", "readout"),
            ("mnist", "kolen_pollack_no_decay", "weight_angle", "readout", "published"),
            ("mnist", "feedback_alignment", "weight_angle", "readout", "published")]),
        ("kolen_pollack1994", "{:.2f} % test error with decay, where backprop with the same has {:.2f} %", [
            ("mnist", "kolen_pollack"), ("mnist", "backprop_decay")]),
        ("kolen_pollack1994", "mirror of the code ends at {:.2f} % (logged {:.2f})", [
            ("mnist", "weight_mirror_logged"),
            ("mnist", "weight_mirror_logged", "test_error", "", "published")]),
        ("lillicrap2016", "{:.2f} % by feedback alignment ({:.1f}), {:.2f} % by backprop ({:.1f})", [
            ("mnist", "feedback_alignment"),
            ("mnist", "feedback_alignment", "test_error", "", "published"),
            ("mnist", "backprop"), ("mnist", "backprop", "test_error", "", "published")]),
        ("lillicrap2016", "{:.2f} % with half the weights absent ({:.1f})", [
            ("mnist", "sparse_feedback_alignment"),
            ("mnist", "sparse_feedback_alignment", "test_error", "", "published")]),
        ("lillicrap2016", "(10^{:.1f} against 10^{:.1f})", [
            ("linear", "feedback_alignment", "test_nse"), ("linear", "backprop", "test_nse")]),
        ("nokland2016", "a hundred layers end at {:.2f} % (published {:.2f}; ", [
            ("mnist_100x240", "direct_feedback_alignment"),
            ("mnist_100x240", "direct_feedback_alignment", "test_error", "", "published")]),
        ("nokland2016", "{:+.2f}, {:+.2f}, {:+.2f}, {:+.2f} and {:+.2f} points for 1, 2, 3, 4 and 7", [
            (f"mnist_{net}", "feedback_alignment", "test_error", "", "difference")
            for net in ("1x800", "2x800", "3x800", "4x800", "7x240")]),
        ("nokland2016", "({:.2f} %, published {:.2f}) and by feedback alignment ({:.2f} %, published {:.2f})", [
            ("mnist_2x800_dropout", "backprop"),
            ("mnist_2x800_dropout", "backprop", "test_error", "", "published"),
            ("mnist_2x800_dropout", "feedback_alignment"),
            ("mnist_2x800_dropout", "feedback_alignment", "test_error", "", "published")]),
    ],
)  # fmt: skip
def test_the_numbers_of_the_six_lines_are_the_accepted_ones(ends, tops, paper, text, places):
    values = []
    for place in places:
        what = place[4] if len(place) > 4 else "mean"
        values.append(end(ends[paper], *place[:4], what=what))
    assert text.format(*values) in tops[paper].replace("\n  ", " ")


def test_feedback_alignment_s_excess_over_print_grows_with_depth(ends):
    found = [
        end(ends["nokland2016"], f"mnist_{net}", "feedback_alignment", what="difference")
        for net in ("1x800", "2x800", "3x800", "4x800", "7x240")
    ]
    assert found == sorted(found)

"""A number in the prose of a paper's page is that of the accepted tables, of print or of the spec.

Each section is of a kind (``SECTIONS``). In those of results every number must stand in a sentence of
``SAYINGS``, which says how it is derived. The other kinds are settings and what sources say, and what was
seen in runs that were not kept, which the page must say.
"""

import re

import pytest

from replications.harness.declared import experiments
from replications.harness.store import Store
from tests.prose import kolen_pollack1994, lillicrap2016, newer_rules, nokland2016

PAPERS = {
    "kolen_pollack1994": kolen_pollack1994,
    "lillicrap2016": lillicrap2016,
    "newer_rules": newer_rules,
    "nokland2016": nokland2016,
}
WORDS = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
]
NUMBER = r"[-+]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:e[-+]?\d+)?"
FILLED = rf"({NUMBER}|(?i:\b(?:{'|'.join(WORDS)})\b))"
# What is a name and no number.
NAMES = re.compile(
    r"`[^`]*`|!?\[[^]]*\]\([^)]*\)|\*\*|<!--.*?-->"
    r"|\b\d+x\d+\b|\b\d+(?:-\d+){2,}\b|CIFAR-\d+|MNIST|arXiv \S+"
    r"|(?:Fig\.|Figs\.|Table|row|Supplement|proofs?|Section) \d+[a-z]?(?:, [a-z]\b)*"
    r"|\b[CDKLNP]\d+(?:-[\w.]+)*|\b(?:19|20)\d\d\b|R2"
)


def sections(paper):
    """Heading -> text, without what is generated and what is quoted; white space is one blank."""
    text = Store().readme(paper).read_text(encoding="utf-8")
    text = re.sub(r"(?m)^>.*$", "", text)
    text = re.sub(r"<!-- (.*?): begin -->.*?<!-- \1: end -->", "", text, flags=re.DOTALL)
    parts = re.split(r"(?m)^(#+ .*)$", text)
    return {
        head.lstrip("# "): " ".join(body.split())
        for head, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def pattern(saying):
    """A sentence as a regular expression: each {} is a number, in digits or as a word."""
    return re.compile(FILLED.join(re.escape(part) for part in " ".join(saying.split()).split("{}")))


def value(text):
    word = text.lower()
    return float(WORDS.index(word)) if word in WORDS else float(text.replace(",", ""))


def unit(text):
    """The last place of a printed number."""
    if text.isalpha():
        return 1.0
    digits, _, power = text.partition("e")
    return 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))


def wrong(printed, wanted):
    """Whether a printed number is not ``wanted``, rounded; a pair is a number and the unit of rounding."""
    wanted, place = wanted if isinstance(wanted, tuple) else (wanted, unit(printed))
    return abs(value(printed) - float(wanted)) > place / 2 * (1 + 1e-9) + 1e-12


SAYINGS = [
    (paper, said, derive) for paper, module in PAPERS.items() for said, derive in module.SAYINGS
]


def test_every_paper_has_its_prose_here():
    assert set(PAPERS) == set(experiments.papers())


@pytest.mark.parametrize(
    ("paper", "said", "derive"), SAYINGS, ids=[f"{p}: {s[:50]}" for p, s, _ in SAYINGS]
)
def test_a_sentence_says_what_the_tables_say(paper, said, derive):
    whole = " ".join(sections(paper).values())
    found = list(pattern(said).finditer(whole))
    assert len(found) == 1, f"{len(found)} times in the README: {said}"
    printed, wanted = found[0].groups(), derive()
    assert len(printed) == len(wanted)
    off = [(a, b) for a, b in zip(printed, wanted, strict=True) if wrong(a, b)]
    assert not off, f"printed, derived: {off}"


@pytest.mark.parametrize("paper", PAPERS)
def test_every_section_is_of_a_kind_and_no_number_of_results_stands_untested(paper):
    kinds = PAPERS[paper].SECTIONS
    found = sections(paper)
    assert set(kinds) == set(found)
    left = {}
    for head, kind in kinds.items():
        if kind == "told":
            assert "runs that were not kept" in found[head]
        if kind != "results":
            continue
        text = found[head]
        for said, _ in PAPERS[paper].SAYINGS:
            text = pattern(said).sub(" ", text)
        rest = NAMES.sub(" ", text)
        if numbers := re.findall(rf"\S* ?{NUMBER}(?: \S+)?", rest):
            left[head] = numbers
    assert left == {}


def test_a_number_that_is_off_is_told():
    assert not wrong("0.11", 0.1124)
    assert wrong("0.11", 0.1151)
    assert not wrong("three", 3)
    assert wrong("Three", 4)
    assert not wrong("60", (58.2, 10))
    assert wrong("60", 58.2)
    assert not wrong("1,272", 1271.6)
    assert not wrong("5e-4", 5.4e-4)
    assert wrong("5e-4", 5.6e-4)
    assert pattern("ends at {} %").search("it ends at 3.86 %").groups() == ("3.86",)

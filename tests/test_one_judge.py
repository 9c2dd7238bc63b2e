"""One number, one verdict: in the paper's README, in the pictures, and among what was accepted."""

import re

import pytest

import figures
from replications.harness.declared import experiments
from replications.harness.judging import drift
from replications.harness.showing import plotting
from replications.harness.showing.words import OF_NUMBER, SYMBOLS
from replications.harness.store import PAPERS, Store

ACCEPTED = [p for p in experiments.papers() if drift.accepted_verdicts(p, "full")]


def rows(paper):
    """The table of numbers in a paper's README: (experiment, arm, measure) -> its cells by heading."""
    text = (PAPERS / paper / "README.md").read_text(encoding="utf-8")
    table = text.partition("<!-- numbers: begin -->")[2].partition("<!-- numbers: end -->")[0]
    heads, _, *lines = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in table.splitlines()
        if line.startswith("|")
    ]
    for line in lines:
        row = dict(zip(heads, line, strict=True))
        experiment, arm, measure = re.fullmatch(
            r"(\w+), (.+?): (.+?)(?: \(.*\))?", row["what"]
        ).groups()
        yield (experiment, arm.replace(" ", "_"), measure.replace(" ", "_")), row


@pytest.mark.parametrize("paper", ACCEPTED)
def test_readmes_row_has_the_accepted_verdict_of_its_number(paper):
    accepted = {
        tuple(key.split("/", 2)): verdict
        for key, verdict in drift.accepted_verdicts(paper, "full").items()
        if "/" in key
    }
    found = {key: row["verdict"] for key, row in rows(paper) if row["verdict"]}
    assert found
    for key, shown in found.items():
        assert shown == f"{SYMBOLS[accepted[key]]} {OF_NUMBER[accepted[key]]}", key


TABLES = [
    (paper, name)
    for paper in ACCEPTED
    for name, figure in figures.of(paper).items()
    if figure.markdown and name in plotting.drawable(paper, "full", accepted=True)
]


@pytest.mark.parametrize(("paper", "name"), TABLES)
def test_a_picture_of_a_table_has_the_accepted_verdict_of_each_of_its_numbers(paper, name):
    accepted = drift.accepted_verdicts(paper, "full")
    ends = plotting.tables_of(paper, name, "full", Store(), accepted=True)["ends"]
    judged = [e for e in ends.itertuples() if e.verdict]
    assert judged
    for end in judged:
        place = f"{end.measure}/{end.layer}" if end.layer else end.measure
        assert end.verdict == accepted[f"{end.experiment}/{end.arm}/{place}"]

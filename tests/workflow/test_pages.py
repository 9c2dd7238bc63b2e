"""The pages of the report: tables as tables, with nothing from outside."""

import re

import pandas as pd
import pytest

from replications.harness.judging import verdicts
from replications.harness.showing import pages
from replications.harness.store import Store
from replications.harness.tables import COLUMNS, write_table

EXPERIMENTS = """\
title: Title & more
reference: None 1999
experiments:
  line:
    title: A net
    place: none
    spec:
      task: {patterns: {x: [[1.0]], y: [[1.0]]}}
      network: {hidden: [1], activation: linear, bias: false, init: {uniform: 0.1}}
      rule: backprop
      optimizer: {sgd: {learning_rate: 0.1}}
      measures: [test_error]
      seeds: 2
    arms: {a: , b: }
    presets: {quick: }
"""
CLAIMS = """\
claims:
  - id: T1
    place: none
    statement: a ends low | or not.
    said: {text: "low", certainty: OWN, source: these tests}
    control: {why: nothing is learnt yet, at: start}
    parts:
      - {value: {experiment: line, arm: a, measure: test_error}, below: 0.5}
"""


@pytest.fixture
def store(tmp_path):
    """Two seeds, two records; the second run of ``b`` diverged."""
    made = Store(tmp_path / "results", tmp_path / "papers")
    made.experiments("toy").parent.mkdir(parents=True)
    made.experiments("toy").write_text(EXPERIMENTS)
    made.claims("toy").write_text(CLAIMS)
    rows = [
        (arm, seed, step, 0.0, "test_error", "", value)
        for arm, ends in (("a", (0.01, 0.03)), ("b", (0.05, float("nan"))))
        for seed, end in enumerate(ends)
        for step, value in ((0, 0.99), (10, end))
    ]
    write_table(made.table("quick", "toy", "line"), pd.DataFrame(rows, columns=COLUMNS))
    return made


def cells(page):
    """The rows of the tables of a page."""
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    return [re.findall(r"<t[dh]>(.*?)</t[dh]>", row) for row in rows]


def test_the_summary_is_the_mean_and_sample_deviation_of_the_last_records(store):
    pages.write_summary("toy", "quick", store)
    heads, *rows = cells(store.summary("quick", "toy").read_text())
    a, b = (dict(zip(heads, row, strict=True)) for row in rows)
    assert (a["arm"], a["mean"], a["sd"], a["n"], a["diverged"]) == ("a", "2", "1.414", "2", "")
    assert (b["arm"], b["mean"], b["sd"], b["n"], b["diverged"]) == ("b", "5", "", "2", "1")
    assert a["unit"] == "%"


def test_a_page_needs_nothing_from_outside_and_shows_tables_as_tables(store):
    pages.write_summary("toy", "quick", store)
    text = store.summary("quick", "toy").read_text()
    assert "<title>Title &amp; more: the end of training</title>" in text
    assert text.count("<tr>") == 3
    assert "http" not in text


def test_the_page_of_verdicts_says_what_its_markdown_and_its_json_say(store):
    verdicts.judge("toy", "quick", store)
    pages.write_verdicts(["toy"], "quick", store)
    markdown = store.all_verdicts("quick", "md").read_text()
    assert "1 reproduced" in markdown
    text = store.all_verdicts("quick", "html").read_text()
    for said in ("T1, none: ✔ reproduced", "a ends low | or not."):
        assert said in markdown
        assert said in text
    heads, part = cells(text)
    assert len(heads) == len(part)
    assert part[0] == "✔ reproduced"
    assert '"verdict": "reproduced"' in store.all_verdicts("quick", "json").read_text()

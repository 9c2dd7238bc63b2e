"""Verdicts and the ends of training as pages."""

import base64
import copy
import json
import random
import re
from math import nan

import pytest
from docutils.core import publish_parts

from figures import Figure
from replications.harness.judging.verdicts import gather, judge
from replications.harness.showing import pages
from replications.harness.showing.pages import write_summary, write_verdicts
from replications.harness.showing.words import interval_of
from replications.harness.store import Store
from replications.harness.tables import write_table
from tests.harness.judging.made_up import errors, judged
from tests.harness.papers import CLAIM, TOY, write_paper, write_toy


def save(store, table):
    write_table(store.table("quick", "toy", "toy"), table)


def test_verdicts_join_papers_into_one_table_with_the_same_bytes_every_time(tmp_path):
    store = write_toy(tmp_path, CLAIM)
    save(store, errors(a=[0.1, 0.11, 0.1, nan], b=[0.5, 0.5, 0.6, 0.5]))
    read = []
    for _ in range(2):
        judge("toy", "quick", store)
        write_verdicts(["toy"], "quick", store)
        kinds = ("json", "md", "html")
        read.append([store.all_verdicts("quick", kind).read_bytes() for kind in kinds])
    assert read[0] == read[1]
    (claim,) = json.loads(read[0][0])["claims"]
    assert (claim["paper"], claim["verdict"]) == ("toy", "not reproduced")
    text = read[0][1].decode()
    assert "# Claims in the quick run: 1 failed" in text
    assert "### T1, Fig. 1: ✘ failed" in text
    assert "a is good | and stays so" in text
    assert "The paper: 2.4 % (A;" in text
    assert "n = 4, 1 diverged" in text
    tables = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in tables} == {9}
    page = read[0][2].decode()
    assert page.startswith("<!doctype html>")
    assert "<td>✘ failed</td>" in page


def test_the_numbers_of_a_papers_table_have_a_table_of_their_own(tmp_path):
    number = {"experiment": "toy", "arm": "a", "measure": "test_error", "value": 2.1, "unit": "%",
              "at": "end", "certainty": "A", "place": "Table 1, row 1", "source": "text"}  # fmt: skip
    rule = {
        "table": "Table 1",
        "measure": "test_error",
        "scale": "percent",
        "margin": 0.5,
        "why": "w",
    }
    store = write_toy(tmp_path, CLAIM, published=[number], agreement=[rule])
    save(store, errors(a=[0.021, 0.022, 0.020, 0.021], b=[0.5, 0.5, 0.6, 0.5]))
    judge("toy", "quick", store)
    write_verdicts(["toy"], "quick", store)
    text = store.all_verdicts("quick", "md").read_text()
    assert "### Numbers of the paper: 1 agrees" in text
    assert "| ✔ agrees | Table 1, row 1 (A) | percent test error of a at the end | 2.1 |" in text


@pytest.mark.parametrize("alike", [True, False])
def test_at_full_scale_what_quick_runs_as_it_is_has_quick_s_picture(tmp_path, monkeypatch, alike):
    figure = Figure(lambda tables, published: None, ("toy",), "How a ends.", claims=("T1",))
    monkeypatch.setattr(pages, "_pictures_of", lambda paper: {"ends": figure})
    paper = copy.deepcopy(TOY)
    paper["experiments"]["toy"]["presets"]["full"] = None if alike else {"seeds": 5}
    store = write_paper(tmp_path, paper, {"claims": [CLAIM]})
    picture = store.figure("quick", "toy", "ends", "png")
    picture.parent.mkdir(parents=True)
    picture.touch()
    write_table(store.table("full", "toy", "toy"), errors(a=[0.1] * 4, b=[0.5] * 4))
    judge("toy", "full", store)
    text = pages.verdicts_markdown(gather(["toy"], "full", store), "full", store)
    assert ("![ends](quick/toy/figures/ends.png)" in text) == alike
    assert ("How a ends." in text) == alike


def test_what_one_run_or_the_worst_of_runs_comes_to_has_no_interval():
    assert interval_of(judged({"below": 9}, errors(a=[1.0]))) == "1"
    worst = judged({"aggregate": "worst", "below": 9}, errors(a=[1.0, 2.0]))
    assert interval_of(worst) == "2"
    several = judged({"below": 9}, errors(a=[1.0, 2.0, 3.0]))
    assert interval_of(several) == "2 (-0.4841 to 4.484)"


def test_a_summary_lists_where_every_arm_ends(tmp_path):
    store = write_toy(tmp_path, CLAIM)
    save(store, errors(a=[0.1, 0.11, 0.12], b=[0.5, 0.5, nan]))
    write_summary("toy", "quick", store)
    page = store.summary("quick", "toy").read_text()
    cells = "".join(
        f"<td>{cell}</td>\n" for cell in ("a", "test_error", "", "%", "11", "1", "3", "", "")
    )
    assert cells in page
    assert "<td>1</td>" in page.split("<td>b</td>")[1], "one run of b diverged"


def test_the_report_opens_on_the_score_and_the_picture(tmp_path):
    store = Store(tmp_path)
    store.overview("png").parent.mkdir(parents=True)
    picture = random.Random(0).randbytes(300_000)
    store.overview("png").write_bytes(picture)
    pages.write_scoreboard(store)
    text = store.scoreboard("rst").read_text()
    # As Snakemake does it, to which an error is a line of the page.
    html = publish_parts(text, writer="html", settings_overrides={"halt_level": 2})["body"]
    assert "reproduced" in html
    (shown,) = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    assert base64.b64decode(re.sub(r"\s", "", shown)) == picture
    assert base64.b64encode(picture).decode() in store.scoreboard("html").read_text()

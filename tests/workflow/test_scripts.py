"""The scripts behind the report: the picture of the rules, and the tables as pages."""

import pandas as pd
import pytest

from workflow.scripts import page, rulegraph, summary

DOT = """digraph snakemake_dag {
    graph[bgcolor=white, margin=0];
\t0[label = "all", color = "0.00 0.6 0.85", style="rounded"];
\t1[label = "plot", color = "0.50 0.6 0.85", style="rounded"];
\t2[label = "simulate", color = "0.39 0.6 0.85", style="rounded"];
\t1 -> 0
\t2 -> 0
\t2 -> 1
\t2 -> 2
}"""


def test_a_rule_that_feeds_itself_is_no_arrow():
    edges = rulegraph.parse(DOT)
    assert edges == {("plot", "all"), ("simulate", "all"), ("simulate", "plot")}


def test_an_arrow_that_others_imply_is_left_out():
    assert rulegraph.direct(rulegraph.parse(DOT)) == {("plot", "all"), ("simulate", "plot")}


def test_every_rule_stands_to_the_left_of_its_users_and_on_no_other():
    edges = rulegraph.parse(DOT) | {("dataset", "simulate"), ("simulate", "check")}
    place = rulegraph.places(edges)
    assert all(place[first][0] < place[user][0] for first, user in edges)
    assert len(set(place.values())) == len(place) == 5


def test_the_picture_names_every_rule_and_has_the_same_bytes_again(tmp_path):
    paths = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for path in paths:
        rulegraph.draw(rulegraph.parse(DOT), str(path))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert all(f"<!-- {name} -->" in paths[0].read_text() for name in ("all", "plot", "simulate"))


@pytest.fixture
def table() -> pd.DataFrame:
    """Two seeds, two records; the second run of ``b`` diverged."""
    rows = [
        (arm, seed, step, 0.0, "test_nse", "", value)
        for arm, ends in (("a", (1.0, 3.0)), ("b", (5.0, float("nan"))))
        for seed, end in enumerate(ends)
        for step, value in ((0, 99.0), (10, end))
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "step", "epoch", "measure", "layer", "value"])


def test_the_summary_is_the_mean_and_sample_deviation_of_the_last_records(table):
    a, b = summary.ends(table).itertuples(index=False)
    assert (a.arm, a.mean, a.sd, a.n, a.diverged) == ("a", 2.0, pytest.approx(2**0.5), 2, 0)
    assert (b.arm, b.mean, b.n, b.diverged) == ("b", 5.0, 2, 1)


def test_a_page_needs_nothing_from_outside_and_shows_tables_as_tables(table):
    text = page.page("Title & more", summary.section("line", table))
    assert "<title>Title &amp; more</title>" in text
    assert text.count("<tr>") == 3
    assert "http" not in text

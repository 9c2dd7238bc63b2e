"""What a run leaves behind: the same bits on any number of cores, a report, words on a failure."""

import base64
import json
import re
from pathlib import Path

import numpy as np

RESULTS = Path("results/quick/tiny")


def contents(checkout, *patterns: str) -> dict[str, bytes]:
    """The bytes of the results that the patterns name."""
    folder = checkout.folder / RESULTS
    found = {path for pattern in patterns for path in folder.glob(pattern)}
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def numbers(checkout) -> dict[str, dict[str, bytes]]:
    """The bytes of all arrays of every run."""
    found = {}
    for path in sorted((checkout.folder / RESULTS).glob("runs/*/*.npz")):
        with np.load(path) as run:
            names = set(run.files) - {"manifest", "sha256"}
            found[f"{path.parent.name}/{path.stem}"] = {n: run[n].tobytes() for n in names}
    return found


def test_one_core_and_two_cores_give_the_same_bytes(ran, with_paper, tmp_path):
    alone = with_paper.copy(tmp_path / "bioflax")
    figures = [f"{RESULTS}/figures/{name}.svg" for name in ("line", "other")]
    said = alone.run(f"{RESULTS}/claims.json", *figures, cores=1)
    assert "\n1 of 2 experiments, " in said
    assert "\n2 of 2 experiments, less than a minute left\n" in said
    patterns = ("tables/*.csv", "figures/*", "claims.json")
    expected, found = contents(ran, *patterns), contents(alone, *patterns)
    assert len(found) == 2 + 6 + 1
    assert found == expected
    # A run's manifest, in the same file, tells of times too.
    runs = [numbers(one) for one in (ran, alone)]
    assert len(runs[0]) == 3
    assert runs[0] == runs[1]


def test_one_seed_run_alone_has_the_bits_that_it_has_among_others(ran, tmp_path):
    words = ["simulate", "tiny", "line", "feedback_alignment", "--seeds", "1:2"]
    ended = ran.python("-m", "replications", *words, "--results", str(tmp_path))
    assert ended.status == 0, ended.said
    run = "quick/tiny/runs/line/feedback_alignment.npz"
    with np.load(tmp_path / run) as one, np.load(ran.folder / "results" / run) as all_:
        assert one["seeds"].tolist() == [1]
        assert all_["seeds"].tolist() == [0, 1, 2]
        assert set(one.files) == set(all_.files)
        for name in {"first_losses", "test_nse"}:
            assert one[name].tobytes() == all_[name][1:2].tobytes()


def test_a_missing_accepted_result_is_a_failure_and_is_not_created(edited):
    folder = edited.folder / "replications/tiny/accepted"
    for path in (folder / "quick").iterdir():
        path.unlink()
    ended = edited.snakemake("tiny", "--cores", "2")
    assert ended.status != 0
    assert "python -m replications accept tiny" in ended.said
    assert not (edited.folder / RESULTS / "check.txt").exists()
    assert list(folder.rglob("*.csv")) == []


def test_a_moved_number_makes_the_run_red_and_says_which(edited):
    # Twice the rate: a real change, not round-off.
    faster = "feedback_alignment: {optimizer: {sgd: {learning_rate: 0.02}}}"
    edited.edit("replications/tiny/experiments.yaml", "feedback_alignment: {}", faster)
    ended = edited.snakemake("tiny", "--cores", "2")
    assert ended.status != 0
    assert "feedback_alignment" in ended.said.partition("Check tiny")[2]
    assert not (edited.folder / RESULTS / "check.txt").exists()


def test_the_end_of_a_failed_jobs_log_stands_on_the_console(edited):
    edited.edit("figures/tiny.py", "drawing =", "raise ValueError('the ink is dry')\n        _ =")
    ended = edited.snakemake(f"{RESULTS}/figures/line.svg", "--cores", "1")
    assert ended.status != 0
    assert "ValueError: the ink is dry" in ended.said
    assert "the ink is dry" in (edited.folder / "results/quick/logs/plot/tiny/line.log").read_text()


def test_the_report_is_one_page_with_every_figure_table_and_the_check(ran, tmp_path):
    page = tmp_path / "report.html"
    ended = ran.snakemake("tiny", "--report", str(page))
    assert ended.status == 0, ended.said
    assert "WARNING" not in ended.said
    text = page.read_text()
    start = '<script id="results">\n    var results = '
    results, _ = json.JSONDecoder().raw_decode(text.partition(start)[2])
    names = ("figures/line.svg", "figures/other.svg", "tables/summary.html", "check.txt")
    of_all = {"results/full/overview.svg", "results/scoreboard.html"}
    assert set(results) == {f"{RESULTS}/{name}" for name in names} | of_all
    assert "The error on a line." in results[f"{RESULTS}/figures/line.svg"]["caption"]
    tables = results[f"{RESULTS}/tables/summary.html"]["data_uri"].partition("base64,")[2]
    tables = base64.b64decode(tables).decode()
    assert re.findall("<h2>(.*)</h2>", tables)[:2] == ["line", "other"]
    assert re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=.?https?:", text) == []

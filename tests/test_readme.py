"""What README.md says is so: its commands exist, its numbers are the accepted ones."""

import math
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import scipy

import figures
from figures import nokland2016
from replications.harness import command_line
from replications.harness.declared import experiments
from replications.harness.judging import drift
from replications.harness.showing import pages, plotting, readme
from replications.harness.store import PAPERS, Store

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
LINES = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]


def commands(program):
    """The arguments of every call of ``program`` that the README shows."""
    for line in LINES:
        for command in line.split(" && "):
            words = shlex.split(command)
            if words[: len(program)] == program:
                yield words[len(program) :]


def test_the_harness_understands_the_commands_in_the_readme():
    shown = list(commands(["python", "-m", "replications"]))
    assert shown
    for words in shown:
        command_line._parser().parse_args(words)


def test_the_snakemake_targets_in_the_readme_are_papers_or_files_that_rules_make():
    named = [
        word for words in commands(["snakemake"]) for word in words if not word.startswith("-")
    ]
    papers = {name for name in named if name in experiments.papers()}
    files = {name for name in named if name.startswith("results/")}
    assert papers
    assert files
    assert set(named) - papers - files <= {"all"}


def test_the_readme_shows_the_accepted_results():
    assert readme.write(ROOT / "README.md", check=True), "run `python -m replications readme`"


def test_a_readme_with_another_number_is_not_true(tmp_path):
    changed = tmp_path / "README.md"
    changed.write_text(re.sub(r"(\d)\.(\d)(\d)(?=\s±\s)", r"\1.\g<3>\2", TEXT, count=40))
    assert changed.read_text() != TEXT
    assert not readme.write(changed, check=True)
    readme.write(changed)
    assert changed.read_text() == TEXT


def test_each_picture_of_a_paper_is_kept_and_no_other():
    for paper in experiments.papers():
        kept = set((PAPERS / paper).glob("*.png"))
        assert kept == {picture.file for picture in readme.pictures(paper)}


def test_the_tables_of_full_scale_are_all_shown():
    names = ["table1_mnist", "table2_cifar10"]
    shown = [p.name for p in readme.pictures("nokland2016") if p.preset == "full"]
    assert shown == names
    assert all(f"![{name}](replications/nokland2016/{name}.full.png)" in TEXT for name in names)


def rows():
    """The tables of numbers: the cells of each row, by heading."""
    heading = None
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if line.startswith("| experiment |"):
            heading = cells
        elif heading and line.startswith("| ") and not line.startswith("| ---"):
            yield dict(zip(heading, cells, strict=True))
        elif not line.startswith("|"):
            heading = None


def test_a_published_number_has_one_row_of_full_scale_where_that_was_accepted():
    keys = ("experiment", "rule or variant", "measure", "place, certainty")
    found = [tuple(row[key] for key in keys) for row in rows()]
    assert found
    assert len(found) == len(set(found))
    kept = {name for paper in experiments.papers() for name in experiments.kept(paper)}
    scales = {row["experiment"]: row["data"] for row in rows()}
    assert all("quick" not in scales[name] for name in kept & scales.keys())


def test_the_interval_of_a_row_is_student_s():
    several = [row for row in rows() if row["95 % interval"]]
    assert several
    for row in several:
        numbers = re.findall(r"-?\d+\.?\d*", row["ours, mean ± sd (n)"])
        mean, sd, n = float(numbers[0]), float(numbers[1]), int(numbers[2])
        low, high = map(float, re.split(r"\sto\s", row["95 % interval"]))
        # Not scipy's own interval, which has none for a deviation that is 0.00 here.
        half = scipy.stats.t.ppf(0.975, n - 1) * sd / math.sqrt(n)
        ends = mean - half, mean + half
        # Both are rounded to two digits, and the deviation is multiplied by up to 9.
        np.testing.assert_allclose((low, high), ends, atol=0.06)


def test_a_row_names_the_claims_on_it_with_their_verdicts():
    (row,) = [
        r for r in rows() if (r["experiment"], r["rule or variant"]) == ("nonlinear", "shallow")
    ]
    assert row["claims"].split() == ["L7", "✘"]


# One number, one verdict: in README's row, in the picture above it, and among what was accepted.

TABLES = [
    name
    for name, figure in figures.of("nokland2016").items()
    if figure.markdown and figure.drawable(set(experiments.accepted("nokland2016")))
]


@pytest.fixture(scope="module")
def drawn():
    """The end tables from which the pictures of Nøkland's tables are drawn, of accepted records."""
    return {
        name: plotting.tables_of("nokland2016", name, "full", Store(), accepted=True)["ends"]
        for name in TABLES
    }


def test_the_signs_of_the_pictures_are_those_of_readme():
    assert nokland2016.MARKS.items() <= pages.SYMBOLS.items()
    assert set(nokland2016.TINTS) == set(nokland2016.MARKS)


@pytest.mark.parametrize("name", TABLES)
def test_a_picture_shows_the_accepted_verdict_of_each_number_and_readme_s_row_the_same(drawn, name):
    accepted = drift.accepted_verdicts("nokland2016", "full")
    shown = {(r["experiment"], r["rule or variant"], r["measure"]): r for r in rows()}
    ends = drawn[name]
    cells = ends[(ends.measure == "test_error") & (ends.place != "")]
    assert len(cells)
    for cell in cells.itertuples():
        assert cell.verdict == accepted[f"{cell.experiment}/{cell.arm}/test_error"]
        if not math.isfinite(cell.published):
            continue  # no convergence: a verdict, and no number for a row
        row = shown[cell.experiment, cell.arm.replace("_", " "), "test error (%)"]
        assert row["agrees"] == pages.SYMBOLS[cell.verdict]
        assert row["ours, mean ± sd (n)"].split("\N{NO-BREAK SPACE}")[0] == f"{cell.mean:.2f}"
        assert row["difference"] == f"{cell.difference:+z.2f}"


@pytest.mark.parametrize("name", TABLES)
def test_the_markdown_of_a_table_has_the_sign_of_the_accepted_verdict_in_each_cell(drawn, name):
    accepted = drift.accepted_verdicts("nokland2016", "full")
    rows_of = nokland2016.MNIST if "mnist" in name else nokland2016.CIFAR
    known = {model: place for place, model in rows_of.items()}
    figure = figures.find("nokland2016", name)
    heads, _, *lines = [line.split(" | ") for line in figure.markdown(drawn[name]).splitlines()]
    arms = {look.label: look.arm for look in nokland2016.LOOKS}
    seen = 0
    for model, *cells in lines:
        place = known[model.removeprefix("| ")]
        place = place if "mnist" in name else f"cifar10_{place}"
        for k, head in enumerate(heads[1:]):
            said = " ".join(cells[3 * (k // 3) :][:3]).removesuffix(" |")
            if not head.endswith(": ours") or not said.strip():
                continue
            arm = arms[head.removesuffix(": ours")]
            verdict = accepted.get(f"{place}/{arm}/test_error")
            marks = {sign for sign in nokland2016.MARKS.values() if sign in said.split()}
            assert marks == ({pages.SYMBOLS[verdict]} if verdict else set()), (place, arm)
            seen += 1
    assert seen > 8

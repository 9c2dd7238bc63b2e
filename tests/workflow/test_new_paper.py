"""CONTRIBUTING's walk: a paper from the template runs, is accepted, and its check is green."""

import re
import shlex

import pytest

from tests.workflow.conftest import ROOT

NAME = "somebody2000"


def walk() -> list[list[str]]:
    """The commands of CONTRIBUTING's block, without a person's answer and on two cores."""
    section = (ROOT / "CONTRIBUTING.md").read_text().split("## Add a paper")[1].split("\n## ")[0]
    lines = re.findall(r"^    (.*)$", section, re.MULTILINE)
    assert len(lines) == 6
    return [shlex.split(line, comments=True) for line in lines]


def run(checkout, words: list[str]) -> str:
    if words[0] == "snakemake":
        words = ["python", "-m", "snakemake", *words[1:-1], "2"]
    if "accept" in words:
        words = [*words, "--yes"]
    ended = checkout.python(*words[1:])
    assert ended.status == 0, ended.said
    return ended.said


def test_a_new_paper_runs_and_is_green_as_contributing_says(clone, tmp_path):
    copy = clone.copy(tmp_path / "bioflax")
    said = [run(copy, words) for words in walk()]
    assert f"replications/{NAME}/claims.yaml" in said[0]
    assert f"{NAME} line shallow seeds=5" in said[1]
    assert "X1" in (copy.folder / f"replications/{NAME}/README.md").read_text()
    results = copy.folder / "results/quick" / NAME
    assert '"verdict": "reproduced"' in (results / "claims.json").read_text()
    assert (results / "check.txt").is_file()
    assert (results / "figures/line.svg").is_file()


@pytest.mark.parametrize(
    "name", ["nokland2016", "../x", "all", "None", "null", "a.b", "overview", ""]
)
def test_a_name_that_cannot_be_writes_nothing(clone, tmp_path, name):
    copy = clone.copy(tmp_path / "bioflax")
    ended = copy.python("-m", "replications", "new", name)
    assert ended.status == 2
    assert ended.said.startswith("error: ")
    assert ended.said.count("\n") == 1
    status = copy.python(
        "-c", "import subprocess; print(subprocess.getoutput('git status --short'))"
    )
    assert status.said.strip() == ""


def test_where_one_of_its_files_is_there_nothing_is_written(clone, tmp_path):
    copy = clone.copy(tmp_path / "bioflax")
    (copy.folder / f"figures/{NAME}.py").write_text("mine\n")
    ended = copy.python("-m", "replications", "new", NAME)
    assert f"figures/{NAME}.py: is there already; nothing was written" in ended.said
    assert not (copy.folder / "replications" / NAME).exists()
    assert (copy.folder / f"figures/{NAME}.py").read_text() == "mine\n"

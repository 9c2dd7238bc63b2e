"""The rule of the documentation: a target of its own, run here with a tutorial of one line."""

import subprocess
from collections import Counter

import pytest

SHORT = "# A tutorial\n\n```python\nprint(6 * 7)\n```\n"


@pytest.fixture(scope="module")
def built(clone, tmp_path_factory):
    made = clone.copy(tmp_path_factory.mktemp("docs") / "bioflax")
    (made.folder / "bioflax/tutorial.md").write_text(SHORT)
    made.run("docs", cores=1)
    return made


def test_the_documentation_is_no_part_of_the_default_target(clone):
    assert clone.planned("docs") == Counter(docs=1)
    assert clone.planned()["docs"] == 0


def test_the_rule_builds_the_site_in_an_ignored_folder(built):
    pages = {path.name for path in (built.folder / "results/docs").glob("*.html")}
    assert {"index.html", "readme.html", "tutorial.html", "bioflax.html"} <= pages
    assert '<pre class="output">42' in (built.folder / "results/docs/tutorial.html").read_text()
    status = ["git", "status", "--porcelain"]
    done = subprocess.run(status, cwd=built.folder, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["M", "bioflax/tutorial.md"]


def test_a_second_build_does_nothing_and_a_docstring_asks_for_one(built, tmp_path):
    assert built.planned("docs") == Counter()
    edited = built.copy(tmp_path / "bioflax")
    edited.edit(
        "bioflax/rules/kolen_pollack.py", "Kolen-Pollack: ", "The rule of Kolen and Pollack: "
    )
    assert edited.planned("docs") == Counter(docs=1)


def test_a_link_to_nowhere_fails_in_one_line(built, tmp_path):
    edited = built.copy(tmp_path / "bioflax")
    edited.edit("README.md", "](CONTRIBUTING.md)", "](CONTRIBUTE.md)")
    ended = edited.snakemake("docs", "--cores", "1")
    assert ended.status != 0
    assert "README.md links to 'CONTRIBUTE.md', and there is no such file" in ended.said
    assert "Traceback" not in ended.said

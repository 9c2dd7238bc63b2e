"""The sources of the documentation: all Python in them runs, every public name has its place."""

import re

import jupytext
import nbformat
import pytest
import yaml

import bioflax
from replications.harness import command_line as cli
from workflow.site import colab

SITE = colab.HERE
ROOT = colab.ROOT
PAGES = sorted(SITE.rglob("*.md"))
TEXTS = [*ROOT.glob("*.md"), *ROOT.glob("replications/*/README.md")]
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(code, id=f"{source.relative_to(ROOT)}-{number}")
    for source in TEXTS
    for number, code in enumerate(PYTHON.findall(source.read_text()), 1)
]


@pytest.mark.parametrize("code", BLOCKS)
def test_every_block_of_python_in_the_repositorys_texts_runs_by_itself(code):
    exec(compile(code, "a block", "exec"), {"__name__": "block"})


@pytest.mark.parametrize("page", [*PAGES, *TEXTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_says_what_it_is_and_python_in_a_page_is_a_cell_that_runs(page):
    fences = re.findall(r"^ *```(.*)$", page.read_text(), re.MULTILINE)
    assert set(fences[1::2]) <= {""}
    kinds = {fence.partition(" ")[0] for fence in fences[::2]}
    directives = {kind for kind in kinds if kind.startswith("{")}
    assert kinds - directives <= ({"sh"} if page in PAGES else {"sh", "python"})
    # A page is run if its head says by what.
    assert ("{code-cell}" in directives) == ("\nkernelspec:\n" in page.read_text())


def test_no_page_has_a_doctest_which_nothing_would_run():
    assert not [page for page in PAGES if re.search(r"^>>> ", page.read_text(), re.MULTILINE)]


def test_every_public_name_is_in_the_api_once():
    pages = [path.read_text() for path in (SITE / "api").glob("*.md")]
    named = re.findall(r"^\.\. auto(?:class|function):: (\w+)$", "\n".join(pages), re.MULTILINE)
    assert sorted(named) == sorted(bioflax.__all__)


def test_every_paper_has_a_page():
    papers = {path.parent.name for path in ROOT.glob("replications/*/experiments.yaml")}
    assert {path.stem for path in (SITE / "papers").glob("*.md")} == papers | {"index"}


def test_the_harness_understands_the_commands_that_pages_show():
    lines = [
        line
        for page in PAGES
        for block in SHELL.findall(page.read_text())
        for line in block.splitlines()
    ]
    program = "python -m replications "
    shown = [line.removeprefix(program).split() for line in lines if line.startswith(program)]
    assert shown
    for words in shown:
        cli._parser().parse_args(words)


# Pages as notebooks.

notebooks = pytest.mark.parametrize("page", colab.PAGES, ids=lambda page: page.stem)


def test_the_tutorial_each_rule_and_a_conversion_are_notebooks():
    names = {page.stem for page in colab.PAGES}
    rules = {"feedback_alignment", "kolen_pollack", "product_feedback", "sign_symmetry"}
    rules |= {"weight_mirror", "conditioned"}
    assert rules == {path.stem for path in (ROOT / "bioflax/_rules").glob("*.py")} - {
        "__init__",
        "base",
        "backprop",
    }
    assert rules | {"direct_feedback", "convert", "tutorial", "recipes"} <= names
    assert {page.with_suffix(".ipynb") for page in colab.PAGES} == {*SITE.rglob("*.ipynb")}


@notebooks
def test_a_notebook_is_that_of_the_text(page):
    written = page.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert written == colab.notebook(page), "run `python -m workflow.site.colab`"


@notebooks
def test_a_notebook_has_no_outputs_and_installs_first(page):
    made = nbformat.reads(colab.notebook(page), as_version=4)
    nbformat.validate(made)
    code = [cell for cell in made.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in code)
    assert made.cells[0] is code[0]
    assert "%pip install" in code[0].source


@notebooks
def test_what_only_the_site_needs_is_not_in_a_notebook(page):
    text, made = jupytext.read(page), nbformat.reads(colab.notebook(page), as_version=4)
    hidden = [
        cell for cell in text.cells if {"remove-cell", "site"} & set(cell.metadata.get("tags", []))
    ]
    assert len(hidden) > 1
    assert len(made.cells) == len(text.cells) - len(hidden) + 1
    assert not re.search(r"\{\{ |\{\w+\}`|assert ", "".join(cell.source for cell in made.cells))


@pytest.mark.parametrize("address", ["", "https://example.org/someone/bioflax"])
def test_the_address_of_the_repository_is_said_once(monkeypatch, tmp_path, address):
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text()) | {"repository-code": address}
    (tmp_path / "CITATION.cff").write_text(yaml.safe_dump(citation))
    monkeypatch.setattr(colab, "ROOT", tmp_path)
    assert colab.repository() == address
    first = nbformat.reads(colab.notebook(colab.PAGES[0]), as_version=4).cells[0].source
    installed = re.search(r'%pip install --quiet "(.*?)"', first)[1]
    if address:
        assert installed == f"bioflax @ git+{address}"
    else:
        assert installed == f"bioflax-{bioflax.__version__}-py3-none-any.whl"

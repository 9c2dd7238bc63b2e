"""Which sources a module runs, and what they say: comments and docstrings say nothing."""

import ast

import pytest

from replications.harness import sources
from replications.harness.store import ROOT
from replications.harness.training.provenance import PROGRAM


def test_a_docstring_or_a_comment_does_not_move_a_digest(tmp_path):
    texts = ['def f():\n    """One."""\n    return 1\n', "def f():\n    # Two.\n    return 1\n"]
    digests = []
    for i, text in enumerate([*texts, "def f():\n    return 2\n"]):
        folder = tmp_path / str(i)
        folder.mkdir()
        (folder / "m.py").write_text(text)
        digests.append(sources.code_digest(folder / "m.py", folder))
    assert digests[0] == digests[1] != digests[2]


def test_a_digest_is_the_same_whichever_python_computes_it(tmp_path):
    """The trees of 3.12 have one more field, those of 3.13 leave out empty lists."""
    text = (
        "class A(B):\n    @c\n    async def f(self, *, x=1):\n        return f'{x!r:>{3}}', f()\n"
    )
    (tmp_path / "m.py").write_text(text)
    of_python_3_11 = "dea7240d364ea4a6e3426b92382b76300be3446a75330e1c3af8661f72506a7c"
    assert sources.code_digest(tmp_path / "m.py", tmp_path) == of_python_3_11


def test_the_digest_of_files_moves_with_each_and_with_their_places(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.py").write_text("x = 1\n")
    a, b = tmp_path / "a.py", tmp_path / "b.py"
    found = {sources.digest(files, tmp_path) for files in ([a], [b], [a, b])}
    assert len(found) == 3


# Imports


@pytest.fixture
def closure(tmp_path):
    """The closure of modules of a small tree, as names of files."""

    def write(file, text):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    write("bioflax/__init__.py", "from bioflax import rules\nfrom bioflax.rules import Rule\n"
          "from bioflax.stack import Stack as Stack\n")  # fmt: skip
    write("bioflax/rules.py", "class Rule:\n    pass\n")
    write("bioflax/stack.py", "import bioflax.deep\n")
    write("bioflax/deep.py", "")
    write("replications/__init__.py", "")
    write("replications/other.py", "x = 1\n")

    def find(text, *names):
        sources._imported.cache_clear()
        sources._public.cache_clear()
        write("replications/m.py", text)
        found = sources.closure(names or ["replications.m"], tmp_path)
        return [path.relative_to(tmp_path).as_posix() for path in found]

    return find


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import numpy, os.path", []),
        ("import replications.other", ["replications/other.py"]),
        ("from replications import other", ["replications/other.py"]),
        ("from replications.other import x", ["replications/other.py"]),
        ("def f():\n    from replications.other import x\n", ["replications/other.py"]),
        ("try:\n    import replications.other\nexcept ImportError:\n    pass\n", ["replications/other.py"]),
        # Of the library, the modules whose names are used: no more, and what these import.
        ("import bioflax", []),
        ("import bioflax\nbioflax.Rule", ["bioflax/rules.py"]),
        ("import bioflax\ndef f() -> bioflax.Stack: ...", ["bioflax/deep.py", "bioflax/stack.py"]),
        ("from bioflax import Rule", ["bioflax/rules.py"]),
    ],
)  # fmt: skip
def test_a_module_runs_what_it_imports_and_what_that_imports(closure, text, found):
    assert closure(text) == sorted([*found, "replications/m.py"])


def test_what_is_imported_for_types_alone_is_not_run(closure):
    text = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from replications import other\n"
        "    import bioflax\n    bioflax.Rule\n"
    )
    assert closure(text) == ["replications/m.py"]
    assert closure(text.replace("if TYPE_CHECKING", "if True")) == [
        "bioflax/rules.py", "replications/m.py", "replications/other.py"
    ]  # fmt: skip


def test_what_is_imported_where_types_are_not_checked_is_run(closure):
    text = "if TYPE_CHECKING:\n    import bioflax.deep\nelse:\n    from replications import other\n"
    assert closure(text) == ["replications/m.py", "replications/other.py"]


def test_a_package_of_the_library_that_passes_a_name_on_is_followed_to_its_module(
    closure, tmp_path
):
    """Else every rule would be among the sources of every cell."""
    package = tmp_path / "bioflax" / "kinds"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from bioflax.kinds.one import One\nfrom bioflax.kinds.two import Two\n"
    )
    for name in ("one", "two"):
        (package / f"{name}.py").write_text("")
    assert closure("from bioflax.kinds import One") == ["bioflax/kinds/one.py", "replications/m.py"]


def test_no_source_imports_relatively_which_the_closure_would_not_see():
    for package in sources.PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            levels = [node.level for node in nodes if isinstance(node, ast.ImportFrom)]
            assert not any(levels), file.name


def test_a_name_of_the_library_leads_to_its_module(closure):
    assert closure("", "bioflax.Rule") == ["bioflax/rules.py"]
    assert closure("", "bioflax.Stack", "replications.other") == [
        "bioflax/deep.py", "bioflax/stack.py", "replications/other.py"
    ]  # fmt: skip


def test_modules_that_import_each_other_end(closure, tmp_path):
    (tmp_path / "replications" / "other.py").write_text("import replications.m\n")
    assert closure("import replications.other") == ["replications/m.py", "replications/other.py"]


def test_the_program_of_cells_runs_no_page_no_judge_and_no_command():
    names = [path.relative_to(ROOT).as_posix() for path in sources.closure([PROGRAM])]
    assert "replications/harness/training/program.py" in names
    assert any(name.startswith("bioflax/") and name.endswith("/linear.py") for name in names)
    floors = ("judging", "showing", "declared", "command_line")
    assert [name for name in names if any(floor in name for floor in floors)] == []

"""Where tests are: one ``test_<module>.py`` a module, and what a file of tests is about is its name."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import mutation

ROOT = Path(__file__).parents[1]
# Folder of modules -> the folder of their tests.
FOLDERS = {
    "bioflax": "tests/bioflax",
    "figures": "tests/figures",
    "replications/harness": "tests/harness",
}
# Folders of many small objects with one interface: tested together, in one file of the folder's name.
TOGETHER = ("bioflax/_direct", "bioflax/_layers", "bioflax/_rules")
# What only a whole checkout can show.
ELSEWHERE = {
    "replications/harness/artifact.py": "tests/workflow/test_artifact.py",
    "replications/harness/new_paper.py": "tests/workflow/test_new_paper.py",
}
# What several modules do together, or with others.
OTHERS = {
    "tests/bioflax/test_linen.py": "layers and rules in Linen, through its bridge",
    "tests/bioflax/test_options.py": "layers against Flax's own, whatever options they are given",
    "tests/bioflax/test_sharding.py": "the library on several devices",
    "tests/figures/test_committed_pictures.py": "the pictures in READMEs are those drawn today",
    "tests/figures/test_checks.py": "a figure that needs what its paper does not have",
    "tests/harness/judging/test_accept_killed.py": "acceptance, killed at each of its writes",
    "tests/figures/test_imports.py": "what no picture may import or compute",
}


def defines(file: Path) -> bool:
    """Whether a module has code of its own: an ``__init__.py`` may only gather names."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return any(isinstance(node, kinds) for node in tree.body)


def wanted(root: Path) -> Iterator[tuple[str, str]]:
    """Every module of a package, and the file of its tests. A leading underscore is no part of the name."""
    for folder, tests in FOLDERS.items():
        for file in sorted((root / folder).rglob("*.py")):
            module = file.relative_to(root)
            package = file.with_name("__init__.py")
            if not package.exists() or (file == package and not defines(file)):
                continue
            together = file == package or str(module.parent) in TOGETHER
            named = module.parent if together else module.with_suffix("")
            place = Path(tests, named.relative_to(folder).parent)
            yield str(module), str(place / f"test_{named.name.lstrip('_')}.py")


def present(root: Path) -> set[str]:
    """The files of tests of the folders above."""
    files = [file for tests in FOLDERS.values() for file in (root / tests).rglob("test_*.py")]
    return {str(file.relative_to(root)) for file in files}


def missing(root: Path) -> list[str]:
    """The modules without a file of tests, a line each."""
    there = present(root) | {file for file in ELSEWHERE.values() if (root / file).exists()}
    files = [(module, ELSEWHERE.get(module, file)) for module, file in wanted(root)]
    return [f"{module}: no {file}" for module, file in files if file not in there]


def strays(root: Path) -> list[str]:
    """The files of tests that are named after no module. One in a folder of ``TOGETHER`` may have its own."""
    named = {file for _, file in wanted(root)}
    for module, file in wanted(root):
        if str(Path(module).parent) in TOGETHER:
            named.add(str(Path(file).with_name(f"test_{Path(module).stem.lstrip('_')}.py")))
    return sorted(present(root) - named - OTHERS.keys())


def test_every_module_has_its_file_of_tests():
    assert missing(ROOT) == []


def test_every_file_of_tests_is_named_after_its_module_or_says_here_what_it_is_about():
    assert strays(ROOT) == []
    assert OTHERS.keys() <= present(ROOT)
    assert OTHERS.keys().isdisjoint(file for _, file in wanted(ROOT))


def test_no_two_modules_share_a_file_of_tests():
    alone = [file for module, file in wanted(ROOT) if str(Path(module).parent) not in TOGETHER]
    assert [file for file, count in Counter(alone).items() if count > 1] == []


@pytest.mark.parametrize("file", sorted(present(ROOT)))
def test_a_file_of_tests_has_tests(file):
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert any(isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
               for node in tree.body)  # fmt: skip


def test_the_mutation_run_tries_the_tests_of_every_module_of_the_library():
    for module, file in wanted(ROOT):
        if module.startswith("bioflax/"):
            key = Path(module).relative_to("bioflax").parts[0]
            name = Path(file).stem.removeprefix("test_")
            assert name in mutation.TESTS.get(key, ()), f"tests/mutation.py: {module}"
    named = {f"tests/bioflax/test_{name}.py" for names in mutation.TESTS.values() for name in names}
    assert named <= present(ROOT)


# The rule can be broken


@pytest.fixture
def tree(tmp_path):
    """A small repository that keeps the rule."""
    files = {
        "bioflax/__init__.py": "from bioflax._a import a\n",
        "bioflax/_a.py": "",
        "bioflax/_rules/__init__.py": "",
        "bioflax/_layers/__init__.py": "",
        "bioflax/_rules/one.py": "",
        "bioflax/_rules/two.py": "",
        "figures/__init__.py": "def of(): ...\n",
        "replications/harness/__init__.py": "",
        "replications/harness/judging/__init__.py": "",
        "replications/harness/judging/drift.py": "",
        "replications/harness/template/no_module.py": "",
        "tests/bioflax/test_a.py": "",
        "tests/bioflax/test_rules.py": "",
        "tests/figures/test_figures.py": "",
        "tests/harness/judging/test_drift.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert missing(tmp_path) == strays(tmp_path) == []
    return tmp_path


@pytest.mark.parametrize(
    ("module", "file"),
    [
        ("bioflax/_b.py", "tests/bioflax/test_b.py"),
        ("bioflax/_layers/conv.py", "tests/bioflax/test_layers.py"),
        ("figures/style.py", "tests/figures/test_style.py"),
        ("replications/harness/drift.py", "tests/harness/test_drift.py"),
        ("replications/harness/judging/verify.py", "tests/harness/judging/test_verify.py"),
    ],
)
def test_a_module_without_tests_is_named_with_the_file_that_it_lacks(tree, module, file):
    (tree / module).write_text("")
    assert missing(tree) == [f"{module}: no {file}"]
    (tree / file).write_text("")
    assert missing(tree) == strays(tree) == []


@pytest.mark.parametrize(
    "file",
    ["tests/bioflax/test_drift.py", "tests/harness/test_drift.py", "tests/harness/test_x.py"],
)
def test_a_file_of_tests_of_no_module_or_in_another_folder_is_named(tree, file):
    (tree / file).write_text("")
    assert strays(tree) == [file]

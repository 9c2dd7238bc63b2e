"""What is declared: environments agree, imports are declared, the README shows the commands."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import bioflax
from tests.conftest import collect_ignore

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
COMMANDS = [
    "pip install -e '.[workflow]' && snakemake --cores all",
    "pip install -e '.[test]' && pytest",
]
OURS = {"bioflax", "replications", "figures", "workflow", "tests"}
# Run by the Python of another environment.
ELSEWHERE = {ROOT / "tests" / name for name in collect_ignore}


def name(requirement: str) -> str:
    """``array_record>=0.8`` is ``array-record``."""
    return re.split(r"[\[<>=!~; ]", requirement)[0].lower().replace("_", "-")


def imported(folder: str) -> set[str]:
    """The distributions that the sources of a folder import, in functions too."""
    modules = set()
    for path in set((ROOT / folder).rglob("*.py")) - ELSEWHERE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                modules.add(node.module.split(".")[0])
    distributions = packages_distributions()
    foreign = modules - OURS - set(sys.stdlib_module_names)
    return {name(distribution) for module in foreign for distribution in distributions[module][:1]}


def declared(*extras: str) -> set[str]:
    requirements = [*PROJECT["dependencies"], *(r for extra in extras for r in EXTRAS[extra])]
    return {name(requirement) for requirement in requirements}


@pytest.mark.parametrize(
    ("file", "name", "extra"),
    [
        ("environment.yml", "bioflax", "workflow"),
        ("workflow/site/environment.yml", "bioflax-site", "docs"),
    ],
)
def test_a_conda_environment_says_what_pyproject_says(file, name, extra):
    environment = yaml.safe_load((ROOT / file).read_text())
    python, pip, wheels = environment["dependencies"]
    assert environment["name"] == name
    assert python == f"python{PROJECT['requires-python']}"
    assert pip == "pip"
    own = EXTRAS[extra]
    assert wheels["pip"] == (own if extra == "workflow" else [*PROJECT["dependencies"], *own])


def test_the_library_takes_every_newer_release_and_the_suite_a_range_of_those():
    suite = {name(text): Requirement(text).specifier for text in EXTRAS["workflow"]}
    for text in PROJECT["dependencies"]:
        (lowest,) = Requirement(text).specifier
        assert lowest.operator == ">="
        operators = sorted(part.operator for part in suite[name(text)])
        assert operators == ["<", ">="]
        assert lowest.version in suite[name(text)]


def test_the_library_needs_jax_and_flax_only():
    assert declared() == {"jax", "flax"}
    assert imported("bioflax") <= declared() | {"numpy"}


@pytest.mark.parametrize("folder", ["replications", "figures", "workflow/scripts"])
def test_every_import_is_declared(folder):
    assert imported(folder) <= declared("workflow", "paper")


def test_every_import_of_the_site_is_declared():
    assert imported("workflow/site") <= declared("docs")


def test_every_import_of_the_tests_is_declared():
    assert imported("tests") <= declared("workflow", "docs", "test", "test-library")


def test_nothing_is_declared_that_is_not_used():
    used = set.union(*map(imported, ["bioflax", "replications", "figures", "workflow", "tests"]))
    # A command, a fixture of pytest's, and what tensorflow-datasets reads its files with.
    used |= {"snakemake", "pytest-regressions", "array-record"}
    assert declared("workflow") <= used


@pytest.mark.parametrize(
    ("extra", "included"), [("test", "docs"), ("test", "workflow"), ("paper", "workflow")]
)
def test_an_extra_includes_others(extra, included):
    assert f"bioflax[{included}]" in EXTRAS[extra]


def test_every_package_of_the_library_is_installed():
    packages = PYPROJECT["tool"]["setuptools"]["packages"]
    found = {path.parent.relative_to(ROOT) for path in (ROOT / "bioflax").rglob("__init__.py")}
    assert set(packages) == {str(path).replace("/", ".") for path in found}


def test_the_version_is_said_in_one_place_and_cited():
    assert PROJECT["dynamic"] == ["version"]
    dynamic = PYPROJECT["tool"]["setuptools"]["dynamic"]
    assert dynamic == {"version": {"attr": "bioflax.__version__"}}
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == bioflax.__version__
    assert re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1] == (
        bioflax.__version__
    )


def test_the_three_papers_are_cited():
    references = yaml.safe_load((ROOT / "CITATION.cff").read_text())["references"]
    assert [(r["authors"][0]["family-names"], r["year"]) for r in references] == [
        ("Lillicrap", 2016),
        ("Nøkland", 2016),
        ("Kolen", 1994),
    ]


def test_the_first_commands_of_the_readme_are_the_two():
    readme = (ROOT / "README.md").read_text()
    block = re.search(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert block
    first = [line.split("  #")[0].strip() for line in block[1].splitlines()]
    assert [line for line in first if line in COMMANDS] == COMMANDS


def test_the_readme_has_the_conda_line_where_it_explains_them():
    sections = (ROOT / "README.md").read_text().split("\n## ")
    (section,) = [one for one in sections if "conda env create -f environment.yml" in one]
    assert "`snakemake --cores all`" in section


def test_continuous_integration_runs_exactly_the_two_commands():
    lines = [line.strip() for line in (ROOT / ".ci/run").read_text().splitlines()]
    assert COMMANDS[0] in lines
    install, test = COMMANDS[1].split(" && ")
    assert lines.index(install) < lines.index(test)
    assert lines[-1] == test

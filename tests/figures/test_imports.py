"""Pictures show what was judged and estimated before: they judge and estimate nothing themselves."""

import ast
from pathlib import Path

import pytest

import figures
from replications.harness.judging.verdicts import VERDICTS

FILES = sorted(Path(figures.__file__).parent.glob("*.py"))
# A median of points tells where a label stands, and is no result.
ESTIMATES = {"mean", "std", "var", "sem", "quantile", "percentile", "ppf", "interval", "ttest_ind"}


def imported(tree):
    """Every module that a source imports, in functions and for types too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_figure_imports_no_judge_and_no_statistics_of_its_own(file):
    for name in imported(ast.parse(file.read_text(encoding="utf-8"))):
        assert not name.startswith("replications.harness.judging")
        assert name.split(".")[0] not in ("scipy", "statistics", "statsmodels", "sklearn")
        # The harness's statistics come by way of the style, the one place where a spread is drawn.
        assert file.stem == "style" or not name.startswith("replications.harness.statistics")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_figure_estimates_nothing(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    called = {node.func.attr for node in ast.walk(tree)
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)}  # fmt: skip
    assert called.isdisjoint(ESTIMATES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_figure_gives_no_verdict(file):
    """The dots have a mark for each word of the judge; no other module of pictures knows one."""
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
    assert file.stem == "dots" or texts.isdisjoint(VERDICTS)

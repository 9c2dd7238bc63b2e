"""Snakemake refuses a bad configuration in one line, before it has written anything."""

import re
from pathlib import Path

import pytest

import figures
from replications.harness.declared import config

ROOT = Path(__file__).parents[2]


def refused(checkout, *words: str) -> str:
    """The one line with which Snakemake ends, having written nothing."""
    ended = checkout.snakemake("--cores", "1", *words)
    assert ended.status != 0
    assert "Traceback" not in ended.said
    assert not (checkout.folder / "results").exists()
    *_, last = ended.said.splitlines()
    # Where --config is given, Snakemake itself says one line more.
    assert len(ended.said.splitlines()) <= 1 + ("--config" in words)
    return last


def test_snakemake_refuses_a_wrong_preset_on_the_command_line(clone):
    line = refused(clone, "--config", "preset=qick")
    assert line.startswith("error: config (workflow/config.yaml or --config): preset: unknown")
    assert "did you mean 'quick'?" in line


def test_snakemake_refuses_an_unknown_key_in_the_file(clone, tmp_path):
    copy = clone.copy(tmp_path / "bioflax")
    copy.edit("workflow/config.yaml", "preset: quick", "preset: quick\nthreads: 2")
    assert "unknown key 'threads' (value 2)" in refused(copy)


def test_snakemake_refuses_another_directory(clone, tmp_path):
    line = refused(clone, "--directory", str(tmp_path))
    assert line.startswith("error: --directory: the workflow runs in its own checkout")
    assert [file.name for file in tmp_path.iterdir()] == [".snakemake"]  # its own folder of locks


TINY, FIGURES = "replications/tiny/experiments.yaml", "figures/tiny.py"
CLAIMS = "replications/tiny/claims.yaml"


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (
            FIGURES,
            '("line",)',
            '("lime",)',
            "figure line: unknown table 'lime'; did you mean 'line'?",
        ),
        (
            FIGURES,
            '("line",)',
            '("line.arays",)',
            "unknown table 'line.arays'; did you mean 'arrays'?",
        ),
        (FIGURES, "FIGURES", "PICTURES", "figures/tiny.py: no FIGURES"),
        (FIGURES, "FIGURES", "1 / 0\nFIGURES", "figures/tiny.py: cannot be imported: ZeroDivision"),
        ("workflow/config.yaml", "- tiny", "- tiny\npreset: full", "the key 'preset' stands twice"),
        (CLAIMS, "test_nse", "test_loss", "does not record 'test_loss'"),
        (CLAIMS, "arm: feed", "arm: fed", "no arm 'fedback_alignment'; did you mean 'feedback_"),
        (CLAIMS, "below: 100", "below: 100, around: 1.0", "parts.0: around needs a margin"),
        (CLAIMS, "below: 100", "below: .nan", "below: nan is wrong"),
        (TINY, "inputs: 6", "inputs: 0", "task.teacher.inputs: 0 is wrong"),
        (TINY, "learning_rate: 0.01", "learning_rate: .inf", "learning_rate: inf is wrong"),
        (TINY, "backprop: {r", "../x: {r", "arm '../x': a name is letters"),
        (TINY, "  other:", "  ../x:", "experiment '../x': a name is letters"),
        (TINY, "learning_rate: 0.01", "learning_rate: 1e-2", "write 1.0e-2"),
    ],
)
def test_snakemake_refuses_a_mistake_before_anything_runs(
    with_paper, tmp_path, file, old, new, words
):
    copy = with_paper.copy(tmp_path / "bioflax")
    copy.edit(file, old, new)
    assert words in refused(copy)


@pytest.mark.parametrize("name", ["all", "null", "a.b", "simulate", "x-y", "class"])
def test_snakemake_refuses_a_paper_whose_name_is_none(with_paper, tmp_path, name):
    copy = with_paper.copy(tmp_path / "bioflax")
    (copy.folder / "replications/tiny").rename(copy.folder / "replications" / name)
    copy.edit("workflow/config.yaml", "- tiny", f'- "{name}"')
    assert refused(copy).startswith(f"error: paper {name!r}: a")


def test_snakemake_refuses_a_paper_without_claims(with_paper, tmp_path):
    copy = with_paper.copy(tmp_path / "bioflax")
    (copy.folder / "replications/tiny/claims.yaml").unlink()
    assert refused(copy).endswith("replications/tiny/claims.yaml: no such file")


def test_no_paper_has_the_name_of_a_rule_or_of_shared_figures():
    rules = [file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk")]
    named = set(re.findall(r"^rule (\w+):", "\n".join(rules), re.MULTILINE))
    assert {*named, "all", *figures.SHARED} == set(config.TAKEN)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("rule: backprop", "rule: backprob", ["'backprob'", "did you mean 'backprop'?"]),
        ("{teacher: {", "{images: {name: mnist5}, teachers: {", ["'task.teachers'", "'teacher'"]),
        ("patterns: {x: [[1.0]], y: [[1.0]]}", "images: {name: mnist5}", ["'mnist5'", "'mnist5k'"]),
        ("seeds: 3", "seeds: three", ["seeds", "'three'"]),
    ],
    ids=["unknown rule", "unknown key", "unknown data set", "wrong type"],
)
def test_snakemake_refuses_a_bad_experiment(with_paper, tmp_path, old, new, words):
    copy = with_paper.copy(tmp_path / "bioflax")
    copy.edit("replications/tiny/experiments.yaml", old, new)
    line = refused(copy)
    assert line.startswith("error: replications/tiny/experiments.yaml: ")
    for word in words:
        assert word in line

"""Snakemake refuses a bad configuration in one line, before it has written anything."""

import pytest


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

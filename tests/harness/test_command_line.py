"""The verbs: a mistake is one line and status 2, and a verb loads no more than it needs."""

import os
import subprocess
import sys

import pytest

from replications.harness import command_line
from replications.harness.command_line import VERBS
from replications.harness.store import ROOT


def test_a_command_with_a_mistake_says_one_line_and_fails():
    done = subprocess.run(
        [sys.executable, "-m", "replications", "simulate", "lilicrap2016", "linear", "backprop"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(
        "error: unknown paper 'lilicrap2016'; did you mean 'lillicrap2016'?"
    )
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "seeds"), [("7", (7,)), ("0:3", (0, 1, 2)), ("5,0:2,1:3", (0, 1, 2, 5))]
)
def test_seeds_are_ranges_and_single_ones_each_once_and_in_order(text, seeds):
    words = ["simulate", "lillicrap2016", "linear", "backprop", "--seeds", text]
    assert command_line._parse(words).seeds == seeds


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "1e400", "x"])
def test_a_time_between_checkpoints_that_is_none_is_refused(seconds, capsys):
    words = ["simulate", "lillicrap2016", "linear", "backprop", "--checkpoint-seconds", seconds]
    with pytest.raises(SystemExit) as ended:
        command_line.main(words)
    assert ended.value.code == 2
    assert f"{seconds!r} is no number of seconds" in capsys.readouterr().err


# The last would be a list of four thousand million numbers.
@pytest.mark.parametrize(
    "seeds",
    ["3:3", "5:2", "4294967296", "0:4294967297", "x", "", "0:3,", "0:3:5", "²", "0:4294967295"],
)
def test_a_range_without_seeds_beyond_32_bits_or_beyond_memory_is_refused(seeds, capsys):
    words = ["simulate", "lillicrap2016", "linear", "backprop", "--seeds", seeds]
    with pytest.raises(SystemExit) as ended:
        command_line.main(words)
    assert ended.value.code == 2
    assert f"{seeds!r} is no range of seeds" in capsys.readouterr().err


def test_a_folder_that_is_a_file_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    words = ["judge", "lillicrap2016", "--results", str(tmp_path / "file" / "results")]
    assert command_line.main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_planning_needs_no_jax_and_no_pandas():
    code = (
        "import sys; from replications.harness.declared import config, experiments, schemas; "
        "from replications.harness.training import provenance; "
        "from replications.harness import command_line; "
        "[provenance.source_digest(c) for c in experiments.cells('lillicrap2016', 'quick')]; "
        "sys.exit(bool({'jax', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_float32_products_are_float32_on_every_device():
    """By default a GPU would round their factors to TF32; how a CPU multiplies is the same either way."""
    code = (
        "import replications.__main__, jax; "
        "print(jax.jit(lambda a: a @ a).lower(jax.numpy.ones((2, 2))).as_text())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "precision = [HIGHEST, HIGHEST]" in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_says_what_it_does_and_takes(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        command_line.main([verb, "--help"])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert VERBS[verb].text[1:] in said
    for argument in VERBS[verb].takes:
        assert argument.names[-1] in said


@pytest.mark.parametrize("word", ["restore", "check", "baselines"])
def test_a_verb_that_is_none_is_refused(word, capsys):
    with pytest.raises(SystemExit) as ended:
        command_line.main([word])
    assert ended.value.code == 2
    assert f"invalid choice: '{word}'" in capsys.readouterr().err


def test_the_preset_of_the_papers_scale_is_called_full(capsys):
    assert command_line.main(["list", "--preset", "full"]) == 0
    assert "nokland2016 mnist_2x800 backprop seeds=5" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        command_line.main(["list", "--preset", "paper"])
    assert ended.value.code == 2


@pytest.mark.parametrize(
    "words", [["list", "--preset", "full"], ["judge", "nokland2016"], ["readme", "--check"]]
)
def test_the_locale_decides_nothing(tmp_path, words):
    """Text is read as UTF-8, and what a terminal cannot show is written otherwise, not refused."""
    if words[0] != "list":
        words = [*words, "--results", str(tmp_path)]
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = [
        subprocess.run(
            [sys.executable, "-m", "replications", *words],
            capture_output=True,
            cwd=ROOT,
            env={**os.environ, **locale},
        )
        for locale in ({}, plain)
    ]
    ends = [(one.returncode, one.stdout, one.stderr) for one in done]
    assert ends[0] == ends[1]
    assert ends[0][0] == (2 if words[0] == "judge" else 0)


@pytest.mark.parametrize(
    "words",
    [["simulate", "tiny", "--", "--", "tiny"], ["verify", "--", "--"], ["list", "--preset"]],
)
def test_what_argparse_refuses_or_takes_amiss_is_one_line(words, capsys):
    try:
        status = command_line.main(words)
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1

"""Results at full scale beside a quick run: shown, guarded, and never computed by it."""

import re
from collections import Counter

import pytest

HOME = "replications/tiny/accepted/full"
SHOWN = "results/full/tiny"


@pytest.fixture(scope="module")
def full(ran, tmp_path_factory):
    """The finished run, with its full preset run by hand (2 of 5 seeds) and accepted. Not to be written to."""
    made = ran.copy(tmp_path_factory.mktemp("full") / "bioflax")
    assert made.planned("tiny") == Counter()
    for arm in ("backprop", "feedback_alignment"):
        words = ["simulate", "tiny", "line", arm, "--preset", "full", "--seeds", "0:2"]
        ended = made.python("-m", "replications", *words)
        assert ended.status == 0, ended.said
    assert "line: 2 of 5 seeds" in made.accept("full")
    assert (made.folder / HOME / "line.runs.csv").exists()
    for path in (made.folder / "results/full").rglob("*.npz"):
        path.unlink()
    made.run("tiny")
    return made


def test_figures_verdicts_the_summary_and_the_check_are_there_without_training(full):
    folder = full.folder / SHOWN
    made = {str(path.relative_to(folder)) for path in folder.rglob("*.*")}
    assert made >= {
        "tables/summary.html",
        "figures/line.svg",
        "claims.json",
        "check.txt",
    }
    # Where the code is the one that was accepted, its fingerprints are known.
    assert "fingerprints/line.csv" not in made
    # What has nothing of its own at full scale is drawn once.
    assert "figures/other.png" not in made
    assert (full.folder / "results/quick/tiny/figures/other.png").exists()
    # Accepted records are read where they are kept, and those of what quick runs as it is, where they lie.
    assert not [name for name in made if name.startswith("tables/") and name.endswith(".csv")]
    summary = (folder / "tables/summary.html").read_text()
    assert "<h2>line</h2>" in summary
    assert "<h2>other</h2>" in summary
    assert full.planned("tiny") == Counter()


def test_a_change_of_a_rule_is_seen_without_running_anything_long(full, tmp_path):
    edited = full.copy(tmp_path / "bioflax")
    edited.edit(
        "bioflax/_feedback.py",
        "dx = _transpose(op, lambda x: op(x, b",
        "dx = 1.01 * _transpose(op, lambda x: op(x, b",
    )
    planned = edited.planned(f"{SHOWN}/check.txt")
    assert planned["fingerprint"] == 1
    ended = edited.snakemake(f"{SHOWN}/check.txt", "--cores", "2")
    assert ended.status != 0
    assert "feedback_alignment (float32): baseline" in ended.said
    assert "accept tiny --preset full" in ended.said
    assert not (edited.folder / SHOWN / "check.txt").exists()


def test_another_accepted_record_is_shown_and_judged_again(full, tmp_path):
    edited = full.copy(tmp_path / "bioflax")
    records = f"{HOME}/line.runs.csv"
    edited.edit(records, "backprop,0,0,", "backprop,0,0,9")
    shown = {"plot": 1, "summarize": 1, "overview": 1, "scoreboard": 1}
    assert edited.planned("tiny") == Counter(judge=1, check=1, tiny=1, **shown)


def test_a_full_run_shows_itself_and_not_what_was_accepted(full):
    words = ("tiny", "--config", "preset=full")
    messages = full.messages(*words)
    assert any(message.startswith("Simulate tiny") for message in messages)
    assert not any("at full scale" in message for message in messages)
    said = full.snakemake("--dry-run", "--printshellcmds", *words).said
    commands = re.findall(r"Shell command: (.*)", said)
    assert any("replications judge tiny --preset full" in command for command in commands)
    assert not any("--accepted" in command for command in commands)

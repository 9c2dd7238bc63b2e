"""Results at full scale beside a quick run: shown, guarded, and never computed by it."""

from collections import Counter

import pytest

HOME = "replications/tiny/baselines/paper"
SHOWN = "results/accepted/tiny"


@pytest.fixture(scope="module")
def full(ran, tmp_path_factory):
    """The finished run, with its paper preset run by hand (2 of 5 seeds) and accepted. Not to be written to."""
    made = ran.copy(tmp_path_factory.mktemp("full") / "bioflax")
    assert made.planned("tiny") == Counter()
    for arm in ("backprop", "feedback_alignment"):
        words = ["simulate", "tiny", "line", arm, "--preset", "paper", "--seeds", "0:2"]
        ended = made.python("-m", "replications", *words)
        assert ended.status == 0, ended.said
    ended = made.python("-m", "replications", "accept", "tiny", "--preset", "paper", "--yes")
    assert ended.status == 0, ended.said
    assert "line: 2 of 5 seeds" in ended.said
    for path in (made.folder / "results/paper").rglob("*.npz"):
        path.unlink()
    made.run("tiny")
    return made


def test_tables_figures_verdicts_and_the_check_are_there_without_training(full):
    folder = full.folder / SHOWN
    made = {str(path.relative_to(folder)) for path in folder.rglob("*.*")}
    assert made >= {
        "tables/line.csv",
        "tables/other.csv",
        "tables/summary.html",
        "figures/line.svg",
        "fingerprints/line.csv",
        "claims.json",
        "regression.txt",
    }
    # What has nothing of its own at full scale is drawn once.
    assert "figures/other.png" not in made
    assert (full.folder / "results/quick/tiny/figures/other.png").exists()
    same = [full.folder / f"results/{view}/tiny/tables/other.csv" for view in ("quick", "accepted")]
    assert same[0].read_bytes() == same[1].read_bytes()
    assert full.planned("tiny") == Counter()


def test_a_change_of_a_rule_is_seen_without_running_anything_long(full, tmp_path):
    edited = full.copy(tmp_path / "bioflax")
    edited.edit(
        "bioflax/feedback.py",
        "dx = _transpose(op, lambda x: op(x, b",
        "dx = 1.01 * _transpose(op, lambda x: op(x, b",
    )
    planned = edited.planned(f"{SHOWN}/regression.txt")
    assert planned["fingerprint"] == 1
    ended = edited.snakemake(f"{SHOWN}/regression.txt", "--cores", "2")
    assert ended.status != 0
    assert "feedback_alignment (float32): baseline" in ended.said
    assert "accept tiny --preset paper" in ended.said
    assert not (edited.folder / SHOWN / "regression.txt").exists()


def test_a_full_run_shows_itself_and_not_what_was_accepted(full):
    messages = full.messages("tiny", "--config", "preset=paper")
    assert any(message.startswith("Simulate tiny") for message in messages)
    assert not any("full scale" in message for message in messages)

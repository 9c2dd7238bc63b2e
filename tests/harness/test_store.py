"""Every address is one place, and may be a pattern."""

from pathlib import Path

import pytest

from replications.harness.store import ROOT, Store

STORE = Store(Path("results"), Path("papers"))
# Method -> the words that name one thing in it.
ADDRESSES = {
    "experiments": ("p",),
    "claims": ("p",),
    "published": ("p",),
    "accepted": ("p", "quick"),
    "kept": ("p", "quick", "e", "runs"),
    "picture": ("p", "quick", "f"),
    "dataset": ("mnist",),
    "preset": ("quick",),
    "paper": ("quick", "p"),
    "runs": ("quick", "p", "e"),
    "run": ("quick", "p", "e", "a"),
    "table": ("quick", "p", "e"),
    "fingerprints": ("quick", "p", "e"),
    "all_fingerprints": ("quick", "p"),
    "figure": ("quick", "p", "f", "png"),
    "summary": ("quick", "p"),
    "verdicts": ("quick", "p"),
    "all_verdicts": ("quick", "json"),
    "check": ("quick", "p"),
    "kept_verdicts": ("p", "quick"),
    "readme": ("p",),
    "overview": ("svg",),
    "scoreboard": ("html",),
    "times": ("html",),
    "report": (),
    "artifact": (),
    "benchmarks": ("quick",),
    "log": ("quick", "simulate", "p", "e", "a"),
    "benchmark": ("quick", "simulate", "p", "e", "a"),
}


def test_every_address_is_here():
    assert {name for name in vars(Store) if not name.startswith("_")} - {
        "results", "papers", "data", "overview_picture"
    } == ADDRESSES.keys()  # fmt: skip


def test_no_two_things_have_one_address():
    found = [getattr(STORE, name)(*words) for name, words in ADDRESSES.items()]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_address_may_be_a_pattern(name):
    words = [f"{{{i}}}" for i, _ in enumerate(ADDRESSES[name])]
    pattern = str(getattr(STORE, name)(*words))
    assert pattern.format(*ADDRESSES[name]) == str(getattr(STORE, name)(*ADDRESSES[name]))


@pytest.mark.parametrize("name", ["run", "log", "benchmark", "table"])
def test_a_dot_in_the_name_of_an_arm_is_none_of_a_suffix(name):
    """``w_0.05`` and ``w_0.2`` are two cells."""
    *words, _ = ADDRESSES[name]
    one, other = (getattr(STORE, name)(*words, arm) for arm in ("w_0.05", "w_0.2"))
    assert one != other
    assert "w_0.05" in one.name


def test_data_sets_lie_below_the_results_or_where_it_is_said():
    assert STORE.dataset("mnist") == Path("results/datasets/mnist.npz")
    assert Store(data=Path("data")).dataset("mnist") == Path("data/mnist.npz")


def test_what_people_write_lies_beside_the_code_by_default():
    assert Store().experiments("lillicrap2016").is_file()
    assert Store().papers == ROOT / "replications"

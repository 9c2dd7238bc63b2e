"""Whether a test is older than its results, in histories of git made here."""

import copy
import json
import subprocess

import pytest

from replications.harness.declared import experiments
from replications.harness.judging import manifests, predictions
from replications.harness.showing import pages
from replications.harness.store import PRESETS, Store
from replications.harness.training import provenance
from tests.harness.papers import CLAIM, TOY, write_paper

NUMBER = {"experiment": "toy", "arm": "a", "measure": "test_error", "value": 2.1, "unit": "%",
          "at": "end", "certainty": "A", "place": "Table 1", "source": "text"}  # fmt: skip
RULE = {"table": "Table 1", "measure": "test_error", "scale": "percent", "margin": 0.5, "why": "w"}


class History:
    """A checkout with one paper."""

    def __init__(self, folder, small=True):
        self.folder = folder
        self.paper = copy.deepcopy(TOY)
        if not small:
            self.paper["experiments"]["toy"]["presets"]["full"] = {"epochs": 9}
        self.git("init", "-q")

    def git(self, *words):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", *identity, *words], cwd=self.folder, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def declare(self, *claims, agreement=(), number=NUMBER):
        content = {"claims": list(claims), "agreement": list(agreement)}
        self.store = write_paper(self.folder, self.paper, content, [number])
        return self.commit()

    def accept(self, preset="quick", files=(("toy.first_losses.csv", "update\n"),)):
        folder = self.store.accepted("toy", preset)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files:
            (folder / name).write_text(text)
        return self.commit()

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "one")
        return self.git("rev-parse", "HEAD")

    def older(self, preset="quick"):
        for known in (
            predictions._tests,
            predictions._seeds,
            experiments.load,
            experiments._resolved,
        ):
            known.cache_clear()
        predictions._first_accepted.cache_clear()
        return predictions.of_claims("toy", preset, self.store)["T1"]


@pytest.fixture
def history(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    return History(tmp_path)


def loosened(below):
    claim = copy.deepcopy(CLAIM)
    claim["parts"][0]["below"] = below
    return claim


def test_a_claim_that_stood_before_the_first_result_is_older(history):
    history.declare(CLAIM)
    assert history.older() == ["no result yet", "no result yet"]
    history.accept()
    assert history.older() == ["yes", "yes"]
    assert history.older("full") == ["yes", "yes"], "full scale runs it as quick does"


def test_words_a_level_or_a_second_acceptance_change_no_age(history):
    history.declare(CLAIM)
    history.accept()
    claim = copy.deepcopy(CLAIM) | {"statement": "Other words.", "note": "A note."}
    claim["parts"][1]["confidence"] = 0.9
    history.declare(claim)
    history.accept(files=[("toy.first_losses.csv", "update\n1\n")])
    assert history.older() == ["yes", "yes"]


def test_a_margin_loosened_after_the_result_is_younger_and_the_page_says_so(history):
    history.declare(CLAIM)
    history.accept()
    history.declare(loosened(0.6))
    assert history.older() == ["no", "yes"]
    part = {"verdict": "reproduced", "quantity": "q", "experiment": "toy", "confidence": 0.95,
            "region": "< 0.6", "declared": 4, "published": None, "estimate": 0.1,
            "interval": [0, 0.2], "n": 4, "diverged": 0}  # fmt: skip
    one = {"id": "T1", "paper": "toy", "place": "p", "statement": "s", "identity": False,
           "published": {"text": ""}, "power": True, "control": "", "verdict": "reproduced",
           "parts": [part, part]}  # fmt: skip
    page = pages.verdicts_markdown({"claims": [one], "numbers": []}, "quick", history.store)
    rows = [line.split(" | ") for line in page.splitlines() if "reproduced | q" in line]
    assert [row[6] for row in rows] == ["no", "yes"]


def test_a_number_of_runs_that_was_declared_after_the_result_is_told(history):
    history.declare(CLAIM)
    history.accept()
    history.paper["experiments"]["toy"]["arms"]["b"]["seeds"] = 9
    history.declare(CLAIM)
    assert history.older() == ["yes", "yes, but n was 4"]


def test_a_claim_in_the_commit_of_its_first_result_is_not_older(history):
    history.declare()
    store = write_paper(history.folder, history.paper, {"claims": [CLAIM]})
    history.accept()
    assert store == history.store
    assert history.older() == ["no", "no"]


def test_a_result_of_full_scale_names_the_commit_of_its_claims(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    history = History(tmp_path, small=False)
    first, second = history.declare(loosened(0.4)), history.declare(CLAIM)

    def of(*commits):
        origins = [{"claims_commit": c, "seeds": {str(i): {}}} for i, c in enumerate(commits)]
        cells = {f"toy/{arm}": {"spec_digest": "", "origins": origins} for arm in "ab"}
        manifest = json.dumps({"declared": {}, "files": {}, "cells": cells})
        history.accept("full", [("manifest.json", manifest), ("toy.runs.csv", "arm\n")])
        return history.older("full")

    assert of(second) == ["yes", "yes"]
    assert of(first) == ["no", "yes"]
    assert of(first, second) == ["than some", "yes"]
    assert of(f"{second}-dirty") == of("unknown") == ["unknown", "unknown"]


def test_a_published_number_and_its_rule_of_agreement_have_an_age_too(history):
    def now():
        return predictions.of_numbers("toy", "quick", history.store)["toy/a/test_error"]

    history.declare(CLAIM, agreement=[RULE])
    history.accept()
    history.declare(CLAIM, agreement=[RULE | {"why": "other words"}])
    assert now() == "yes"
    history.declare(CLAIM, agreement=[RULE | {"margin": 5.0}])
    assert now() == "no"
    history.declare(CLAIM, agreement=[RULE], number=NUMBER | {"value": 9.9})
    assert now() == "no"


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("paper", experiments.papers())
def test_every_accepted_result_names_the_claims_of_its_own_commit(paper, preset):
    """What an origin says of its claims follows from its commit: neither is edited alone."""
    if not Store().accepted(paper, preset).exists():
        assert (preset, experiments.accepted(paper)) == ("full", [])
        return
    cells = manifests.read_manifest(paper, preset).cells
    origins = [origin for cell in cells.values() for origin in cell["origins"]]
    pairs = {(o["commit"].removesuffix("-dirty"), o["claims_commit"]) for o in origins}
    assert pairs
    files = [str(Store().claims(paper)), str(Store().published(paper))]
    for commit, claims in pairs:
        if provenance.text_at(commit, Store().claims(paper)) is None:
            pytest.skip("the history of git is not here")
        assert provenance._git("log", "-1", "--format=%H", commit, "--", *files) == claims


def test_without_git_nothing_is_said(tmp_path, monkeypatch):
    history = History(tmp_path)
    history.declare(CLAIM)
    history.accept()
    assert history.older() == ["unknown", "unknown"], "git's root is not there"

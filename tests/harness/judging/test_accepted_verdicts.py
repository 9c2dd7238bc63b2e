"""The verdicts as they were accepted: written whole with their digests, and read back without a run."""

import pytest

from replications.harness.judging import accepted_verdicts, manifests
from tests.harness.papers import CLAIM, write_toy

JUDGED = {
    "claims": [{"id": "T1", "verdict": "reproduced", "statement": "ø < 2"}],
    "numbers": [
        {"id": "toy/a/test_error", "verdict": "near", "parts": []},
        {"id": "toy/b/test_error", "verdict": "not run", "parts": []},
    ],
}


@pytest.fixture
def store(tmp_path):
    """A paper whose verdicts have been accepted."""
    made = write_toy(tmp_path, CLAIM)
    made.accepted("toy", "full").mkdir(parents=True)
    accepted_verdicts.keep_judged(JUDGED, "toy", "full", made)
    return made


def test_verdicts_are_read_back_as_they_were_judged(store):
    assert accepted_verdicts.judged_as_accepted("toy", "full", store) == JUDGED


def test_where_none_were_accepted_there_are_none(store):
    assert accepted_verdicts.judged_as_accepted("toy", "quick", store) == {
        "claims": [],
        "numbers": [],
    }


def test_a_claim_and_a_number_are_a_line_each():
    lines = accepted_verdicts.judged_text(JUDGED).splitlines()
    assert [sum(f'"{one["id"]}"' in line for line in lines) for one in JUDGED["numbers"]] == [1, 1]
    assert sum('"verdict"' in line for line in lines) == 3


def test_the_short_list_beside_them_has_every_verdict(store):
    text = (store.accepted("toy", "full") / "claims.csv").read_text()
    assert text.splitlines() == [
        "id,verdict",
        "T1,reproduced",
        "toy/a/test_error,near",
        "toy/b/test_error,not run",
    ]


def test_the_manifest_has_their_digests_and_those_of_what_they_were_judged_by(store):
    assert manifests.damage("toy", "full", store) == []
    assert manifests.other_declarations("toy", "full", store) == []
    file = store.kept_verdicts("toy", "full")
    file.write_text(file.read_text().replace("near", "reproduced"))
    assert manifests.damage("toy", "full", store) == [f"{file}: another text than the one accepted"]


def test_the_accepted_word_stands_where_the_judge_has_another():
    found = accepted_verdicts.with_verdicts(JUDGED, {"T1": "near"})
    assert found["claims"] == [{**JUDGED["claims"][0], "verdict": "near"}]
    assert found["numbers"] == JUDGED["numbers"]
    assert JUDGED["claims"][0]["verdict"] == "reproduced", "nothing was changed in place"

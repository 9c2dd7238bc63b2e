"""An accepted folder's account of itself: what is another than the one accepted is named."""

import json

import pytest

from replications.harness.errors import UserError
from replications.harness.judging import manifests
from replications.harness.judging.manifests import Manifest
from tests.harness.papers import CLAIM, write_toy

RECORDS = "arm,seed,step,test_error\na,0,0,0.9\na,0,10,0.5\na,1,0,0.8\nb,0,0,0.7\n"


def cells():
    """Two cells as they are kept, with the digests of the records above."""
    bare = {
        f"toy/{arm}": {"spec_digest": arm, "origins": [{"commit": "c", "seeds": seeds}]}
        for arm, seeds in (("a", {"0": {"resumes": 0}, "1": {}, "2": {}}), ("b", {"0": {}}))
    }
    return manifests.with_records(bare, "toy", RECORDS)


@pytest.fixture
def store(tmp_path):
    """A paper of which something was accepted: records, and one other file."""
    made = write_toy(tmp_path, CLAIM)
    texts = {"toy.runs.csv": RECORDS, "claims.csv": "id,verdict\nT1,reproduced\n"}
    files = {name: manifests.text_digest(text) for name, text in texts.items()}
    accepted = Manifest(manifests.declared("toy", made), files, cells())
    folder = made.accepted("toy", "quick")
    folder.mkdir(parents=True)
    for name, text in {**texts, manifests.MANIFEST: accepted.text}.items():
        (folder / name).write_text(text)
    return made


def damage(store):
    """What is said of the folder, without where it is."""
    folder = store.accepted("toy", "quick")
    return [
        str(line).removeprefix(f"{folder}/") for line in manifests.damage("toy", "quick", store)
    ]


def test_a_manifest_reads_back_as_it_was_written(store):
    found = manifests.read_manifest("toy", "quick", store)
    assert found.cells == cells()
    assert (store.accepted("toy", "quick") / manifests.MANIFEST).read_text() == found.text
    assert found.text.count('"commit"') == len(
        [line for line in found.text.splitlines() if '"commit"' in line]
    ), "an origin is a line"


def test_where_nothing_was_accepted_the_manifest_is_empty(store):
    assert manifests.read_manifest("toy", "full", store) == Manifest()


@pytest.mark.parametrize("text", ["{", "[1]", '{"cells": {}, "more": 1}'])
def test_a_damaged_manifest_is_one_line(store, text):
    (store.accepted("toy", "quick") / manifests.MANIFEST).write_text(text)
    with pytest.raises(
        UserError, match=r"manifest\.json: damaged .*take it back from git"
    ) as error:
        manifests.read_manifest("toy", "quick", store)
    assert "\n" not in str(error.value)


def test_the_digest_of_a_seed_is_that_of_its_own_numbers_in_whatever_order_they_stand():
    found = manifests.records_digests(RECORDS)
    assert found.keys() == {("a", 0), ("a", 1), ("b", 0)}
    other = "step,seed,arm,gap,test_error\n0,0,b,,0.7\n0,1,a,,0.8\n0,0,a,,0.9\n10,0,a,,0.5\n"
    assert manifests.records_digests(other) == found
    changed = manifests.records_digests(RECORDS.replace("0.5", "0.51"))
    assert {key for key in found if changed[key] != found[key]} == {("a", 0)}


def test_cells_get_the_digests_of_their_seeds_and_lose_the_seeds_without_records():
    seeds = cells()["toy/a"]["origins"][0]["seeds"]
    digests = manifests.records_digests(RECORDS)
    assert seeds == {
        "0": {"records": digests["a", 0], "resumes": 0},
        "1": {"records": digests["a", 1]},
    }


def test_a_folder_as_it_was_accepted_has_no_damage(store):
    assert damage(store) == []


def test_records_that_were_edited_are_named_by_arm_and_seed(store):
    file = store.accepted("toy", "quick") / "toy.runs.csv"
    file.write_text(RECORDS.replace("0.8", "0.1"))
    assert damage(store) == ["toy.runs.csv: the records of a, seed 1 are not those accepted"]
    file.write_text(RECORDS.replace("b,0,0,0.7\n", ""))
    assert damage(store) == ["toy.runs.csv: the records of b, seed 0 are not those accepted"]


def test_a_file_that_was_edited_came_or_went_is_named(store):
    folder = store.accepted("toy", "quick")
    (folder / "claims.csv").write_text("id,verdict\n")
    assert damage(store) == ["claims.csv: another text than the one accepted"]
    (folder / "claims.csv").unlink()
    (folder / "more.csv").write_text("")
    assert damage(store) == ["more.csv: nobody accepted it", "claims.csv: accepted, but gone"]


def test_declarations_may_be_laid_out_anew_and_say_nothing_else(store):
    file = store.claims("toy")
    file.write_text(f"# A comment.\n{json.dumps({'claims': [CLAIM]})}\n")
    assert manifests.other_declarations("toy", "quick", store) == []
    file.write_text(json.dumps({"claims": [{**CLAIM, "place": "Fig. 2"}]}))
    assert manifests.other_declarations("toy", "quick", store) == [
        "claims.yaml is another than the one accepted (quick):",
        "  git does not know the one accepted",
    ]


def test_a_list_of_many_lines_is_cut_and_says_by_how_many():
    assert manifests.names_of(["a", "b"]) == "a\nb"
    assert manifests.names_of(map(str, range(5)), most=2) == "0\n1\n... and 3 more"

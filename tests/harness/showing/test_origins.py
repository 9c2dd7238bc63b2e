"""Where a number comes from, as a page lists it."""

import numpy as np
import pytest

from replications.harness import command_line
from replications.harness.judging.manifests import MANIFEST, Manifest
from replications.harness.records import Run, write_run
from replications.harness.showing import origins
from tests.harness.papers import CLAIM, write_toy

ORIGIN = {
    "commit": "0123456789abcdef",
    "device": "cpu",
    "processor": "some processor",
    "versions": {"jax": "0.10.2", "flax": "0.12.8"},
    "seeds": {"1": {}, "0": {}, "2": {}},
}


@pytest.fixture
def store(tmp_path):
    """The paper ``toy``, whose arm a has been run."""
    made = write_toy(tmp_path, CLAIM)
    save(made, "quick", "a", ORIGIN)
    return made


def save(store, preset, arm, *found):
    run = Run(np.arange(3), np.array([0]), np.zeros((3, 20)), {}, {"origins": list(found)})
    write_run(store.run(preset, "toy", "toy", arm), run)


def accept(store, preset, arm, *found):
    cells = {f"toy/{arm}": {"spec_digest": "", "origins": list(found)}}
    file = store.accepted("toy", preset) / MANIFEST
    file.parent.mkdir(parents=True)
    file.write_text(Manifest(cells=cells).text)


def rows(text):
    """The cells of the rows of the table, without its heads."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def test_a_row_says_the_command_the_seeds_the_commit_the_machine_and_the_versions(store):
    (row,) = rows(origins.listed("toy", ["toy"], "quick", store))
    assert dict(zip(origins.HEADS, row, strict=True)) == {
        "run": "a",
        "command": "`python -m replications simulate toy toy a --preset quick --seeds 0:3`",
        "seeds": "0 to 2",
        "commit": "0123456789ab",
        "machine": "cpu some processor",
        "versions": "flax 0.12.8, jax 0.10.2",
    }


def test_seeds_computed_apart_have_a_row_for_each_start_and_gaps_are_told(store):
    gaps = {str(seed): {} for seed in (10, 0, 2, 9, 3)}
    save(store, "quick", "a", {**ORIGIN, "seeds": gaps}, {"seeds": {"1": {}}})
    first, second = rows(origins.listed("toy", ["toy"], "quick", store))
    assert (first[2], second[2]) == ("0, 2 to 3, 9 to 10", "1")
    assert second[3:] == ["", "", ""], "nobody recorded it"
    for row, seeds in ((first, (0, 2, 3, 9, 10)), (second, (1,))):
        words = row[1].strip("`").split()
        assert words[:3] == ["python", "-m", "replications"]
        assert command_line._parse(words[3:]).seeds == seeds, "its own seeds and no others"


def test_a_link_leads_to_the_place_where_its_runs_are_listed(store):
    text = origins.listed("toy", ["toy", "toy"], "quick", store)
    assert text.count(f'<a id="{origins.anchor("toy", "toy")}"></a>') == 1
    assert origins.link("toy", "toy") == f"[toy](#{origins.anchor('toy', 'toy')})"


def test_of_quick_the_run_that_there_is_goes_before_what_was_accepted(store):
    accept(store, "quick", "a", {**ORIGIN, "commit": "accepted"})
    assert origins.of_arms("toy", "toy", "quick", store) == {"a": [ORIGIN]}
    store.run("quick", "toy", "toy", "a").unlink()
    found = origins.of_arms("toy", "toy", "quick", store)
    assert [one["commit"] for one in found["a"]] == ["accepted"]


def test_of_full_scale_what_was_accepted_goes_before_a_run(store):
    save(store, "full", "a", ORIGIN)
    accept(store, "full", "a", {**ORIGIN, "commit": "accepted"})
    found = origins.of_arms("toy", "toy", "full", store)
    assert [one["commit"] for one in found["a"]] == ["accepted"]


def test_of_what_both_presets_run_alike_the_run_is_quicks(store):
    assert "--preset quick " in origins.listed("toy", ["toy"], "full", store)


def test_of_what_has_not_been_run_there_is_nothing(tmp_path):
    assert origins.listed("toy", ["toy"], "quick", write_toy(tmp_path, CLAIM)) == ""

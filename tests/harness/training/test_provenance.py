"""What a cell is said to depend on is what it runs."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from replications.harness.catalogue.rules import RULES
from replications.harness.declared.experiments import cell, cells, papers
from replications.harness.store import ROOT, Store
from replications.harness.training import provenance, simulate
from tests.harness.training.runs import cell as tiny

PACKAGES = ("bioflax", "figures", "replications", "workflow")
TASK = {"teacher": {"inputs": 5, "outputs": 3, "train": 25, "test": 20}}
CELLS = {
    **{rule: {"rule": rule, "measures": ["test_nse", "delta_angle"]} for rule in RULES},
    "conditioned_feedback": {
        "rule": "conditioned_feedback",
        "activity_damping": 1.0,
        "measures": ["test_nse", "activity_cosine"],
    },
    "pseudo_angle": {"measures": ["pseudo_angle", "weight_angle", "features"]},
    "adversarial": {"rule": "backprop", "measures": ["test_error"], "adversarial": 0.1},
}
# These carry numbers to and from disk, choose a device or describe the run; they decide none.
CLERKS = (
    "files", "records", "store", "sources",
    "declared/experiments", "declared/reading", "declared/spec",
    "training/checkpoints", "training/compiling", "training/datasets", "training/devices", "training/provenance",
    "training/sealing", "training/simulate",
)  # fmt: skip


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_runs_no_code_outside_its_declared_sources(tmp_path, name):
    small = tiny(task=TASK, seeds=1, **CELLS[name])
    ran: set[str] = set()

    def trace(frame, event, _):
        if event == "call" and frame.f_code.co_name != "<module>":
            ran.add(frame.f_code.co_filename)

    sys.setprofile(trace)
    try:
        simulate.simulate(small, Store(tmp_path))
    finally:
        sys.setprofile(None)
    inside = {Path(f).relative_to(ROOT) for f in ran if Path(f).is_relative_to(ROOT)}
    # Not the tests, nor a virtual environment that stands in the checkout.
    ours = {path for path in inside if path.parts[0] in PACKAGES}
    declared = {path.relative_to(ROOT) for path in provenance.cell_sources(small)}
    clerks = {Path("replications/harness") / f"{name}.py" for name in CLERKS}
    # The row of a rule counts by what it says.
    row = {Path("replications/harness/catalogue/rules.py")}
    assert declared & ours
    assert ours - declared - clerks - row == set()


def test_no_clerk_is_among_the_declared_sources_and_every_one_exists():
    clerks = {ROOT / "replications/harness" / f"{name}.py" for name in CLERKS}
    assert [path for path in clerks if not path.is_file()] == []
    for one in cells("lillicrap2016", "quick"):
        assert clerks & set(provenance.cell_sources(one)) == set()


def test_all_declared_sources_exist():
    for paper in papers():
        for one in cells(paper, "quick"):
            assert [path for path in provenance.cell_sources(one) if not path.exists()] == []


def test_a_hundred_layers_depend_on_the_code_that_compiles_them_as_one():
    for one in cells("nokland2016", "quick"):
        named = {path.name for path in provenance.cell_sources(one)}
        assert "_stack.py" in named or one.experiment != "mnist_100x240"


def digest(rule):
    one = cell("lillicrap2016", "linear", "backprop", "quick")
    return provenance.source_digest(one._replace(spec=one.spec.model_copy(update={"rule": rule})))


def test_a_rule_has_sources_of_its_own_and_shares_the_rest():
    one = cell("lillicrap2016", "linear", "backprop", "quick")

    def names(rule):
        chosen = one._replace(spec=one.spec.model_copy(update={"rule": rule}))
        return {path.relative_to(ROOT).as_posix() for path in provenance.cell_sources(chosen)}

    assert names("kolen_pollack") - names("backprop") == {"bioflax/_rules/kolen_pollack.py"}
    assert names("direct_feedback_alignment") - names("backprop") == {
        "bioflax/_direct/feedback_alignment.py"
    }
    assert "bioflax/_direct/indirect.py" in names("indirect_feedback_alignment")
    assert len({digest(rule) for rule in RULES}) == len(RULES)


def test_a_row_counts_by_what_decides_numbers_and_for_its_own_cells_alone(monkeypatch):
    row, before = RULES["feedback_alignment"], digest("feedback_alignment")
    other = digest("backprop")
    monkeypatch.setitem(RULES, "feedback_alignment", replace(row, colour="#123456", label="x"))
    assert digest("feedback_alignment") == before
    monkeypatch.setitem(RULES, "feedback_alignment", replace(row, layer="KolenPollack"))
    assert digest("feedback_alignment") != before
    assert digest("backprop") == other


ORIGINS = [
    {"commit": "b", "seeds": {"1": {"wall_seconds": 2.0}, "3": {"wall_seconds": 3.0}}},
    {"commit": "a", "seeds": {"0": {"wall_seconds": 1.0}}},
]


def test_every_seed_is_told_its_origin_and_its_own():
    assert provenance.of_seeds(ORIGINS) == {
        0: {"commit": "a", "wall_seconds": 1.0},
        1: {"commit": "b", "wall_seconds": 2.0},
        3: {"commit": "b", "wall_seconds": 3.0},
    }


def test_an_origin_whose_seeds_are_all_gone_goes():
    assert provenance.only(ORIGINS, [0]) == ORIGINS[1:]
    assert provenance.without(ORIGINS, [0]) == ORIGINS[:1]
    assert provenance.of_seeds(provenance.without(ORIGINS, [1])).keys() == {0, 3}
    assert ORIGINS[0]["seeds"].keys() == {"1", "3"}, "nothing was changed in place"


def test_a_machine_of_another_kind_or_of_none_computes_other_bits():
    here = {"device": "cpu", "processor": "x", "instructions": ["AVX2"], "versions": {"jax": "1"}}
    assert provenance.same_kind({**here, "commit": "a"}, here)
    assert not provenance.same_kind({**here, "versions": {"jax": "2"}}, here)
    assert not provenance.same_kind({k: v for k, v in here.items() if k != "instructions"}, here)

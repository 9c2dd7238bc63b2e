"""What a cell is said to depend on is what it runs."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from replications.harness.catalogue.rules import RULES
from replications.harness.declared.experiments import cell, cells, papers
from replications.harness.store import ROOT, Store
from replications.harness.training import provenance, simulate

PACKAGES = ("bioflax", "figures", "replications", "workflow")
CELLS = {
    "feedback_alignment": ("lillicrap2016", "linear", "feedback_alignment"),
    "backprop": ("lillicrap2016", "linear", "backprop"),
    "pseudo_angle": ("lillicrap2016", "single_pair", "feedback_alignment"),
    "node_perturbation": ("lillicrap2016", "linear", "node_perturbation"),
    "kolen_pollack": ("kolen_pollack1994", "xor", "kolen_pollack"),
}
# These carry numbers to and from disk, or describe the run; they decide none.
CLERKS = (
    "files", "records", "store", "sources",
    "declared/experiments", "declared/reading", "declared/spec",
    "training/checkpoints", "training/datasets", "training/provenance", "training/simulate",
)  # fmt: skip


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_runs_no_code_outside_its_declared_sources(tmp_path, name):
    whole = cell(*CELLS[name], "quick")
    small = whole._replace(spec=whole.spec.model_copy(update={"seeds": 1}))
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
        assert "stack.py" in named or one.experiment != "mnist_100x240"


def digest(rule):
    one = cell("lillicrap2016", "linear", "backprop", "quick")
    return provenance.source_digest(one._replace(spec=one.spec.model_copy(update={"rule": rule})))


def test_a_rule_has_sources_of_its_own_and_shares_the_rest():
    one = cell("lillicrap2016", "linear", "backprop", "quick")

    def names(rule):
        chosen = one._replace(spec=one.spec.model_copy(update={"rule": rule}))
        return {path.relative_to(ROOT).as_posix() for path in provenance.cell_sources(chosen)}

    assert names("kolen_pollack") - names("backprop") == {"bioflax/rules/kolen_pollack.py"}
    assert "bioflax/direct.py" in names("direct_feedback_alignment")
    assert len({digest(rule) for rule in RULES}) == len(RULES)


def test_a_row_counts_by_what_decides_numbers_and_for_its_own_cells_alone(monkeypatch):
    row, before = RULES["feedback_alignment"], digest("feedback_alignment")
    other = digest("backprop")
    monkeypatch.setitem(RULES, "feedback_alignment", replace(row, colour="#123456", label="x"))
    assert digest("feedback_alignment") == before
    monkeypatch.setitem(RULES, "feedback_alignment", replace(row, layer="KolenPollack"))
    assert digest("feedback_alignment") != before
    assert digest("backprop") == other


def test_a_manifest_tells_each_time_that_seeds_were_added_the_last_first():
    earlier = [{"commit": "b", "seeds": [0]}]
    first, *others = provenance.origins({"commit": "a", "seeds": [1], "earlier": earlier, "x": 1})
    assert (first["commit"], first["seeds"], set(first)) == ("a", [1], set(provenance.ORIGIN))
    assert others == earlier

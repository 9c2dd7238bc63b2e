"""What a cell is said to depend on is what it runs."""

import sys
from pathlib import Path

import pytest

from replications.harness.training import provenance
from replications.harness.training import simulate
from replications.harness.declared import spec

ROOT = provenance.ROOT
PACKAGES = ("bioflax", "figures", "replications", "workflow")
CELLS = {
    "feedback_alignment": ("linear", "feedback_alignment"),
    "backprop": ("linear", "backprop"),
    "pseudo_angle": ("single_pair", "feedback_alignment"),
    "node_perturbation": ("linear", "node_perturbation"),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_runs_no_code_outside_its_declared_sources(tmp_path, name):
    experiment, arm = CELLS[name]
    cell = spec.cell("lillicrap2016", experiment, arm, "quick")
    small = cell._replace(spec=cell.spec.model_copy(update={"seeds": 1}))
    ran: set[str] = set()

    def trace(frame, event, _):
        if event == "call" and frame.f_code.co_name != "<module>":
            ran.add(frame.f_code.co_filename)

    sys.setprofile(trace)
    try:
        simulate.simulate(small, tmp_path)
    finally:
        sys.setprofile(None)
    inside = {Path(f).relative_to(ROOT) for f in ran if Path(f).is_relative_to(ROOT)}
    # Not the tests, nor a virtual environment that stands in the checkout.
    ours = {path for path in inside if path.parts[0] in PACKAGES}
    declared = {path.relative_to(ROOT) for path in provenance.sources(cell)}
    # These carry numbers to and from disk, or describe the run; they decide none.
    clerks = {"checkpoints", "errors", "files", "provenance", "results", "schema", "spec"}
    clerks = {Path("replications") / f"{name}.py" for name in clerks}
    assert declared & ours
    assert ours - declared - clerks == set()


def test_all_declared_sources_exist():
    for paper in spec.papers():
        for cell in spec.cells(paper, "quick"):
            assert [path for path in provenance.sources(cell) if not path.exists()] == []


def test_a_docstring_or_a_comment_does_not_move_a_digest(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    texts = ['def f():\n    """One."""\n    return 1\n', "def f():\n    # Two.\n    return 1\n"]
    digests = []
    for i, text in enumerate([*texts, "def f():\n    return 2\n"]):
        folder = tmp_path / str(i)
        folder.mkdir()
        (folder / "m.py").write_text(text)
        monkeypatch.setattr(provenance, "ROOT", folder)
        digests.append(provenance.code_digest(folder / "m.py"))
    assert digests[0] == digests[1] != digests[2]


def test_a_digest_is_the_same_whichever_python_computes_it(tmp_path, monkeypatch):
    """The trees of 3.12 have one more field, those of 3.13 leave out empty lists."""
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    text = (
        "class A(B):\n    @c\n    async def f(self, *, x=1):\n        return f'{x!r:>{3}}', f()\n"
    )
    (tmp_path / "m.py").write_text(text)
    of_python_3_11 = "dea7240d364ea4a6e3426b92382b76300be3446a75330e1c3af8661f72506a7c"
    assert provenance.code_digest(tmp_path / "m.py") == of_python_3_11

"""A cell's numbers on disk: whole, with their manifest, in the same bytes every time."""

import numpy as np
import pytest

from replications.harness.errors import UserError
from replications.harness.records import Run, read_run, write_run


def run(**measures):
    found = {"test_error": np.array([[0.9, 0.2]]), "gap/readout": np.array([[1.0, 0.5]])} | measures
    return Run(
        np.array([3]), np.array([0, 10]), np.zeros((1, 20)), found, {"spec": {"b": 1, "a": 2}}
    )


def test_a_run_reads_back_as_it_was_written(tmp_path):
    write_run(tmp_path / "a" / "arm.npz", run())
    found = read_run(tmp_path / "a" / "arm.npz")
    assert found.manifest == run().manifest
    assert found.measures.keys() == run().measures.keys()
    for name, values in run().measures.items():
        np.testing.assert_array_equal(found.measures[name], values)
    for name in ("seeds", "step", "first_losses"):
        np.testing.assert_array_equal(getattr(found, name), getattr(run(), name))


def test_the_same_numbers_are_the_same_bytes_in_whatever_order_they_come(tmp_path):
    other = run()
    other.measures["test_error"] = other.measures.pop("test_error")
    assert list(other.measures) != list(run().measures)
    for name, one in (("a", run()), ("b", other)):
        write_run(tmp_path / f"{name}.npz", one)
    for suffix in ("npz", "json"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "a.json",
        "a.npz",
        "b.json",
        "b.npz",
    ]


def test_a_run_that_is_not_there_or_has_lost_its_manifest_is_named(tmp_path):
    with pytest.raises(UserError, match=r"arm\.npz: no such result; make it with"):
        read_run(tmp_path / "arm.npz")
    write_run(tmp_path / "arm.npz", run())
    (tmp_path / "arm.json").unlink()
    with pytest.raises(
        UserError, match=r"arm\.npz: its manifest, the \.json beside it, is missing"
    ):
        read_run(tmp_path / "arm.npz")

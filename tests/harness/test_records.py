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
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_a_run_that_is_not_there_is_named_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(UserError, match=r"arm\.npz: no such result; make it with"):
        read_run(tmp_path / "arm.npz")


def flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage", [flip, lambda c: c[:-1], lambda c: c[:100], lambda _: b"", lambda _: b"x"]
)
def test_a_damaged_file_is_one_line_that_says_what_to_do(tmp_path, damage):
    file = tmp_path / "arm.npz"
    write_run(file, run())
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(UserError) as caught:
        read_run(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert "delete it and run `python -m replications simulate` again" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_header_without_a_bracket_is_damage(tmp_path):
    """Python's tokenizer, with which NumPy reads it, has an error of its own for that."""
    file = tmp_path / "arm.npz"
    # So long that NumPy reads the header before zipfile compares the sum of all.
    write_run(file, run()._replace(first_losses=np.zeros((2, 20, 500))))
    content = file.read_bytes()
    place = content.index(b"(2, 20, 500), }")
    file.write_bytes(content[:place] + b"(2, 20, 500 , }" + content[place + 15 :])
    with pytest.raises(UserError, match=r"arm\.npz: not a whole result \(.*EOF in multi-line"):
        read_run(file)


def test_numbers_that_were_changed_under_a_manifest_are_refused(tmp_path):
    file = tmp_path / "arm.npz"
    write_run(file, run())
    with np.load(file) as arrays:
        content = dict(arrays)
    content["test_error"] = content["test_error"] / 2
    np.savez(file, **content)
    with pytest.raises(UserError, match=r"arm\.npz: damaged, its sha256 is"):
        read_run(file)


def test_the_result_of_another_cell_is_refused(tmp_path):
    file = tmp_path / "linear" / "backprop.npz"
    write_run(file, run()._replace(manifest={"experiment": "linear", "arm": "shallow"}))
    with pytest.raises(UserError, match="the result of linear/shallow; delete it"):
        read_run(file)

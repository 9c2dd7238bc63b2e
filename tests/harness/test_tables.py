"""Tidy tables: what stands in them, and that nothing is lost on the way to disk and back."""

import io
from math import nan

import numpy as np
import pandas as pd
import pytest

from replications.harness.errors import UserError
from replications.harness.records import Run
from replications.harness.tables import (
    COLUMNS,
    by_quantity,
    ends,
    read_table,
    runs,
    tall,
    tidy,
    wide,
    write_table,
)


def run(seeds=(4, 2), **measures):
    found = {name.replace("__", "/"): np.array(values) for name, values in measures.items()}
    return Run(np.array(seeds), np.array([0, 10]), np.zeros((2, 20)), found, {"steps_per_epoch": 5})


@pytest.fixture
def table():
    """Two arms, of which one alone measures a gap, and one run has diverged."""
    one = run(test_error=[[0.9, 0.2], [0.9, nan]], gap__readout=[[1.0, 0.5], [1.0, 0.4]])
    other = run(test_error=[[0.9, 0.1], [0.9, 0.3]], features__hidden_1=np.ones((2, 6, 3)))
    return pd.concat([tidy("w_0.10", one), tidy("b", other)])


def test_a_row_is_a_number_of_a_seed_at_a_record(table):
    assert list(table.columns) == COLUMNS
    first = table.iloc[1]
    assert first.tolist() == ["w_0.10", 4, 10, 2.0, "test_error", "", 0.2]
    assert len(table) == (2 + 1) * 2 * 2
    assert [name for name, _ in by_quantity(table)] == [
        ("w_0.10", "test_error", ""), ("w_0.10", "gap", "readout"), ("b", "test_error", "")
    ]  # fmt: skip


def test_runs_are_columns_by_seed_and_ends_their_last_row(table):
    found = runs(table, "w_0.10", "gap", "readout")
    assert found.to_dict() == {2: {0: 1.0, 10: 0.4}, 4: {0: 1.0, 10: 0.5}}
    assert ends(table, "w_0.10", "gap", "readout").to_dict() == {2: 0.4, 4: 0.5}
    assert list(runs(table, "b", "test_error", x="epoch").index) == [0.0, 2.0]


def test_a_run_that_diverged_has_no_number_at_the_end(table):
    found = ends(table, "w_0.10", "test_error")
    assert found.isna().to_dict() == {2: True, 4: False}


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (
            ("w_0.1", "test_error"),
            "no test_error of arm 'w_0.1' in the table; did you mean 'w_0.10'?",
        ),
        (("b", "gap", "readout"), "no gap of arm 'b' in the table"),
        (("w_0.10", "gap", "redout"), "not recorded for layer 'redout'; did you mean 'readout'?"),
    ],
)
def test_a_number_that_is_not_there_is_one_line_that_names_the_nearest(table, asked, line):
    with pytest.raises(UserError) as caught:
        runs(table, *asked)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_reads_back_as_it_was_written(table, tmp_path):
    write_table(tmp_path / "t.csv", table)
    found = read_table(tmp_path / "t.csv")
    pd.testing.assert_frame_equal(found, table.reset_index(drop=True), check_dtype=False)
    # The name of an arm is text, though it looks like a number.
    numbers = table[table.arm == "b"].assign(arm="0.10")
    write_table(tmp_path / "t.csv", numbers)
    assert set(read_table(tmp_path / "t.csv").arm) == {"0.10"}
    with pytest.raises(UserError, match=r"u\.csv: no such table; make it with"):
        read_table(tmp_path / "u.csv")


@pytest.mark.parametrize(
    ("cut", "line"),
    [
        (lambda text: text[:-2], "cut off, its last line is not its sha256"),
        (lambda text: text[: len(text) // 2], "cut off"),
        (lambda text: text[: text.index("\n") + 1], "cut off"),
        (lambda _: "", "cut off"),
        (
            lambda text: text.replace("0.3", "0.8", 1),
            "damaged or another's, its sha256 is not that",
        ),
        (lambda text: text.replace("0.3", "ä", 1).encode("latin-1"), "no UTF-8 text at byte"),
    ],
)
def test_a_table_that_was_cut_off_or_changed_is_one_line(table, tmp_path, cut, line):
    file = tmp_path / "t.csv"
    write_table(file, table)
    changed = cut(file.read_text())
    file.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    with pytest.raises(UserError) as caught:
        read_table(file)
    assert line in str(caught.value)
    assert "make it again" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cut", "line"),
    [
        (lambda text: text[: text.rindex("\n", 0, -1) + 1], "rows of arm b are missing"),
        (lambda text: text[: text.index("\n") + 1], "it has no rows"),
        (lambda _: "\n", "not a whole table"),
    ],
)
def test_an_accepted_table_that_is_not_whole_is_one_line(table, tmp_path, cut, line):
    """It has no sha256 of its own, the manifest has it."""
    file = tmp_path / "t.csv"
    # The last arm has two columns of numbers, of which a row may be missing.
    more = table[table.arm == "b"].assign(measure="test_loss")
    file.write_text(cut(pd.concat([table, more]).to_csv(index=False)))
    with pytest.raises(UserError) as caught:
        read_table(file, accepted=True)
    assert line in str(caught.value)
    assert "take it back from git" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_records_in_columns_are_the_same_table(table):
    records = wide(table, ["b", "w_0.10"])
    assert list(records.columns) == ["test_error", "gap/readout"]
    order = [(arm, seed, step) for arm in ("b", "w_0.10") for seed in (2, 4) for step in (0, 10)]
    assert [key[:3] for key in records.index] == order
    found = tall(pd.read_csv(io.StringIO(records.to_csv()), dtype={"arm": str}))
    keys = [name for name in COLUMNS if name != "value"]
    found, whole = (t.sort_values(keys).reset_index(drop=True) for t in (found, table))
    pd.testing.assert_frame_equal(found[COLUMNS], whole[COLUMNS], check_dtype=False)

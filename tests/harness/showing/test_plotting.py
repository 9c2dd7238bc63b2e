"""From tables to picture files: the same bytes each time, and a mistake is one line."""

import os
import subprocess
import sys

import pytest

from replications.harness.errors import UserError
from replications.harness.showing import plotting
from replications.harness.store import Store
from replications.harness.tables import write_table
from tests.figures import curves

PAPER = "lillicrap2016"


def run_python(code, **environment):
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = Store(tmp_path_factory.mktemp("results"))
    for experiment, table in curves.tables().items():
        write_table(made.table("quick", PAPER, experiment), table)
    return made


def test_two_processes_with_other_settings_write_the_same_bytes(store, tmp_path):
    names = ["fig2_mnist", "fig3_flow_field"]
    here = {p: p.read_bytes() for n in names for p in plotting.plot(PAPER, n, "quick", store)}
    assert {p.name for p in here} == {f"{n}.{f}" for n in names for f in ("pdf", "svg", "png")}
    (tmp_path / "matplotlibrc").write_text("xtick.direction: in\nsvg.hashsalt: other\n")
    code = "from pathlib import Path; from replications.harness.showing.plotting import plot\n"
    code += "from replications.harness.store import Store\n"
    code += f"for n in {names}: plot({PAPER!r}, n, 'quick', Store(Path({str(store.results)!r})))"
    for path in here:
        path.unlink()
    run_python(code, MPLCONFIGDIR=str(tmp_path), PYTHONHASHSEED="1", TZ="Asia/Tokyo")
    for path, content in here.items():
        assert path.read_bytes() == content, path.name


def test_an_unknown_format_is_refused_before_anything_is_written(store):
    with pytest.raises(UserError, match="did you mean 'png'"):
        plotting.plot(PAPER, "fig1_linear", "full", store, ["pdf", "pgn"])
    assert not store.preset("full").exists()


def test_a_missing_table_is_named(store):
    with pytest.raises(UserError, match=r"full/lillicrap2016/tables/linear\.csv: no such table"):
        plotting.plot(PAPER, "fig1_linear", "full", store)

"""The page of times says what the benchmarks and the manifests say, and never too much of training."""

import numpy as np
import pytest

from replications.harness import records
from replications.harness.errors import UserError
from replications.harness.showing import times
from replications.harness.store import Store


@pytest.fixture
def store(tmp_path):
    """Two experiments of 20 and 10 seconds, and two figures of 2 seconds each."""
    store = Store(tmp_path)
    own = {"wall_seconds": 8.0, "compile_seconds": 3.0, "resumes": 0}
    later = {"wall_seconds": 5.0, "compile_seconds": 0.0, "resumes": 0}
    job(store, "quick", "experiment", "p", "e", seconds=20)
    cell(store, "e", "a", own, later)
    cell(store, "e", "b", later)
    job(store, "quick", "experiment", "p", "old", seconds=10)
    cell(store, "old", "a", {"wall_seconds": 9.0, "resumes": 0})
    job(store, "quick", "plot", "p", "f", seconds=2)
    job(store, "full", "plot", "p", "f", seconds=2)
    return store


def job(store, preset, rule, *places, seconds):
    file = store.benchmark(preset, rule, *places)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"s\th:m:s\tmax_rss\n{seconds:.4f}\t0:00:01\t-\n")


def cell(store, experiment, arm, *seeds):
    own = {str(i): seed for i, seed in enumerate(seeds)}
    path = store.run("quick", "p", experiment, arm)
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = np.zeros((len(seeds), 1))
    run = records.Run(
        np.arange(len(seeds)), np.zeros(1), numbers, {}, {"origins": [{"seeds": own}]}
    )
    records.write_run(path, run)


def rows(text):
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return {line[0]: line[1:] for line in lines}


def test_seconds_are_split_into_training_compiling_and_the_rest(store):
    found = rows(times.times_markdown(store))
    assert found["p/e"] == ["1", "20.0", "15.0", "3.0", "2.0"]


def test_jobs_of_a_rule_are_added_and_so_are_all(store):
    found = rows(times.times_markdown(store))
    assert found["experiment"] == ["2", "30.0", "15.0", "3.0", "12.0"]
    assert found["plot"] == ["2", "4.0", "0.0", "0.0", "4.0"]
    assert found["all"] == ["4", "34.0", "15.0", "3.0", "16.0"]


def test_the_share_of_training_is_said_first(store):
    assert "34 core seconds in 4 jobs, 44% of it training." in times.times_markdown(store)


def test_what_was_never_measured_apart_is_not_called_training(store):
    assert rows(times.times_markdown(store))["p/old"] == ["1", "10.0", "0.0", "0.0", "10.0"]


def test_work_of_earlier_jobs_is_not_called_training_of_this_one(store):
    job(store, "quick", "experiment", "p", "e", seconds=4)
    assert rows(times.times_markdown(store))["p/e"] == ["1", "4.0", "0.0", "0.0", "4.0"]


def test_a_cell_at_full_scale_is_a_job_of_its_own(store):
    job(store, "full", "simulate", "p", "e", "w_0.5", seconds=30)
    path = store.run("full", "p", "e", "w_0.5")
    path.parent.mkdir(parents=True)
    seeds = {"0": {"wall_seconds": 20.0, "compile_seconds": 5.0}}
    manifest = {"origins": [{"seeds": seeds}]}
    run = records.Run(np.arange(1), np.zeros(1), np.zeros((1, 1)), {}, manifest)
    records.write_run(path, run)
    assert rows(times.times_markdown(store))["p/e/w_0.5/full"] == [
        "1",
        "30.0",
        "15.0",
        "5.0",
        "10.0",
    ]


def test_the_dearest_stands_first(store):
    text = times.times_markdown(store)
    assert text.index("| p/e |") < text.index("| p/old |")
    assert text.index("| experiment |") < text.index("| plot |") < text.index("| all |")


def test_what_snakemake_did_not_write_is_refused_in_one_line(store):
    file = store.benchmark("quick", "plot", "p", "f")
    for text in ("", "s\n", "h:m:s\n1\n", "s\nsoon\n"):
        file.write_text(text)
        with pytest.raises(UserError, match="no benchmark of Snakemake") as error:
            times.times_markdown(store)
        assert "\n" not in str(error.value)


def test_an_empty_folder_has_an_empty_page(tmp_path):
    assert "0 core seconds in 0 jobs, 0% of it training." in times.times_markdown(Store(tmp_path))


def test_it_is_written_as_text_and_as_a_page(store):
    times.write_times(store)
    assert store.times("md").read_text() == times.times_markdown(store)
    assert "<td>p/e</td>" in store.times("html").read_text()

"""Hidden features in the plane: each row an example of a layer of an arm, with its class."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from replications.harness import command_line, records
from replications.harness.judging import embedding
from replications.harness.projection import PERPLEXITY, project
from replications.harness.store import Store
from replications.harness.tables import read_table
from replications.harness.training import datasets
from tests.harness.clouds import N, clouds

PAPER, EXPERIMENT, LAYERS = "nokland2016", "mnist_3x400", ("hidden_1", "hidden_2")
ARMS = ("backprop", "direct_feedback_alignment")


def write_runs(folder, experiment=EXPERIMENT, arms=ARMS, n=N, **more):
    """Runs of two seeds, the later one first; the features of every seed and layer are others."""
    features = {
        f"features/{layer}": np.stack([clouds(n, seed=2 * k), clouds(n, seed=2 * k + 1)])
        for k, layer in enumerate(LAYERS)
    }
    for arm in arms:
        measures = {"test_error": np.array([[0.9, 0.2], [0.9, 0.1]]), **(features if n else {})}
        run = records.Run(
            np.array([7, 4]), np.array([0, 10]), np.zeros((2, 20)), measures | more,
            {"steps_per_epoch": 5},
        )  # fmt: skip
        records.write_run(Store(folder).run("quick", PAPER, experiment, arm), run)


def place(folder):
    return Store(folder).table("quick", PAPER, f"{EXPERIMENT}.embedding")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, mnist5k):
    made = tmp_path_factory.mktemp("results")
    shutil.copytree(mnist5k, made / "datasets")
    write_runs(made)
    return made


@pytest.fixture(scope="module")
def table(folder):
    embedding.embed(PAPER, EXPERIMENT, "quick", Store(folder))
    return read_table(place(folder))


def test_a_row_is_an_example_of_the_first_seed_in_a_layer_of_an_arm(table):
    assert list(table.columns) == embedding.COLUMNS
    assert set(table.seed) == {4}
    for (arm, layer), rows in table.groupby(["arm", "layer"]):
        assert (arm in ARMS, layer in LAYERS) == (True, True)
        assert rows.example.tolist() == list(range(N))
    assert len(table) == len(ARMS) * len(LAYERS) * N


def test_the_points_are_those_of_that_seeds_own_features(table):
    rows = table[(table.arm == ARMS[1]) & (table.layer == "hidden_2")]
    points = project(clouds(seed=3))
    np.testing.assert_allclose(rows[["x", "y"]], points, rtol=1e-6)


def test_the_labels_are_the_classes_of_the_held_out_examples(table, folder):
    held_out = datasets.load("mnist5k", Store(folder)).test_y[:N]
    assert set(held_out) == set(range(10))
    for _, rows in table.groupby(["arm", "layer"]):
        assert rows.label.tolist() == held_out.tolist()


def test_a_second_run_writes_the_same_bytes(table, folder):
    path = place(folder)
    before = path.read_bytes()
    path.unlink()
    words = ["embed", PAPER, EXPERIMENT, "--results", str(folder)]
    subprocess.run([sys.executable, "-m", "replications", *words], check=True)
    assert path.read_bytes() == before


# What cannot be embedded


@pytest.fixture
def said(capsys):
    """The one line that ``embed`` says on ending with status 2, having written nothing."""

    def run(folder, experiment=EXPERIMENT):
        assert command_line.main(["embed", PAPER, experiment, "--results", str(folder)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert list(folder.glob("**/*.embedding.csv")) == []
        return line

    return run


def test_a_missing_run_is_named(tmp_path, said):
    write_runs(tmp_path, arms=ARMS[:0])
    line = said(tmp_path)
    assert "runs/mnist_3x400/backprop.npz: no such result" in line
    assert "python -m replications simulate" in line


def test_an_experiment_without_features_is_named(tmp_path, said):
    write_runs(tmp_path, "mnist_zeros", n=0)
    line = said(tmp_path, "mnist_zeros")
    assert line == (
        "error: nokland2016/mnist_zeros/backprop (quick) has no features: name them among its measures"
    )


def test_an_unknown_experiment_is_named(tmp_path, said):
    assert "no experiment 'mnist_3x40' in preset 'quick'" in said(tmp_path, "mnist_3x40")


def test_too_few_examples_for_the_perplexity_are_refused(tmp_path, said):
    write_runs(tmp_path, n=PERPLEXITY)
    assert "probe is 30, t-SNE needs more than its perplexity 30" in said(tmp_path)


def test_labels_that_are_not_there_are_asked_for(tmp_path, said):
    write_runs(tmp_path)
    assert "python -m replications dataset mnist5k" in said(tmp_path)


def test_labels_that_have_changed_are_refused(folder, tmp_path, said):
    write_runs(tmp_path)
    (tmp_path / "datasets").mkdir()
    for name in ("mnist5k.npz", "mnist5k.npz.sha256"):
        content = (folder / "datasets" / name).read_bytes()
        (tmp_path / "datasets" / name).write_bytes(content)
    changed = tmp_path / "datasets" / "mnist5k.npz"
    changed.write_bytes(changed.read_bytes()[:-1] + b"\0")
    changed.write_bytes(changed.read_bytes() + b"\0")
    assert "the sha256 is" in said(tmp_path)

"""Hidden features in the plane: t-SNE of what the hidden layers of an experiment's nets put out.

A step of its own after the simulation, so that another perplexity trains nothing again.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from replications import datasets
from replications.errors import UserError
from replications.files import atomically
from replications.results import embedding_file, read_run, run_file
from replications.spec import Cell, cells_of

COLUMNS = ["arm", "seed", "layer", "example", "label", "x", "y"]
# How many neighbours a point has, roughly: what van der Maaten and Hinton (2008) and scikit-learn take.
PERPLEXITY = 30
# The first 250 spread the groups. Of 1,000 digits, another 500 lower the divergence by less than 5 %.
ITERATIONS = 500


def embed(
    paper: str, experiment: str, preset: str, results: Path, folder: Path | None = None
) -> pd.DataFrame:
    """Every layer of every arm, of its first seed, as one tidy table: written to its file, returned.

    ``folder`` holds the data sets' files, which have the labels. Raises UserError where a run is
    missing, or has no features.
    """
    table = placed(cells_of(paper, experiment, preset), results, folder or results / "datasets")
    with atomically(embedding_file(results, preset, paper, experiment)) as temporary:
        table.to_csv(temporary, index=False)
    return table


def placed(arms: Sequence[Cell], results: Path, folder: Path) -> pd.DataFrame:
    """The table of ``embed``. Raises UserError."""
    return pd.concat([part for cell in arms for part in _layers(cell, results, folder)])


def _layers(cell: Cell, results: Path, folder: Path) -> list[pd.DataFrame]:
    run = read_run(run_file(results, cell))
    first = int(np.argmin(run.seeds))
    features = {
        name.removeprefix("features/"): values[first]
        for name, values in run.measures.items()
        if name.startswith("features/")
    }
    where = f"{cell.name} ({cell.preset})"
    if not features:
        raise UserError(f"{where} has no features: name them among its measures")
    if cell.dataset is None:
        raise UserError(f"{where} has no labels: its task is no image data set")
    n = len(next(iter(features.values())))
    if n <= PERPLEXITY:
        raise UserError(f"{where}: probe is {n}, t-SNE needs more than its perplexity {PERPLEXITY}")
    labels = datasets.load(cell.dataset, folder).test_y[:n]
    same = {"arm": cell.arm, "seed": run.seeds[first], "label": labels, "example": range(n)}
    parts = []
    for layer, values in features.items():
        x, y = plane(values).T
        parts.append(pd.DataFrame({**same, "layer": layer, "x": x, "y": y})[COLUMNS])
    return parts


def plane(features: np.ndarray) -> np.ndarray:
    """t-SNE of ``features`` (n, units), to (n, 2); NaN for those of a run that has diverged.

    On one thread, always: on one machine the same features give the same bits.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if not np.isfinite(features).all():
        return np.full((len(features), 2), np.nan)
    if (features == features[0]).all():
        # A net that never left zero: one point, and no direction for t-SNE to start along.
        return np.zeros((len(features), 2))
    tsne = TSNE(perplexity=PERPLEXITY, max_iter=ITERATIONS, init="pca", random_state=0, n_jobs=1)
    with threadpool_limits(1):
        found: np.ndarray = tsne.fit_transform(features)
    return found

"""Hidden features in the plane: t-SNE of what the hidden layers of an experiment's nets put out.

A step of its own after the simulation, so that another perplexity trains nothing again.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from replications.harness.declared.experiments import Cell, cells_of
from replications.harness.errors import UserError
from replications.harness.projection import PERPLEXITY, project
from replications.harness.records import read_run
from replications.harness.store import Store
from replications.harness.tables import write_table
from replications.harness.training import datasets

COLUMNS = ["arm", "seed", "layer", "example", "label", "x", "y"]


def embed(paper: str, experiment: str, preset: str, store: Store) -> pd.DataFrame:
    """Embed every layer of every arm, of its first seed: one tidy table, written and returned.

    Raises UserError where a run is missing, or has no features.
    """
    table = embed_features(cells_of(paper, experiment, preset, store), store)
    write_table(store.table(preset, paper, f"{experiment}.embedding"), table)
    return table


def embed_features(arms: Sequence[Cell], store: Store) -> pd.DataFrame:
    """The table of ``embed``. Raises UserError."""
    return pd.concat([part for cell in arms for part in _layers(cell, store)])


def _layers(cell: Cell, store: Store) -> list[pd.DataFrame]:
    run = read_run(store.run(cell.preset, cell.paper, cell.experiment, cell.arm))
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
    labels = datasets.load(cell.dataset, store).test_y[:n]
    same = {"arm": cell.arm, "seed": run.seeds[first], "label": labels, "example": range(n)}
    parts = []
    for layer, values in features.items():
        x, y = project(values).T
        parts.append(pd.DataFrame({**same, "layer": layer, "x": x, "y": y})[COLUMNS])
    return parts

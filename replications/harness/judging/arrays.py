"""Arrays that a picture shows, and no table of records has: spikes and potentials, receptive fields.

Of an experiment's first seed: one row a vector, so that a picture is drawn from a table like any other.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from replications.harness.catalogue.measures import MEASURES
from replications.harness.declared.experiments import Cell, cells_of
from replications.harness.errors import UserError
from replications.harness.records import read_run
from replications.harness.store import Store
from replications.harness.tables import write_table

COLUMNS = ["arm", "seed", "step", "measure", "layer", "place", "values"]
# What part of the records lies before those shown: of traces the start, an early one and the end; of what
# is learned the end alone.
MOMENTS = {"traces": (0.0, 0.1, 1.0), "fields": (1.0,)}


def arrays(paper: str, experiment: str, preset: str, store: Store) -> pd.DataFrame:
    """The arrays of every arm's first seed: one tidy table, written and returned. ``place``: the indices of a
    vector in its array; ``values``: its numbers, apart by spaces.

    Raises UserError where a run is missing, or has none.
    """
    table = tabulate_arrays(cells_of(paper, experiment, preset, store), store)
    write_table(store.table(preset, paper, f"{experiment}.arrays"), table)
    return table


def has_arrays(cell: Cell) -> bool:
    """Whether a cell records arrays that this table holds."""
    return any(name in MOMENTS for name in cell.spec.measures)


def tabulate_arrays(cells: Sequence[Cell], store: Store) -> pd.DataFrame:
    """The table of ``arrays``. Raises UserError."""
    rows = [row for cell in cells if has_arrays(cell) for row in _rows(cell, store)]
    if not rows:
        known = ", ".join(name for name in MOMENTS if not MEASURES[name].scalar)
        raise UserError(f"{cells[0].paper}/{cells[0].experiment} records none of {known}")
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(cell: Cell, store: Store) -> Iterator[tuple[object, ...]]:
    run = read_run(store.run(cell.preset, cell.paper, cell.experiment, cell.arm))
    first = int(np.argmin(run.seeds))
    for name, found in run.measures.items():
        measure, _, layer = name.partition("/")
        for moment in MOMENTS.get(measure, ()):
            record = round(moment * (len(run.step) - 1))
            array = found[first, record]
            for place in np.ndindex(array.shape[:-1]):
                vector = array[place]
                text = " ".join(f"{float(x):.4g}" for x in vector)
                where = "/".join(map(str, place))
                yield cell.arm, run.seeds[first], run.step[record], measure, layer, where, text

"""From the runs of an experiment to its tidy table."""

import pandas as pd

from replications.harness.declared.experiments import cells_of
from replications.harness.errors import UserError
from replications.harness.records import read_run
from replications.harness.store import Store
from replications.harness.tables import tidy, write_table


def tabulate(paper: str, experiment: str, preset: str, store: Store) -> pd.DataFrame:
    """All arms of an experiment as one tidy table, written to its file and returned. Raises UserError."""
    arms = cells_of(paper, experiment, preset, store)
    runs = {}
    for cell in arms:
        file = store.run(preset, paper, experiment, cell.arm)
        runs[cell.arm] = read_run(file)
        if runs[cell.arm].manifest.get("spec_digest") != cell.digest:
            raise UserError(f"{file}: the run is of another spec; run `simulate` again")
    table = pd.concat([tidy(arm, run) for arm, run in runs.items()])
    write_table(store.table(preset, paper, experiment), table)
    return table

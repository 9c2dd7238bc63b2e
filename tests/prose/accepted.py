"""What prose may speak of: the accepted records, the published numbers, the specs, the judged parts."""

from functools import cache
from math import nan

import numpy as np
import pandas as pd

from replications.harness import tables
from replications.harness.declared import experiments
from replications.harness.declared.published import read_published
from replications.harness.judging import drift, verdicts
from replications.harness.judging.accepted_verdicts import judged_as_accepted
from replications.harness.store import Store

STORE = Store()
# In prose these are percents, as in the tables.
ERRORS = ("test_error", "train_error")


class Paper:
    """The accepted numbers of one paper. An ``arm`` may be shortened as ``short`` says."""

    def __init__(self, name: str, **short: str) -> None:
        self.name, self.short = name, short

    def arm(self, arm: str) -> str:
        return self.short.get(arm, arm)

    @cache  # noqa: B019
    def table(self, experiment: str) -> pd.DataFrame:
        """Tidy records of full scale."""
        file = STORE.kept(self.name, "full", experiment, "runs")
        return tables.tall(verdicts.read_records(file))

    def runs(self, experiment, arm, measure="test_error", layer="", x="epoch"):
        """A row per record, a column per seed, of full scale."""
        scale = 100 if measure in ERRORS else 1
        return scale * tables.runs(self.table(experiment), self.arm(arm), measure, layer, x)

    def ends(self, experiment, arm, measure="test_error", layer=""):
        """Where each seed ends, of full scale."""
        return self.runs(experiment, arm, measure, layer).iloc[-1].to_numpy()

    def last(self, experiment, arm, measure="test_error", layer=""):
        """The mean of it."""
        return float(self.ends(experiment, arm, measure, layer).mean())

    def after(self, epoch, experiment, arm, measure="test_error", layer=""):
        """The mean after so many passes."""
        return float(self.runs(experiment, arm, measure, layer).loc[epoch].mean())

    def minus(self, experiment, a, b, measure="test_error"):
        """The mean of one arm minus that of another, at the end."""
        return self.last(experiment, a, measure) - self.last(experiment, b, measure)

    def passes(self, experiment, arm):
        """After how many passes each run stopped: the last with a record that is not the one before."""
        losses = self.runs(experiment, arm, "train_loss").dropna(how="all")
        moved = losses.ne(losses.shift())
        return np.array([int(moved.index[moved[seed]].max()) for seed in moved])

    def quick(self, experiment, row, column="mean"):
        """A number of the accepted quick run; errors in percent."""
        table = drift.accepted_numbers("aggregates", self.name, "quick", experiment, STORE)
        arm, _, measure = row.partition("/")
        value = float(table.loc[f"{self.arm(arm)}/{measure}", column])
        return 100 * value if measure in ERRORS and column in ("mean", "sd") else value

    def published(self, experiment, arm, measure="test_error"):
        """What the paper gives, in the unit of published.yaml."""
        value = read_published(self.name, STORE)[experiment, self.arm(arm), measure].value
        return nan if value is None else value

    def spec(self, experiment, arm, preset="full"):
        return experiments.cell(self.name, experiment, self.arm(arm), preset, STORE).spec

    def seeds(self, experiment, arm, measure="test_error"):
        """How many runs are accepted."""
        return len(self.ends(experiment, arm, measure))

    def part(self, claim, index, preset="full"):
        """A judged part: estimate, and both ends of its interval."""
        judged = judged_as_accepted(self.name, preset, STORE)["claims"]
        (found,) = [one for one in judged if one["id"] == claim]
        part = found["parts"][index]
        return [part["estimate"], *part["interval"]]

"""How far a run is, by what Snakemake logs."""

from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from replications.harness.showing.progress import SECONDS, SHORT, Progress


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self):
        return self.now


def record(event, **facts):
    return SimpleNamespace(event=event, **facts)


def run(progress, job, rule):
    progress.told(record(LogEvent.JOB_INFO, jobid=job, rule_name=rule))
    progress.told(record(LogEvent.JOB_FINISHED, job_id=job))
    return progress.told(record(LogEvent.PROGRESS))


def test_minutes_left_are_those_of_what_was_done_by_the_weight_of_the_rest():
    clock = Clock()
    progress = Progress(clock)
    stats = {"experiment": 3, "tabulate": 3, "total": 6}
    assert progress.told(record(LogEvent.RUN_INFO, stats=stats)) == ""
    clock.now += 300
    assert run(progress, 7, "experiment") == (
        f"1 of 3 experiments, {5 * (2 * SECONDS['experiment'] + 3 * SHORT) / SECONDS['experiment']:.0f} min left"
    )
    for job, rule in enumerate(["experiment", "experiment", "tabulate", "tabulate"]):
        run(progress, job, rule)
    assert run(progress, 9, "tabulate") == "3 of 3 experiments, less than a minute left"


def test_of_cells_of_full_scale_which_take_minutes_to_days_no_minutes_are_told():
    progress = Progress(Clock())
    progress.told(record(LogEvent.RUN_INFO, stats={"simulate": 2, "tabulate": 1}))
    assert run(progress, 1, "simulate") == "1 of 2 cells"


@pytest.mark.parametrize("other", [record(LogEvent.SHELLCMD), SimpleNamespace(), record(None)])
def test_other_records_say_nothing(other):
    assert Progress(Clock()).told(other) == ""


def test_before_anything_is_known_there_is_nothing_to_say():
    assert Progress(Clock()).text() == ""

"""What a person at a terminal sees of a run: experiments done, and the minutes left."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

# About how long a job of a rule takes; the others are as short as SHORT. Only their ratios matter.
SECONDS = {"experiment": 25.0, "fingerprint": 90.0, "check": 12.0, "overview": 8.0}
SHORT = 4.0
# Jobs that take from minutes to days: of these no minutes are told.
UNKNOWN = "simulate"


class Progress:
    """Counts the jobs of a Snakemake run by what it logs, and says how long the rest will take."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._planned: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._rules: dict[int, str] = {}
        self._begun = clock()

    def planned(self, jobs: Mapping[str, int]) -> None:
        """A run begins with so many jobs of each rule."""
        self._planned = Counter({rule: n for rule, n in jobs.items() if rule != "total"})
        self._done.clear()
        self._begun = self._clock()

    def begun(self, job: int, rule: str) -> None:
        """A job of a rule begins."""
        self._rules[job] = rule

    def finished(self, job: int) -> None:
        """A job has ended well."""
        self._done[self._rules.get(job, "")] += 1

    def text(self) -> str:
        """One line; empty before anything is known."""
        parts = [
            f"{self._done[rule]} of {self._planned[rule]} {name}"
            for rule, name in (("experiment", "experiments"), (UNKNOWN, "cells"))
            if self._planned[rule]
        ]
        done, left = _seconds(self._done), _seconds(self._planned - self._done)
        if done and not self._planned[UNKNOWN]:
            minutes = (self._clock() - self._begun) * left / done / 60
            parts.append("less than a minute left" if minutes < 1 else f"{minutes:.0f} min left")
        return ", ".join(parts)

    def told(self, record: Any) -> str:
        """What a record of Snakemake's log makes known, and what there is to say after it."""
        event = getattr(getattr(record, "event", None), "value", None)
        if event == "run_info":
            self.planned(getattr(record, "stats", {}))
        elif event == "job_info":
            self.begun(record.jobid, record.rule_name)
        elif event == "job_finished":
            self.finished(record.job_id)
        elif event == "progress":
            return self.text()
        return ""


def _seconds(jobs: Mapping[str, int]) -> float:
    return sum(n * SECONDS.get(rule, SHORT) for rule, n in jobs.items())

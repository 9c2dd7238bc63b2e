"""What ``check_accepted.py`` needs to know."""

from pathlib import Path

import pytest

from replications.harness.judging import drift
from replications.harness.store import PAPERS, Store


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("accepted")
    group.addoption("--paper", help="name of a paper")
    group.addoption("--preset", default="quick", help="quick or full")
    group.addoption("--accepted", action="store_true", help="of results that no run computes")
    group.addoption("--results", default="results", help="the folder of all results")
    group.addoption("--papers", default=str(PAPERS), help="the folder of the papers")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "checks: of check_accepted.py")
    if config.getoption("--paper", None) is None:
        return
    renew = drift.renewal(config.getoption("--paper"), config.getoption("--preset"))
    if any(config.getoption(name, False) for name in ("force_regen", "regen_all")):
        raise pytest.UsageError(f"accepted results are renewed by: {renew}")


class Asked:
    """What is to be checked."""

    def __init__(self, config: pytest.Config) -> None:
        option = config.getoption
        self.paper, self.preset, self.accepted = (
            option("--paper"),
            option("--preset"),
            option("--accepted"),
        )
        self.store = Store(Path(option("--results")).absolute(), Path(option("--papers")))
        self.renew = drift.renewal(self.paper, self.preset)

    @property
    def names(self) -> list[str]:
        return drift.guarded(self.paper, self.preset, self.accepted, self.store)

    @property
    def kinds(self) -> tuple[str, ...]:
        return drift.KEPT if self.accepted else drift.COMPUTED


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if {"experiment", "kind"} <= set(metafunc.fixturenames):
        asked = Asked(metafunc.config)
        pairs = [(name, kind) for name in asked.names for kind in asked.kinds]
        metafunc.parametrize(("experiment", "kind"), pairs)


@pytest.fixture
def asked(request: pytest.FixtureRequest) -> Asked:
    return Asked(request.config)

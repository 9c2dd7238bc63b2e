"""What ``check_accepted.py`` needs to know, and the report that it leaves."""

from pathlib import Path

import pytest

from replications.harness.declared import experiments
from replications.harness.errors import UserError
from replications.harness.files import atomically
from replications.harness.judging import drift, manifests
from replications.harness.store import PAPERS, PRESETS, Store


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("accepted")
    group.addoption("--paper", help="name of a paper")
    group.addoption("--preset", default="quick", choices=PRESETS, help="quick or full")
    group.addoption("--accepted", action="store_true", help="of results that no run computes")
    group.addoption("--results", default="results", help="the folder of all results")
    group.addoption("--papers", default=str(PAPERS), help="the folder of the papers")
    group.addoption("--report", help="the file for what a green check said; a red one leaves none")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--paper", None) is None:
        return
    asked = Asked(config)
    if asked.report:
        asked.report.unlink(missing_ok=True)
    if any(config.getoption(name, False) for name in ("force_regen", "regen_all")):
        raise pytest.UsageError(f"accepted results are renewed by: {asked.renew}")
    try:
        known = experiments.names(asked.paper, asked.preset, asked.store)
    except UserError as error:
        raise pytest.UsageError(str(error)) from None
    if not known:
        raise pytest.UsageError(f"{asked.paper} has no experiment in preset {asked.preset!r}")


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
        self.report = Path(option("--report")) if option("--report") else None
        self.renew = drift.renewal(self.paper, self.preset)

    @property
    def names(self) -> list[str]:
        return drift.guarded(self.paper, self.preset, self.accepted, self.store)

    @property
    def unproven(self) -> list[str]:
        return manifests.unproven(self.paper, self.store)

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


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Say what tests that passed have to tell, and write the report.

    It is not what the terminal shows, which depends on its width, on plugins and on the time.
    """
    if config.getoption("--paper", None) is None:
        return
    passed = terminalreporter.stats.get("passed", [])
    told = [str(line) for one in passed for name, line in one.user_properties if name == "told"]
    for line in told:
        terminalreporter.write_line(line)
    report = Asked(config).report
    if report and exitstatus == pytest.ExitCode.OK:
        names = [one.nodeid.rpartition("::")[2] for one in passed]
        lines = [*(f"passed: {name}" for name in names), f"{len(names)} passed", *told]
        with atomically(report) as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")

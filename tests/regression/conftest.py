"""What ``check_baselines.py`` needs to know; ``python -m replications check`` passes it on."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("baselines")
    group.addoption("--results", help="a paper's folder of results")
    group.addoption("--baselines", help="the folder with its accepted numbers")
    group.addoption("--experiments", default="", help="names, with commas between")
    group.addoption("--kinds", default="", help="kinds of baselines, with commas between")
    group.addoption("--renew", help="the command that renews a baseline")


def pytest_configure(config: pytest.Config) -> None:
    options = ("force_regen", "regen_all")
    if config.getoption("--baselines", None) and any(config.getoption(name) for name in options):
        raise pytest.UsageError(f"baselines are renewed by: {config.getoption('--renew')}")
